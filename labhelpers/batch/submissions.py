"""What students hand in: which student a file belongs to, which notebook it is, and how it gets the course's checks.

A notebook is recognised by the name that it holds: `labs exercises` writes it into the metadata, and the first cell
gives it to `start`. The name of the file counts only when the notebook holds no name. So a copy that a browser or a
learning platform has renamed is graded like any other.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from labhelpers import checks
from labhelpers.course.notebooks import parse_code, parse_notebook, read_notebook
from labhelpers.course.solutions import without_solutions
from labhelpers.errors import UsageError

# What archives and file systems put beside the students' folders and files.
_NO_STUDENTS = ("__MACOSX", "lost+found", "$RECYCLE.BIN", "@eaDir", "System Volume Information")
_NO_FILES = ("Thumbs.db", "desktop.ini")
# `ada_12345_01_….ipynb`, `ada_LATE_12345_67890_01_….ipynb`: a name, numbers from the platform, the file's own name.
_FLAT = re.compile(r"(?P<student>.+?)_(?:late_)?(?P<number>\d{3,})_(?:\d{3,}_)?(?P<name>.+)", re.IGNORECASE)
# `Ada Lee_12345_assignsubmission_file_`: a folder of one platform's, with its number for the student.
_NUMBERED_FOLDER = re.compile(r".+_(?P<number>\d{3,})_assignsubmission_\w*")
_STARTED = re.compile(r"""\bstart\(\s*["']([^"']+)["']""")


@dataclass(frozen=True)
class Submission:
    """What one student has handed in: the file of each notebook asked for, and the other files by their own names.

    `missing` are the notebooks that were asked for and not handed in; `remarks` say in words what else is odd.
    `student_id` is the learning platform's number for the student, or None when no name of a file holds one.
    """

    student: str
    notebooks: dict[str, Path]
    others: dict[str, Path]
    missing: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    student_id: str | None = None


@dataclass(frozen=True)
class CheckCell:
    """A cell of the course's notebook that calls checks. `source` is the code that grades, without the solution."""

    id: str
    checks: tuple[str, ...]
    source: str


def read_submissions(folder: Path, masters: Sequence[Path]) -> list[Submission]:
    """The submissions in a folder, sorted by student.

    A student's files are in a folder of their own, or their names begin with the student's name, as learning platforms
    export them. `masters` are the course's own notebooks, those that students were asked for. Raises UsageError when
    there is no submission, and for a notebook that no student's name belongs to.
    """
    files: dict[str, dict[str, Path]] = {}
    flat: dict[tuple[str, str], dict[str, Path]] = {}
    numbers: dict[str, str] = {}
    nameless = []
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name in _NO_STUDENTS or path.is_symlink():
            continue
        if path.is_dir():
            student = _readable(path.name)
            files[student] = {one.name: one for one in sorted(path.iterdir()) if _is_handed_in(one)}
            if numbered := _NUMBERED_FOLDER.fullmatch(student):
                numbers[student] = numbered["number"]
        elif found := _FLAT.fullmatch(path.name) if _is_handed_in(path) else None:
            flat.setdefault((_readable(found["student"]), found["number"]), {})[found["name"]] = path
        elif path.suffix == ".ipynb":
            nameless.append(path.name)
    if nameless:
        raise UsageError(
            f"{folder} holds {nameless[0]}, and nothing says which student it is from: put it into a folder named "
            "after the student"
        )
    for (student, number), theirs in flat.items():
        alone = student not in files and sum(other == student for other, _ in flat) == 1
        name = student if alone else f"{student}_{number}"
        files[name], numbers[name] = theirs, number
    if not files:
        raise UsageError(
            f"{folder} holds no folders: it must have one per student, or files named like ada_12345_NOTEBOOK.ipynb"
        )
    known = _names(masters)
    asked = [path.stem for path in masters]
    return [_submission(student, files[student], known, asked, numbers.get(student)) for student in sorted(files)]


def check_cells(master: Path) -> list[CheckCell]:
    """The cells of one of the course's own notebooks that call a check, `check_…(`, in order."""
    found = []
    for cell in read_notebook(master)["cells"]:
        called = _called(cell["source"]) if cell["cell_type"] == "code" else ()
        if called:
            found.append(CheckCell(cell.get("id", ""), called, _grading(cell["source"], called)))
    return found


def with_checks(content: bytes, graded: Iterable[CheckCell]) -> bytes:
    """A student's notebook with the course's checks, as it is run.

    The course's own cells that call checks are added, each after the student's cell that it belongs to. Only verdicts
    from the added cells count (see `is_added`). When a cell raises an error, the cells after it still run. Content that
    is not a notebook is returned unchanged; the run will report it.
    """
    try:
        document = parse_notebook(content)
    except ValueError:
        return content
    cells = document["cells"]
    for cell in cells:
        cell["metadata"].pop("labhelpers", None)
    for one in graded:
        cells.insert(_place(cells, one), _added(one))
    for cell in cells:
        if cell["cell_type"] == "code":
            cell["metadata"].setdefault("tags", []).append("raises-exception")
    document |= {"nbformat": 4, "nbformat_minor": 5}  # the format in which cells have ids
    return json.dumps(document).encode()


def is_added(cell: dict) -> bool:
    """Whether a cell of an executed submission was added to it: a check of the course, or the injected parameters."""
    return bool(asked_checks(cell)) or "injected-parameters" in cell["metadata"].get("tags", ())


def asked_checks(cell: dict) -> tuple[str, ...]:
    """The checks that may give a verdict while this cell of a submission runs; none for the student's own cells."""
    return tuple(cell["metadata"].get("labhelpers", {}).get("graded", ()))


def _is_handed_in(path: Path) -> bool:
    """Whether it is a plain file that the student made. Links may lead anywhere, and macOS adds a file `._x` to x."""
    return path.is_file() and not path.is_symlink() and not path.name.startswith("._") and path.name not in _NO_FILES


def _readable(name: str) -> str:
    """A student's name as text; bytes of the file system that are no text are shown by their numbers, `\\xe9`."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _names(masters: Sequence[Path]) -> dict[str, str]:
    """For every name that a notebook may hold: the name of the notebook asked for that it means."""
    known = {path.stem: path.stem for path in masters}
    for path in masters:
        if said := _said_name(path.read_bytes()):
            known.setdefault(said, path.stem)
    return known


def _said_name(content: bytes) -> str | None:
    """The name that a notebook holds; None when it holds none, or when `content` is not a notebook."""
    try:
        document = parse_notebook(content)
    except ValueError:
        return None
    metadata = document.get("metadata")
    own = metadata.get("labhelpers") if isinstance(metadata, dict) else None
    if isinstance(own, dict) and isinstance(own.get("notebook"), str):
        return own["notebook"]
    code = "\n".join(cell["source"] for cell in document["cells"] if cell["cell_type"] == "code")
    found = _STARTED.search(code)
    return found[1] if found else None


def _submission(
    student: str, files: dict[str, Path], known: dict[str, str], asked: list[str], student_id: str | None
) -> Submission:
    found: dict[str, list[Path]] = {}
    others, remarks, called = {}, [], {}
    for name, path in files.items():
        if Path(name).suffix.lower() != ".ipynb":
            others[name] = path
            continue
        said = _said_name(path.read_bytes())
        by_file = _by_file_name(Path(name).stem, asked)
        meant = by_file if said is None else known.get(said)
        if meant is None:
            others[name] = path
        else:
            found.setdefault(meant, []).append(path)
        if by_file and by_file != meant:
            called[by_file] = f"{by_file}: other notebook ({path.name} holds {said})"
    notebooks = {}
    for name in asked:
        if files_of_it := found.get(name):
            newest = max(files_of_it, key=lambda path: (path.stat().st_mtime_ns, path.name))
            notebooks[name] = newest
            if len(files_of_it) > 1:
                times = "twice" if len(files_of_it) == 2 else f"{len(files_of_it)} times"
                remarks.append(f"{name}: {times} (newest taken: {newest.name})")
        elif name in called:
            remarks.append(called[name])
    missing = tuple(name for name in asked if name not in notebooks)
    return Submission(student, notebooks, others, missing, tuple(remarks), student_id)


def _by_file_name(stem: str, asked: list[str]) -> str | None:
    """The notebook that a file's name means; a browser or a platform may have added something before or after it."""
    plain = stem.replace(" ", "_")
    for name in sorted(asked, key=len, reverse=True):
        if re.search(rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])", plain, re.IGNORECASE):
            return name
    return None


def _called(source: str) -> tuple[str, ...]:
    """The checks that a cell calls, in order."""
    try:
        nodes = [node for node in ast.walk(parse_code(source)) if isinstance(node, ast.Call)]
    except SyntaxError:
        return ()
    names = [(n.lineno, n.col_offset, n.func.id) for n in nodes if isinstance(n.func, ast.Name)]
    return tuple(dict.fromkeys(name for *_, name in sorted(names) if name.startswith("check_")))


def _grading(source: str, called: Sequence[str]) -> str:
    """The source of an added cell.

    The checks are imported again, because a submission may use one of their names for something else. What else the
    course's cell computes for the checks is part of it.
    """
    ours = [name for name in called if name in checks.__all__]
    lines = ["# The course's own check, put back for grading."]
    lines += [f"from labhelpers.checks import {', '.join(ours)}"] if ours else []
    return "\n".join([*lines, without_solutions(source)])


def _place(cells: list[dict], one: CheckCell) -> int:
    """Where a check is added: after the student's cell with the same id, else after the last cell that calls the check,
    else at the end."""
    own = [(number, cell) for number, cell in enumerate(cells, 1) if cell["cell_type"] == "code" and not is_added(cell)]
    same = [number for number, cell in own if one.id and cell.get("id") == one.id]
    calling = [number for number, cell in own if any(f"{check}(" in cell["source"] for check in one.checks)]
    return (same or calling or [len(cells)])[-1]


def _added(one: CheckCell) -> dict:
    metadata = {"labhelpers": {"graded": list(one.checks)}}
    cell = {"cell_type": "code", "id": f"graded-{one.id}"[:64], "metadata": metadata, "source": one.source}
    return cell | {"outputs": [], "execution_count": None}
