"""Each check of notebook 06 says "right" to the right answer and names the mistake of every known wrong one."""

import pytest
import torch

from labhelpers.checks import check_adaptive_kl, check_best_of, check_without_kl
from labhelpers.ppo import AdaptiveKLController
from tests.support.verdicts import said


@pytest.mark.parametrize(
    ("answer", "after", "message"),
    [
        ("falls", 0.2, "right"),
        ("rises", 0.2, "nobody has checked"),
        ("rises", 0.9, "right"),
        ("falls", 0.9, "where the proxy is right"),
        ("same", 0.2, '"rises" or "falls"'),
        (None, 0.2, "nothing there yet"),
    ],
)
def test_without_kl(capsys, answer, after, message):
    assert message in said(capsys, check_without_kl, answer, 0.8, after)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda proxy, gold: gold.gather(1, proxy.argmax(1, keepdim=True)).squeeze(1), "right"),
        (lambda proxy, gold: gold.max(1).values, "has only the proxy"),
        (lambda proxy, gold: proxy.max(1).values, "what the choice is worth"),
        (lambda proxy, gold: gold.gather(1, proxy.argmin(1, keepdim=True)).squeeze(1), "likes least"),
        (lambda proxy, gold: gold[proxy.argmax(0), torch.arange(gold.shape[1])], "dim=1"),
        (lambda proxy, gold: gold.mean(1), "nobody has chosen"),
        (lambda *_: None, "returns nothing"),
    ],
)
def test_best_of(capsys, function, message):
    assert message in said(capsys, check_best_of, function)


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
