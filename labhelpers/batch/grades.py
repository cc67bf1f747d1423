"""Grades of a cohort: the checks' verdicts by student and exercise, as the checks handed them over."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from labhelpers.batch.outcome import RunOutcome
from labhelpers.batch.plans import Plan
from labhelpers.batch.submissions import check_cells
from labhelpers.files import write_atomically

GRADES = "grades.csv"


def exercises(plan: Plan) -> dict[str, list[str]]:
    """The checks that the course's own notebooks call, `{notebook: [check]}`: what a submission can be graded by."""
    return {
        notebook.stem: list(dict.fromkeys(check for cell in check_cells(notebook) for check in cell.checks))
        for notebook in plan.notebooks
    }


def verdict(outcome: RunOutcome, notebook: str, check: str) -> str:
    """One of "right", "not yet", "not reached", where the check has not spoken, and "not handed in"."""
    if notebook in outcome.missing:
        return "not handed in"
    said = outcome.verdicts.get(notebook, {}).get(check)
    return "not reached" if said is None else said.split(".")[0]


def write_grades(folder: Path, outcomes: list[RunOutcome], asked: dict[str, list[str]]) -> str:
    """Write `grades.csv`, a line per student and a column per exercise, and return its name."""
    columns = [(notebook, check) for notebook, checks in asked.items() for check in checks]
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(
        ["student", "status", "right", "of", "remarks", *(f"{notebook}: {check}" for notebook, check in columns)]
    )
    for one in sorted(outcomes, key=lambda one: one.student):
        verdicts = [verdict(one, notebook, check) for notebook, check in columns]
        table.writerow(
            [one.student, one.status, verdicts.count("right"), len(columns), "; ".join(one.remarks), *verdicts]
        )
    write_atomically(folder / GRADES, text.getvalue())
    return GRADES
