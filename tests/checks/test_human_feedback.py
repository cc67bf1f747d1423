"""Each check of notebook 02 says "right" to the right answer and names the mistake of every known wrong one."""

import itertools

import pytest

from labhelpers.checks import check_leak, check_pairs_of, check_preferred
from tests.support.verdicts import said


def pairs(keep):
    return lambda ranks: [(i, j) for i, j in itertools.permutations(range(len(ranks)), 2) if keep(ranks[i], ranks[j])]


def todo(ranks):
    raise NotImplementedError


def neighbours(ranks):
    order = sorted(range(len(ranks)), key=ranks.__getitem__)
    return [(i, j) for i, j in itertools.pairwise(order) if ranks[i] < ranks[j]]


@pytest.mark.parametrize(
    ("pairs_of", "message"),
    [
        (pairs(lambda a, b: a < b), "right"),
        (lambda ranks: list(reversed(pairs(lambda a, b: a < b)(ranks))), "right"),
        (pairs(lambda a, b: a > b), "changed places"),
        (pairs(lambda a, b: a <= b), "tie gives no pair"),
        (pairs(lambda a, b: a != b), "both directions"),
        (lambda ranks: list(itertools.combinations(range(len(ranks)), 2)), "come from the ranks"),
        (neighbours, "only neighbours"),
        (lambda ranks: [(ranks[i], ranks[j]) for i, j in pairs(lambda a, b: a < b)(ranks)], "these are the ranks"),
        (lambda ranks: [0, 1], "list of pairs"),
        (lambda ranks: [], "the pairs are (1, 0)"),
        (lambda ranks: None, "returns nothing"),
        (todo, "nothing there yet"),
    ],
)
def test_pairs_of(capsys, pairs_of, message):
    assert message in said(capsys, check_pairs_of, pairs_of)


@pytest.mark.parametrize(("guess", "message"), [(1, "right"), (0, "not a rank"), (7, "0 for the first")])
def test_preferred(capsys, guess, message):
    assert message in said(capsys, check_preferred, guess)


@pytest.mark.parametrize(
    ("share", "message"), [(0.99, "right"), (0.2, "more than you think"), (None, "nothing there yet")]
)
def test_leak(capsys, share, message):
    assert message in said(capsys, check_leak, share)
