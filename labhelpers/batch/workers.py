"""Carries out a plan: Dask distributed gives runs to workers, here or on a cluster, and collects their outcomes.

By default this is a local cluster, with as many workers as cores and memory allow. `scheduler` is the address of any
other Dask cluster: for Slurm, PBS, Kubernetes or SSH, start one with dask-jobqueue or a similar package (see
docs/batch.md).
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import statistics
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import labhelpers
from labhelpers.batch import supervisor
from labhelpers.batch.grades import exercises
from labhelpers.batch.isolation import why_not_isolated
from labhelpers.batch.outcome import RunOutcome
from labhelpers.batch.plans import Plan, PlannedRun, expand, load_plan
from labhelpers.batch.report import write_report
from labhelpers.batch.store import PLAN, Output
from labhelpers.batch.submissions import check_cells, with_checks
from labhelpers.batch.supervisor import Job
from labhelpers.course.run import default_run_dir
from labhelpers.errors import UsageError
from labhelpers.files import write_atomically
from labhelpers.sources.locations import is_address

RUN_GB = 2.0  # memory of a tiny run; used when neither the plan nor an earlier run gives a number


def run_batch(
    plan_file: str | Path,
    output_dir: str | Path | None = None,
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    retry_failed: bool = False,
    say: Callable[[str], None] = print,
) -> tuple[list[RunOutcome], str]:
    """Carries out a plan. Returns the outcome of every run, in the plan's order, and the place of the output.

    Runs that are finished in `output_dir` (a folder or an fsspec address) are not done again; failed runs are done
    again only with `retry_failed`. Raises UsageError, before anything runs, for a plan or an argument that cannot be
    used. Raises KeyboardInterrupt, with a message, when it is interrupted; the same call then continues.
    """
    if workers is not None and workers < 1:
        raise UsageError(f"--workers must be at least 1, not {workers}")
    plan = load_plan(plan_file)
    runs = expand(plan)
    _check_dasks_settings()
    with contextlib.ExitStack() as stack:
        output = Output(output_dir or default_output(plan), stack)
        stack.enter_context(output.lock())
        kept = output.outcomes()
        done = {run.id: kept[run.id] for run in runs if run.id in kept}
        todo = [run for run in runs if run.id not in done or (retry_failed and done[run.id].status != "finished")]
        _remember(plan, runs, output)
        if skipped := len(runs) - len(todo):
            say(f"{skipped} of {len(runs)} runs are done already: not done again")
        try:
            if todo:
                client, threads = stack.enter_context(_cluster(plan, todo, done, workers, scheduler, say))
                _carry_out(plan, todo, done, output, client, threads, scheduler is None, say)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                f"interrupted: {len(done)} of {len(runs)} runs are done in {output.place}; the same command continues"
            ) from None
        finally:
            output.publish(*write_report(output.folder))
        return [done[run.id] for run in runs], output.place


def default_output(plan: Plan) -> Path:
    """`runs/batch/NAME` for a plan called NAME.yaml."""
    return default_run_dir("batch") / plan.file.stem


def describe(plan_file: str | Path, output_dir: str | Path | None = None, workers: int | None = None) -> list[str]:
    """The lines of `--dry-run`: the runs, and estimates of time and memory from earlier runs. Writes nothing."""
    plan = load_plan(plan_file)
    runs = expand(plan)
    _check_dasks_settings()
    place = output_dir or default_output(plan)
    with contextlib.ExitStack() as stack:
        done = Output(place, stack).outcomes() if is_address(place) or Path(place).is_dir() else {}
    lines = [f"{run.id}  {done.get(run.id, run.todo()).status:12} {run.label}" for run in runs]
    todo = [run for run in runs if run.id not in done]
    lines.append(f"{len(runs)} runs, {len(todo)} to do, {', '.join(path.stem for path in plan.notebooks)}")
    seconds, memory = _earlier(plan, done)
    count, threads = _size(plan, len(todo) or 1, done, workers)
    lines.append(f"on this machine: {count} at a time, threads each: {threads}")
    if seconds is None or memory is None:
        return [*lines, "time and memory: unknown, because no run of these notebooks has finished there yet"]
    rounds = -(-len(todo) // count)
    lines.append(
        f"time and memory by earlier runs: {seconds:.0f} s and {memory:.1f} GB a run, {_span(rounds * seconds)}"
    )
    return lines


def _check_dasks_settings() -> None:
    """Raises UsageError when Dask cannot read its files of settings (DASK_CONFIG, ~/.config/dask, …) at its import."""
    try:
        import distributed  # noqa: F401
    except ImportError:
        raise
    except Exception as error:  # bad YAML and settings of a wrong type raise errors of many types
        where = f" (DASK_CONFIG is {os.environ['DASK_CONFIG']})" if "DASK_CONFIG" in os.environ else ""
        raise UsageError(
            f"Dask's settings cannot be read{where}: {' '.join(str(error).split())}; correct that file or remove it"
        ) from None


def _carry_out(
    plan: Plan,
    todo: list[PlannedRun],
    outcomes: dict[str, RunOutcome],
    output: Output,
    client,
    threads: int,
    here: bool,
    say: Callable,
) -> None:
    from distributed import as_completed

    batch = uuid.uuid4().hex
    futures, began = {}, time.monotonic()
    for run in todo:
        outcomes.pop(run.id, None)
        output.begin(run.id)
        job = _job(plan, run, batch, threads, output, here)
        futures[client.submit(supervisor.execute, job, key=f"labs-{run.id}-{batch[:8]}", pure=False)] = run
    try:
        for done, future in enumerate(as_completed(list(futures), loop=client.loop), 1):
            run = futures.pop(future)
            if future.status == "finished":
                outcome = future.result()
            else:
                outcome = run.todo().without_worker(future.exception() if future.status == "error" else None)
            future.release()
            if outcome.status == "interrupted":  # stopped from outside: the run has not ended
                raise KeyboardInterrupt
            outcome = outcomes[run.id] = output.keep(outcome)
            left = (time.monotonic() - began) / done * (len(todo) - done)
            rest = f", {_span(left)} left" if done < len(todo) else ""
            say(f"{done:4}/{len(todo)}  {outcome.status:12} {outcome.seconds:7.1f} s  {run.label}{rest}")
    except BaseException:
        with _undisturbed():
            client.cancel(list(futures), force=True)
            with contextlib.suppress(Exception):
                client.run(supervisor.stop, batch)
                time.sleep(1)  # until the workers have noticed
        raise


def _job(plan: Plan, run: PlannedRun, batch: str, threads: int, output: Output, here: bool) -> Job:
    files = {f"{name}.ipynb": path.read_bytes() for name, path in run.notebooks.items()}
    if run.submission:
        for master in plan.notebooks:
            if master.stem in run.notebooks:
                files[f"{master.stem}.ipynb"] = with_checks(files[f"{master.stem}.ipynb"], check_cells(master))
        files = {name: path.read_bytes() for name, path in run.submission.others.items()} | files
    return Job(
        todo=run.todo(),
        batch=batch,
        files=files,
        profile=plan.profile,
        version=labhelpers.__version__,
        threads=threads,
        timeout_minutes=plan.timeout_minutes,
        memory_gb=plan.memory_gb,
        isolate=run.student is not None and not plan.weak_isolation,
        folder=str(output.folder / run.id) if here and output.address is None else None,
        address=f"{output.address}/{run.id}" if output.address else None,
    )


@contextlib.contextmanager
def _cluster(plan: Plan, todo: list[PlannedRun], done: dict, workers, scheduler, say: Callable) -> Iterator[tuple]:
    """(client, threads per run) of a cluster that can carry out the plan."""
    from distributed import Client, LocalCluster

    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # the outcomes of the runs say what matters
    with contextlib.ExitStack() as stack:
        if scheduler:
            threads = plan.threads or 1
            client = stack.enter_context(_connected(scheduler))
            if not client.scheduler_info()["workers"]:
                say(f"waiting for a worker of {scheduler}")
                client.wait_for_workers(1)
        else:
            count, threads = _size(plan, len(todo), done, workers)
            with _undisturbed():  # the workers inherit this: only this process handles Ctrl-C
                try:
                    cluster = LocalCluster(
                        n_workers=count,
                        threads_per_worker=1,
                        memory_limit=0,  # a run uses its memory in a process of its own, not in the worker
                        # Without an address Dask still takes port 8787, and warns if that is in use.
                        dashboard_address="127.0.0.1:0",
                        scheduler_kwargs={"dashboard": False},
                        silence_logs=logging.CRITICAL,
                    )
                except RuntimeError as error:
                    reason = " ".join(str(error).split())
                    advice = "check Dask's settings (DASK_CONFIG, ~/.config/dask)"
                    raise UsageError(f"Dask's workers do not start here: {reason}; {advice}") from error
                stack.enter_context(cluster)
                client = stack.enter_context(Client(cluster))
        _check_workers(client, plan)
        yield client, threads


def _connected(scheduler: str):
    from distributed import Client

    try:
        return Client(scheduler, timeout="5s", set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UsageError(
            f"--scheduler {scheduler} cannot be reached: {reason}; start one with 'dask scheduler' and give its address"
        ) from None


def _check_workers(client, plan: Plan) -> None:
    """Raises UsageError for workers with another version of the package, or without isolation when it is needed."""

    def version():  # sent as code, so that a worker without the package can answer too
        try:
            import labhelpers

            return labhelpers.__version__
        except ImportError:
            return None

    for worker, found in client.run(version).items():
        if found != labhelpers.__version__:
            what = f"has labhelpers {found}" if found else "has no labhelpers"
            raise UsageError(
                f"worker {worker} {what}, this batch has {labhelpers.__version__}: install the same version there"
            )
    if plan.submissions and not plan.weak_isolation:
        for worker, why in client.run(why_not_isolated).items():
            if why:
                raise UsageError(
                    f"{plan.file}, field 'submissions': worker {worker} cannot isolate them ({why}); "
                    "see docs/batch.md, and 'weak_isolation: true' to run them without isolation"
                )


def _size(plan: Plan, runs: int, done: dict[str, RunOutcome], workers: int | None) -> tuple[int, int]:
    """How many runs at a time on this machine, and how many threads for each."""
    from dask.system import CPU_COUNT
    from distributed.system import MEMORY_LIMIT

    need = plan.memory_gb or _earlier(plan, done)[1] or RUN_GB
    count = workers or max(1, min(CPU_COUNT, int(0.9 * MEMORY_LIMIT / 2**30 / need)))
    count = min(count, runs)
    return count, plan.threads or max(1, CPU_COUNT // count)


def _earlier(plan: Plan, outcomes: dict[str, RunOutcome]) -> tuple[float | None, float | None]:
    """Mean seconds and largest memory (GB) of the finished runs of the same notebooks."""
    names = [path.stem for path in plan.notebooks]
    same = [one for one in outcomes.values() if one.status == "finished" and one.notebooks == names]
    memory = [one.peak_memory_gb for one in same if one.peak_memory_gb]
    return (statistics.mean(one.seconds for one in same) if same else None, max(memory, default=None))


def _remember(plan: Plan, runs: list[PlannedRun], output: Output) -> None:
    """Writes `plan.json`: what the report needs from the plan, so that `labs report` can do without the plan."""
    kept = {"plan": plan.file.name, "notebooks": [path.stem for path in plan.notebooks], "profile": plan.profile}
    kept |= {"grid": list(plan.grid), "submissions": plan.submissions is not None}
    kept["runs"] = [
        {"id": run.id, "label": run.label, "parameters": run.parameters, "student": run.student} for run in runs
    ]
    if plan.submissions:
        kept["exercises"] = exercises(plan)
    write_atomically(output.folder / PLAN, json.dumps(kept, indent=1) + "\n")
    output.publish(PLAN)


def _span(seconds: float) -> str:
    if seconds < 90:
        return f"about {seconds:.0f} s"
    return f"about {seconds / 60:.0f} min" if seconds < 5400 else f"about {seconds / 3600:.1f} h"


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Ignores Ctrl-C inside the `with` block, also in processes that are started there."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
