"""Cutting solutions out of a cell: what is left, what counts as a mark, and that nothing of an answer stays."""

import ast
import re

import pytest

from labhelpers.course import solutions
from labhelpers.course.solutions import cut_solutions, placeholder
from labhelpers.errors import NotebookError


@pytest.mark.parametrize(
    "solution, left",
    [
        (
            "def f(x, *, scale=2.0):  # a hint\n    # how to\n    return x * scale\n",
            "# TODO: write f\ndef f(x, *, scale=2.0):\n    raise NotImplementedError",
        ),
        (
            'def f(x: int) -> int:\n    """Twice.\n\n    Always.\n    """\n    return 2 * x\n',
            '# TODO: write f\ndef f(x: int) -> int:\n    """Twice.\n\n    Always.\n    """\n    '
            "raise NotImplementedError",
        ),
        ('def f(): return "é"\n', "# TODO: write f\ndef f():\n    raise NotImplementedError"),
        ("@cache\ndef f():\n    return 1\n", "# TODO: write f\n@cache\ndef f():\n    raise NotImplementedError"),
        ("x = 5\n", "# TODO: your answer\nx = None"),
        ("x = 'a#b'  # 0 or 1?\n", "# TODO: your answer\nx = None  # 0 or 1?"),
        ("x: int = 5\n", "# TODO: your answer\nx = None"),
        ("low, high = 1, 2\n", "# TODO: your answer\nlow = high = None"),
        ("x = []\nfor i in range(3):\n    x.append(i)\nx = sum(x)\n", "# TODO: your answer\nx = None"),
        ('x = {"a": True, 2: 1}\n', '# TODO: your answer\nx = {"a": None, 2: None}'),
        ("import math\nx = math.pi\n", "import math\n# TODO: your answer\nx = None"),
        ("model.train()\n", "# TODO: your code"),
    ],
)
def test_what_is_left_of_a_solution(solution, left):
    assert placeholder(solution) == left
    ast.parse(left)


def test_the_rest_of_a_cell_stays_as_it_is():
    source = "a = 1  # one\n# solution\nx = 5\n# end solution\n\ncheck(x)\n# solution\ny = 6\n# end solution"
    left = "a = 1  # one\n# TODO: your answer\nx = None\n\ncheck(x)\n# TODO: your answer\ny = None"
    assert cut_solutions(source) == left
    assert cut_solutions("%matplotlib inline\nprint('# solution')") == "%matplotlib inline\nprint('# solution')"


@pytest.mark.parametrize(
    "begin, end",
    [
        ("# solution\r", "# end solution\r"),
        ("#solution", "#end solution"),
        ("# Solution", "# End Solution"),
        ("#\N{NO-BREAK SPACE}solution", "# end\N{NO-BREAK SPACE}solution\N{NO-BREAK SPACE}"),
        ("# solution  \t", "#  end  solution  "),
        ("### BEGIN SOLUTION", "### END SOLUTION"),
        ("# begin solution", "### END SOLUTION"),
    ],
)
def test_a_mark_is_known_however_it_is_written(begin, end):
    assert cut_solutions(f"a = 1\n{begin}\nx = 5\n{end}\ncheck(x)") == "a = 1\n# TODO: your answer\nx = None\ncheck(x)"


def test_line_ends_of_other_systems_hide_no_mark():
    assert cut_solutions("# solution\r\nx = 5\r\n# end solution\r\n") == "# TODO: your answer\nx = None\n"
    assert cut_solutions("# solution\rx = 5\r# end solution\r") == "# TODO: your answer\nx = None\n"


@pytest.mark.parametrize(
    "line",
    ["# solution:", "# solutions", "# the solution", "# --- end of solution ---", "#\N{ZERO WIDTH SPACE}solution",
     "    # solution", "x = 5  # solution", "x = 5  ### END SOLUTION", "# sample solution"],
)  # fmt: skip
def test_what_looks_like_a_mark_and_is_none_is_refused(line):
    with pytest.raises(NotebookError, match="looks like the mark of a solution and is none"):
        cut_solutions(f"a = 1\n{line}\nx = 5")


def test_a_sentence_about_a_solution_is_no_mark():
    source = (
        "# There is a closed solution of this, which is the optimum.\nx = 'no solution'  # a solution of the equation"
    )
    assert cut_solutions(source) == source


@pytest.mark.parametrize(
    "solution, left, what",
    [
        ("x = 5", "x = 5", "x = 5"),
        ("def f(x):\n    y = 2 * x\n    return y", "def f(x):\n    y = 2 * x", "y = 2 * x"),
        ("def f(x):\n    return 2 * x", "if True:\n    def f(x):\n        return 2*x", "return 2 * x"),
        ('x = {"a": True, 2: None}', "x = {'a': True, 2: None}", "x = {'a': True, 2: None}"),
        ("for i in range(3):\n    print(i)", "print(i)", "print(i)"),
    ],
)
def test_a_copy_that_would_keep_a_piece_of_a_solution_is_not_handed_out(monkeypatch, solution, left, what):
    """Whatever should go wrong with the cutting: the result is searched."""
    monkeypatch.setattr(solutions, "placeholder", lambda text: left)
    with pytest.raises(NotebookError, match=re.escape(f"{what!r} would be left in the copy")):
        cut_solutions(f"%matplotlib inline\n# solution\n{solution}\n# end solution")


def test_what_the_cell_gives_away_itself_is_no_secret():
    source = "n = 3\n# solution\nn = 3\nx = None\ndef f(a=1):\n    'Twice.'\n    pass\n# end solution\nf()"
    assert "n = 3\n# TODO: your answer\nn = None" in cut_solutions(source)
