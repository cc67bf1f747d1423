"""A verdict: what a check returns, how a notebook shows it, and how it reaches a run that grades."""

import nbclient
import nbformat
import pytest

from labhelpers import checks
from labhelpers.checks.verdict import HAND_OVER, VERDICT_MIME
from labhelpers.course.execution import own_kernel


def outputs(*sources, **variables):
    """The outputs of code cells that a real kernel executes, a list a cell."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    with own_kernel(**variables):
        nbclient.NotebookClient(notebook, kernel_name="python3", allow_errors=True).execute()
    return [cell.outputs for cell in notebook.cells]


def test_any_grader_can_assert_a_check():
    assert checks.check_preferred(1)
    with pytest.raises(AssertionError):
        assert checks.check_preferred(0)
    verdict = checks.check_preferred(0)
    assert verdict.message.startswith("not yet. that column is not a rank")
    assert repr(verdict) == str(verdict) == f"check_preferred: {verdict.message}"


def test_every_check_returns_its_verdict():
    for name in checks.__all__:
        if name.startswith("check_"):
            assert getattr(checks, name).__annotations__["return"] == "Verdict", name


def test_a_notebook_shows_a_verdict_once():
    """Also where the check is a cell's last expression, as in the course, and where its verdict is shown again."""
    begin = "from labhelpers.checks import check_preferred\nfrom IPython.display import display"
    last, shown, asserted = outputs(begin, "check_preferred(1)", "v = check_preferred(1)\ndisplay(v)", "assert v")[1:]
    for output in (last, shown):
        assert [(one.output_type, one.text) for one in output] == [("stream", "check_preferred: right.\n")]
    assert asserted == []


def test_a_verdict_is_handed_over_only_where_a_run_asks_for_it():
    source = "from labhelpers.checks import check_preferred\ncheck_preferred(0)"
    (output,) = outputs(source, **{HAND_OVER: "1"})
    printed, handed_over = output
    verdict = handed_over.data[VERDICT_MIME]
    assert printed.text == f"{verdict['check']}: {verdict['message']}\n"
    assert verdict["check"] == "check_preferred" and verdict["right"] is False
