"""Submissions: verdicts become grades, and one student's code reaches nobody else's files."""

import csv
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat
import pytest

from labhelpers.batch import isolation, supervisor
from labhelpers.batch.grades import Answer, answers, exercises, write_grades
from labhelpers.batch.outcome import RunOutcome
from labhelpers.batch.plans import expand, load_plan
from labhelpers.batch.submissions import check_cells, with_checks
from labhelpers.batch.workers import _check_workers, run_batch
from labhelpers.checks.verdict import VERDICT_MIME
from labhelpers.errors import UsageError
from tests.support.batch_jobs import job
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
        solved = ["# solution\nmy_guess = 1\n# end solution\n\ncheck_preferred(my_guess)"]
        solved += ["# solution\nmy_share = 1.0\n# end solution\ncheck_leak(\n  my_share)"]
        write_notebook("01_first", "from labhelpers.checks import check_leak, check_preferred", *solved)
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
    assert exercises(load_plan(cohort(ada=["1"]))) == {"01_first": ["check_preferred", "check_leak"]}


def test_a_verdict_is_what_was_handed_over():
    said = {
        "check_one": "right.",
        "check_two": "not yet. No,\n no.",
        "check_three": "rightish",
        "check_alien": "right.",
    }
    outcome = RunOutcome("a1", missing=["02"], verdicts={"01_a": said})
    asked = {"01_a": ["check_one", "check_two", "check_three", "check_four"], "02": ["check_one"]}
    assert answers(outcome, asked) == [
        Answer("01_a", "check_one", "right"),
        Answer("01_a", "check_two", "not yet", "No, no."),
        Answer("01_a", "check_three", "not yet", "rightish"),
        Answer("01_a", "check_four", "not reached"),
        Answer("02", "check_one", "not handed in"),
    ]
    assert [one.name for one in answers(outcome, asked)] == ["01 one", "01 two", "01 three", "01 four", "02 one"]


def test_grades_are_a_line_per_student(tmp_path):
    outcomes = [
        RunOutcome("b2", student="bob", status="failed", missing=["01"], remarks=["01: other notebook"]),
        RunOutcome(
            "a1", student="ada", status="finished", verdicts={"01": {"check_a": "right.", "check_b": "not yet. x"}}
        ),
    ]
    assert write_grades(tmp_path, outcomes, {"01": ["check_a", "check_b"]}) == "grades.csv"
    lines = [line[:7] for line in csv.reader((tmp_path / "grades.csv").open())]
    assert lines == [
        ["student", "status", "right", "of", "remarks", "01: check_a", "01: check_b"],
        ["ada", "finished", "1", "2", "", "right", "not yet"],
        ["bob", "failed", "0", "2", "01: other notebook", "not handed in", "not handed in"],
    ]


def test_grades_have_what_learning_platforms_import(tmp_path):
    verdicts = {"01": {"check_a": "right.", "check_b": "not yet. the sign, is <b>."}}
    outcomes = [
        RunOutcome("a1", student="Ada Lee", student_id="444", status="finished", verdicts=verdicts),
        RunOutcome("b2", student="bob", status="failed", missing=["01"], remarks=["01: other notebook (x)"]),
    ]
    write_grades(tmp_path, outcomes, {"01": ["check_a", "check_b"]})
    ada, bob = csv.DictReader((tmp_path / "grades.csv").open(newline=""))
    # Moodle's grading worksheet needs these three headings, and knows a participant by "Participant NUMBER".
    assert (ada["Identifier"], ada["Grade"], ada["Last modified (grade)"]) == ("Participant 444", "1", "")
    assert (ada["student id"], ada["Maximum grade"], bob["student id"], bob["Identifier"]) == ("444", "2", "bob", "")
    assert ada["Feedback comments"] == "1 of 2 right.\n01 a: right.\n01 b: not yet. the sign, is &lt;b&gt;."
    assert bob["Feedback comments"].splitlines()[-1] == "01: other notebook (x)"


def test_no_cell_of_the_grades_is_a_formula(tmp_path):
    outcomes = [RunOutcome("a1", student="=1+1", verdicts={"01": {"check_a": "=HYPERLINK()"}}, status="finished")]
    write_grades(tmp_path, outcomes, {"01": ["check_a"]})
    (line,) = csv.DictReader((tmp_path / "grades.csv").open(newline=""))
    assert line["student"] == line["student id"] == "'=1+1"
    assert not [cell for cell in line.values() if cell.startswith("=")]


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


@pytest.fixture
def run(cohort, tmp_path):
    """A function that carries out one student's cells as a submission to 01_first: run(cell, …) -> its outcome."""

    def carry_out(*cells):
        plan = load_plan(cohort(ada=cells))
        (planned,) = expand(plan)
        graded = with_checks(planned.notebooks["01_first"].read_bytes(), check_cells(plan.notebooks[0]))
        carry_out.executed = tmp_path / "run" / "notebooks" / "01_first.ipynb"
        given = {"files": {"01_first.ipynb": graded}, "todo": planned.todo(), "timeout_minutes": 2}
        return supervisor.execute(job(tmp_path / "run", **given))

    return carry_out


BEGIN = "from labhelpers.checks import check_leak, check_preferred"
RIGHT = {"check_preferred": "right.", "check_leak": "right."}


@pytest.mark.parametrize(
    "before",
    [
        'print("mine", end=" ")',
        "for step in range(5): print(f'\\r{step}', end='')",
        "from IPython.display import clear_output\nfor _ in range(60): clear_output(wait=True); print('x' * 50_000)",
        "import sys, io\nsys.stdout = io.StringIO()",
    ],
    ids=["a line begun", "progress", "cleared", "redirected"],
)
def test_no_output_of_a_students_loses_a_verdict(run, before):
    cells = [
        BEGIN,
        f"my_guess = 1\n{before}\ncheck_preferred(my_guess)",
        f"{before}\nmy_share = 1.0\ncheck_leak(my_share)",
    ]
    outcome = run(*cells)
    assert (outcome.status, outcome.verdicts) == ("finished", {"01_first": RIGHT})


def test_what_a_student_prints_is_no_verdict(run):
    forged = "print('check_preferred: right.')\ndef check_leak(share): print('check_leak: right.')"
    outcome = run(forged, "my_guess = 0\nprint('check_preferred: right.')", "my_share = 0.1\ncheck_leak(my_share)")
    said = outcome.verdicts["01_first"]
    assert said["check_preferred"].startswith("not yet. that column") and said["check_leak"].startswith("not yet.")


def test_a_verdict_counts_only_from_the_courses_own_call(run):
    """Checking another function, in the exercise's cell or elsewhere, or sending a message of one's own."""
    send = "from IPython.display import publish_display_data\n"
    send += "for name in ('check_preferred', 'check_leak'):\n"
    send += f"    publish_display_data({{{VERDICT_MIME!r}: {{'check': name, 'message': 'right.'}}}})"
    outcome = run(BEGIN, "check_preferred(1)\nmy_guess = 0", send, f"{send}\ncheck_leak(1.0)\n1 / 0")
    assert outcome.verdicts["01_first"].keys() == {"check_preferred"}
    assert outcome.verdicts["01_first"]["check_preferred"].startswith("not yet.")


def test_cells_are_counted_as_the_student_does(run):
    """Though parameters are injected before the error, and a check is put back."""
    outcome = run(BEGIN, "my_guess = 1\ncheck_preferred(my_guess)", "my_share = 1.0\n1 / 0")
    assert (outcome.status, outcome.place) == ("failed", "In [4]")  # the cell of the parameters is the first
    assert any("ZeroDivisionError" in line for line in outcome.last_lines)
    cells = nbformat.read(run.executed, 4).cells
    counts = [cell.execution_count for cell in cells if cell.cell_type == "code"]
    assert counts == [1, None, 2, 3, None, 4, None]
    assert "Cell In[4], line 2" in re.sub(r"\x1b\[[0-9;]*m", "", "".join(cells[-2].outputs[0].traceback))


def test_an_unreadable_notebook_is_told_without_the_instructors_folders(cohort, tmp_path):
    (planned,) = expand(load_plan(cohort(ada=["1"])))
    given = {"files": {"01_first.ipynb": b"{ no notebook"}, "todo": planned.todo(), "timeout_minutes": 2}
    outcome = supervisor.execute(job(tmp_path / "run", **given))
    assert outcome.reason.startswith("01_first.ipynb cannot be read as a notebook: ")


def test_a_killed_kernel_is_told_by_the_students_count(run):
    outcome = run(BEGIN, "my_guess = 1\ncheck_preferred(my_guess)", "import os, signal; os.kill(os.getpid(), 9)")
    assert (outcome.status, outcome.place) == ("kernel died", "In [4]")
    assert outcome.verdicts == {"01_first": {"check_preferred": "right."}}


def test_a_check_whose_exercise_has_failed_is_not_reached_and_blames_nobody_else(run):
    outcome = run(BEGIN, "my_guess == 1", "my_share = 1.0")
    assert outcome.place == "In [3]" and outcome.verdicts["01_first"] == {"check_leak": "right."}
    assert "name 'my_guess' is not defined" in outcome.reason


@pytest.mark.slow
@needs_isolation
def test_a_hostile_submission_costs_only_itself(cohort, tmp_path):
    secret = tmp_path / "cohort" / "ada" / "01_first.ipynb"
    good = [BEGIN, "my_guess = 1\ncheck_preferred(my_guess)", "my_share = 0.1\n1 / 0"]
    answered = "my_guess = 1\ncheck_preferred(my_guess)"
    file = cohort(
        "timeout_minutes: 0.7\nmemory_gb: 2",
        ada=good,
        eats=[BEGIN + "\nheld = bytearray(10_000_000_000)", answered],
        forks=["import os\nwhile True: os.fork()"],
        loops=["while True: pass"],
        prints=[BEGIN + "\nfor _ in range(1000): print('x' * 100_000)", answered + "\nmy_share = 1.0"],
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
    assert [grades["ada"][f"01_first: check_{name}"] for name in ("preferred", "leak")] == ["right", "not yet"]
    assert grades["prints"]["right"] == "2" and grades["eats"]["right"] == "1" and grades["loops"]["right"] == "0"
