"""Learner copies of the notebooks: everything as in the course, with the solutions cut out.

A copy says which notebook it is, by which it is known again under another file name, and how every cell looked when it
was handed out, by which it can be brought up to date without touching what somebody has written in it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

from labhelpers.course.handed_out import fingerprints, update
from labhelpers.course.notebooks import find_notebooks
from labhelpers.course.published import carry_links, site_address
from labhelpers.course.solutions import cut_solutions
from labhelpers.errors import LabError, NotebookError, UsageError, storage_advice
from labhelpers.files import writable_folder, write_all
from labhelpers.sources.locations import unix_lines


def write_exercises(folder: str | Path, names: Iterable[str | Path] = (), *, force: bool = False) -> list[Path]:
    """Write learner copies of the notebooks in `names` (as in `find_notebooks`; none: all) into `folder`; their files.

    Raises UsageError for a file that is there already, unless `force`, and for the folder of the notebooks
    themselves; NotebookError for a notebook that cannot be cut; LabError for a folder that cannot be written. In all
    cases no file has changed.
    """
    texts = learner_copies(folder, names)
    refuse_to_overwrite(texts, force, "bring them up to date with --update, choose another folder, or say --force")
    return write_files(folder, texts)


def update_exercises(folder: str | Path, names: Iterable[str | Path] = ()) -> tuple[list[Path], list[str]]:
    """Bring the learner copies in `folder` up to date, and write those that are missing: (their files, remarks).

    What somebody has written there stays, cell by cell (see `handed_out.update`); a remark names a cell that the course
    has changed and that was kept all the same. Raises UsageError for a file that cannot be updated, which is one that
    holds no fingerprints or no cell ids, and otherwise like `write_exercises`. In all cases no file has changed.
    """
    texts = learner_copies(folder, names)
    remarks = []
    for target, text in texts.items():
        if target.exists():
            texts[target], kept = update(target, text)
            remarks += [f"{target.stem}: {remark}" for remark in kept]
    return write_files(folder, texts), remarks


def learner_copies(folder: str | Path, names: Iterable[str | Path] = ()) -> dict[Path, str]:
    """The learner copies of the notebooks in `names` as they belong into `folder`: file -> text. Writes nothing.

    Raises UsageError for the folder of the notebooks themselves, and NotebookError for one that cannot be cut.
    """
    out = Path(folder).expanduser().absolute()
    sources = find_notebooks(names)
    if any(source.parent == out.resolve() for source in sources):
        raise UsageError(f"{out} holds the notebooks themselves: choose another folder for the learner copies")
    beside = {source.name for source in sources} | {path.name for path in out.glob("*.ipynb")}
    return {out / source.name: learner_copy(source, beside) for source in sources}


def refuse_to_overwrite(files: Iterable[Path], force: bool, advice: str) -> None:
    """Raises UsageError for files that exist, unless `force`; `advice` says what can be done."""
    there = [file for file in files if file.exists()]
    if there and not force:
        names = ", ".join(file.name for file in there)
        raise UsageError(
            f"{names} in {there[0].parent} would be overwritten, with whatever was answered there: {advice}"
        )


def write_files(folder: str | Path, contents: dict[Path, str | bytes]) -> list[Path]:
    """Writes files in and under `folder`, all or none of them. Raises LabError when that is not possible."""
    for place in {path.parent for path in contents}:
        writable_folder(place)
    try:
        write_all(contents)
    except OSError as error:
        raise LabError(f"{folder} cannot be written: {storage_advice(error) or error}") from error
    return list(contents)


def learner_copy(notebook: str | Path, beside: Collection[str] = ()) -> str:
    """The text of a notebook file without its outputs and its solutions. Ids, tags and other metadata stay; added are
    the notebook's name and the fingerprints of its cells.

    `beside` are the names of the files that will be in the same folder. Links to others lead to the course's website
    (LABHELPERS_SITE) or are links no more.

    Raises NotebookError for a file that is no notebook, and, with the cell, for a solution that cannot be cut.
    """
    notebook = Path(notebook)
    document = read_document(notebook)
    cut_document(document, notebook.stem)
    address = site_address()
    for cell in document.cells:
        if cell.cell_type == "markdown":
            cell.source = carry_links(cell.source, beside, address)
        elif cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    document.metadata["labhelpers"] = {"notebook": notebook.stem, "handed_out": fingerprints(document.cells)}
    return text_of(document)


def read_document(notebook: Path):
    """The nbformat document of a notebook file, with LF at the end of every line. Raises NotebookError for others."""
    import nbformat

    try:
        document = nbformat.read(notebook, as_version=4)
    except (OSError, ValueError, TypeError, AttributeError, KeyError, nbformat.ValidationError) as error:
        raise NotebookError(f"{notebook} cannot be read as a notebook: {str(error).splitlines()[0]}") from None
    for cell in document.cells:
        cell.source = unix_lines(cell.source)
    return document


def cut_document(document, name: str) -> None:
    """Cuts the solutions out of every cell of an nbformat document, and takes the outputs of the cells that held one.

    Raises NotebookError, with the notebook's `name` and the cell, for a solution that cannot be cut.
    """
    for number, cell in enumerate(document.cells, start=1):
        if cell.cell_type == "code":
            try:
                cut = cut_solutions(cell.source)
            except NotebookError as error:
                raise NotebookError(error.reason, notebook=name, cell=number) from None
            if cut != cell.source:
                cell.source, cell.outputs, cell.execution_count = cut, [], None


def text_of(document) -> str:
    """The text of the file of an nbformat document, as Jupyter writes it."""
    import nbformat

    return nbformat.writes(document).rstrip("\n") + "\n"
