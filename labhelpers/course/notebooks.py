"""Where the course's notebooks are, and which of them a name means."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from labhelpers.errors import UsageError, close_matches


def notebooks_dir(explicit: str | Path | None = None) -> Path:
    """The folder of the notebooks: `explicit`, else LABHELPERS_NOTEBOOKS, else `notebooks/` beside the package."""
    chosen = explicit or os.environ.get("LABHELPERS_NOTEBOOKS")
    folder = Path(chosen) if chosen else Path(__file__).resolve().parents[2] / "notebooks"
    if not folder.is_dir():
        raise UsageError(
            f"no notebooks: {folder} is not a folder; set LABHELPERS_NOTEBOOKS to the notebooks of a clone, or name "
            "files"
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
