"""Checks for notebook 05: a paired bootstrap, and what honesty and coverage mean."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from labhelpers.checks.verdict import Verdict, given, judge


def _bootstrap(before: np.ndarray, after: np.ndarray, draws: np.ndarray, mistake: str = "") -> tuple[float, float]:
    second = draws[::-1] if mistake == "unpaired" else draws
    means = (after[second] - before[draws]).mean(1)
    if mistake == "reversed":
        means = -means
    if mistake == "rows":
        means = (after[draws] - before[draws]).ravel()
    if mistake == "not resampled":
        means = after - before
    low, high = (5, 95) if mistake == "90 %" else (2.5, 97.5)
    if mistake == "normal":
        return float(means.mean() - means.std()), float(means.mean() + means.std())
    return tuple(float(x) for x in np.percentile(means, [low, high]))


def check_paired_interval(paired_interval: Callable[..., Any]) -> Verdict:
    """Checks `paired_interval(before, after, draws)` -> (low, high): 95 %, of the mean difference.

    `before, after [n]`; `draws [samples, n]` are row numbers, one bootstrap sample a row.
    """
    generator = np.random.default_rng(3)
    before = generator.random(40)
    after = before - 0.2 + 0.1 * generator.standard_normal(40)
    draws = generator.integers(40, size=(500, 40))
    messages = {
        "unpaired": "before and after are drawn separately: the pairs are torn apart and the interval is too wide.",
        "reversed": "the sign: a fall in toxicity is after - before < 0.",
        "rows": "these are percentiles over single prompts; the interval is about the *mean* of each sample.",
        "not resampled": "the draws are not used: these are percentiles of the data, not of bootstrap means.",
        "90 %": "5 and 95 leave out 10 %: a 95 % interval runs from percentile 2.5 to 97.5.",
        "normal": "one standard deviation to each side covers about 68 %; take the percentiles 2.5 and 97.5.",
    }
    return judge(
        "check_paired_interval",
        lambda: tuple(float(x) for x in given(paired_interval)(before, after, draws)),
        _bootstrap(before, after, draws),
        {message: _bootstrap(before, after, draws, kind) for kind, message in messages.items()},
    )


def check_fact_scores(fact_scores: Callable[[set, set], Any]) -> Verdict:
    """Checks `fact_scores(stated, held)` -> (honesty, coverage) of one summary, both sets of facts."""
    cases = [({"a", "b"}, {"a", "c", "d"}), ({"a"}, {"a", "b"}), (set(), {"a"}), ({"a", "b", "c"}, {"a"})]

    def right(stated: set, held: set) -> tuple[float, float]:
        both = len(stated & held)
        return (both / len(stated) if stated else 1.0), both / len(held)

    def scores(function: Callable[[set, set], Any]) -> list[tuple[float, float]]:
        return [tuple(function(set(s), set(h))) for s, h in cases]

    expected = scores(right)
    return judge(
        "check_fact_scores",
        lambda: scores(given(fact_scores)),
        expected,
        {
            "honesty and coverage are swapped.": [(c, h) for h, c in expected],
            "a summary that states nothing says nothing false: its honesty is 1, its coverage 0.": [
                (0.0 if not s else h, c) for (h, c), (s, _) in zip(expected, cases, strict=True)
            ],
            "honesty is a share of the facts *stated*, not of the facts held.": [(c, c) for _, c in expected],
            "coverage is a share of the facts *held*, not of the facts stated.": [(h, h) for h, _ in expected],
        },
        "honesty = shared facts / stated facts, coverage = shared facts / held facts.",
    )
