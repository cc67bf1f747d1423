"""The process of one run: papermill executes its notebooks in order, each in its own kernel. `supervisor` watches it.

`python -m labhelpers.batch.run_process FOLDER`: FOLDER/job.json says what to run, FOLDER/sources holds the notebooks.
After every notebook, the progress is written to FOLDER/progress.json, so that an interrupted run continues from there.
The process ends when its standard input is closed, because then nobody waits for its result.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from labhelpers.batch.progress import Failure, Progress, read_progress
from labhelpers.batch.submissions import asked_checks, is_added
from labhelpers.checks.verdict import HAND_OVER, VERDICT_MIME
from labhelpers.course.execution import KERNEL, run_notebooks
from labhelpers.course.parameters import declared_parameters
from labhelpers.errors import LabError

JOB, SOURCES = "job.json", "sources"
MESSAGE_LENGTH = 1000  # of a verdict
OUTPUT_BYTES = 2_000_000  # of one cell; nobody reads more than that, and it makes the page slow


def main(folder: Path, kernel: Sequence[str] = KERNEL) -> int:
    """Executes the job, with kernels that the command `kernel` starts. Returns 0 when every notebook succeeded."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # in a terminal, the batch ignores Ctrl-C for its workers
    _adopt_orphans()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    job = json.loads((folder / JOB).read_text(encoding="utf-8"))
    if job["limits"]:
        _limit(job["limits"])
    progress = read_progress(folder)
    progress.failures, progress.verdicts = [], {}
    _use_own_client(progress, folder, submitted=job["keep_going"])
    if job["keep_going"]:
        os.environ[HAND_OVER] = "1"
    for name in job["notebooks"]:
        executed = folder / "notebooks" / f"{name}.ipynb"
        if name in progress.seconds and executed.is_file():
            continue
        progress.seconds.pop(name, None)
        progress.running = name
        progress.keep(folder)
        try:
            path = folder / SOURCES / f"{name}.ipynb"
            declared = declared_parameters(path)
            parameters = {key: value for key, value in job["parameters"].items() if key in declared}
            if "resume" in declared and any((folder / "checkpoints").rglob("*-[0-9]*")):
                parameters["resume"] = True  # an earlier attempt was interrupted in the middle of a training
            progress.seconds |= run_notebooks(
                [path], job["profile"], parameters, folder, kernel=kernel, say=lambda line: None
            )
        except (LabError, OSError) as error:
            progress.failures.append(Failure.of(name, error))
            if not job["keep_going"]:
                break
    progress.running = None
    progress.keep(folder)
    return 1 if progress.failures else 0


def _limit(limits: dict) -> None:
    """Sets limits that this process and its children cannot raise again."""
    import resource

    wanted = {
        resource.RLIMIT_DATA: int(limits["memory_gb"] * 2**30),
        resource.RLIMIT_FSIZE: int(limits["disk_gb"] * 2**30),
        resource.RLIMIT_NPROC: limits["processes"],
        resource.RLIMIT_CORE: 0,
    }
    for kind, value in wanted.items():
        _, most = resource.getrlimit(kind)
        value = value if most == resource.RLIM_INFINITY else min(value, most)
        resource.setrlimit(kind, (value, value))
    os.nice(10)  # however many processes a submission starts, the one that watches it gets its turn


def _use_own_client(progress: Progress, folder: Path, submitted: bool) -> None:
    """Makes papermill keep no more than OUTPUT_BYTES of a cell's output.

    For a submission it also keeps the verdicts of the checks. They come as messages beside the output, and count only
    while a cell that was added for a check is running. And it numbers the cells as the student does: added cells are
    not counted.
    """
    from nbformat.v4 import new_output
    from papermill import clientwrap
    from papermill.engines import NBClientEngine, papermill_engines

    class Client(clientwrap.PapermillNotebookClient):
        kept = (None, 0)

        def execute_cell(self, cell, cell_index, **options):
            if not submitted or cell.cell_type != "code" or not is_added(cell):
                return super().execute_cell(cell, cell_index, **options)
            super().execute_cell(cell, cell_index, store_history=False)
            cell.execution_count = None
            return cell

        def clear_output(self, outs, msg, cell_index):
            self.kept = (cell_index, 0)
            return super().clear_output(outs, msg, cell_index)

        def output(self, outs, msg, display_id, cell_index):
            content = msg["content"]
            asked = asked_checks(self.nb.cells[cell_index]) if submitted else ()
            if VERDICT_MIME in content.get("data", {}):
                _take_verdict(content["data"][VERDICT_MIME], asked, progress, folder)
                return None
            if asked and msg["msg_type"] == "error":  # often because the exercise's own cell failed: that error counts
                reason = f"not reached: {content['ename']}: {content['evalue']}"[:MESSAGE_LENGTH]
                outs.append(new_output("stream", name="stderr", text=reason + "\n"))
                return None
            size = len(json.dumps(content))
            cell, before = self.kept
            before = before if cell == cell_index else 0
            self.kept = (cell_index, before + size)
            # An error is always stored: it says why the cell ended.
            if before + size <= OUTPUT_BYTES or msg["msg_type"] == "error":
                return super().output(outs, msg, display_id, cell_index)
            if before <= OUTPUT_BYTES:
                outs.append(new_output("stream", name="stderr", text="\n… the rest of this output was not kept.\n"))
            return None

    class Engine(NBClientEngine):
        @classmethod
        def execute_managed_notebook(cls, nb_man, kernel_name, start_timeout=60, log_output=False, **options):
            known = {name: value for name, value in options.items() if Client.class_traits().get(name)}
            return Client(nb_man, kernel_name=kernel_name, startup_timeout=start_timeout, **known).execute()

    papermill_engines.register(None, Engine)


def _take_verdict(found, asked: Sequence[str], progress: Progress, folder: Path) -> None:
    """Keeps a verdict on one of the checks in `asked`, those of the cell that is running.

    Anything else that a notebook sends in the form of a verdict is ignored.
    """
    check, message = (found.get("check"), found.get("message")) if isinstance(found, dict) else (None, None)
    if check in asked and isinstance(message, str) and progress.running:
        progress.verdicts.setdefault(progress.running, {})[check] = message[:MESSAGE_LENGTH]
        progress.keep(folder)


def _adopt_orphans() -> None:
    """On Linux, orphans of the notebooks' processes become children of this process, which can then end them."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER


def end_children(pid: int | None = None) -> None:
    """Kills all descendants of a process (default: of this process)."""
    import psutil

    with contextlib.suppress(psutil.Error):
        for child in psutil.Process(pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                child.kill()


def _end_with_parent() -> None:
    while os.read(0, 4096):  # not sys.stdin: if a thread holds it, Python aborts at exit
        pass
    end_children()
    os._exit(1)


if __name__ == "__main__":
    try:
        status = main(Path(sys.argv[1]))
    finally:
        end_children()
    sys.exit(status)
