"""Bringing a learner copy up to date: nothing that somebody has written is lost, and the rest is the course's."""

import json

import nbformat
import pytest

from labhelpers import cli
from labhelpers.course import exercises, handed_out
from labhelpers.course.exercises import update_exercises, write_exercises
from labhelpers.course.handed_out import update
from labhelpers.errors import LabError, UsageError

EXERCISE = "# solution\nx = 5\n# end solution\ncheck_x(x)"


def cells(path):
    """Of every cell but the first: its id, its source, whether it has outputs."""
    return [(one.id, one.source, bool(one.outputs)) for one in nbformat.read(path, 4).cells[1:]]


@pytest.fixture
def course(write_notebook, tmp_path):
    """A function that states what the notebook 01_first of the course is: course(id=source, …), in that order."""

    def state(**sources):
        path = write_notebook("01_first")
        notebook = nbformat.read(path, 4)
        notebook.cells[1:] = [nbformat.v4.new_code_cell(source, id=name) for name, source in sources.items()]
        nbformat.write(notebook, path)

    return state


@pytest.fixture
def copy(course, tmp_path):
    """A copy in which somebody has worked: `a` and `d` untouched, `b` answered, `c` deleted, `mine` added behind b."""
    course(a="1", b=EXERCISE, c="3", d="4")
    (path,) = write_exercises(tmp_path / "mine")
    notebook = nbformat.read(path, 4)
    _, a, b, _, d = notebook.cells
    b.source = b.source.replace("x = None", "x = 6")
    for cell in (a, b):
        cell.outputs = [nbformat.v4.new_output("stream", text="1\n")]
    added = nbformat.v4.new_code_cell("print('mine')", id="mine")
    notebook.cells = [notebook.cells[0], a, b, added, d]
    nbformat.write(notebook, path)
    return path


ANSWERED = "# TODO: your answer\nx = 6\ncheck_x(x)"
WORKED = [("a", "1", True), ("b", ANSWERED, True), ("mine", "print('mine')", False), ("d", "4", False)]


def test_without_news_from_the_course_everything_stays(copy):
    assert update_exercises(copy.parent) == ([copy], [])
    assert cells(copy) == WORKED
    before = copy.read_bytes()
    update_exercises(copy.parent)
    assert copy.read_bytes() == before


def test_what_nobody_touched_becomes_new_and_the_rest_stays(course, copy):
    course(zero="0", a="one", b=EXERCISE, c="3", d="4", e="5")
    assert update_exercises(copy.parent)[1] == []
    a, rest = ("a", "one", False), WORKED[1:]
    assert cells(copy) == [("zero", "0", False), a, *rest, ("e", "5", False)]
    course(a="one", b=EXERCISE, e="5")
    assert update_exercises(copy.parent)[1] == []
    assert cells(copy) == [a, *rest[:2], ("e", "5", False)]


def test_what_both_changed_stays_and_is_named_once(course, copy):
    course(a="1", b=EXERCISE + "  # new", c="three", d="4")
    _, remarks = update_exercises(copy.parent)
    assert [remark.split(" by the course")[0] for remark in remarks] == [
        "01_first: cell b was changed",
        "01_first: cell c was changed",
    ]
    assert "stays as it is here" in remarks[0] and "stays deleted" in remarks[1]
    assert cells(copy) == WORKED
    assert update_exercises(copy.parent)[1] == []
    course(a="1", d="4")
    assert "cell b was dropped by the course" in update_exercises(copy.parent)[1][0]
    assert cells(copy) == WORKED


def test_the_same_change_on_both_sides_is_no_conflict(course, copy):
    course(a="1", b="# TODO: your answer\nx = 6\ncheck_x(x)", d="4")
    assert update_exercises(copy.parent)[1] == []
    assert cells(copy) == WORKED


@pytest.mark.parametrize("moved, order", [(False, ["b", "mine", "d", "a"]), (True, ["d", "a", "b", "mine"])])
def test_cells_stand_in_the_courses_order_unless_they_were_moved(course, copy, moved, order):
    if moved:
        notebook = nbformat.read(copy, 4)
        notebook.cells.insert(1, notebook.cells.pop())
        nbformat.write(notebook, copy)
    course(b=EXERCISE, d="4", a="1")
    update_exercises(copy.parent)
    assert [name for name, *_ in cells(copy)] == order


def test_what_jupyter_changes_by_saving_is_no_work_of_anybody(course, copy):
    """Sources as lists of lines, sorted keys, other line ends, outputs, metadata."""
    document = json.loads(copy.read_text())
    document["cells"][1]["source"] = ["1\r\n"]
    document["cells"][1]["metadata"] = {"scrolled": True}
    copy.write_text(json.dumps(document, sort_keys=True))
    course(a="one", b=EXERCISE, c="3", d="4")
    update_exercises(copy.parent)
    assert cells(copy)[0] == ("a", "one", False)


def rewrite(path, change):
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda document: document["metadata"].pop("labhelpers"), "does not say how its cells looked"),
        (lambda document: document["metadata"]["labhelpers"].update(handed_out=[3]), "does not say how"),
        (lambda document: document["cells"][2].pop("id"), "have no id, or one that stands twice"),
        (lambda document: document["cells"][2].update(id="a"), "have no id, or one that stands twice"),
    ],
)
def test_a_copy_that_cannot_be_compared_is_refused_and_nothing_is_written(write_notebook, copy, change, words):
    """Also no other notebook of the folder."""
    write_notebook("00_before", "1")
    rewrite(copy, change)
    before = copy.read_bytes()
    with pytest.raises(UsageError, match=words):
        update_exercises(copy.parent)
    assert copy.read_bytes() == before and [path.name for path in copy.parent.iterdir()] == [copy.name]


def test_a_failed_write_changes_no_copy(write_notebook, course, copy, monkeypatch):
    write_notebook("00_before", "1")
    course(a="one")
    before = copy.read_bytes()

    def fail(contents):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(exercises, "write_all", fail)
    with pytest.raises(LabError, match="the disk is full"):
        update_exercises(copy.parent)
    assert copy.read_bytes() == before


def test_the_command_updates_writes_what_is_missing_and_says_what_it_kept(write_notebook, course, copy, capsys):
    write_notebook("02_second", "2")
    course(a="1", b=EXERCISE + "  # new", c="3", d="4")
    assert cli.main(["exercises", str(copy.parent)]) == 2
    assert "--update" in capsys.readouterr().err
    assert cli.main(["exercises", str(copy.parent), "--update"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("01_first: cell b was changed") and said[1] == f"wrote 2 notebooks to {copy.parent}"
    assert cells(copy) == WORKED
    assert cells(copy.parent / "02_second.ipynb") == [("cell-0", "2", False)]


def test_a_new_copy_says_how_its_cells_look(copy):
    new = nbformat.read(copy, 4)
    listed = new.metadata["labhelpers"]["handed_out"]
    assert [name for name, _ in listed] == ["parameters", "a", "b", "c", "d"]
    assert listed[1] in handed_out.fingerprints(new.cells) and listed[2] not in handed_out.fingerprints(new.cells)
    assert update(copy, copy.read_text())[1] == []
