"""`labs record`: stores the outputs of the notebooks, which readers see before they run anything and nbval compares.

Stored outputs must be the same on every machine. So they hold no path, no time, no address in memory, and no message on
stderr. Either all requested notebooks are stored, or none.
"""

from __future__ import annotations

import hashlib
import re
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from labhelpers.course.execution import own_kernel
from labhelpers.course.notebooks import find_notebooks, notebooks_dir
from labhelpers.errors import NotebookError, storage_advice
from labhelpers.files import writable_folder, write_all

# Metadata of Jupyter and its tools about one execution: they differ in the next one.
_PASSING = ("execution", "papermill", "ExecuteTime", "collapsed", "scrolled", "widgets")
_WIDGET = "application/vnd.jupyter.widget-view+json"  # holds a random id of live state
_FOREIGN = {
    "an address in memory": re.compile(r"\bat 0x[0-9a-fA-F]{4,}"),
    "a path of this machine": re.compile(r"(?<![\w.:/])/(home|Users|tmp|var/folders)/|\b[A-Z]:\\\w"),
    "an address of this machine": re.compile(r"\blocalhost:\d|\b127\.0\.0\.1\b"),
}


def record_outputs(
    names: Iterable[str | Path] = (),
    *,
    run_dir: str | Path | None = None,
    say: Callable[[str], None] = print,
) -> list[Path]:
    """Executes notebooks with the tiny profile, stores their outputs in them, and returns the files written.

    With `names`, only these are stored; the notebooks before them are executed too, for their artifacts. With
    `run_dir`, the folder of an earlier run, the artifacts come from there, and only `names` are executed. `say` gets
    one line per notebook.

    Raises NotebookError when a notebook fails or has an output that cannot be stored; every file is then unchanged.
    """
    wanted = find_notebooks(names)
    paths = sorted(wanted)
    if names and run_dir is None and (folder := notebooks_dir()) in {path.parent for path in wanted}:
        last = max(path.name for path in wanted)
        paths = [path for path in find_notebooks((), folder) if path.name <= last]
    texts = {}
    with tempfile.TemporaryDirectory(prefix="labs-record-", ignore_cleanup_errors=True) as temporary:
        folder = writable_folder(Path(run_dir or temporary))
        with own_kernel(LABHELPERS_RUN_DIR=str(folder)):
            for path in paths:
                text = executed(path, folder)
                if path in wanted:
                    texts[path] = text
                say(f"{path.stem:32} {'executed' if path in wanted else 'executed for what it hands over'}")
    try:
        write_all(texts)
    except OSError as error:
        raise NotebookError(f"the notebooks cannot be written: {storage_advice(error) or error}") from error
    return list(texts)


def executed(path: Path, run_dir: Path) -> str:
    """Executes a notebook and returns its file's text. Raises NotebookError for an output that cannot be stored."""
    import nbclient
    import nbformat

    notebook = nbformat.read(path, as_version=4)
    client = nbclient.NotebookClient(
        notebook,
        timeout=None,
        kernel_name="python3",
        record_timing=False,
        store_widget_state=False,
        resources={"metadata": {"path": str(path.parent)}},
    )
    try:
        client.execute()
    except nbclient.exceptions.CellExecutionError as error:
        reason = f"{error.ename}: {error.evalue.strip()}"
        raise NotebookError(reason, notebook=path.stem, kind="raised") from None
    except nbclient.exceptions.DeadKernelError:
        reason = "its kernel died, as when memory runs out"
        raise NotebookError(reason, notebook=path.stem, kind="kernel died") from None
    machine = _places_of_this_machine(path, run_dir)
    problems = []
    for number, cell in enumerate(notebook.cells, start=1):
        cell.metadata = {key: value for key, value in cell.metadata.items() if key not in _PASSING}
        if cell.cell_type == "code":
            cell.outputs = _tidy(cell.outputs)
            problems += [f"cell {number} shows {problem}" for problem in _unstorable(cell.outputs, machine)]
    if problems:
        raise NotebookError(f"cannot be stored: {'; '.join(problems)}", notebook=path.stem)
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
        "labhelpers": {"recorded": code_hash(notebook)},
    }
    return nbformat.writes(notebook).rstrip("\n") + "\n"


def code_hash(notebook) -> str:
    """A sha256 of all code cells: it tells whether stored outputs belong to this code."""
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    return hashlib.sha256("\n\0".join(code).encode("utf-8")).hexdigest()


def _tidy(outputs: list) -> list:
    """Outputs without references to live widgets, and with the pieces of one stream joined.

    How a stream is cut into pieces depends on timing.
    """
    tidy = []
    for output in outputs:
        if "data" in output:
            output.data.pop(_WIDGET, None)
        before = tidy[-1] if tidy else {}
        if output.output_type == "stream" and before.get("name") == output.name:
            before.text += output.text
        else:
            tidy.append(output)
    return tidy


def _unstorable(outputs: list, machine: list[str]) -> list[str]:
    """The reasons why a cell's outputs cannot be stored; empty when they can."""
    problems = []
    for output in outputs:
        if output.output_type == "stream" and output.name == "stderr":
            problems.append(f"a message on stderr ({_short(output.text)})")
        texts = [output.text] if output.output_type == "stream" else []
        texts += [str(value) for kind, value in output.get("data", {}).items() if not kind.startswith("image/png")]
        for text in texts:
            for name, pattern in _FOREIGN.items():
                if found := pattern.search(text):
                    problems.append(f"{name} ({_short(text[found.start() :])})")
            problems += [f"a path of this machine ({place})" for place in machine if place in text][:1]
    return list(dict.fromkeys(problems))


def _places_of_this_machine(path: Path, run_dir: Path) -> list[str]:
    places = [run_dir, path.parent, path.parent.parent, Path.cwd(), Path(sys.prefix), Path.home()]
    return sorted({str(place) for place in places if len(place.parts) > 1}, key=len, reverse=True)


def _short(text: str) -> str:
    line = text.strip().splitlines()[0] if text.strip() else ""
    return line if len(line) <= 80 else line[:79] + "…"
