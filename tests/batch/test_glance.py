"""A class at a glance: success counts every student once per exercise, and equal mistakes count together."""

from labhelpers.batch.glance import mistakes, success
from labhelpers.batch.outcome import RunOutcome

ASKED = {"01_a": ["check_sum", "check_sign"], "02_b": ["check_sum"]}


def handed_in(student, *said, missing=()):
    """A student's outcome: what the checks of 01_a and 02_b said, in their order; None for a silent one."""
    places = [("01_a", "check_sum"), ("01_a", "check_sign"), ("02_b", "check_sum")]
    verdicts = {}
    for (notebook, check), message in zip(places, said, strict=False):
        if message is not None:
            verdicts.setdefault(notebook, {})[check] = message
    return RunOutcome(student, student=student, status="finished", verdicts=verdicts, missing=list(missing))


CLASS = [
    handed_in("ada", "right.", "right.", "right."),
    handed_in("bob", "not yet. one too few.", "not yet. the sign is wrong.", "not yet. one too few."),
    handed_in("cy", "not yet.  one too\nfew.", None, "right."),
    handed_in("di", "not yet. nothing there yet.", "not yet. the sign is wrong.", missing=["02_b"]),
    handed_in("eve", "not yet. one too few.", "right.", None),
]


def test_success_counts_each_student_once_per_exercise():
    found = success(CLASS, ASKED)
    assert [one.name for one in found] == ["01 sum", "01 sign", "02 sum"]
    assert [list(one.students.values()) for one in found] == [[1, 4, 0, 0], [2, 2, 1, 0], [2, 1, 1, 1]]
    assert [one.percent("not yet") for one in found] == [80, 40, 20]


def test_the_commonest_mistakes_come_first_and_belong_to_their_check():
    assert [(one.name, one.message, one.students) for one in mistakes(CLASS, ASKED)] == [
        ("01 sum", "one too few.", ("bob", "cy", "eve")),
        ("01 sign", "the sign is wrong.", ("bob", "di")),
        ("01 sum", "nothing there yet.", ("di",)),
        ("02 sum", "one too few.", ("bob",)),
    ]


def test_a_class_of_which_nothing_is_known_yet_has_neither():
    assert mistakes([], ASKED) == [] and [one.percent("right") for one in success([], ASKED)] == [0, 0, 0]
