"""Executing the course's notebooks without a browser: papermill, one kernel process a notebook, in order.

What papermill leaves to its caller is done here: a parameter that no notebook declares is refused before anything runs,
the kernel is the interpreter that runs this module, a failure names notebook, cell and error on one line, and the
executed notebook appears whole, also after a failure or Ctrl-C.
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
from labhelpers.course.run import default_run_dir, forget_results
from labhelpers.errors import LabError, NotebookError, UsageError, disk_full, last_line, says_disk_full, storage_advice
from labhelpers.files import writable_folder

# What starts a kernel; what follows it is said by `own_kernel`.
KERNEL = (sys.executable, "-m", "ipykernel_launcher")
# A kernel that is shut down while it still answers logs that its socket is closed, with a traceback, now and then.
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
    """Execute notebooks in order into `output_dir` (default `runs/PROFILE`); seconds taken by each.

    `OUT/notebooks/NAME.ipynb` is the executed notebook, `OUT/results.json` what the notebooks recorded,
    `OUT/artifacts` what they handed to each other. `kernel` is the command that starts a kernel. `say` gets one line a
    notebook.

    Raises UsageError before anything has run, NotebookError for a notebook that failed, and KeyboardInterrupt made from
    a NotebookError when it was interrupted; what was executed by then is kept.
    """
    paths = find_notebooks(names)
    injected = check_parameters(paths, profile, parameters or {})
    out = _output_folder(output_dir or default_run_dir(profile), paths)
    kept = writable_folder(out / "notebooks")
    forget_results(out, [path.stem for path in paths])
    for path in paths:  # an executed notebook of an earlier run beside a new one would tell two stories
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
    """While this lasts, the kernel "python3" is what `command` starts: by default the interpreter that runs this code,
    whatever kernels are installed.

    Kernels started meanwhile get the environment `variables`, show no progress bars, read no IPython settings of the
    user, need no home folder, and do not outlive the `with` block.
    """
    with tempfile.TemporaryDirectory(prefix="labs-", ignore_cleanup_errors=True) as folder:
        spec = Path(folder, "kernels", "python3", "kernel.json")
        spec.parent.mkdir(parents=True)
        # What a kernel logs (its transport, its being shut down) would only bury our own message.
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
    """One notebook through papermill; `target` appears when papermill is done, whichever way it ended."""
    import nbclient
    import papermill

    logging.getLogger("papermill").setLevel(logging.CRITICAL)  # it says again what we say
    # papermill rewrites its output after every cell; a reader of `target` should not meet half a file.
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
    """Keep what papermill saved of a notebook that did not end well: the file, None when it saved nothing whole."""
    try:
        json.loads(draft.read_text(encoding="utf-8"))
        os.replace(draft, target)
    except (OSError, ValueError):  # interrupted while it was being written, or before
        return None
    return target


def _running(draft: Path) -> int | None:
    """The number of the last cell that was begun, for a kernel that cannot say; None when nothing was saved."""
    with contextlib.suppress(OSError, ValueError, KeyError):
        cells = json.loads(draft.read_text(encoding="utf-8"))["cells"]
        begun = [cell for cell in cells if cell["metadata"].get("papermill", {}).get("start_time")]
        return sum(cell["cell_type"] == "code" and bool("".join(cell["source"]).strip()) for cell in begun)
    return None


def _reason(error) -> str:
    """What a cell raised, on one line: our own errors say it all themselves, others by class and last line."""
    ours = getattr(errors, error.ename, None)
    if isinstance(ours, type) and issubclass(ours, LabError):
        return " ".join(str(error.evalue).split())
    return f"{error.ename}: {last_line(error.evalue)}" if str(error.evalue).strip() else error.ename


def _output_folder(folder: str | Path, notebooks: list[Path]) -> Path:
    folder = Path(folder).expanduser().resolve()
    if folder.is_file():
        raise UsageError(f"output folder {folder} is a file: choose another folder")
    for home in {notebook.parent for notebook in notebooks}:
        if folder == home or home in folder.parents:
            raise UsageError(f"output folder {folder} is in the folder of the notebooks: choose one outside it")
    return writable_folder(folder)


def _end_kernels(mark: str) -> None:
    """End kernels that are still there, as after a second Ctrl-C: ours, told by a folder in their environment."""
    import psutil

    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if child.environ().get("IPYTHONDIR") == mark:
                child.kill()
