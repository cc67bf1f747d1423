"""Each check of notebook 06 says "right" to the right answer and names the mistake of every known wrong one."""

import pytest

from labhelpers.checks import check_adaptive_kl, check_without_kl
from labhelpers.ppo import AdaptiveKLController
from tests.support.verdicts import said


@pytest.mark.parametrize(
    ("answer", "after", "message"),
    [
        ("falls", 0.2, "right"),
        ("same", 0.2, "does not read the dialogue"),
        ("same", 0.8, "right"),
        ("falls", 0.8, "stayed close"),
        ("rises", 0.2, '"same" or "falls"'),
        (None, 0.2, "nothing there yet"),
    ],
)
def test_without_kl(capsys, answer, after, message):
    assert message in said(capsys, check_without_kl, answer, 0.8, after)


def clip(x):
    return min(max(x, -0.2), 0.2)


def librarys(value, kl, target, n, horizon):
    controller = AdaptiveKLController(value, target, horizon)
    controller.update(kl, n)
    return controller.value


def todo(value, kl, target, n, horizon):
    raise NotImplementedError


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (librarys, "right"),
        (lambda v, kl, t, n, h: v * (1 + (kl / t - 1) * n / h), "not clipped"),
        (lambda v, kl, t, n, h: v * (1 - clip(kl / t - 1) * n / h), "sign is wrong"),
        (lambda v, kl, t, n, h: v * (1 + clip(kl / t - 1)), "n / horizon is missing"),
        (lambda v, kl, t, n, h: v + clip(kl / t - 1) * n / h, "multiplies"),
        (lambda v, kl, t, n, h: v * (1 + clip(kl - t) * n / h), "relative"),
        (lambda v, kl, t, n, h: 1 + clip(kl / t - 1) * n / h, "that is the factor"),
        (lambda *_: None, "returns nothing"),
        (todo, "nothing there yet"),
    ],
)
def test_adaptive_kl(capsys, function, message):
    assert message in said(capsys, check_adaptive_kl, function)
