"""labs exercises --format nbgrader: what nbgrader makes of it, by its rules, and (slow) by nbgrader itself."""

import csv
import importlib.util
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from labhelpers import cli
from labhelpers.course.exercises import learner_copy
from labhelpers.course.nbgrader import SETTINGS, instructor_version, released
from labhelpers.course.solutions import cut_solutions
from labhelpers.errors import NotebookError
from tests.support.paths import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
IMPORTS = "from labhelpers.checks import check_leak, check_preferred"


def roles(notebook):
    """The cells of a notebook that nbgrader knows: [(grade_id, points or None, source)]."""
    cells = [cell for cell in notebook.cells if "nbgrader" in cell.metadata]
    return [(c.metadata.nbgrader.grade_id, c.metadata.nbgrader.get("points"), c.source) for c in cells]


def test_an_exercise_becomes_a_solution_and_a_locked_check(write_notebook):
    exercise = "a = 1\n# solution\nx = 5  # so\n# end solution\n\nb = 2\ncheck_leak(x,\n  b)  # now\n"
    path = write_notebook("01_first", IMPORTS, exercise)
    made = nbformat.reads(instructor_version(path), 4)
    nbformat.validate(made)
    assert made.metadata["labhelpers"] == {"notebook": "01_first"}
    assert [cell.id for cell in made.cells] == ["parameters", "cell-0", "cell-1", "cell-1-check"]
    solution = "a = 1\n# TODO: your answer\nx = None  # so\n### BEGIN SOLUTION\nx = 5  # so\n### END SOLUTION"
    check = "from labhelpers.checks import check_leak\n\nb = 2\nassert check_leak(x,\n  b)  # now"
    assert roles(made) == [("cell-1", None, solution), ("cell-1-check", 1, check)]
    both = [cell.metadata.nbgrader for cell in made.cells[2:]]
    assert [(one.solution, one.grade, one.locked) for one in both] == [(True, False, False), (False, True, True)]


def test_every_check_is_a_cell_and_a_point_of_its_own(write_notebook):
    cell = "check_leak(0)\na = 1\n# solution\nx = 5\n# end solution\ncheck_mine(x)\ncheck_leak(x)\nprint(x)"
    path = write_notebook("01_first", IMPORTS, "def check_mine(x): return x", cell, "check_leak(2)")
    imported = "from labhelpers.checks import check_leak\n"
    assert [
        (name, source) for name, points, source in roles(nbformat.reads(instructor_version(path), 4)) if points
    ] == [
        ("cell-2", imported + "assert check_leak(0)"),
        ("cell-2-check", "assert check_mine(x)"),
        ("cell-2-check-2", imported + "assert check_leak(x)"),
        ("cell-3", imported + "assert check_leak(2)"),
    ]


@pytest.mark.parametrize(
    "source, words",
    [
        ("ok = check_leak(1)", "lines of its own"),
        ("for _ in range(2):\n    check_leak(1)", "lines of its own"),
        ("a = 1; check_leak(1)", "lines of its own"),
        ("print(check_leak(1))", "lines of its own"),
        ("# solution\nx = 'END SOLUTION'\ny = 6\n# end solution", "BEGIN SOLUTION or END SOLUTION"),
        ("text = '''\nBEGIN SOLUTION'''", "BEGIN SOLUTION or END SOLUTION"),
        ("# solution\nx = 5", "is alone"),
    ],
)
def test_what_nbgrader_would_not_grade_or_not_cut_is_refused(write_notebook, source, words):
    path = write_notebook("01_first", IMPORTS, source)
    with pytest.raises(NotebookError, match=words) as caught:
        instructor_version(path)
    assert (caught.value.notebook, caught.value.cell) == ("01_first", 3)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_nbgrader_releases_of_every_notebook_is_the_learner_copy(path):
    """Cell by cell the placeholders of the plain copy and the same checks. What nobody answers stays as it is."""
    made = nbformat.reads(instructor_version(path), 4)
    plain = nbformat.reads(learner_copy(path), 4)
    for cell in [cell for cell in plain.cells if cell.cell_type == "code"]:
        parts = [one for one in made.cells if one.id == cell.id or one.id.startswith(f"{cell.id}-check")]
        if not any("nbgrader" in part.metadata for part in parts):
            assert [part.source for part in parts] == [cell.source]
            continue
        lines = "\n".join(released(part.source) for part in parts).splitlines()
        lines = [line.removeprefix("assert ") for line in lines if not line.startswith("from labhelpers.checks import")]
        assert [line for line in lines if line] == [line for line in cell.source.splitlines() if line]
    asked = sum(bool(re.search(r"^check_\w+\(", cell.source, re.MULTILINE)) for cell in plain.cells)
    assert sum(points or 0 for _, points, _ in roles(made)) == asked >= 2


def test_the_folder_of_a_course_and_what_is_there_already(write_notebook, tmp_path, capsys):
    write_notebook("01_first", "1 + 1")
    write_notebook("02_second", "2 + 2")
    course = tmp_path / "course"
    arguments = ["exercises", str(course), "--format", "nbgrader"]
    assert cli.main([*arguments[:2], "01", *arguments[2:]]) == 0
    files = {path.relative_to(course).as_posix() for path in course.rglob("*") if path.is_file()}
    assert files == {"source/01_first/01_first.ipynb", "nbgrader_config.py"}
    assert (course / "nbgrader_config.py").read_text() == SETTINGS
    (course / "nbgrader_config.py").write_text("# mine")
    capsys.readouterr()
    assert cli.main(arguments) == 2
    assert "01_first.ipynb" in capsys.readouterr().err
    assert cli.main([*arguments, "--force"]) == 0
    assert "nbgrader_config.py was there and is kept" in capsys.readouterr().out
    assert (course / "nbgrader_config.py").read_text() == "# mine"
    for wrong in ("--update", "--release=x.zip"):
        assert cli.main([*arguments, wrong]) == 2
        assert "plain copies" in capsys.readouterr().err


def answered(copy, answers):
    """A released copy with these answers behind the placeholders: cell id -> code."""
    for cell in copy.cells:
        if cell.id in answers:
            cell.source += f"\n{answers[cell.id]}"
    return copy


def nbgrader(course, *arguments):
    """One of nbgrader's commands in the root of a course. It calls alembic, which is beside this Python, by name."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    command = [sys.executable, "-m", "nbgrader", *arguments]
    done = subprocess.run(command, cwd=course, capture_output=True, text=True, env=os.environ | {"PATH": path})
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stderr


def scores(course):
    """By the database in which nbgrader keeps its grades: student -> (points, points to be had)."""
    query = """SELECT student.id, SUM(grade.auto_score), SUM(grade_cells.max_score) FROM grade
        JOIN grade_cells ON grade.cell_id = grade_cells.id
        JOIN submitted_notebook ON grade.notebook_id = submitted_notebook.id
        JOIN submitted_assignment ON submitted_notebook.assignment_id = submitted_assignment.id
        JOIN student ON submitted_assignment.student_id = student.id GROUP BY student.id"""
    with sqlite3.connect(course / "gradebook.db") as database:
        return {student: (got, most) for student, got, most in database.execute(query)}


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("nbgrader") is None,
    reason="nbgrader is no part of the course's environment; docs/teaching.md says how this test is run with it",
)
@pytest.mark.parametrize(
    "name, mistakes",
    [
        ("00_rlhf_tour", {"00-exercise-returns": "def my_returns(rewards, gamma):\n    return rewards"}),
        ("02_human_feedback", {"02-exercise-preferred": "my_guess = 0", "02-exercise-leak": "my_share = 0.2"}),
    ],
)
def test_nbgrader_releases_no_solution_and_grades_full_partial_none(name, mistakes, tmp_path):
    """generate_assignment, then autograde of four copies: right, with mistakes, untouched, and without its checks."""
    course = tmp_path / "course"
    assert cli.main(["exercises", str(course), name, "--format", "nbgrader"]) == 0
    nbgrader(course, "generate_assignment", name)
    release = course / "release" / name / f"{name}.ipynb"
    master = {cell.id: cell for cell in nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", 4).cells}
    right = {}
    for cell in nbformat.read(release, 4).cells:
        if cell.metadata.get("nbgrader", {}).get("solution"):
            original = master[cell.id].source
            assert cell.source.strip("\n") == cut_solutions(original).split("\n\n")[0]
            right[cell.id] = original.split("# solution\n")[1].split("# end solution")[0]
            assert right[cell.id] not in release.read_text()
    assert len(right) >= 2
    hands_in = {"right": right, "wrong": right | mistakes, "untouched": {}}
    for student, answers in hands_in.items():
        place = course / "submitted" / student / name
        place.mkdir(parents=True)
        nbformat.write(answered(nbformat.read(release, 4), answers), place / release.name)
    # Somebody who has overwritten the locked cells, and answered nothing.
    cheating = nbformat.read(release, 4)
    for cell in cheating.cells:
        if cell.metadata.get("nbgrader", {}).get("grade"):
            cell.source = "print('right.')"
    (course / "submitted" / "cheating" / name).mkdir(parents=True)
    nbformat.write(cheating, course / "submitted" / "cheating" / name / release.name)
    nbgrader(course, "autograde", name)
    most = len(right)
    found = scores(course)
    assert found == {
        "right": (most, most),
        "wrong": (most - len(mistakes), most),
        "untouched": (0, most),
        "cheating": (0, most),
    }
    assert all((course / "autograded" / student / ".run" / "results.json").is_file() for student in found)
    if name == "02_human_feedback":
        assert rights_in_a_cohort(course, name) == {student: got for student, (got, _) in found.items()}


def rights_in_a_cohort(course, name):
    """What `labs batch` says of the same submissions, which are ours: student -> how many exercises are right."""
    for path in (course / "submitted").glob(f"*/{name}/{name}.ipynb"):
        (course / "cohort" / path.parts[-3]).mkdir(parents=True)
        shutil.copy(path, course / "cohort" / path.parts[-3])
    (course / "plan.yaml").write_text(f"notebooks: [{name}]\nsubmissions: cohort\nweak_isolation: true\n")
    cli.main(["batch", str(course / "plan.yaml"), "--output-dir", str(course / "graded")])
    with open(course / "graded" / "grades.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    verdicts = {row["student"]: [value for name, value in row.items() if ": check_" in name] for row in rows}
    return {student: said.count("right") for student, said in verdicts.items()}
