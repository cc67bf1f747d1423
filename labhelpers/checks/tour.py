"""Checks for notebook 00: what a reward pays for, and returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from labhelpers.checks.verdict import Verdict, given, judge


def check_best_reward(guess: str, paid: Mapping[str, float]) -> Verdict:
    """Checks a guess at which of the texts (name -> reward) earns least."""
    names = list(paid)

    def attempt() -> Any:
        if given(guess) not in names:
            raise ValueError(f"choose one of {', '.join(names)}")
        return names.index(guess)

    return judge(
        "check_best_reward",
        attempt,
        names.index(min(names, key=paid.get)),
        {
            f"{name!r} earns more: the reward looks for insults, whatever else a text says.": place
            for place, name in enumerate(names)
            if paid[name] > min(paid.values())
        },
    )


def check_returns(returns: Callable[[Sequence[float], float], Any]) -> Verdict:
    """Checks `returns(rewards, gamma)`: the list of discounted sums of the rewards from each token on."""
    rewards, gamma = [0.5, -1.0, 0.0, 2.0], 0.9

    def discounted(start: int, power: int = 0) -> float:
        return sum(gamma ** (k + power) * r for k, r in enumerate(rewards[start:]))

    places = range(len(rewards))
    right = [discounted(t) for t in places]
    return judge(
        "check_returns",
        lambda: (found := given(returns)(list(rewards), gamma)) and [float(x) for x in found],
        right,
        {
            "the discount is missing: multiply the next return by gamma.": [sum(rewards[t:]) for t in places],
            "that looks back: the return sums the rewards from its own token on.": [
                sum(gamma ** (t - k) * rewards[k] for k in range(t + 1)) for t in places
            ],
            "the list runs backwards: its first entry belongs to the first token.": right[::-1],
            "a token's own reward is discounted too; only the later ones are.": [
                discounted(t, power=1) for t in places
            ],
            "a token's own reward is missing.": [right[t] - rewards[t] for t in places],
        },
    )
