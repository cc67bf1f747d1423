"""What is handed in: whose a file is, which notebook it is, and where the course's own checks go."""

import json
import os

import pytest

from labhelpers.batch.plans import expand, load_plan
from labhelpers.batch.submissions import asked_checks, check_cells, is_added, read_submissions, with_checks
from labhelpers.course.exercises import write_exercises
from labhelpers.errors import UsageError

PREFERRED = "# solution\nmy_guess = 1\n# end solution\n\nprint(run)\ncheck_preferred(my_guess)"
LEAK = "# solution\nmy_share = 1.0\n# end solution\ncheck_leak(my_share)\ncheck_unknown(\n 1)"


@pytest.fixture
def masters(write_notebook):
    """The course's notebooks 01_first and 02_second, each of which says its name."""
    first = write_notebook("01_first", "run = start('01_first', profile)", PREFERRED)
    return [first, write_notebook("02_second", 'run = start(\n    "02_second",\n    profile)', LEAK)]


@pytest.fixture
def hand_in(masters, tmp_path):
    """A function that puts files where students do: hand_in({"fay/02 (1).ipynb": the master to copy or bytes, …})."""

    def put(files):
        for seconds, (name, content) in enumerate(files.items()):
            path = tmp_path / "handed-in" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.read_bytes())
            os.utime(path, (1_000_000 + seconds, 1_000_000 + seconds))
        return {one.student: one for one in read_submissions(tmp_path / "handed-in", masters)}

    return put


def taken(submission):
    return {name: path.name for name, path in submission.notebooks.items()}


@pytest.mark.parametrize(
    "name", ["02_second (1).ipynb", "02_second-1.ipynb", "Copy of 02 second.ipynb", "final.ipynb", "01_mine.ipynb"]
)
def test_a_notebook_is_known_by_its_own_name(hand_in, masters, name):
    fay = hand_in({f"fay/{name}": masters[1]})["fay"]
    assert (taken(fay), fay.missing, fay.remarks) == ({"02_second": name}, ("01_first",), ())


def test_the_name_in_a_learners_copy_stays_when_its_first_cell_is_gone(hand_in, masters, tmp_path):
    copy = write_exercises(tmp_path / "copies")[1]
    document = json.loads(copy.read_text())
    document["cells"] = document["cells"][2:]
    assert taken(hand_in({"fay/x.ipynb": json.dumps(document).encode()})["fay"]) == {"02_second": "x.ipynb"}


@pytest.mark.parametrize("name", ["02_second.ipynb", "02_second (1).ipynb", "02_second-1.ipynb", "my 02_second.ipynb"])
def test_where_a_notebook_says_no_name_that_of_its_file_counts(hand_in, name):
    assert taken(hand_in({f"fay/{name}": b"unreadable"})["fay"]) == {"02_second": name}
    assert taken(hand_in({"gus/102_second_b.ipynb": b"unreadable"})["gus"]) == {}


def test_of_two_files_the_newest_is_taken_and_that_is_said(hand_in, masters):
    files = {"fay/02_second (1).ipynb": masters[1], "fay/02_second.ipynb": masters[1], "fay/01_first.ipynb": masters[0]}
    fay = hand_in(files)["fay"]
    assert taken(fay) == {"01_first": "01_first.ipynb", "02_second": "02_second.ipynb"}
    assert fay.remarks == ("02_second: twice (newest taken: 02_second.ipynb)",)


def test_another_notebook_under_that_name_is_not_taken_for_it(hand_in, masters):
    fay = hand_in({"fay/02_second.ipynb": masters[0]})["fay"]
    assert taken(fay) == {"01_first": "02_second.ipynb"} and fay.missing == ("02_second",)
    assert fay.remarks == ("02_second: other notebook (02_second.ipynb holds 01_first)",)


def test_exports_of_learning_platforms_are_read(hand_in, masters):
    found = hand_in(
        {
            "ada_12345_01_first.ipynb": masters[0],
            "ada_12345_67890_02_second-1.ipynb": masters[1],
            "ada_12345_rankings.jsonl": b"{}",
            "bob_LATE_222_333_01_first.ipynb": masters[0],
            "Cy Lee_444_assignsubmission_file_/01_first.ipynb": masters[0],
            "Di_555_assignsubmission_file_01_first.ipynb": b"unreadable",
            "eve_661_01_first.ipynb": masters[0],
            "eve_662_01_first.ipynb": masters[0],
        }
    )
    students = ["Cy Lee_444_assignsubmission_file_", "Di", "ada", "bob", "eve_661", "eve_662"]
    assert list(found) == students and all("01_first" in taken(one) for one in found.values())
    numbers = {student: one.student_id for student, one in found.items()}
    assert numbers == dict(zip(students, ["444", "555", "12345", "222", "661", "662"], strict=True))
    assert taken(found["ada"])["02_second"] == "ada_12345_67890_02_second-1.ipynb"
    assert list(found["ada"].others) == ["rankings.jsonl"]


def test_what_archives_and_file_systems_add_is_no_student(hand_in, masters):
    names = ["__MACOSX/._01_first.ipynb", "lost+found/01_first.ipynb", ".git/01_first.ipynb", ".DS_Store"]
    names += ["ada/01_first.ipynb", "ada/._01_first.ipynb", "__MACOSX/ada/._01_first.ipynb", "._ada_123_01_first.ipynb"]
    found = hand_in(dict.fromkeys(names, masters[0]))
    assert list(found) == ["ada"] and taken(found["ada"]) == {"01_first": "01_first.ipynb"}
    assert not found["ada"].others and not found["ada"].remarks


def test_a_notebook_without_a_students_name_is_not_left_out_silently(hand_in, masters, tmp_path):
    with pytest.raises(UsageError, match="holds 01_first.ipynb, and nothing says which student it is from: put it"):
        hand_in({"ada/01_first.ipynb": masters[0], "01_first.ipynb": masters[0]})
    (tmp_path / "plan.yaml").write_text("notebooks: [01]\nsubmissions: handed-in")
    with pytest.raises(UsageError, match="field 'submissions': .* nothing says which student it is from"):
        load_plan(tmp_path / "plan.yaml")


def test_a_folder_of_ones_own_has_no_number_and_any_name(hand_in, masters):
    files = {"team_2024_b/01_first.ipynb": masters[0], os.fsdecode(b"Ren\xe9/01_first.ipynb"): masters[0]}
    found = hand_in(files)
    assert list(found) == [r"Ren\xe9", "team_2024_b"] and found["team_2024_b"].student_id is None
    assert all(taken(one) for one in found.values())


def test_a_run_is_another_when_what_grades_it_is(hand_in, masters, tmp_path):
    hand_in({"ada/01_first.ipynb": masters[0]})
    (tmp_path / "plan.yaml").write_text("notebooks: [01]\nsubmissions: handed-in")
    (before,) = expand(load_plan(tmp_path / "plan.yaml"))
    masters[0].write_text(masters[0].read_text().replace("check_preferred(my_guess)", "check_leak(my_guess)"))
    assert expand(load_plan(tmp_path / "plan.yaml"))[0].id != before.id


def test_the_courses_checks_come_with_what_they_need_and_without_the_solution(masters):
    (preferred,), (leak,) = check_cells(masters[0]), check_cells(masters[1])
    begin = "# The course's own check, put back for grading.\nfrom labhelpers.checks import"
    assert preferred.source == f"{begin} check_preferred\nprint(run)\ncheck_preferred(my_guess)"
    assert leak.source == f"{begin} check_leak\ncheck_leak(my_share)\ncheck_unknown(\n 1)"
    assert (preferred.id, leak.checks) == ("cell-1", ("check_leak", "check_unknown"))


def prepared(*cells, graded):
    cells = [{"cell_type": "code", "source": source, "metadata": {}, "id": name} for name, source in cells]
    notebook = {"cells": cells, "nbformat": 4, "nbformat_minor": 5}
    return json.loads(with_checks(json.dumps(notebook).encode(), graded))["cells"]


@pytest.mark.parametrize(
    "cells, place",
    [
        ([("a", "1"), ("cell-1", "my_guess = 0"), ("b", "check_preferred(2)")], 2),
        ([("a", "check_preferred(1)"), ("c", "my_guess = 2\ncheck_preferred(my_guess)"), ("b", "3")], 2),
        ([("a", "1"), ("c", "my_guess = 2")], 2),
        ([], 0),
    ],
    ids=["same id", "last call", "neither", "no cell"],
)
def test_a_check_is_put_back_behind_its_exercise(masters, cells, place):
    found = prepared(*cells, graded=check_cells(masters[0]))
    assert [is_added(cell) for cell in found] == [number == place for number in range(len(cells) + 1)]
    assert asked_checks(found[place]) == ("check_preferred",)
    assert [cell["id"] for cell in found if not is_added(cell)] == [name for name, _ in cells]


def test_a_student_cannot_mark_a_cell_as_the_courses(masters):
    cell = {"cell_type": "code", "source": "1", "metadata": {"labhelpers": {"graded": ["check_preferred"]}}}
    content = json.dumps({"cells": [cell], "nbformat": 4, "nbformat_minor": 4}).encode()
    first, added = json.loads(with_checks(content, check_cells(masters[0])))["cells"]
    assert not is_added(first) and is_added(added)


def test_an_error_in_one_exercise_does_not_hide_the_next():
    cells = [{"cell_type": "code", "source": "1 / 0", "metadata": {}}, {"cell_type": "markdown", "source": ""}]
    tagged = json.loads(with_checks(json.dumps({"cells": cells}).encode(), []))
    assert tagged["cells"][0]["metadata"]["tags"] == ["raises-exception"]


@pytest.mark.parametrize("content", [b"no notebook", b"[" * 100_000, b'{"cells": 1}', b"\xff"])
def test_what_is_no_notebook_is_left_for_the_run_to_say(content):
    assert with_checks(content, []) == content
