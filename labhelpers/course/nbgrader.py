"""The notebooks as nbgrader takes them: the instructor's version, with the solutions, from which
`nbgrader generate_assignment` makes the learners'.

nbgrader cuts what stands between `### BEGIN SOLUTION` and `### END SOLUTION` and puts a stub of its own there. The
course's own placeholder stands above these lines, and nbgrader_config.py makes nbgrader's stub empty, so that a learner
finds the same as in a plain copy. Without that setting nbgrader's stub comes in addition, and no solution comes out.

A cell with a solution and a check becomes two: the solution, and a locked cell that imports the check anew and asserts
it. nbgrader puts locked cells back before it grades.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from labhelpers.course.exercises import read_document, refuse_to_overwrite, text_of, write_files
from labhelpers.course.notebooks import find_notebooks, parse_code
from labhelpers.course.solutions import cut_solutions, placeholder, split_at_marks
from labhelpers.errors import NotebookError

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
SETTINGS = """\
# For nbgrader, which reads this file where its commands are given. Written by `labs exercises --format nbgrader`.
import os

c = get_config()  # noqa: F821
# Nothing instead of a solution: the course's own placeholder stands above it.
c.ClearSolutions.code_stub = {"python": ""}
# Seconds that a cell may take. By default 30, in which not every training ends.
c.Execute.timeout = 1800
# What a student's notebooks hand to each other is in autograded/STUDENT/.run, one folder for each student.
os.environ["LABHELPERS_RUN_DIR"] = os.path.join(os.pardir, ".run")
# nbgrader gives no points to a cell that writes to stderr, as bars do.
os.environ["TQDM_DISABLE"] = "1"
"""


def write_assignments(
    folder: str | Path, names: Iterable[str | Path] = (), *, force: bool = False
) -> tuple[list[Path], list[str]]:
    """Write an assignment for every notebook in `names` (none: all), `source/NAME/NAME.ipynb`, into `folder`, the root
    of an nbgrader course; with them nbgrader_config.py, unless there is one: (the notebooks' files, remarks).

    Raises UsageError for a file that is there already, unless `force`; NotebookError for a notebook that cannot be
    cut; LabError for a folder that cannot be written. In all cases no file has changed.
    """
    out = Path(folder).expanduser().absolute()
    texts = {out / "source" / path.stem / path.name: instructor_version(path) for path in find_notebooks(names)}
    refuse_to_overwrite(texts, force, "choose another folder, or say --force")
    settings = out / "nbgrader_config.py"
    if not settings.exists():
        write_files(out, texts | {settings: SETTINGS})
        return list(texts), []
    remarks = []
    if settings.read_bytes() != SETTINGS.encode():
        remarks = [f"{settings.name} was there and is kept: it needs the lines that docs/teaching.md names"]
    return write_files(out, texts), remarks


def instructor_version(notebook: str | Path) -> str:
    """The text of a notebook file as nbgrader's `source` folder holds it: solutions marked and below their
    placeholders, every check in a locked cell worth one point, no outputs.

    Raises NotebookError like `learner_copy`, and for a check that is no statement of its own.
    """
    import nbformat

    notebook = Path(notebook)
    document = read_document(notebook)
    ours = _imported_checks(document.cells)
    cells = []
    for number, cell in enumerate(document.cells, start=1):
        try:
            cells += _parts(cell, ours) if cell.cell_type == "code" else [cell]
        except NotebookError as error:
            raise NotebookError(error.reason, notebook=notebook.stem, cell=number) from None
    document.cells = cells
    document.metadata["labhelpers"] = {"notebook": notebook.stem}
    try:
        nbformat.validate(document)
    except nbformat.ValidationError as error:
        raise NotebookError(f"no notebook any more ({error.message})", notebook=notebook.stem) from None
    return text_of(document)


def released(source: str) -> str:
    """The source of a cell as nbgrader releases it, with an empty stub and without empty lines around it."""
    lines, inside = [], False
    for line in source.split("\n"):
        if "BEGIN SOLUTION" in line:
            inside = True
        elif "END SOLUTION" in line:
            inside = False
        elif not inside:
            lines.append(line)
    return "\n".join(lines).strip("\n")


def _parts(cell, ours: Collection[str]) -> list:
    """The cells that a code cell becomes: solutions, each followed by its checks; itself if it holds neither.

    The first keeps the cell's id and metadata. `ours` are the checks that come from the course's package.
    """
    import nbformat

    cell.outputs, cell.execution_count = [], None
    parts, taken = [], set()
    for kind, source in _roles(cell.source, ours):
        part = nbformat.v4.new_code_cell() if parts else nbformat.from_dict(cell)
        first = f"{cell.id}-{kind}" if parts else cell.id
        part.id = next(name for name in [first, *(f"{first}-{n}" for n in range(2, 99))] if name not in taken)
        taken.add(part.id)
        part.source = source.strip("\n")
        if kind != "rest":
            part.metadata["nbgrader"] = _role(part.id, kind)
        parts.append(part)
    return parts


def _roles(source: str, ours: Collection[str]) -> Iterator[tuple[str, str]]:
    """A cell's source by what nbgrader does with it, in order: ("solution", "check" or "rest", source)."""
    work: list[tuple[bool, str]] = []
    for solved, text in split_at_marks(source):
        checks = [] if solved else list(_checks(text))
        if checks and work:
            yield _worked(work)
            work = []
        lines, begin = text.split("\n"), 0
        for check in checks:
            yield "check", _locked(lines[begin : check.end_lineno], check, check.lineno - 1 - begin, ours)
            begin = check.end_lineno
        if not checks or any(line.strip() for line in lines[begin:]):
            work.append((solved, "\n".join(lines[begin:])))
    if work:
        yield _worked(work)


def _worked(pieces: list[tuple[bool, str]]) -> tuple[str, str]:
    return "solution" if any(solved for solved, _ in pieces) else "rest", _marked(pieces)


def _locked(lines: list[str], check: ast.Expr, at: int, ours: Collection[str]) -> str:
    """The source of a locked cell from the lines that end with a check's call, which begins in line `at` of them.

    The check is imported anew, since a submission may have given its name to something else.
    """
    name = check.value.func.id
    anew = [f"from labhelpers.checks import {name}"] if name in ours else []
    return "\n".join([*anew, *lines[:at], f"assert {lines[at]}", *lines[at + 1 :]])


def _imported_checks(cells: Iterable) -> set[str]:
    """What the cells import from `labhelpers.checks`."""
    found = set()
    for cell in cells:
        if cell.cell_type != "code":
            continue
        try:
            nodes = list(ast.walk(parse_code(cell.source)))
        except SyntaxError:  # a magic of the whole cell
            continue
        imports = [node for node in nodes if isinstance(node, ast.ImportFrom) and node.module == "labhelpers.checks"]
        found |= {alias.name for node in imports for alias in node.names}
    return found


def _checks(source: str) -> Iterator[ast.Expr]:
    """The statements that are a check's call, in order; NotebookError for a call that is in another statement."""
    try:
        tree = parse_code(source)
    except SyntaxError:  # a magic of the whole cell
        return
    for statement in tree.body:
        called = [node for node in ast.walk(statement) if isinstance(node, ast.Call) and _is_check(node.func)]
        if not called:
            continue
        alone = isinstance(statement, ast.Expr) and [statement.value] == called
        # Where IPython's commands had to be translated first, the lines may have moved.
        found_there = source.split("\n")[statement.lineno - 1].startswith(called[0].func.id)
        sharing = [
            one for one in tree.body if one.lineno <= statement.end_lineno and one.end_lineno >= statement.lineno
        ]
        if not alone or not found_there or sharing != [statement]:
            raise NotebookError(
                f"the check {called[0].func.id!r} is called inside a longer statement or line: for nbgrader a call "
                "must be a statement on lines of its own"
            )
        yield statement


def _is_check(function: ast.expr) -> bool:
    return isinstance(function, ast.Name) and function.id.startswith("check_")


def _marked(pieces: list[tuple[bool, str]]) -> str:
    """The source with nbgrader's marks around its solutions and the placeholders above them.

    Raises NotebookError when nbgrader would not release the learner copy of it.
    """
    own = "\n".join(f"{BEGIN}\n{text}\n{END}" if solved else text for solved, text in pieces)
    marked = "\n".join(f"{placeholder(text)}\n{BEGIN}\n{text}\n{END}" if solved else text for solved, text in pieces)
    if released(marked) != cut_solutions(own).strip("\n"):
        raise NotebookError("a line holds the words of nbgrader's marks, BEGIN SOLUTION or END SOLUTION: write others")
    return marked


def _role(name: str, kind: str) -> dict:
    """nbgrader's metadata of a cell that is a "solution" or a "check"."""
    role = {"schema_version": 3, "grade_id": name, "cell_type": "code", "task": False}
    if kind == "solution":
        return role | {"solution": True, "grade": False, "locked": False}
    return role | {"solution": False, "grade": True, "locked": True, "points": 1}
