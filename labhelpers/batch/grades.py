"""Grades of a cohort: the checks' verdicts by student and exercise, as the checks printed them."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

from labhelpers.batch.outcome import RunOutcome
from labhelpers.batch.plans import Plan
from labhelpers.files import write_atomically

GRADES = "grades.csv"
_CALL = re.compile(r"^\s*(check_\w+)\(", re.MULTILINE)


def exercises(plan: Plan) -> dict[str, list[str]]:
    """The checks that the course's own notebooks call, `{notebook: [check]}`: what a submission can be graded by."""
    found = {}
    for notebook in plan.notebooks:
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        source = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
        found[notebook.stem] = list(dict.fromkeys(_CALL.findall(source)))
    return found


def verdict(outcome: RunOutcome, notebook: str, check: str) -> str:
    """One of "right", "not yet", and "not reached", which is where the check has printed nothing."""
    said = outcome.verdicts.get(notebook, {}).get(check)
    return "not reached" if said is None else said.split(".")[0]


def write_grades(folder: Path, outcomes: list[RunOutcome], asked: dict[str, list[str]]) -> str:
    """Write `grades.csv`, a line per student and a column per exercise, and return its name."""
    columns = [(notebook, check) for notebook, checks in asked.items() for check in checks]
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(["student", "status", "right", "of", *(f"{notebook}: {check}" for notebook, check in columns)])
    for one in sorted(outcomes, key=lambda one: one.student):
        verdicts = [verdict(one, notebook, check) for notebook, check in columns]
        table.writerow([one.student, one.status, verdicts.count("right"), len(columns), *verdicts])
    write_atomically(folder / GRADES, text.getvalue())
    return GRADES
