"""Batches: every run has an outcome, whatever happens to it; what is done stays done."""

import contextlib
import errno
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings

import pytest

import labhelpers
from labhelpers import cli
from labhelpers.batch import progress, run_process, supervisor, workers
from labhelpers.batch.outcome import RunOutcome
from labhelpers.batch.store import Output
from labhelpers.batch.supervisor import Job
from labhelpers.batch.workers import describe, run_batch
from labhelpers.errors import NotebookError, UsageError, storage_advice
from tests.support.batch_jobs import job
from tests.support.paths import ROOT


@pytest.fixture
def plan(write_notebook, tmp_path):
    """A function that writes a plan for notebook 01_first, whose cells are given."""

    def write(*sources, text="grid: {seed: [0, 1]}"):
        write_notebook("01_first", *sources)
        file = tmp_path / "plan.yaml"
        file.write_text(f"notebooks: [01_first]\n{text}\n")
        return file

    return write


ASKED = {}  # how a run that only pretends shall end: {seed: status or function of the job}, and "done": [seed]


def pretend(job: Job) -> RunOutcome:
    seed = job.todo.parameters.get("seed")
    ASKED["done"].append(seed)
    status = ASKED.get(seed, "finished")
    return job.todo.ended(status(job) if callable(status) else status, seconds=0.5, peak_memory_gb=0.25)


@pytest.fixture
def quick(monkeypatch):
    """Dask in this process, and runs that only pretend."""
    from distributed import Client

    @contextlib.contextmanager
    def cluster(*arguments):
        with Client(processes=False, n_workers=1, threads_per_worker=2, dashboard_address=None) as client:
            yield client, 1

    ASKED.clear()
    ASKED["done"] = []
    monkeypatch.setattr(supervisor, "execute", pretend)
    monkeypatch.setattr(workers, "_cluster", cluster)
    return ASKED


def statuses(rows):
    return [row.status for row in rows]


def test_a_row_for_every_run_in_the_plans_order(plan, quick, tmp_path):
    quick |= {1: "failed", 0: lambda job: time.sleep(0.3) or "finished"}
    said = []
    rows, place = run_batch(plan(text="grid: {seed: [0, 1, 2]}"), tmp_path / "out", say=said.append)
    assert statuses(rows) == ["finished", "failed", "finished"]
    assert [row.parameters["seed"] for row in rows] == [0, 1, 2]
    assert place == str(tmp_path / "out")
    assert len(said) == 3 and said[0].startswith("   1/3") and "left" in said[0] and "left" not in said[2]
    assert {"summary.csv", "index.html", "plan.json"} <= set(os.listdir(place))
    assert (tmp_path / "out" / "summary.csv").read_text().count("\n") == 4


def test_finished_runs_are_not_done_again_and_failed_ones_when_asked(plan, quick, tmp_path):
    file = plan(text="grid: {seed: [0, 1]}")
    quick[1] = "failed"
    run_batch(file, tmp_path / "out", say=lambda line: None)
    quick["done"].clear()
    said = []
    assert statuses(run_batch(file, tmp_path / "out", say=said.append)[0]) == ["finished", "failed"]
    assert quick["done"] == [] and said == ["2 of 2 runs are done already: not done again"]
    quick[1] = "finished"
    rows, _ = run_batch(file, tmp_path / "out", retry_failed=True, say=said.append)
    assert statuses(rows) == ["finished", "finished"] and quick["done"] == [1]
    file.write_text(file.read_text().replace("[0, 1]", "[0, 1, 2]"))
    run_batch(file, tmp_path / "out", say=said.append)
    assert quick["done"] == [1, 2]


def test_a_worker_that_fails_is_an_outcome(plan, quick, tmp_path):
    quick[1] = lambda job: 1 / 0
    rows, _ = run_batch(plan(), tmp_path / "out", say=lambda line: None)
    assert statuses(rows) == ["finished", "failed"]
    assert rows[1].reason == "the worker failed: ZeroDivisionError: division by zero"


def test_an_interrupted_batch_keeps_what_is_done_and_goes_on(plan, quick, tmp_path):
    file = plan()
    quick[1] = "interrupted"
    with pytest.raises(
        KeyboardInterrupt, match=r"interrupted: \d of 2 runs are done in .*; the same command continues"
    ):
        run_batch(file, tmp_path / "out", say=lambda line: None)
    assert ",to do," in (tmp_path / "out" / "summary.csv").read_text()
    del quick[1]
    assert statuses(run_batch(file, tmp_path / "out", say=lambda line: None)[0]) == ["finished", "finished"]


def test_a_second_batch_on_the_same_output_refuses(plan, quick, tmp_path):
    file = plan()
    for place in (tmp_path / "out", f"file://{tmp_path}/remote"):
        with contextlib.ExitStack() as stack:
            stack.enter_context(Output(place, stack).lock())
            with pytest.raises(UsageError, match="another batch is working in"):
                run_batch(file, place)
        assert statuses(run_batch(file, place, say=lambda line: None)[0]) == ["finished", "finished"]


def test_rows_reach_a_storage_and_are_found_there(plan, quick, tmp_path):
    file, place = plan(), f"file://{tmp_path}/remote"
    rows, said = run_batch(file, place, say=lambda line: None)
    assert said == place
    assert {"summary.csv", "index.html", rows[0].id} <= set(os.listdir(tmp_path / "remote"))
    quick["done"].clear()
    run_batch(file, place, say=lambda line: None)
    assert quick["done"] == []


def test_many_runs_leave_nothing_behind_in_the_scheduler(plan, quick, tmp_path, monkeypatch):
    left = []
    keep = Output.keep

    def watched(self, outcome):
        from distributed import default_client

        left.append(len(default_client().cluster.scheduler.tasks))
        return keep(self, outcome)

    monkeypatch.setattr(Output, "keep", watched)
    run_batch(plan(text=f"grid: {{seed: {list(range(100))}}}"), tmp_path / "out", say=lambda line: None)
    assert len(left) == 100 and left[-1] <= 20, left


def test_a_dry_run_lists_and_estimates_and_writes_nothing(plan, quick, tmp_path):
    file = plan()
    lines = describe(file, tmp_path / "out", workers=1)
    assert "to do" in lines[0] and lines[0].endswith("seed = 0")
    assert lines[2] == "2 runs, 2 to do, 01_first"
    assert lines[-1].startswith("time and memory: unknown")
    assert not (tmp_path / "out").exists()
    run_batch(file, tmp_path / "out", say=lambda line: None)
    file.write_text(file.read_text().replace("[0, 1]", "[0, 1, 2, 3]"))
    lines = describe(file, tmp_path / "out", workers=1)
    assert lines[4] == "4 runs, 2 to do, 01_first"
    assert lines[-1] == "time and memory by earlier runs: 0 s and 0.2 GB a run, about 1 s"


def test_an_unreachable_scheduler_is_refused_before_anything_runs(plan, tmp_path):
    for address in ("tcp://127.0.0.1:9", "nonsense://x"):
        with pytest.raises(UsageError, match=f"--scheduler {address} cannot be reached"):
            run_batch(plan(), tmp_path / "out", scheduler=address)
    with pytest.raises(UsageError, match="--workers must be at least 1"):
        run_batch(plan(), tmp_path / "out", workers=0)


@pytest.mark.parametrize("settings", ["a: [1", "- 1", "\x00"])
def test_settings_of_dask_that_cannot_be_read_are_refused_before_anything_runs(plan, tmp_path, settings):
    """Dask reads them when it is imported: a process of its own sees what a user would see."""
    (tmp_path / "dask.yaml").write_text(settings)
    environment = os.environ | {"DASK_CONFIG": str(tmp_path / "dask.yaml"), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "labhelpers.cli", "batch", str(plan()), "--output-dir", str(tmp_path / "out")]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith(f"labs: Dask's settings cannot be read (DASK_CONFIG is {tmp_path / 'dask.yaml'})")
    assert not (tmp_path / "out").exists()


def test_a_busy_port_8787_disturbs_nobody(plan):
    """Dask's web server takes that port unless it is told another, and warns of what a user cannot help."""
    with socket.socket() as busy:
        with contextlib.suppress(OSError):  # somebody else has it already
            busy.bind(("0.0.0.0", 8787))
            busy.listen()
        checked = workers.load_plan(plan())
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            with workers._cluster(checked, workers.expand(checked), {}, 1, None, print) as (client, _):
                assert len(client.scheduler_info()["workers"]) == 1
    assert not [w for w in warned if "8787" in str(w.message)]


def test_workers_that_do_not_start_are_a_message(plan):
    import dask

    checked = workers.load_plan(plan())
    with dask.config.set({"distributed.admin.tick.interval": "soon"}):
        with pytest.raises(UsageError, match="workers do not start here: .*soon.*; check Dask's settings"):
            with workers._cluster(checked, workers.expand(checked), {}, 1, None, print):
                pass


def test_workers_with_another_version_are_refused(plan):
    class Client:
        def run(self, function):
            return {"tcp://a": labhelpers.__version__, "tcp://b": "0.0.1", "tcp://c": None}

    with pytest.raises(UsageError, match="worker tcp://b has labhelpers 0.0.1, this batch"):
        workers._check_workers(Client(), workers.load_plan(plan()))


def test_a_worker_of_another_version_does_nothing(tmp_path):
    row = supervisor.execute(job(tmp_path, version="0.0.1"))
    assert row.status == "refused" and "0.0.1" in row.reason
    assert os.listdir(tmp_path) == []


def test_the_command_says_what_came_out(plan, quick, tmp_path, capsys):
    file = str(plan())
    assert cli.main(["batch", file, "--dry-run", "--output-dir", str(tmp_path / "out")]) == 0
    assert "2 runs, 2 to do" in capsys.readouterr().out
    assert cli.main(["batch", file, "--output-dir", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("2 of 2 runs finished; the report: ")
    quick[7] = "failed"
    (tmp_path / "plan.yaml").write_text("notebooks: [01_first]\nparameters: {seed: 7}")
    assert cli.main(["batch", file, "--output-dir", str(tmp_path / "out")]) == 1
    assert cli.main(["report", str(tmp_path / "out")]) == 0
    assert cli.main(["report", str(tmp_path)]) == 2
    assert "holds no readable plan.json" in capsys.readouterr().err


# one run


@pytest.mark.slow
def test_what_a_run_has_done_is_not_done_again(write_notebook, tmp_path):
    """The first notebook is done once; the second fails, then does not; one process each, no trace of the machinery."""
    signs = tmp_path / "signs"
    first = write_notebook("01_first", f"print('reached')\nopen({str(signs)!r}, 'a').write('1')")
    second = write_notebook("02_second", f"open({str(signs)!r}, 'a').write('2')", f"open({str(tmp_path)!r} + '/go')")
    row = supervisor.execute(job(tmp_path / "run", first, second, parameters={"seed": 3}))
    assert (row.status, row.notebook, row.cell) == ("failed", "02_second", 4)
    assert "FileNotFoundError" in row.reason and "FileNotFoundError" in row.last_lines[-1]
    assert row.executed == "notebooks/02_second.ipynb" and (tmp_path / "run" / row.executed).is_file()
    assert row.peak_memory_gb > 0
    (tmp_path / "go").write_text("")
    row = supervisor.execute(job(tmp_path / "run", first, second, parameters={"seed": 3}))
    assert row.status == "finished" and list(row.notebook_seconds) == ["01_first", "02_second"]
    assert signs.read_text() == "122"
    assert sorted(os.listdir(tmp_path / "run")) == ["notebooks"]
    assert "reached" in (tmp_path / "run" / "notebooks" / "01_first.html").read_text()


@pytest.mark.slow
def test_a_training_that_was_interrupted_goes_on_from_its_checkpoint(write_notebook, tmp_path):
    """`resume` is True for the notebook that declares it, where an earlier attempt left a checkpoint."""
    train = (
        "from pathlib import Path; import os; steps = Path(os.environ['LABHELPERS_RUN_DIR'], 'checkpoints', 'ppo')\n"
    )
    train += (
        "if not resume:\n    (steps / 'step-000010').mkdir(parents=True); os.kill(os.getpid(), 9)\nprint('went on')"
    )
    path = write_notebook("04_ppo", train, parameters="profile = 'tiny'\nseed = 0\nrun_dir = None\nresume = False")
    row = supervisor.execute(job(tmp_path / "run", path))
    assert row.status == "kernel died"
    row = supervisor.execute(job(tmp_path / "run", path))
    assert row.status == "finished"
    assert "went on" in (tmp_path / "run" / "notebooks" / "04_ppo.html").read_text()


def test_a_run_that_hangs_is_ended_with_all_its_processes(write_notebook, tmp_path):
    import psutil

    signs = tmp_path / "signs"
    spawn = "import subprocess, os; child = subprocess.Popen(['sleep', '77'], start_new_session=True)\n"
    spawn += f"open({str(signs)!r}, 'w').write(f'{{os.getpid()}} {{child.pid}}')"
    path = write_notebook("01_first", "print('reached')", spawn, "import time; time.sleep(60)")
    row = supervisor.execute(job(tmp_path / "run", path, timeout_minutes=0.12))
    assert (row.status, row.reason) == ("timeout", "not done after 0.12 minutes")
    if signs.exists():  # on a busy machine the kernel may not have come so far
        assert row.cell in (4, 5)
        for pid in map(int, signs.read_text().split()):
            assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_a_run_without_a_folder_comes_back_in_its_row(tmp_path, monkeypatch):
    def carry_out(job, folder, outcome):
        (folder / "notebooks").mkdir()
        (folder / "notebooks" / "01_first.ipynb").write_text("{}")
        outcome.status = "finished"

    monkeypatch.setattr(supervisor, "_carry_out", carry_out)
    row = supervisor.execute(job(None, folder=None))
    with contextlib.ExitStack() as stack:
        output = Output(tmp_path, stack)
        output.keep(row)
        assert output.outcomes()["a1"].status == "finished"
    assert "archive" not in json.loads((tmp_path / "a1" / "status.json").read_text())
    assert (tmp_path / "a1" / "notebooks" / "01_first.ipynb").is_file()
    supervisor.execute(job(None, folder=None, address=f"file://{tmp_path}/remote/a1"))
    assert (tmp_path / "remote" / "a1" / "notebooks" / "01_first.ipynb").is_file()


@pytest.mark.parametrize(
    "error, status",
    [
        (NotebookError("its kernel died", notebook="01_first", kind="kernel died", cell=3), "kernel died"),
        (NotebookError("the disk is full", notebook="01_first", kind="disk full"), "disk full"),
        (NotebookError("ValueError: its kernel died", notebook="01_first", kind="raised", cell=3), "failed"),
        (NotebookError("permission denied", notebook="01_first", kind="not writable"), "failed"),
        (OSError(errno.ENOSPC, "No space left on device"), "disk full"),
        (UsageError("the disk is full, says a text"), "failed"),
    ],
)
def test_what_ended_a_notebook_reaches_the_outcome_as_facts(tmp_path, error, status):
    """From the run's process to its supervisor, by way of a file; what a message says decides nothing."""
    progress.Progress(failures=[progress.Failure.of("01_first", error)]).keep(tmp_path)
    outcome = RunOutcome("a1", notebooks=["01_first"])
    supervisor._say_how_it_ended(outcome, None, progress.read_progress(tmp_path), tmp_path)
    assert (outcome.status, outcome.notebook) == (status, "01_first")
    assert outcome.reason in (getattr(error, "reason", str(error)), storage_advice(error))


def test_a_process_that_ended_early_is_a_failure_with_its_last_words(tmp_path):
    (tmp_path / supervisor.LOG).write_text("Traceback\nMemoryError\n")
    outcome = RunOutcome("a1", notebooks=["01_first"])
    supervisor._say_how_it_ended(outcome, None, progress.Progress(running="01_first"), tmp_path)
    assert (outcome.status, outcome.reason) == ("failed", "its process ended early: MemoryError")


def test_a_notebook_that_was_not_asked_for_is_not_read(tmp_path):
    """A submission can write its own progress, and must not lead to somebody else's notebook."""
    output = {"output_type": "error", "traceback": ["secret"]}
    cells = [{"cell_type": "code", "source": "1", "metadata": {}, "outputs": [output]}]
    (tmp_path / "secret.ipynb").write_text(json.dumps({"cells": cells}))
    (tmp_path / "run" / "notebooks").mkdir(parents=True)
    failure = progress.Failure("../../secret", "x")
    outcome = RunOutcome("a1", notebooks=["01_first"])
    supervisor._say_how_it_ended(outcome, None, progress.Progress(failures=[failure]), tmp_path / "run")
    assert (outcome.status, outcome.notebook, outcome.executed, outcome.last_lines) == ("failed", None, None, [])


def test_a_draft_is_kept_and_half_a_file_is_not(tmp_path):
    folder = tmp_path / "notebooks"
    folder.mkdir()
    cells = [{"cell_type": "code", "source": "1", "metadata": {"papermill": {"status": "running"}}, "outputs": []}]
    (folder / ".01_first.123.ipynb").write_text(json.dumps({"cells": cells}))
    (folder / ".02_second.123.ipynb").write_text('{"cells": [')
    supervisor._keep_drafts(tmp_path)
    assert os.listdir(folder) == ["01_first.ipynb"]
    outcome = RunOutcome("a1", notebooks=["01_first"])
    running = progress.Progress(running="01_first")
    supervisor._say_how_it_ended(outcome, ("timeout", "not done"), running, tmp_path)
    assert (outcome.status, outcome.reason, outcome.notebook) == ("timeout", "not done", "01_first")
    assert (outcome.cell, outcome.executed) == (1, "notebooks/01_first.ipynb")


def test_the_cell_where_it_ended_is_the_one_that_is_known_else_the_one_that_looks_wrong():
    def cell(text, status="completed"):
        output = {"output_type": "stream", "name": "stdout", "text": text}
        metadata = {"papermill": {"status": status}}
        return {"cell_type": "code", "source": "1", "metadata": metadata, "outputs": [output]}

    cells = [cell("one"), cell("two", "failed")]
    assert supervisor._where(cells, None) == (2, ["two"])
    assert supervisor._where(cells, 1) == (1, ["one"])  # papermill calls it completed when the kernel dies
    assert supervisor._where(cells, 7) == (7, [])


@pytest.mark.parametrize("text", ["[", "{}", '{"seconds": {"01": "long"}}', '{"failures": [["01", "x"]]}'])
def test_progress_that_cannot_be_read_is_none(tmp_path, text):
    (tmp_path / progress.PROGRESS).write_text(text)
    assert progress.read_progress(tmp_path) == progress.Progress()


def test_a_runs_process_that_is_done_ends_well_while_its_watcher_waits(tmp_path):
    """A thread waits for the end of its standard input, which must not disturb the end of the process itself."""
    order = {"notebooks": [], "profile": "tiny", "parameters": {}, "limits": None, "keep_going": False}
    (tmp_path / run_process.JOB).write_text(json.dumps(order))
    command = [sys.executable, "-P", "-m", "labhelpers.batch.run_process", str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.wait(120) == 0, process.stderr.read()
        process.stdin.close()


# with real workers


@pytest.mark.slow
def test_faults_stay_local(plan, tmp_path):
    """Kernels that die, hang, raise and take too much memory beside good runs, on two real workers."""
    fault = (
        "import os, signal, time\n"
        "if seed == 1: os.kill(os.getpid(), signal.SIGKILL)\n"
        "if seed == 2: time.sleep(600)\n"
        "if seed == 3: raise ValueError('three')\n"
        "if seed == 4: held = bytearray(1_500_000_000); time.sleep(600)\n"
        "if seed == 5: raise OSError(28, 'No space left on device')\n"
        "print('well', seed)"
    )
    text = "grid: {seed: [0, 1, 2, 3, 4, 5, 6]}\ntimeout_minutes: 0.5\nmemory_gb: 1"
    rows, _ = run_batch(plan(fault, text=text), tmp_path / "out", workers=2)
    expected = ["finished", "kernel died", "timeout", "failed", "over limit", "disk full", "finished"]
    assert statuses(rows) == expected
    for row in rows[1:6]:
        assert (row.notebook, row.cell) == ("01_first", 3)
        assert (tmp_path / "out" / row.id / row.executed).is_file()


@pytest.mark.slow
def test_a_disk_that_is_really_full_is_a_row(write_notebook, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(disk)], capture_output=True).returncode:
        pytest.skip("needs to mount a small file system")
    try:
        path = write_notebook("01_first", "open(run_dir + '/large', 'wb').write(b'0' * 1_000_000)")
        row = supervisor.execute(job(disk / "run", path))
        assert row.status == "disk full", row.reason
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@contextlib.contextmanager
def real_cluster(folder, workers):
    """A scheduler and workers, each a process started from its own command: (address, the workers' processes)."""
    file = folder / "scheduler.json"
    processes = []

    def start(*command):
        log = open(folder / f"{len(processes)}.log", "w")
        processes.append(subprocess.Popen([sys.executable, "-m", *command], stdout=log, stderr=log))
        return processes[-1]

    try:
        start("distributed.cli.dask_scheduler", "--scheduler-file", str(file), "--port", "0", "--no-dashboard")
        deadline = time.monotonic() + 60
        while not file.exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        worker = ["distributed.cli.dask_worker", "--scheduler-file", str(file), "--nthreads", "1", "--no-nanny"]
        yield json.loads(file.read_text())["address"], [start(*worker, "--no-dashboard") for _ in range(workers)]
    finally:
        for process in processes:
            process.kill()
            process.wait()


@pytest.mark.slow
def test_a_killed_worker_costs_no_run(plan, tmp_path):
    file = plan("import time; time.sleep(3)", text="grid: {seed: [0, 1, 2, 3]}")
    with real_cluster(tmp_path, workers=2) as (address, workers):
        said = []
        threading.Timer(8, workers[0].kill).start()
        rows, _ = run_batch(file, tmp_path / "out", scheduler=address, say=said.append)
        assert workers[0].wait(30) == -signal.SIGKILL
    assert statuses(rows) == ["finished"] * 4
    lines = (tmp_path / "out" / "summary.csv").read_text().splitlines()
    assert len(lines) == 5 and len({line.split(",")[0] for line in lines}) == 5
    assert all((tmp_path / "out" / row.id / "notebooks" / "01_first.ipynb").is_file() for row in rows)


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
def test_ctrl_c_stops_cleanly_and_the_same_command_goes_on(plan, tmp_path):
    import psutil

    signs = tmp_path / "signs"
    source = f"import os, time\nopen({str(signs)!r}, 'a').write(f'{{os.getpid()}}\\n')\n"
    source += f"while seed and not os.path.exists({str(tmp_path / 'go')!r}): time.sleep(0.2)"
    command = [sys.executable, "-m", "labhelpers.cli", "batch", str(plan(source)), "--output-dir"]
    command += [str(tmp_path / "out"), "--workers", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline and not (signs.exists() and signs.read_text().count("\n") == 2):
            time.sleep(0.1)
        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors == f"labs: interrupted: 1 of 2 runs are done in {tmp_path / 'out'}; the same command continues\n"
    _, alive = psutil.wait_procs(children, timeout=10)
    assert alive == []
    (tmp_path / "go").write_text("")
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "1 of 2 runs are done already: not done again")
