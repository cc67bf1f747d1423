"""Submissions: verdicts become grades, and one student's code reaches nobody else's files."""

import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from labhelpers.batch import isolation, supervisor
from labhelpers.batch.grades import exercises, verdict, write_grades
from labhelpers.batch.outcome import RunOutcome
from labhelpers.batch.pages import notebook_page
from labhelpers.batch.plans import load_plan
from labhelpers.batch.workers import _check_workers, run_batch
from labhelpers.errors import UsageError
from tests.support.paths import ROOT

WHY_NOT = isolation.why_not_isolated() if sys.platform == "linux" else "needs Linux"
needs_isolation = pytest.mark.skipif(WHY_NOT is not None, reason=f"cannot isolate: {WHY_NOT}")


@pytest.fixture
def cohort(write_notebook, tmp_path):
    """A function that makes a cohort for notebook 01_first: cohort(ada=[cell, …], …) -> the plan's file."""

    def write(text="", **students):
        for student, cells in students.items():
            path = write_notebook("01_first", *cells)
            (tmp_path / "cohort" / student).mkdir(parents=True)
            path.rename(tmp_path / "cohort" / student / path.name)
        write_notebook("01_first", "check_one(1)", "check_two(\n  2)\ncheck_one(3)")
        file = tmp_path / "plan.yaml"
        file.write_text(f"notebooks: [01_first]\nsubmissions: cohort\n{text}\n")
        return file

    return write


def inside(folder, code):
    """What Python code prints when it is run in isolation."""
    with tempfile.TemporaryDirectory() as root:
        command = isolation.isolated([sys.executable, "-c", code], folder, Path(root).resolve())
        done = subprocess.run(command, capture_output=True, text=True, env=isolation.environment(), timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def attempts(*statements):
    """Code that prints, per statement, "did it" or the class of what it raised."""
    lines = [f"try:\n    {statement}\n    print('did it')\nexcept BaseException as e: print(type(e).__name__)"
             for statement in statements]  # fmt: skip
    return "import os, socket, ctypes\n" + "\n".join(lines)


@needs_isolation
def test_isolated_code_sees_its_own_folder_and_no_other_file(tmp_path):
    own, other = tmp_path / "own", tmp_path / "other"
    own.mkdir()
    other.mkdir()
    (other / "secret").write_text("x")
    repository = ROOT
    code = attempts(
        f"open({str(own / 'mine')!r}, 'w').close()",
        f"open({str(other / 'secret')!r})",
        f"open({str(own)!r} + '/../other/secret')",
        f"os.listdir({str(repository / 'notebooks')!r})",
        f"open({str(repository / 'labhelpers' / 'planted.py')!r}, 'w')",
        f"os.kill({os.getpid()}, 0)",
        "socket.create_connection(('192.0.2.1', 80), timeout=3)",
        "ctypes.CDLL(None).unshare(0x10000000) and 1 / 0",  # a user namespace of its own: more rights
    )
    expected = ["did it", *["FileNotFoundError"] * 3, "OSError", "ProcessLookupError", "OSError", "ZeroDivisionError"]
    assert inside(own, code).splitlines() == expected
    assert (own / "mine").is_file() and not (repository / "labhelpers" / "planted.py").exists()


@needs_isolation
def test_isolated_code_sees_none_of_the_users_variables(tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "mine")
    assert "AWS_SECRET_ACCESS_KEY" not in inside(tmp_path, "import os; print(list(os.environ))")


def test_a_worker_that_cannot_isolate_is_refused_unless_the_plan_says_so(cohort):
    class Client:
        def run(self, function):
            return {"tcp://a": "no namespaces"} if function.__name__ == "why_not_isolated" else {}

    file = cohort(ada=["1"])
    with pytest.raises(UsageError, match="field 'submissions': worker tcp://a cannot isolate them .no namespaces."):
        _check_workers(Client(), load_plan(file))
    file.write_text(file.read_text() + "weak_isolation: true")
    _check_workers(Client(), load_plan(file))


def test_exercises_are_the_checks_that_the_courses_notebooks_call(cohort):
    assert exercises(load_plan(cohort(ada=["1"]))) == {"01_first": ["check_one", "check_two"]}


def test_verdicts_are_read_from_what_was_printed(tmp_path):
    (tmp_path / "notebooks").mkdir()
    said = ["check_one: not yet. Mask it.\n", "check_one: right.\ncheck_two: not yet. No.\nmy check_three: right.\n"]
    cells = [{"outputs": [{"output_type": "stream", "name": "stdout", "text": text}]} for text in said]
    (tmp_path / "notebooks" / "01_first.ipynb").write_text(json.dumps({"cells": cells}))
    found = supervisor._verdicts(tmp_path, ["01_first", "02_second"])
    assert found == {"01_first": {"check_one": "right.", "check_two": "not yet. No."}}
    outcome = RunOutcome("a1", verdicts=found)
    asked = [verdict(outcome, "01_first", check) for check in ("check_one", "check_two", "check_three")]
    assert asked == ["right", "not yet", "not reached"]


def test_grades_are_a_line_per_student(tmp_path):
    outcomes = [
        RunOutcome("b2", student="bob", status="failed"),
        RunOutcome(
            "a1", student="ada", status="finished", verdicts={"01": {"check_a": "right.", "check_b": "not yet. x"}}
        ),
    ]
    assert write_grades(tmp_path, outcomes, {"01": ["check_a", "check_b"]}) == "grades.csv"
    assert list(csv.reader((tmp_path / "grades.csv").open())) == [
        ["student", "status", "right", "of", "01: check_a", "01: check_b"],
        ["ada", "finished", "1", "2", "right", "not yet"],
        ["bob", "failed", "0", "2", "not reached", "not reached"],
    ]


def test_only_plain_files_of_a_submission_are_read(tmp_path):
    folder = tmp_path / "run"
    (folder / "notebooks").mkdir(parents=True)
    (tmp_path / "secret").write_text("x")
    (folder / "notebooks" / "01_first.ipynb").symlink_to(tmp_path / "secret")
    (folder / "link").symlink_to(tmp_path)
    (folder / "progress.json").hardlink_to(tmp_path / "secret")
    (folder / "notebooks" / "planted.html").write_text("<script>")
    os.mkfifo(folder / "results.json")
    supervisor._only_plain_files(folder)
    supervisor._only_asked_for(folder / "notebooks", ["01_first"])
    assert [path.name for path in folder.rglob("*")] == ["notebooks"]
    assert (tmp_path / "secret").read_text() == "x"


def test_a_students_page_runs_no_script(tmp_path):
    data = {"text/html": "<b>bold</b><script>alert(1)</script><img src=x onerror=alert(1)>"}
    output = {"output_type": "display_data", "data": data, "metadata": {}}
    cells = [
        {"cell_type": "code", "source": "1", "metadata": {}, "outputs": [output], "execution_count": 1},
        {"cell_type": "markdown", "source": "<script>alert(2)</script> [x](javascript:alert(3))", "metadata": {}},
    ]
    path = tmp_path / "01.ipynb"
    path.write_text(json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 4}))
    page = notebook_page(path, sanitize=True)
    assert "<script" not in page and "<img" not in page and 'href="javascript' not in page
    assert "Content-Security-Policy" in page
    assert "<b>bold</b>" in page


def test_an_error_in_one_exercise_does_not_hide_the_next():
    cells = [{"cell_type": "code", "source": "1 / 0", "metadata": {}}, {"cell_type": "markdown", "source": ""}]
    tagged = json.loads(supervisor._go_on_after_errors(json.dumps({"cells": cells}).encode()))
    assert tagged["cells"][0]["metadata"]["tags"] == ["raises-exception"]
    assert supervisor._go_on_after_errors(b"no notebook") == b"no notebook"


@pytest.mark.slow
@needs_isolation
def test_a_hostile_submission_costs_only_itself(cohort, tmp_path):
    secret = tmp_path / "cohort" / "ada" / "01_first.ipynb"
    good = ["print('check_one: right.')", "1 / 0", "print('check_two: not yet. Mask it.')"]
    file = cohort(
        "timeout_minutes: 0.7\nmemory_gb: 2",
        ada=good,
        eats=["held = bytearray(10_000_000_000)", "print('check_one: right.')"],
        forks=["import os\nwhile True: os.fork()"],
        loops=["while True: pass"],
        prints=["for _ in range(1000): print('x' * 100_000)", "print('check_one: right.')"],
        reads=[f"print(open({str(secret)!r}).read())"],
        writes=["open('../../planted', 'w').write('x')\nopen('../planted', 'w').write('x')", "1"],
        zoe=good,
    )
    before = set(os.listdir(tmp_path))
    began = time.monotonic()
    rows, _ = run_batch(file, tmp_path / "out", workers=2)
    found = {row.student: row for row in rows}
    assert time.monotonic() - began < 300
    for student in ("ada", "zoe"):
        assert found[student].status == "failed" and "ZeroDivisionError" in found[student].reason
    assert "MemoryError" in found["eats"].reason
    assert found["forks"].status in ("over limit", "failed", "kernel died", "timeout")
    assert found["loops"].status == "timeout"
    assert found["prints"].status == "finished"
    assert (tmp_path / "out" / found["prints"].id / "notebooks" / "01_first.ipynb").stat().st_size < 5_000_000
    assert "FileNotFoundError" in found["reads"].reason
    assert set(os.listdir(tmp_path)) == before | {"out"}
    assert not list(tmp_path.rglob("cohort/**/planted")) and not (tmp_path / "out" / "planted").exists()
    grades = {line["student"]: line for line in csv.DictReader((tmp_path / "out" / "grades.csv").open())}
    assert [grades["ada"][f"01_first: check_{name}"] for name in ("one", "two")] == ["right", "not yet"]
    assert grades["prints"]["right"] == grades["eats"]["right"] == "1" and grades["loops"]["right"] == "0"
