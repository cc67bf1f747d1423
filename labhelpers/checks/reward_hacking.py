"""Checks for notebook 06: what a policy without a KL penalty writes, and the adaptive controller."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from labhelpers.checks.verdict import Verdict, given, judge


def check_without_kl(prediction: str, rouge_before: float, rouge_after: float) -> Verdict:
    """Checks a guess, "same" or "falls", at ROUGE-L without a KL penalty; `falls` means by more than 0.1."""
    answers = ["same", "falls"]

    def attempt() -> Any:
        if given(prediction) not in answers:
            raise ValueError('answer "same" or "falls"')
        return answers.index(prediction)

    falls = rouge_before - rouge_after > 0.1
    return judge(
        "check_without_kl",
        attempt,
        int(falls),
        {
            "nothing holds the policy to the summaries it was taught: the reward does not read the dialogue.": 0,
            "in this run the policy stayed close to where it started.": 1,
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
