"""Every diagnosis of an exercise check, by making the mistake; and that a check never raises in a notebook."""

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model

from labhelpers import checks
from tests.support import verdicts
from tests.support.models import tiny_model


@pytest.fixture(scope="module")
def model():
    return get_peft_model(tiny_model("t5"), LoraConfig(r=4, target_modules=["q", "wi"]))


def said(capsys, check, *arguments):
    return verdicts.said(capsys, check, *arguments).partition(": ")[2]


@pytest.mark.parametrize(
    "count, words",
    [
        (lambda n, m, r: r * (n + m), "right."),
        (lambda n, m, r: n * m, "size of W"),
        (lambda n, m, r: r * n, "B is not"),
        (lambda n, m, r: r * m, "A is not"),
        (lambda n, m, r: r * n * m, "their sizes add"),
        (lambda n, m, r: r * (n + m) + m, "no bias"),
        (lambda n, m, r: 2 * r * n, "inputs' size"),
        (lambda n, m, r: 7, "expected"),
    ],
)
def test_lora_count(capsys, model, count, words):
    assert words in said(capsys, checks.check_lora_count, count, model)


def in_place(labels, pad):
    labels[labels == pad] = -100
    return labels


@pytest.mark.parametrize(
    "mask, words",
    [
        (lambda x, p: x.masked_fill(x == p, -100), "right."),
        (lambda x, p: x, "nothing is masked"),
        (lambda x, p: x.masked_fill(x != p, -100), "wrong side"),
        (lambda x, p: x.masked_fill(x <= 1, -100), "learns to stop"),
        (lambda x, p: x.masked_fill(x == p, -1), "became -1"),
        (in_place, "changed in place"),
        (lambda x, p: None, "returns nothing"),
    ],
)
def test_mask_padding(capsys, mask, words):
    assert words in said(capsys, checks.check_mask_padding, mask)


@pytest.mark.parametrize(
    "guess, words", [(0.72, "right."), (0.76, "right."), (0.9, "it is less"), (0.3, "it is more"), ("?", "ValueError")]
)
def test_toxic_share(capsys, guess, words):
    assert words in said(capsys, checks.check_toxic_share, guess, 0.74)


def test_a_toxic_share_without_such_dialogues_says_what_to_raise(capsys):
    assert "raise eval_prompts" in said(capsys, checks.check_toxic_share, float("nan"), float("nan"))


def rewards_with(mistake):
    def token_rewards(score, logprobs, ref, beta):
        kl = logprobs - ref
        rewards = {
            "sign": beta * kl, "no coefficient": -kl, "absolute": -beta * kl.abs(), "no penalty": 0 * kl,
        }.get(mistake, -beta * kl)  # fmt: skip
        if mistake == "everywhere":
            return rewards + score
        if mistake != "no score":
            rewards[0 if mistake == "first" else -1] += score
        return rewards

    return token_rewards


@pytest.mark.parametrize(
    "mistake, words",
    [
        ("", "right."),
        ("sign", "must cost, not pay"),
        ("no coefficient", "forget the KL coefficient"),
        ("absolute", "absolute log-ratio"),
        ("no penalty", "where is the KL penalty"),
        ("everywhere", "last token only"),
        ("first", "first token"),
        ("no score", "score is missing"),
    ],
)
def test_token_rewards(capsys, mistake, words):
    assert words in said(capsys, checks.check_token_rewards, rewards_with(mistake))


def gae_with(mistake):
    """Written apart from the check's own variants, the way a learner would write it."""

    def gae(values, rewards, mask, gamma, lam):
        if mistake != "no mask":
            values, rewards = values * mask, rewards * mask
        advantages, carried = torch.zeros_like(values), 0.0
        order = list(range(values.shape[1]))
        for t in order if mistake == "forward" else order[::-1]:
            following = values[:, t + 1] if t + 1 < values.shape[1] else 0.0
            if mistake == "no bootstrap":
                following = 0.0
            delta = rewards[:, t] + gamma * following - (0.0 if mistake == "no baseline" else values[:, t])
            factor = {"no lambda": gamma, "no gamma": lam, "one step": 0.0}.get(mistake, gamma * lam)
            carried = delta + factor * carried
            advantages[:, t] = carried
        if mistake == "no mask":
            return advantages
        advantages = advantages * mask
        if mistake == "whitened":
            kept = advantages[mask.bool()]
            return torch.where(mask.bool(), (advantages - kept.mean()) / kept.std(), 0)
        return advantages + values if mistake == "returns" else advantages

    return gae


@pytest.mark.parametrize(
    "mistake, words",
    [
        ("", "right."),
        ("forward", "go backwards"),
        ("no mask", "mask is forgotten"),
        ("no bootstrap", "next value is missing"),
        ("no baseline", "not subtracted"),
        ("no lambda", "lambda is missing"),
        ("no gamma", "gamma is missing"),
        ("one step", "one-step error"),
        ("whitened", "whitened already"),
        ("returns", "these are the returns"),
    ],
)
def test_gae(capsys, mistake, words):
    assert words in said(capsys, checks.check_gae, gae_with(mistake))


@pytest.mark.parametrize("answer, words", [("hate", "right."), ("Nothate", "sorted by score"), ("?", "KeyError")])
def test_labs_reward(capsys, answer, words):
    assert words in said(capsys, checks.check_labs_reward, answer)


def interval_with(mistake):
    def paired_interval(before, after, draws):
        other = draws[::-1] if mistake == "unpaired" else draws
        means = (after[other] - before[draws]).mean(axis=0 if mistake == "wrong axis" else 1)
        if mistake == "reversed":
            means = -means
        if mistake == "rows":
            means = after[draws] - before[draws]
        if mistake == "not resampled":
            means = after - before
        if mistake == "normal":
            return means.mean() - means.std(), means.mean() + means.std()
        return np.percentile(means, [5, 95] if mistake == "90" else [2.5, 97.5])

    return paired_interval


@pytest.mark.parametrize(
    "mistake, words",
    [
        ("", "right."),
        ("unpaired", "torn apart"),
        ("reversed", "the sign"),
        ("rows", "over single prompts"),
        ("not resampled", "draws are not used"),
        ("90", "leave out 10"),
        ("normal", "one standard deviation"),
        ("wrong axis", "expected"),
    ],
)
def test_paired_interval(capsys, mistake, words):
    assert words in said(capsys, checks.check_paired_interval, interval_with(mistake))


@pytest.mark.parametrize(
    "scores, words",
    [
        (lambda s, h: (len(s & h) / len(s) if s else 1, len(s & h) / len(h)), "right."),
        (lambda s, h: (len(s & h) / len(h), len(s & h) / len(s) if s else 1), "swapped"),
        (lambda s, h: (len(s & h) / len(s) if s else 0, len(s & h) / len(h)), "its honesty is 1"),
        (lambda s, h: (len(s & h) / len(h),) * 2, "facts *stated*"),
        (lambda s, h: (len(s & h) / len(s) if s else 1,) * 2, "facts *held*"),
        (lambda s, h: (len(s & h) / len(s), len(s & h) / len(h)), "ZeroDivisionError"),
    ],
)
def test_fact_scores(capsys, scores, words):
    assert words in said(capsys, checks.check_fact_scores, scores)


def test_an_exercise_not_begun_is_said_to_be_so(capsys):
    def todo(*arguments):
        raise NotImplementedError

    assert "nothing there yet" in said(capsys, checks.check_gae, todo)


def surrogate_with(mistake):
    def surrogate(new, old, advantages, epsilon):
        ratio = {"no exp": new - old, "upside down": (old - new).exp()}.get(mistake, (new - old).exp())
        kept = advantages.clamp(-epsilon, epsilon)
        if mistake == "advantage":
            return -kept * ratio
        if mistake == "advantage, maximum":
            return torch.maximum(-kept * ratio, -advantages * ratio)
        plain, clipped = -advantages * ratio, -advantages * ratio.clamp(1 - epsilon, 1 + epsilon)
        if mistake in ("plain", "clipped"):
            return {"plain": plain, "clipped": clipped}[mistake]
        loss = (torch.minimum if mistake == "minimum" else torch.maximum)(plain, clipped)
        return {"sign": -loss, "mean": loss.mean()}.get(mistake, loss)

    return surrogate


@pytest.mark.parametrize(
    "mistake, words",
    [
        (None, "right."),
        ("sign", "the sign"),
        ("clipped", "the clipped term alone"),
        ("plain", "nothing is clipped"),
        ("minimum", "takes the minimum"),
        ("advantage", "the advantage is clipped"),
        ("advantage, maximum", "the advantage is clipped"),
        ("no exp", "the exponential is missing"),
        ("upside down", "the wrong way round"),
        ("mean", "the loss of every token"),
    ],
)
def test_clipped_surrogate(capsys, mistake, words):
    assert words in said(capsys, checks.check_clipped_surrogate, surrogate_with(mistake))
