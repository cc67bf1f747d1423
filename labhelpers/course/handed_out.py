"""Bringing a learner copy up to date without losing what somebody has written in it: a three-way merge by cell.

The base of the merge, the copy as it was handed out, is known by fingerprints in the copy's own metadata.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from labhelpers.course.notebooks import parse_notebook, read_notebook
from labhelpers.errors import UsageError


def fingerprints(cells: Iterable[Mapping]) -> list[list[str]]:
    """[id, fingerprint] of every cell, in order. (A list: Jupyter sorts the keys of metadata, and the order counts.)"""
    return [[cell["id"], _fingerprint(cell)] for cell in cells]


def update(handed_in: Path, new_text: str) -> tuple[str, list[str]]:
    """The text of the learner copy `handed_in`, brought up to date with the new copy `new_text`, and remarks.

    A cell that nobody has touched becomes the new one, or goes where the course has dropped it; a cell that was
    changed, added, moved or deleted stays so, with its outputs. A remark names each cell that was changed or deleted
    and that the course has changed or dropped too. Cells that are new in the course come in behind their predecessor.

    Raises NotebookError for a file that is no notebook, and UsageError for one without fingerprints or cell ids.
    """
    import nbformat

    theirs, new = read_notebook(handed_in), parse_notebook(new_text.encode())
    base = _base(handed_in, theirs)
    mine, ours = _by_id(theirs), _by_id(new)
    if len(mine) != len(theirs["cells"]):
        raise UsageError(
            f"{handed_in} cannot be updated: some of its cells have no id, or one that stands twice; save it with "
            "JupyterLab, or choose another folder"
        )
    kept, remarks = {}, []
    for name in [*mine, *(name for name in ours if name not in mine)]:
        kept[name], remark = _merged(base.get(name), mine.get(name), ours.get(name))
        remarks += [f"cell {name} {remark}"] if remark else []
    known = [name for name in mine if name in base]
    untouched_order = known == [name for name in base if name in mine]
    order = _interleaved(ours, mine) if untouched_order else _interleaved(mine, ours)
    theirs["cells"] = [kept[name] for name in order if kept[name] is not None]
    theirs["metadata"]["labhelpers"] = new["metadata"]["labhelpers"]
    return nbformat.writes(nbformat.from_dict(theirs)).rstrip("\n") + "\n", remarks


def _merged(base: str | None, mine: dict | None, ours: dict | None) -> tuple[dict | None, str]:
    """What becomes of one cell, None for nothing, and a remark. `base` is its fingerprint when it was handed out."""
    my_print, our_print = _fingerprint(mine), _fingerprint(ours)
    if my_print == base:
        return (mine if our_print == base else ours), ""
    if our_print in (base, my_print):
        return mine, ""
    if mine is None:
        return None, "was changed by the course, and had been deleted here: it stays deleted"
    changed = "dropped" if ours is None else "changed"
    return mine, f"was {changed} by the course, and had been changed here: it stays as it is here"


def _interleaved(first: Iterable[str], second: Sequence[str] | Mapping) -> list[str]:
    """All names: those of `first` in their order, each other one of `second` behind its predecessor there."""
    order = list(first)
    before = None
    for name in second:
        if name not in order:
            order.insert(0 if before is None else order.index(before) + 1, name)
        before = name
    return order


def _base(path: Path, document: dict) -> dict[str, str]:
    """Cell id -> fingerprint as it was handed out. Raises UsageError for a notebook that does not hold them."""
    own = document.get("metadata", {}).get("labhelpers")
    listed = own.get("handed_out") if isinstance(own, dict) else None
    try:
        return {str(name): str(value) for name, value in listed}
    except (TypeError, ValueError):
        raise UsageError(
            f"{path} cannot be updated: it does not say how its cells looked when it was handed out, as what "
            "`labs exercises` writes does; choose another folder"
        ) from None


def _by_id(document: dict) -> dict[str, dict]:
    return {cell["id"]: cell for cell in document["cells"] if cell.get("id")}


def _fingerprint(cell: Mapping | None) -> str | None:
    """Of what somebody may write in a cell, its kind and its source; None for no cell."""
    if cell is None:
        return None
    return hashlib.sha256(f"{cell['cell_type']}\n{cell['source'].rstrip()}".encode()).hexdigest()[:16]
