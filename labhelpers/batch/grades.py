"""Grades of a cohort: what the checks said of each answer, as the checks handed it over, and `grades.csv`."""

from __future__ import annotations

import csv
import html
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from labhelpers.batch.outcome import RunOutcome
from labhelpers.batch.plans import Plan
from labhelpers.batch.submissions import check_cells
from labhelpers.files import write_atomically

GRADES = "grades.csv"
RIGHT, NOT_YET, NOT_REACHED, NOT_HANDED_IN = "right", "not yet", "not reached", "not handed in"
VERDICTS = (RIGHT, NOT_YET, NOT_REACHED, NOT_HANDED_IN)
# The headings by which Moodle's grading worksheet is read; other platforms ask which column is which.
_PLATFORM = ("student id", "Identifier", "Grade", "Maximum grade", "Last modified (grade)", "Feedback comments")
_FORMULAS = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class Answer:
    """A student's answer to one exercise: one of VERDICTS, and with "not yet" what the check said, in one line."""

    notebook: str
    check: str
    verdict: str
    message: str = ""

    @property
    def name(self) -> str:
        """The exercise as tables call it, such as `02 pairs of`."""
        return exercise_name(self.notebook, self.check)


def exercises(plan: Plan) -> dict[str, list[str]]:
    """The checks that the course's own notebooks call, `{notebook: [check]}`: what a submission can be graded by."""
    return {
        notebook.stem: list(dict.fromkeys(check for cell in check_cells(notebook) for check in cell.checks))
        for notebook in plan.notebooks
    }


def exercise_name(notebook: str, check: str) -> str:
    """The number of the notebook and the words of the check: `02 pairs of`."""
    number = notebook[:2] if notebook[:2].isdigit() else notebook
    return f"{number} {check.removeprefix('check_').replace('_', ' ')}"


def answers(outcome: RunOutcome, asked: Mapping[str, Sequence[str]]) -> list[Answer]:
    """The answer of one student to every exercise, in the course's order. `asked` is `{notebook: [check]}`."""
    return [_answer(outcome, notebook, check) for notebook, checks in asked.items() for check in checks]


def points(given: Sequence[Answer]) -> int:
    """How many of the answers are right: an exercise gives one point."""
    return sum(answer.verdict == RIGHT for answer in given)


def write_grades(folder: Path, outcomes: Sequence[RunOutcome], asked: Mapping[str, Sequence[str]]) -> str:
    """Write `grades.csv`, a line per student and a column per exercise, and return its name.

    Behind the exercises stand the columns that learning platforms import (docs/batch.md).
    """
    columns = [f"{notebook}: {check}" for notebook, checks in asked.items() for check in checks]
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(["student", "status", "right", "of", "remarks", *columns, *_PLATFORM])
    for one in sorted(outcomes, key=lambda one: one.student):
        given = answers(one, asked)
        line = [one.student, one.status, points(given), len(given), "; ".join(one.remarks)]
        line += [answer.verdict for answer in given]
        line += [one.student_id or one.student, f"Participant {one.student_id}" if one.student_id else ""]
        line += [points(given), len(given), "", _comment(one, given)]
        table.writerow([_as_text(value) for value in line])
    write_atomically(folder / GRADES, text.getvalue())
    return GRADES


def _answer(outcome: RunOutcome, notebook: str, check: str) -> Answer:
    if notebook in outcome.missing:
        return Answer(notebook, check, NOT_HANDED_IN)
    said = outcome.verdicts.get(notebook, {}).get(check)
    if said is None:
        return Answer(notebook, check, NOT_REACHED)
    if said == "right.":
        return Answer(notebook, check, RIGHT)
    return Answer(notebook, check, NOT_YET, " ".join(said.removeprefix("not yet.").split()))


def _comment(outcome: RunOutcome, given: Sequence[Answer]) -> str:
    """The feedback of one student in lines: the points, each exercise, and what was odd about the files. Escaped, since
    Moodle reads it as HTML."""
    lines = [f"{points(given)} of {len(given)} right."]
    lines += [f"{answer.name}: {answer.verdict}. {answer.message}".strip() for answer in given]
    return html.escape("\n".join([*lines, *outcome.remarks]), quote=False)


def _as_text(value):
    """The value of a cell. A text that a spreadsheet would take for a formula gets an apostrophe in front."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULAS) else value
