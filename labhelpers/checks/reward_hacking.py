"""Checks for notebook 06: the best of n, what a policy without a KL penalty does, and the adaptive controller."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from labhelpers.checks.verdict import Verdict, given, judge


def check_best_of(best_of: Callable[[Any, Any], Any]) -> Verdict:
    """Checks `best_of(proxy[P, N], gold[P, N])` -> the gold reward `[P]` of the sample that the proxy likes best."""
    import torch

    proxy = torch.tensor([[0.2, 1.5, -1.0], [3.0, -2.0, 0.0], [0.1, 0.2, 0.3], [1.0, 0.0, -1.0]], dtype=torch.float64)
    gold = torch.tensor([[0.9, 0.1, 0.5], [0.4, 0.8, 0.6], [0.7, 0.2, 0.3], [0.0, 1.0, 0.5]], dtype=torch.float64)
    rows = torch.arange(len(proxy))
    return judge(
        "check_best_of",
        lambda: given(best_of)(proxy.clone(), gold.clone()),
        gold[rows, proxy.argmax(1)],
        {
            "that is the best gold reward: whoever chooses has only the proxy to go by.": gold.max(1).values,
            "that is what the proxy says of its choice; the question is what the choice is worth.": proxy.max(1).values,
            "that is the sample that the proxy likes least.": gold[rows, proxy.argmin(1)],
            "one sample per prompt: choose along dim=1.": gold[proxy.argmax(0), torch.arange(proxy.shape[1])],
            "that is the mean over all samples: nobody has chosen yet.": gold.mean(1),
        },
    )


def check_without_kl(prediction: str, before: float, after: float) -> Verdict:
    """Checks a guess, "rises" or "falls", at the gold reward without a KL penalty: is it lower than at the start?"""
    answers = ["rises", "falls"]

    def attempt() -> Any:
        if given(prediction) not in answers:
            raise ValueError('answer "rises" or "falls"')
        return answers.index(prediction)

    falls = after < before
    return judge(
        "check_without_kl",
        attempt,
        int(falls),
        {
            "the proxy was learned on texts near the SFT model's; far from them nobody has checked what it says.": 0,
            "in this run the policy stayed where the proxy is right.": 1,
        },
    )


def check_adaptive_kl(next_coefficient: Callable[[float, float, float, int, int], Any]) -> Verdict:
    """Checks `next_coefficient(value, kl, target, n, horizon)`: the controller of Ziegler et al. 2019, section 2.2."""
    questions = [(0.2, 6.6, 6.0, 16, 1000), (0.2, 30.0, 6.0, 16, 1000), (0.1, 0.5, 6.0, 32, 100)]

    def answers(function: Callable) -> list[Any]:
        return [function(*question) for question in questions]

    def attempt() -> Any:
        found = answers(given(next_coefficient))
        return None if found[0] is None else found

    def clipped(error: float) -> float:
        return min(max(error, -0.2), 0.2)

    return judge(
        "check_adaptive_kl",
        attempt,
        answers(lambda v, kl, target, n, horizon: v * (1 + clipped(kl / target - 1) * n / horizon)),
        {
            "the error is not clipped to ±0.2: one odd batch would throw the coefficient far off.": answers(
                lambda v, kl, target, n, horizon: v * (1 + (kl / target - 1) * n / horizon)
            ),
            "the sign is wrong: too much KL must raise the coefficient.": answers(
                lambda v, kl, target, n, horizon: v * (1 - clipped(kl / target - 1) * n / horizon)
            ),
            "n / horizon is missing: the coefficient would jump by up to 20 % at every step.": answers(
                lambda v, kl, target, n, horizon: v * (1 + clipped(kl / target - 1))
            ),
            "the change is added; it multiplies the coefficient.": answers(
                lambda v, kl, target, n, horizon: v + clipped(kl / target - 1) * n / horizon
            ),
            "kl - target depends on the units; the error is the relative one, kl / target - 1.": answers(
                lambda v, kl, target, n, horizon: v * (1 + clipped(kl - target) * n / horizon)
            ),
            "that is the factor; multiply the coefficient by it.": answers(
                lambda v, kl, target, n, horizon: 1 + clipped(kl / target - 1) * n / horizon
            ),
        },
    )
