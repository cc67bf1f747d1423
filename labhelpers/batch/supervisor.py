"""Supervises one run on the worker's machine: starts its process, watches it, ends it, and reports how it ended.

`execute` returns a RunOutcome for every kind of failure.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import os
import re
import shutil
import socket
import stat
import subprocess
import sys
import tarfile
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import labhelpers
from labhelpers.batch import warm
from labhelpers.batch.isolation import environment, isolated
from labhelpers.batch.outcome import RunOutcome, Status
from labhelpers.batch.pages import write_pages
from labhelpers.batch.progress import PROGRESS, Progress, read_progress
from labhelpers.batch.run_process import JOB, SOURCES, end_children
from labhelpers.batch.submissions import is_added
from labhelpers.course.notebooks import read_notebook
from labhelpers.errors import NotebookError, disk_full, storage_advice

LOG = "run.log"
DISK_GB, FILES, PROCESSES = 2, 20_000, 200  # what one submission may use
LAST_LINES = 12
_LOOK_EVERY = 0.25
_LARGE = 50_000_000  # bytes; larger files are not read
_stopped: set[str] = set()


@dataclass(frozen=True)
class Job:
    """A run as it is sent to a worker. `todo` is its outcome before it has run; it says what to run.

    The run's files stay in `folder`, if the worker can write there, or are uploaded to the fsspec `address`. Without
    both, they return inside the outcome. `version` is the version of this package in the process of the batch.
    """

    todo: RunOutcome
    batch: str
    files: dict[str, bytes]
    profile: str
    version: str
    threads: int
    timeout_minutes: float | None = None
    memory_gb: float | None = None
    isolate: bool = False
    folder: str | None = None
    address: str | None = None

    @property
    def submitted(self) -> bool:
        """Whether the notebooks are a student's."""
        return self.todo.student is not None


def execute(job: Job) -> RunOutcome:
    """Executes one run and returns its outcome. Never raises because of what the run does."""
    began = time.time()
    outcome = dataclasses.replace(job.todo, worker=socket.gethostname(), started=began, isolated=job.isolate)
    outcome.version = labhelpers.__version__
    if job.version != outcome.version:
        reason = f"the worker has labhelpers {outcome.version}, the batch {job.version}"
        return outcome.ended("refused", reason, seconds=0.0)
    temporary = None if job.folder else tempfile.mkdtemp(prefix="labs-run-")
    folder = Path(job.folder or temporary).resolve()
    try:
        _carry_out(job, folder, outcome)
        if job.address:
            _upload(folder, job.address)
        elif temporary:
            outcome.archive = _packed(folder)
    except Exception as error:  # such as a full disk or an unreachable storage: this run fails, not the batch
        advice = storage_advice(error)
        outcome.status = "disk full" if disk_full(error) else "failed"
        outcome.reason = f"{folder}: {advice}" if advice else f"{type(error).__name__}: {error}"
    finally:
        if temporary:
            shutil.rmtree(temporary, ignore_errors=True)
    outcome.seconds = time.time() - began
    return outcome


def stop(batch: str) -> None:
    """Ends the runs of a batch in this process after Ctrl-C. Their progress is kept for the next time."""
    _stopped.add(batch)


def _carry_out(job: Job, folder: Path, outcome: RunOutcome) -> None:
    """Runs the job in `folder`, and completes its outcome."""
    if job.submitted:
        shutil.rmtree(folder, ignore_errors=True)  # files of an earlier attempt are not trusted
    _prepare(job, folder)
    with tempfile.TemporaryDirectory(prefix="labs-root-") as root:
        ended, outcome.peak_memory_gb = _run(job, folder, Path(root).resolve())
    if job.submitted:
        _only_plain_files(folder)
    _keep_drafts(folder)
    if job.submitted:
        _only_asked_for(folder / "notebooks", outcome.notebooks)
    progress = read_progress(folder)
    _say_how_it_ended(outcome, ended, progress, folder)
    outcome.notebook_seconds = {name: took for name, took in progress.seconds.items() if name in outcome.notebooks}
    if job.submitted:  # numbers that a student's notebook records are not trusted
        outcome.verdicts = {name: said for name, said in progress.verdicts.items() if name in outcome.notebooks}
    else:
        outcome.results = _results(folder)
    if outcome.missing:
        outcome.status = "failed" if outcome.status == "finished" else outcome.status
        outcome.reason = "; ".join(filter(None, [outcome.reason, f"not handed in: {', '.join(outcome.missing)}"]))
    write_pages(folder, sanitize=job.submitted)
    for leftover in (SOURCES, JOB, LOG, "cache"):
        _remove(folder / leftover)
    if outcome.status == "finished":
        _remove(folder / PROGRESS)


def _prepare(job: Job, folder: Path) -> None:
    sources = folder / SOURCES
    _remove(sources)
    sources.mkdir(parents=True)
    for name, content in job.files.items():
        (sources / name).write_bytes(content)
    # The system counts threads (older systems count all threads of the user), so this limit is far above PROCESSES,
    # which `_watch` checks.
    limits = {"memory_gb": job.memory_gb or 4, "disk_gb": DISK_GB, "processes": 4096}
    order = {"notebooks": job.todo.notebooks, "profile": job.profile, "parameters": job.todo.parameters}
    order |= {"limits": limits if job.submitted else None, "keep_going": job.submitted}
    (folder / JOB).write_text(json.dumps(order), encoding="utf-8")


def _run(job: Job, folder: Path, root: Path) -> tuple[tuple[Status, str] | None, float]:
    """Runs the process to its end. Returns (status and reason if the supervisor ended it, peak memory in GB)."""
    # -P: a file in a submission's folder must not replace one of our modules.
    command = [sys.executable, "-P", "-m", "labhelpers.batch.run_process", str(folder)]
    variables = environment() if job.submitted else dict(os.environ)
    if job.isolate:
        command = isolated(command, folder, root)
    count = str(job.threads)
    variables |= {name: count for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    with open(folder / LOG, "wb") as log:
        # When this process ends in any way, the run's standard input is closed, and the run ends too.
        process = None
        if not job.submitted and warm.available():
            with contextlib.suppress(OSError):
                process = warm.start(folder, variables, log, job.threads)
        if process is None:
            options = {"stdin": subprocess.PIPE, "stdout": log, "stderr": log, "start_new_session": True}
            process = subprocess.Popen(command, env=variables, cwd=folder, **options)
        try:
            return _watch(process, job, folder)
        finally:
            end_children(process.pid)
            process.kill()
            process.wait()
            process.stdin.close()


def _watch(process: subprocess.Popen, job: Job, folder: Path) -> tuple[tuple[Status, str] | None, float]:
    began, peak, next_disk = time.monotonic(), 0.0, 0.0
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_LOOK_EVERY)
            return None, peak
        memory, processes = _use(process.pid)
        peak = max(peak, round(memory, 3))
        took = time.monotonic() - began
        if job.batch in _stopped:
            return ("interrupted", "the batch was interrupted"), peak
        if job.timeout_minutes and took > job.timeout_minutes * 60:
            return ("timeout", f"not done after {job.timeout_minutes:g} minutes"), peak
        if job.memory_gb and memory > job.memory_gb:
            return ("over limit", f"it took {memory:.1f} GB of memory, more than {job.memory_gb:g}"), peak
        if job.submitted:
            if processes > PROCESSES:
                return ("over limit", f"it started more than {PROCESSES} processes"), peak
            if took > next_disk:
                next_disk = took + 2
                size, files = _disk(folder)
                if size > DISK_GB or files > FILES:
                    return ("over limit", f"it wrote more than {DISK_GB} GB or {FILES} files"), peak


def _use(pid: int) -> tuple[float, int]:
    """Resident memory in GB and number of the processes that descend from `pid`, including `pid`."""
    import psutil

    memory = processes = 0
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        for one in [process, *process.children(recursive=True)]:
            with contextlib.suppress(psutil.Error):
                memory += _resident(one)
                processes += 1
    return memory / 2**30, processes


def _resident(process) -> int:
    """Bytes in memory. On Linux, memory that forked processes share is divided between them."""
    if sys.platform == "linux":
        return process.memory_full_info().pss
    return process.memory_info().rss


def _disk(folder: Path) -> tuple[float, int]:
    size = files = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                size += os.lstat(os.path.join(parent, name)).st_size
            files += 1
    return size / 2**30, files


def _only_plain_files(folder: Path) -> None:
    """Removes links, pipes and huge files from a submission's folder, because they are not safe to read."""
    for parent, folders, names in os.walk(folder):
        for name in [*folders, *names]:
            path = os.path.join(parent, name)
            mode = os.lstat(path).st_mode
            if stat.S_ISDIR(mode):
                os.chmod(path, 0o755)
            elif not stat.S_ISREG(mode) or os.lstat(path).st_nlink > 1 or os.lstat(path).st_size > _LARGE:
                os.unlink(path)


def _only_asked_for(folder: Path, notebooks: list[str]) -> None:
    """Removes other files that a submission has put beside its executed notebooks, such as a page with scripts."""
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.suffix != ".ipynb" or path.stem not in notebooks:
            _remove(path)


def _keep_drafts(folder: Path) -> None:
    """Moves the notebook that was running when the process was ended to the place of executed notebooks."""
    for draft in (folder / "notebooks").glob(".*.ipynb"):
        name, _, number = draft.stem.removeprefix(".").rpartition(".")
        if name and number.isdigit() and _cells(draft) is not None:
            os.replace(draft, draft.with_name(f"{name}.ipynb"))
        else:
            draft.unlink()


def _say_how_it_ended(outcome: RunOutcome, ended: tuple[Status, str] | None, progress: Progress, folder: Path) -> None:
    """Sets status and reason, and where the run ended: the notebook, its cell, and the last lines shown there.

    `ended` is status and reason if the supervisor ended the run, else None.
    """
    failure = progress.failures[0] if progress.failures else None
    if failure:
        outcome.notebook = failure.notebook
        outcome.status = failure.kind if failure.kind in ("kernel died", "disk full") else "failed"
        reason = failure.reason.replace(f"{folder / SOURCES}{os.sep}", "")  # a copy, which is removed after the run
        outcome.reason = " ".join(reason.split())[:1000]
    elif ended is None and progress.running is None and set(outcome.notebooks) <= progress.seconds.keys():
        outcome.status = "finished"
        return
    else:
        outcome.notebook = progress.running
        outcome.status, outcome.reason = "failed", f"its process ended early: {_last_words(folder)}"
    if ended:
        outcome.status, outcome.reason = ended
    if outcome.notebook not in outcome.notebooks:  # a submission can write anything there, such as a path
        outcome.notebook = None
        return
    executed = folder / "notebooks" / f"{outcome.notebook}.ipynb"
    if (cells := _cells(executed)) is not None:
        outcome.executed = f"notebooks/{executed.name}"
        number = failure.cell if failure else None
        if outcome.student is not None:  # a student counts only the cells that were handed in
            cells = [cell for cell in cells if not is_added(cell)]
            number = _begun(cells) if failure and failure.kind == "kernel died" else number
        outcome.cell, outcome.last_lines = _where(cells, number)


def _last_words(folder: Path) -> str:
    """The last line that a run's process has logged."""
    with contextlib.suppress(OSError):
        lines = (folder / LOG).read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1] if lines else "it was killed"
    return "it left no log"


def _begun(cells: list) -> int:
    """How many code cells of an executed notebook have been started."""
    return sum(bool(cell["metadata"].get("papermill", {}).get("start_time")) for cell in _code(cells))


def _code(cells: list) -> list:
    return [cell for cell in cells if cell["cell_type"] == "code" and cell["source"].strip()]


def _where(cells: list, cell: int | None) -> tuple[int | None, list[str]]:
    """The number of the cell in which a notebook ended, and the last lines that it showed.

    `cell` is that number if it is known, else None.
    """
    for number, one in enumerate(_code(cells), 1):
        number = one.get("execution_count") or number
        outputs = one.get("outputs", [])
        wrong = any(output["output_type"] == "error" for output in outputs)
        wrong = wrong or one["metadata"].get("papermill", {}).get("status") in ("failed", "running")
        if number == cell if cell is not None else wrong:
            lines = "\n".join(_text(output) for output in outputs).splitlines()
            return number, [line[:300] for line in lines if line.strip()][-LAST_LINES:]
    return cell, []


def _text(output: dict) -> str:
    if output["output_type"] == "stream":
        text = "".join(output["text"])
    elif output["output_type"] == "error":
        text = "\n".join(output["traceback"])
    else:
        text = "".join(output.get("data", {}).get("text/plain", ""))
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def _results(folder: Path) -> dict:
    try:
        results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {k: v for k, v in results.items() if isinstance(v, dict)} if isinstance(results, dict) else {}


def _cells(notebook: Path) -> list | None:
    try:
        return read_notebook(notebook)["cells"]
    except NotebookError:
        return None


def _packed(folder: Path) -> bytes:
    """A run's folder as an archive, which returns through the scheduler."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        archive.add(folder, ".")
    return packed.getvalue()


def _upload(folder: Path, address: str) -> None:
    import fsspec

    fs, root = fsspec.core.url_to_fs(address)
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        target = f"{root}/{path.relative_to(folder).as_posix()}"
        fs.makedirs(target.rsplit("/", 1)[0], exist_ok=True)
        fs.put_file(str(path), target)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
