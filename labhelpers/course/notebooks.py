"""Where the course's notebooks are, which of them a name means, and what a notebook file holds."""

from __future__ import annotations

import ast
import json
import os
from collections.abc import Iterable
from pathlib import Path

from labhelpers.errors import NotebookError, UsageError, close_matches, last_line
from labhelpers.sources.locations import unix_lines


def notebooks_dir(explicit: str | Path | None = None) -> Path:
    """The folder of the notebooks: `explicit`, else LABHELPERS_NOTEBOOKS, else `notebooks/` beside the package."""
    chosen = explicit or os.environ.get("LABHELPERS_NOTEBOOKS")
    folder = Path(chosen) if chosen else Path(__file__).resolve().parents[2] / "notebooks"
    if not folder.is_dir():
        raise UsageError(
            f"no notebooks: {folder} is not a folder; set LABHELPERS_NOTEBOOKS to the notebooks folder of a clone, "
            "or give the paths of notebooks"
        )
    return folder.resolve()


def find_notebooks(
    names: Iterable[str | Path] = (), folder: str | Path | None = None, *, home: Path | None = None
) -> list[Path]:
    """The files of the notebooks in `names`, in that order; without names, all notebooks of the folder.

    Each of `names` is a notebook's name, the beginning of its name ("04"), or a path. Paths are relative to `home`
    (default: the current folder). Raises UsageError for a notebook that does not exist or is named twice.
    """
    found = []
    for name in names:
        path = (home or Path.cwd()) / name
        if path.suffix == ".ipynb" and path.is_file():
            found.append(path.resolve())
            continue
        known = {path.stem: path for path in sorted(notebooks_dir(folder).glob("*.ipynb"))}
        stem = str(name).removesuffix(".ipynb")
        matches = [stem] if stem in known else [one for one in known if stem and one.startswith(stem)]
        if not matches:
            raise UsageError(f"unknown notebook '{name}': {close_matches(stem, known)}")
        if len(matches) > 1:
            raise UsageError(f"notebook '{name}' could be {' or '.join(matches)}: give more of its name")
        found.append(known[matches[0]])
    if not names:
        found = sorted(notebooks_dir(folder).glob("*.ipynb"))
        if not found:
            raise UsageError(f"no notebooks in {notebooks_dir(folder)}")
    if twice := {path.stem for path in found if sum(other.stem == path.stem for other in found) > 1}:
        raise UsageError(f"notebook asked for twice: {', '.join(sorted(twice))}")
    return found


def read_notebook(notebook: Path) -> dict:
    """What a notebook file holds, in today's format: every cell's `source` is one text, its lines end with LF, and its
    `metadata` has a list of `tags`.

    A file of an older format, in which notebooks have no `cells`, is converted. Raises NotebookError for a file that is
    not a notebook.
    """
    try:
        return parse_notebook(notebook.read_bytes())
    except (OSError, ValueError) as error:
        raise NotebookError(f"{notebook} cannot be read as a notebook: {last_line(error)}") from None


def parse_notebook(content: bytes) -> dict:
    """`read_notebook` for the bytes of a file. Raises ValueError; its message says what is wrong with them."""
    try:
        document = json.loads(content.decode("utf-8-sig"))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if isinstance(document, dict) and "cells" not in document and document.get("nbformat") in (1, 2, 3):
        document = _of_today(content)
    cells = document.get("cells") if isinstance(document, dict) else None
    if not isinstance(cells, list) or not all(isinstance(cell, dict) and "cell_type" in cell for cell in cells):
        raise ValueError("it holds no list of cells: open it in Jupyter, save it there, and use that file")
    for cell in cells:
        source = cell.get("source", "")
        lines = source if isinstance(source, list) else [source]
        cell["source"] = unix_lines("".join(line for line in lines if isinstance(line, str)))
        metadata = cell["metadata"] = cell["metadata"] if isinstance(cell.get("metadata"), dict) else {}
        metadata["tags"] = metadata["tags"] if isinstance(metadata.get("tags"), list) else []
    return document


def _of_today(content: bytes) -> dict:
    import nbformat

    try:
        return json.loads(nbformat.writes(nbformat.reads(content.decode("utf-8-sig"), as_version=4)))
    except Exception as error:  # the converter does not check its input: any type of error may come
        message = "an old notebook format that cannot be converted: open it in Jupyter and save it there"
        raise ValueError(message) from error


def parse_code(source: str) -> ast.Module:
    """The syntax tree of a code cell. IPython's own commands (`%matplotlib inline`, `!ls`) are calls in it.

    Raises SyntaxError for code that is neither Python nor IPython.
    """
    try:
        return ast.parse(source)
    except SyntaxError:
        from IPython.core.inputtransformer2 import TransformerManager

        return ast.parse(TransformerManager().transform_cell(source))
