"""Executing the course's notebooks without a browser: papermill, one kernel process a notebook, in order.

This module adds four things to papermill. A parameter that no notebook declares is refused before anything runs. The
kernel is the interpreter that runs this module. A failure names the notebook, the cell and the error on one line. The
executed notebook appears as a complete file, also after a failure or Ctrl-C.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from labhelpers import errors
from labhelpers.course.notebooks import find_notebooks
from labhelpers.course.parameters import check_parameters, declared_parameters
from labhelpers.course.run import HOW_CHOSEN, default_run_dir, forget_results
from labhelpers.errors import LabError, NotebookError, UsageError, disk_full, last_line, says_disk_full, storage_advice
from labhelpers.files import writable_folder

# The command that starts a kernel; `own_kernel` adds its arguments.
KERNEL = (sys.executable, "-m", "ipykernel_launcher")
# A kernel that is shut down while it still answers sometimes logs a traceback: its socket is closed.
_TRANSPORT_QUIET = {"loggers": {"tornado.general": {"level": "CRITICAL"}}}


def run_notebooks(
    names: Iterable[str | Path] = (),
    profile: str = "tiny",
    parameters: dict | None = None,
    output_dir: str | Path | None = None,
    *,
    kernel: Sequence[str] = KERNEL,
    say: Callable[[str], None] = print,
) -> dict[str, float]:
    """Executes notebooks in order and returns the seconds that each took, `{name: seconds}`.

    Everything goes into `output_dir` (default `default_run_dir`): `notebooks/NAME.ipynb` is an executed notebook,
    `results.json` holds the recorded results, `artifacts/` the artifacts. `kernel` is the command that starts a kernel.
    `say` gets one line per notebook.

    Raises UsageError before anything runs, NotebookError when a notebook fails, and KeyboardInterrupt (with a
    NotebookError as its cause) when it is interrupted. The notebook is kept as far as it was executed.
    """
    paths = find_notebooks(names)
    injected = check_parameters(paths, profile, parameters or {})
    out = _output_folder(output_dir or default_run_dir(profile), paths)
    kept = writable_folder(out / "notebooks")
    forget_results(out, [path.stem for path in paths])
    for path in paths:  # notebooks of an earlier run beside new ones would contradict each other
        (kept / path.name).unlink(missing_ok=True)
    seconds = {}
    with own_kernel(kernel, LABHELPERS_RUN_DIR=str(out)):
        for path in paths:
            own = {"profile": profile, "run_dir": str(out)}
            values = {name: own[name] for name in own if name in declared_parameters(path)} | injected[path]
            began = time.perf_counter()
            _execute(path, kept / path.name, values)
            seconds[path.stem] = time.perf_counter() - began
            say(f"{path.stem:32} {seconds[path.stem]:7.1f} s")
    return seconds


@contextlib.contextmanager
def own_kernel(command: Sequence[str] = KERNEL, **variables: str) -> Iterator[None]:
    """Inside the `with` block, the kernel "python3" is what `command` starts, whatever kernels are installed.

    By default that is the interpreter that runs this code. Kernels started in the block get the environment
    `variables`, show no progress bars, ignore the user's IPython settings, need no home folder, and are ended with the
    block.
    """
    with tempfile.TemporaryDirectory(prefix="labs-", ignore_cleanup_errors=True) as folder:
        spec = Path(folder, "kernels", "python3", "kernel.json")
        spec.parent.mkdir(parents=True)
        # The log of a kernel (its transport, its end) would only hide our own message.
        command = [*command, "-f", "{connection_file}", "--log-level=CRITICAL"]
        command += [f"--IPKernelApp.logging_config={_TRANSPORT_QUIET}"]
        spec.write_text(json.dumps({"argv": command, "display_name": "Python 3 (ipykernel)", "language": "python"}))
        variables |= {
            "JUPYTER_PATH": os.pathsep.join(filter(None, [folder, os.environ.get("JUPYTER_PATH")])),
            "JUPYTER_RUNTIME_DIR": str(Path(folder, "runtime")),
            "IPYTHONDIR": str(Path(folder, "ipython")),
            "TQDM_DISABLE": "1",
            "PYDEVD_DISABLE_FILE_VALIDATION": "1",  # the debugger's remark about frozen modules, on stderr
        }
        before = {name: os.environ.get(name) for name in variables}
        os.environ.update(variables)
        try:
            yield
        finally:
            for name, value in before.items():
                os.environ.pop(name) if value is None else os.environ.update({name: value})
            _end_kernels(variables["IPYTHONDIR"])


def _execute(source: Path, target: Path, values: dict) -> None:
    """Executes one notebook by papermill; `target` appears at the end, after a failure too."""
    import nbclient
    import papermill

    logging.getLogger("papermill").setLevel(logging.CRITICAL)  # it repeats our messages
    # papermill rewrites its output after every cell; a reader of `target` should never see half a file.
    draft = target.with_name(f".{target.stem}.{os.getpid()}.ipynb")
    try:
        papermill.execute_notebook(
            source, draft, values, kernel_name="python3", cwd=source.parent, progress_bar=sys.stderr.isatty()
        )
    except KeyboardInterrupt:
        facts = {"kind": "interrupted", "cell": _running(draft), "kept": _keep(draft, target)}
        raise KeyboardInterrupt(NotebookError("interrupted", notebook=source.stem, **facts)) from None
    except papermill.PapermillExecutionError as error:
        kind = "disk full" if says_disk_full(str(error.traceback)) else "raised"
        facts = {"kind": kind, "cell": error.exec_count, "kept": _keep(draft, target)}
        raise NotebookError(_reason(error), notebook=source.stem, **facts) from None
    except nbclient.exceptions.DeadKernelError:
        facts = {"kind": "kernel died", "cell": _running(draft), "kept": _keep(draft, target)}
        raise NotebookError("its kernel died, as when memory runs out", notebook=source.stem, **facts) from None
    except Exception as error:
        advice = storage_advice(error)
        kind = "disk full" if disk_full(error) else "not writable" if advice else "raised"
        facts = {"kind": kind, "kept": _keep(draft, target)}
        raise NotebookError(advice or last_line(error), notebook=source.stem, **facts) from error
    else:
        os.replace(draft, target)
    finally:
        draft.unlink(missing_ok=True)


def _keep(draft: Path, target: Path) -> Path | None:
    """Moves what papermill saved of a failed notebook to `target`; None when it saved no complete file."""
    try:
        json.loads(draft.read_text(encoding="utf-8"))
        os.replace(draft, target)
    except (OSError, ValueError):  # interrupted before or during the writing
        return None
    return target


def _running(draft: Path) -> int | None:
    """The number of the last cell that was started, when the kernel died; None when nothing was saved."""
    with contextlib.suppress(OSError, ValueError, KeyError):
        cells = json.loads(draft.read_text(encoding="utf-8"))["cells"]
        begun = [cell for cell in cells if cell["metadata"].get("papermill", {}).get("start_time")]
        return sum(cell["cell_type"] == "code" and bool("".join(cell["source"]).strip()) for cell in begun)
    return None


def _reason(error) -> str:
    """The error of a cell on one line: the message of our own errors, class and last line of others."""
    ours = getattr(errors, error.ename, None)
    if isinstance(ours, type) and issubclass(ours, LabError):
        return " ".join(str(error.evalue).split())
    if error.ename == "NameError":  # the author's kernel may still have known it
        lost = "is it from a cell that was deleted, moved or never run? Restart the kernel and run all cells"
        return f"NameError: {last_line(error.evalue)}; {lost}"
    return f"{error.ename}: {last_line(error.evalue)}" if str(error.evalue).strip() else error.ename


def _output_folder(folder: str | Path, notebooks: list[Path]) -> Path:
    folder = Path(folder).expanduser().resolve()
    if folder.is_file():
        raise UsageError(f"output folder {folder} is a file: choose another folder")
    for home in {notebook.parent for notebook in notebooks}:
        if folder == home or home in folder.parents:
            raise UsageError(f"output folder {folder} is in the folder of the notebooks: choose one outside it")
    return writable_folder(folder, HOW_CHOSEN)


def _end_kernels(mark: str) -> None:
    """Ends our kernels that still run, as after a second Ctrl-C. A folder in their environment marks them as ours."""
    import psutil

    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if child.environ().get("IPYTHONDIR") == mark:
                child.kill()
