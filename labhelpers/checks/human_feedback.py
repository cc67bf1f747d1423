"""Checks for notebook 02: what a rank means, the pairs of one ranking, and splits that leak."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any

from labhelpers.checks.verdict import Verdict, given, judge


def check_preferred(position: int) -> Verdict:
    """Checks a guess at which response the reward-model lab's `[0, 1]` prefers: 0 for the first, 1 for the second."""
    return judge(
        "check_preferred",
        lambda: int(given(position)),
        1,
        {"that column is not a rank: there, 1 marks the response that was preferred.": 0},
        otherwise="answer 0 for the first response or 1 for the second.",
    )


def check_pairs_of(pairs_of: Callable[[Sequence[int]], Any]) -> Verdict:
    """Checks `pairs_of(ranks)`: the list of (index of chosen, index of rejected) of one ranking, in any order."""
    questions = [[2, 1, 3], [1, 2, 2, 4], [3, 3, 1], [1, 1]]

    def normal(found: Any) -> Any:
        return sorted((int(a), int(b)) for a, b in found)

    def answers(function: Callable[[Sequence[int]], Any]) -> Any:
        return [normal(function(ranks)) for ranks in questions]

    def attempt() -> Any:
        first = given(pairs_of)(questions[0])
        if first is None:
            return None
        if len(first) and not isinstance(first[0], (tuple, list)):
            raise ValueError("return a list of pairs, such as [(1, 0), (1, 2)]")
        return answers(pairs_of)

    def every(keep: Callable[[int, int], bool]) -> Callable[[Sequence[int]], Any]:
        return lambda ranks: [
            (i, j) for i in range(len(ranks)) for j in range(len(ranks)) if i != j and keep(ranks[i], ranks[j])
        ]

    def neighbours(ranks: Sequence[int]) -> Any:
        order = sorted(range(len(ranks)), key=lambda i: ranks[i])
        return [(i, j) for i, j in zip(order, order[1:], strict=False) if ranks[i] < ranks[j]]

    return judge(
        "check_pairs_of",
        attempt,
        answers(every(lambda a, b: a < b)),
        {
            "chosen and rejected have changed places: rank 1 is the best.": answers(every(lambda a, b: a > b)),
            "a tie gives no pair: neither response is better.": answers(every(lambda a, b: a <= b)),
            "both directions of every pair are there; keep the one whose first response ranks better.": answers(
                every(lambda a, b: a != b)
            ),
            "these are all pairs of positions; which of the two is better has to come from the ranks.": answers(
                lambda ranks: list(combinations(range(len(ranks)), 2))
            ),
            "only neighbours are compared; the best is also better than the last.": answers(neighbours),
            "these are the ranks; return the positions of the responses.": answers(
                lambda ranks: [(ranks[i], ranks[j]) for i, j in every(lambda a, b: a < b)(ranks)]
            ),
        },
        otherwise="for the ranks [2, 1, 3] the pairs are (1, 0), (0, 2) and (1, 2).",
    )


def check_leak(share: float) -> Verdict:
    """Checks a guess at the share of held-out pairs whose prompt is also in train, when single pairs are split."""
    return judge(
        "check_leak",
        lambda: float(given(share) > 0.5),
        1.0,
        {
            "more than you think: a prompt with six pairs has all of them on one side only by a rare chance.": 0.0,
        },
    )
