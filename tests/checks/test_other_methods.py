"""Each check of notebook 07 says "right" to the right answer and names the mistake of every known wrong one."""

import pytest
import torch
from torch.nn.functional import logsigmoid

from labhelpers.checks import check_asks_no_reward, check_dpo_loss, check_group_advantages, check_leave_one_out
from tests.support.verdicts import said


def todo(*_):
    raise NotImplementedError


@pytest.mark.parametrize(
    "prediction, words",
    [
        ("DPO", "right."),
        (" dpo ", "right."),
        ("best-of-n", "trains no policy"),
        ("best of n", "trains no policy"),
        ("GRPO", "no value head"),
        ("PPO", "every rollout"),
        ("RLHF", "choose one of"),
        (None, "nothing there yet"),
    ],
)
def test_who_asks_no_reward(capsys, prediction, words):
    assert words in said(capsys, check_asks_no_reward, prediction)


def margin(c, r, rc, rr):
    return (c - r) - (rc - rr)


@pytest.mark.parametrize(
    "loss, words",
    [
        (lambda c, r, rc, rr, b: -logsigmoid(b * ((c - rc) - (r - rr))).mean(), "right."),
        (lambda c, r, rc, rr, b: torch.nn.functional.softplus(-b * margin(c, r, rc, rr)).mean(), "right."),
        (lambda c, r, rc, rr, b: -logsigmoid(margin(c, r, rc, rr)).mean(), "forget beta"),
        (lambda c, r, rc, rr, b: -logsigmoid(b * (c - r)).mean(), "reference is missing"),
        (lambda c, r, rc, rr, b: logsigmoid(b * margin(c, r, rc, rr)).mean(), "the sign"),
        (lambda c, r, rc, rr, b: -logsigmoid(b * margin(r, c, rr, rc)).mean(), "changed places"),
        (lambda c, r, rc, rr, b: -logsigmoid(b * margin(c, r, rc, rr)).sum(), "a sum grows"),
        (lambda c, r, rc, rr, b: -logsigmoid(b * margin(c, r, rc, rr)), "one loss per pair"),
        (lambda c, r, rc, rr, b: -torch.sigmoid(b * margin(c, r, rc, rr)).mean(), "logarithm is missing"),
        (lambda c, r, rc, rr, b: (1 - torch.sigmoid(b * margin(c, r, rc, rr))).mean(), "1 minus the probability"),
        (lambda c, r, rc, rr, b: -torch.sigmoid(b * margin(c, r, rc, rr)).mean().log(), "belongs to every pair"),
        (lambda c, r, rc, rr, b: -logsigmoid(b * ((c + rc) - (r + rr))).mean(), "is added"),
        (lambda c, r, rc, rr, b: -logsigmoid((c - r) - b * (rc - rr)).mean(), "the reference only"),
        (lambda c, r, rc, rr, b: -logsigmoid(b * (c - r) - (rc - rr)).mean(), "the policy only"),
        (lambda c, r, rc, rr, b: -b * logsigmoid(margin(c, r, rc, rr)).mean(), "inside the sigmoid"),
        (lambda c, r, rc, rr, b: -logsigmoid(b * (c - rc)).mean(), "rejected response is missing"),
        (lambda c, r, rc, rr, b: -b * margin(c, r, rc, rr).mean(), "sigmoid is missing"),
        (lambda c, r, rc, rr, b: None, "returns nothing"),
        (lambda c, r, rc, rr, b: c.missing, "raises AttributeError"),
        (lambda c, r, rc, rr, b: c.mean() * 0 + 7, "expected"),
        (todo, "replace the TODO"),
    ],
)
def test_dpo_loss(capsys, loss, words):
    assert words in said(capsys, check_dpo_loss, loss)


def centred(r):
    return r - r.mean(1, keepdim=True)


def leave_one_out(r):
    return r - (r.sum(1, keepdim=True) - r) / (r.shape[1] - 1)


@pytest.mark.parametrize(
    "advantages, words",
    [
        (lambda r: centred(r) / (r.std(1, keepdim=True) + 1e-4), "right."),
        (lambda r: centred(r) / (r.std(1, keepdim=True) + 1e-8), "right."),
        (lambda r: centred(r) / r.std(1, keepdim=True), "0 / 0"),
        (lambda r: (r - r.mean()) / (r.std() + 1e-4), "mean is that of the whole batch"),
        (lambda r: centred(r) / (r.std() + 1e-4), "deviation of the whole batch"),
        (lambda r: (r - r.mean(0)) / (r.std(0) + 1e-4), "over the prompts"),
        (lambda r: r / (r.std(1, keepdim=True) + 1e-4), "not subtracted"),
        (centred, "Dr. GRPO"),
        (lambda r: centred(r) / (r.var(1, keepdim=True) + 1e-4), "the variance"),
        (leave_one_out, "RLOO"),
        (lambda r: centred(r) / (r.std(1, keepdim=True, correction=0) + 1e-4), "G - 1"),
        (lambda r: -centred(r) / (r.std(1, keepdim=True) + 1e-4), "the sign"),
        (lambda r: r.mean(1), "one number per response"),
        (lambda r: None, "returns nothing"),
        (lambda r: r.missing, "raises AttributeError"),
        (lambda r: torch.zeros_like(r), "expected"),
        (todo, "replace the TODO"),
    ],
)
def test_group_advantages(capsys, advantages, words):
    assert words in said(capsys, check_group_advantages, advantages)


@pytest.mark.parametrize(
    "answer, words",
    [
        (lambda r: r - (r.sum(1, keepdim=True) - r) / 3, "right."),
        (lambda r: r - r.mean(1, keepdim=True), "part of its own baseline"),
        (lambda r: r - (r.sum(1, keepdim=True) - r) / 4, "there are G − 1"),
        (lambda r: (r.sum(1, keepdim=True) - r) / 3 - r, "the sign"),
        (lambda r: (r.sum(1, keepdim=True) - r) / 3, "that is the baseline"),
        (lambda r: r - (r.sum(0, keepdim=True) - r) / 2, "the *same prompt*"),
        (lambda r: (r - (r.sum(1, keepdim=True) - r) / 3) / (r.std(1, keepdim=True) + 1e-4), "that is GRPO"),
    ],
)
def test_leave_one_out(capsys, answer, words):
    assert words in said(capsys, check_leave_one_out, answer)
