"""Each check of notebook 00 says "right" to the right answer and names the mistake of every known wrong one."""

import pytest

from labhelpers.checks import check_best_reward, check_returns
from tests.support.verdicts import said


@pytest.mark.parametrize(
    ("guess", "message"),
    [("insulting", "right"), ("vague", "'vague' earns more"), ("nice", "choose one of"), (None, "nothing there yet")],
)
def test_best_reward(capsys, guess, message):
    assert message in said(capsys, check_best_reward, guess, {"vague": 1.2, "insulting": -1.0, "clean": 1.3})


def returns(rewards, gamma):
    found = []
    for reward in reversed(rewards):
        found.insert(0, reward + gamma * (found[0] if found else 0.0))
    return found


def backwards(rewards, gamma):
    found = []
    for reward in rewards:
        found.append(reward + gamma * (found[-1] if found else 0.0))
    return found


def todo(rewards, gamma):
    raise NotImplementedError


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (returns, "right"),
        (lambda r, g: returns(r, 1.0), "discount is missing"),
        (backwards, "looks back"),
        (lambda r, g: returns(r, g)[::-1], "runs backwards"),
        (lambda r, g: [g * x for x in returns(r, g)], "own reward is discounted"),
        (lambda r, g: [x - y for x, y in zip(returns(r, g), r, strict=True)], "own reward is missing"),
        (lambda r, g: None, "returns nothing"),
        (todo, "nothing there yet"),
    ],
)
def test_returns(capsys, answer, message):
    assert message in said(capsys, check_returns, answer)
