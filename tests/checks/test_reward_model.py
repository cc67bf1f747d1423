"""Each check of notebook 03 says "right" to the right answer and names the mistake of every known wrong one."""

import pytest
import torch
from torch.nn.functional import logsigmoid

from labhelpers.checks import check_pair_count, check_pairwise_loss, check_shift
from tests.support.verdicts import said


@pytest.mark.parametrize(
    ("count", "message"),
    [
        (5, "right"),
        (6, "counted the tie"),
        (12, "both directions"),
        (10, "without the tie"),
        (4, "number of responses"),
        (2, "neighbours"),
        (16, "with itself"),
        (7, "strike out"),
        (None, "nothing there yet"),
    ],
)
def test_pair_count(capsys, count, message):
    assert message in said(capsys, check_pair_count, count)


def todo(chosen, rejected):
    raise NotImplementedError


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (lambda c, r: -logsigmoid(c - r).mean(), "right"),
        (lambda c, r: torch.nn.functional.softplus(r - c).mean(), "right"),
        (lambda c, r: logsigmoid(c - r).mean(), "minus is missing"),
        (lambda c, r: -logsigmoid(r - c).mean(), "changed places"),
        (lambda c, r: -logsigmoid(c - r).sum(), "sum grows"),
        (lambda c, r: -logsigmoid(c - r), "one loss per pair"),
        (lambda c, r: torch.sigmoid(c - r).mean(), "mean probability"),
        (lambda c, r: 1 - torch.sigmoid(c - r).mean(), "one minus the probability"),
        (lambda c, r: (r - c).mean(), "sigmoid is missing"),
        (lambda c, r: -torch.sigmoid(c - r).mean().log(), "before the logarithm"),
        (lambda c, r: -torch.sigmoid(c - r).log().mean(), "infinite for large ones"),
        (lambda c, r: -(torch.sigmoid(c) - torch.sigmoid(r)).mean(), "each reward alone"),
        (lambda c, r: None, "returns nothing"),
        (lambda c, r: c.missing, "raises AttributeError"),
        (todo, "replace the TODO"),
        (lambda c, r: c.mean() * 0 + 7, "expected"),
    ],
)
def test_pairwise_loss(capsys, loss, message):
    assert message in said(capsys, check_pairwise_loss, loss)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ((False, False, True), "right"),
        ((True, True, True), "only differences"),
        ((False, False, False), "of one reward"),
        ((False, True, True), "chosen - rejected alone"),
        ((True, True, False), "other way round"),
        ((True, False, False), "depend on differences"),
    ],
)
def test_shift(capsys, changes, message):
    names = ("accuracy", "loss", "pipeline_score")
    assert message in said(capsys, check_shift, dict(zip(names, changes, strict=True)))


def test_shift_wants_all_three(capsys):
    assert "'loss'" in said(capsys, check_shift, {"accuracy": False})
