"""Feedback for the students of a cohort: a page for each, `feedback/NAME.html`, and all of them in `feedback.zip`.

Beside a student's page, in the folder `feedback/NAME/`, are the pages of the notebooks as they ran, so that page and
folder can be given to the student as they are. Nothing in them is about anybody else.
"""

from __future__ import annotations

import io
import unicodedata
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2

from labhelpers.batch.grades import Answer, answers, points
from labhelpers.batch.outcome import RunOutcome
from labhelpers.course.outline import chapter
from labhelpers.files import whole_folder, write_atomically

FEEDBACK, ARCHIVE = "feedback", "feedback.zip"
# Names that Windows keeps for devices, with any ending (superscript digits count as digits there).
_DEVICES = {"con", "prn", "aux", "nul", "conin$", "conout$"}
_DEVICES |= {f"{port}{digit}" for port in ("com", "lpt") for digit in "0123456789¹²³"}
_FORBIDDEN = frozenset('<>:"/\\|?*')
_LONGEST = 120  # bytes of a name: file systems allow 255, and an ending and an atomic write add to it


@dataclass(frozen=True)
class Part:
    """One notebook on a student's page: `link` leads to the page of the notebook as it ran, "" where there is none."""

    title: str
    answers: tuple[Answer, ...]
    missing: bool
    link: str


def file_names(students: Iterable[str]) -> dict[str, str]:
    """`{student: name}`: a name for files and folders that is safe on every system, and another one for each student.

    What some system forbids in names becomes `_`. Of names that some system takes for the same, as it does if they
    differ only in case, all but the first get a number.
    """
    names: dict[str, str] = {}
    taken: set[str] = set()
    for student in sorted(students):
        name = plain = _safe(student)
        number = 1
        while not taken.isdisjoint(_used_by(name)):
            number += 1
            name = f"{plain}-{number}"
        taken |= _used_by(name)
        names[student] = name
    return names


def write_feedback(folder: Path, outcomes: Sequence[RunOutcome], asked: Mapping[str, Sequence[str]]) -> list[str]:
    """Write the pages of all these students, in place of those that were there before, and the archive of them.

    `folder` is that of the batch, with the pages of the runs in it; `asked` is `{notebook: [check]}`. Returns the names
    of the archive and of the pages' folder.
    """
    names = file_names(one.student for one in outcomes if one.student is not None)
    environment = jinja2.Environment(loader=jinja2.PackageLoader("labhelpers.batch", "."), autoescape=True)
    template = environment.get_template("feedback.html")
    files: dict[str, bytes] = {}
    for one in outcomes:
        if one.student is not None:
            files |= _of_student(folder, one, names[one.student], asked, template)
    with whole_folder(folder / FEEDBACK) as draft:
        for name, content in files.items():
            (draft / name).parent.mkdir(parents=True, exist_ok=True)
            (draft / name).write_bytes(content)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(f"{FEEDBACK}/{name}")  # without today's date: the same pages, the same archive
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    write_atomically(folder / ARCHIVE, packed.getvalue())
    return [ARCHIVE, FEEDBACK]


def _of_student(
    folder: Path, one: RunOutcome, name: str, asked: Mapping[str, Sequence[str]], template: jinja2.Template
) -> dict[str, bytes]:
    """The files of one student, `{name relative to the folder of feedback: content}`."""
    pages: dict[str, bytes] = {}
    parts = []
    given = answers(one, asked)
    for notebook in asked:
        known = chapter(notebook)
        page, link = folder / one.id / "notebooks" / f"{notebook}.html", ""
        if notebook in one.notebooks and page.is_file():
            link = f"{name}/{notebook}.html"
            pages[link] = page.read_bytes()
        theirs = tuple(answer for answer in given if answer.notebook == notebook)
        title = f"{known.number} {known.title}" if known else notebook
        parts.append(Part(title, theirs, notebook in one.missing, link))
    text = template.render(run=one, parts=parts, right=points(given), of=len(given))
    return {f"{name}.html": text.encode()} | pages


def _safe(student: str) -> str:
    """The student's name without what some file system forbids: separators, control and other invisible characters,
    dots and spaces at the ends, names of devices, and more than _LONGEST bytes."""
    text = unicodedata.normalize("NFC", student)
    text = "".join("_" if char in _FORBIDDEN or unicodedata.category(char)[0] == "C" else char for char in text)
    text = text.encode()[:_LONGEST].decode(errors="ignore").strip(" .") or "_"
    device = text.split(".")[0].strip().lower() in _DEVICES
    return f"_{text}" if device else text


def _used_by(name: str) -> set[str]:
    """The names of a student's page and folder, in a form that is equal for names that some file system takes for the
    same: case and compositions do not count."""
    return {unicodedata.normalize("NFKC", one).upper().casefold() for one in (name, f"{name}.html")}
