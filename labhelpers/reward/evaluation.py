"""How good a reward model is, on prompts that it was not trained on.

Everything here is measured on pairs of `rankings.to_pairs`. The pairs of one prompt share their texts, so every
interval resamples whole prompts (`labhelpers.evaluation.intervals`).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from datasets import Dataset

from labhelpers.errors import DataError
from labhelpers.evaluation.intervals import Interval, bootstrap_mean, paired_bootstrap
from labhelpers.feedback.rankings import comparisons, to_pairs
from labhelpers.sources.locations import find_files, read_records

KINDS = ("complete", "vague", "wrong", "insult")  # best first: the rule behind the simulated annotators
CRITERIA = ("helpful", "honest", "harmless")
_BINS = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


class LongerIsBetter:
    """A baseline that is used like a reward model: the reward is the number of characters of the response."""

    def score(self, prompts: Sequence[str], responses: Sequence[str]) -> np.ndarray:
        """Rewards `[B]`."""
        return np.array([len(response) for response in responses], dtype=float)


class ByKind:
    """A judge that knows only how each response was made: it scores 3, 2, 1, 0 for `KINDS`, and NaN without a kind.

    Its errors are the annotators' noise, which no model can predict.
    """

    def __init__(self, kinds: Mapping[tuple[str, str], str]):
        self.kinds = kinds

    def score(self, prompts: Sequence[str], responses: Sequence[str]) -> np.ndarray:
        """Rewards `[B]`."""
        found = [self.kinds.get(pair) for pair in zip(prompts, responses, strict=True)]
        return np.array([len(KINDS) - 1 - KINDS.index(k) if k in KINDS else np.nan for k in found])


def pair_margins(reward, pairs: Dataset) -> np.ndarray:
    """r(chosen) - r(rejected) per pair `[P]`, for anything with `score(prompts, responses)`.

    Each different (prompt, response) is scored once. Raises DataError when there is no pair.
    """
    if not len(pairs):
        raise DataError("there is no pair to evaluate on; load more feedback, or choose a larger test_share.")
    prompts = pairs["prompt"][:]
    sides = [list(zip(prompts, pairs[side][:], strict=True)) for side in ("chosen", "rejected")]
    unique = list(dict.fromkeys(sides[0] + sides[1]))
    rewards = reward.score([p for p, _ in unique], [r for _, r in unique])
    of_text = dict(zip(unique, map(float, rewards), strict=True))
    return np.array([of_text[c] - of_text[r] for c, r in zip(*sides, strict=True)])


def correct(margins: Sequence[float]) -> np.ndarray:
    """1 where the chosen response has the higher reward, 0 where it has the lower one, 1/2 for a tie; NaN stays."""
    margins = np.asarray(margins, dtype=float)
    return np.where(np.isnan(margins), np.nan, (np.sign(margins) + 1) / 2)


def pairwise_accuracy(margins: Sequence[float], prompt_ids: Sequence[str], samples: int = 2000) -> Interval:
    """The share of pairs in the right order, with a 95 % interval that resamples whole prompts.

    A bootstrap of nothing but successes (or failures) would have no width at all. There the interval is the exact one
    of Clopper and Pearson (1934), counting each prompt once.
    """
    found = bootstrap_mean(correct(margins), prompt_ids, samples)
    if found.estimate == 1:
        return replace(found, low=0.025 ** (1 / found.clusters))
    if found.estimate == 0:
        return replace(found, high=1 - 0.025 ** (1 / found.clusters))
    return found


def accuracy_table(
    margins: Mapping[str, Sequence[float]], prompt_ids: Sequence[str], of: str, samples: int = 2000
) -> pd.DataFrame:
    """A row per judge: accuracy, low, high, and how much better `of` is on the same pairs: difference, diff_low,
    diff_high.

    `margins` maps a judge's name to its margins `[P]`. Raises DataError when `of` is not among them.
    """
    if of not in margins:
        raise DataError(f"there are no margins of {of!r}; there are some of {', '.join(margins)}.")
    rows = {}
    for name, values in margins.items():
        own = pairwise_accuracy(values, prompt_ids, samples)
        rows[name] = [own.estimate, own.low, own.high, np.nan, np.nan, np.nan]
        if name != of:
            better = paired_bootstrap(correct(values), correct(margins[of]), prompt_ids, samples)
            rows[name][3:] = [better.estimate, better.low, better.high]
    columns = ["accuracy", "low", "high", "difference", "diff_low", "diff_high"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("judge")


def wrong_by_a_fact(
    pairs: Dataset, kinds: Mapping[tuple[str, str], str], manners: Mapping[tuple[str, str], str]
) -> pd.DataFrame:
    """The pairs of equal manner of which one response is wrong by a fact alone: a row per pair of `pairs`.

    Columns: fact (whether it is such a pair, and the wrong side is the rejected one), complete (whether, besides, the
    chosen one states every fact), prefers_true (1 if the true side was chosen, 0 if the wrong one, NaN for pairs of
    another kind): its mean is the ceiling for anybody who judges by truth.
    """
    rows = []
    for prompt, chosen, rejected in zip(pairs["prompt"][:], pairs["chosen"][:], pairs["rejected"][:], strict=True):
        sides = [(prompt, chosen), (prompt, rejected)]
        better, worse = (kinds.get(side) for side in sides)
        shows = any(side in manners for side in sides)
        true = {"complete", "vague"}
        fact = better in true and worse == "wrong" and not shows
        against = worse in true and better == "wrong" and not shows
        rows.append([fact, fact and better == "complete", 1.0 if fact else 0.0 if against else np.nan])
    return pd.DataFrame(rows, columns=["fact", "complete", "prefers_true"])


def load_kinds(location) -> dict[tuple[str, str], str]:
    """{(prompt, response): kind} from the `kinds` beside the responses of an A2I file; empty where there are none."""
    return _beside_responses(location, "kinds")


def load_manners(location) -> dict[tuple[str, str], str]:
    """{(prompt, response): manner} of the wrong responses whose manner shows that they are wrong.

    "invented" is an invented event, "boasting" a boast; a response with only a wrong fact has none. They are read from
    `manners` beside the responses of an A2I file; empty where there are none.
    """
    return _beside_responses(location, "manners")


def _beside_responses(location, field: str) -> dict[tuple[str, str], str]:
    found: dict[tuple[str, str], str] = {}
    for file in find_files(location):
        for record in read_records(file):
            content = (record.fields or {}).get("inputContent")
            task = content.get("taskObject") if isinstance(content, dict) else None
            if isinstance(task, dict) and isinstance(task.get(field), list):
                named = zip(task.get("responses") or [], task[field], strict=False)
                found |= {(task.get("prompt"), response): value for response, value in named if value is not None}
    return found


def criterion(one: str | None, other: str | None) -> str | None:
    """How two kinds of response differ: `harmless` (one insults), `honest` (one is wrong), `helpful`, or None."""
    if one == other or one not in KINDS or other not in KINDS:
        return None
    for kind, name in (("insult", "harmless"), ("wrong", "honest")):
        if kind in (one, other):
            return name
    return "helpful"


def accuracy_by_kind(
    pairs: Dataset, margins: Sequence[float], kinds: Mapping[tuple[str, str], str], samples: int = 2000
) -> pd.DataFrame:
    """A row per two kinds of response: criterion, better, worse, accuracy, low, high, pairs; empty without kinds.

    The first rows sum up each criterion (their `better` and `worse` say "any"). The annotators' majority
    decides what is right, not the kinds.
    """
    texts = zip(pairs["prompt"][:], pairs["chosen"][:], pairs["rejected"][:], strict=True)
    of_pair = [tuple(sorted(map(_place, (kinds.get((p, c)), kinds.get((p, r)))))) for p, c, r in texts]
    names = [(*KINDS, None)[better] for better, _ in of_pair], [(*KINDS, None)[worse] for _, worse in of_pair]
    table = pd.DataFrame({"better": names[0], "worse": names[1], "margin": margins, "prompt": pairs["prompt_id"][:]})
    table["criterion"] = [criterion(b, w) for b, w in zip(*names, strict=True)]
    rows = []
    for name in CRITERIA:
        part = table[table["criterion"] == name]
        rows += [(name, "any", "any", part)] if len(part) else []
    for better, worse in itertools.combinations(KINDS, 2):
        part = table[(table["better"] == better) & (table["worse"] == worse)]
        rows += [(criterion(better, worse), better, worse, part)] if len(part) else []
    records = []
    for name, better, worse, part in rows:
        own = pairwise_accuracy(part["margin"], part["prompt"], samples)
        records.append([name, better, worse, own.estimate, own.low, own.high, len(part)])
    columns = ["criterion", "better", "worse", "accuracy", "low", "high", "pairs"]
    return pd.DataFrame(records, columns=columns)


def calibration_table(reward, rankings: Dataset) -> pd.DataFrame:
    """Whether the model's confidence is right: a row per bin of sigma(|margin|), the probability of what it prefers.

    Columns: low, high (of the bin), pairs, predicted (mean probability), agreement (mean share of the annotators who
    prefer what the model prefers, a tie counting half). Two responses count once if any annotator preferred one of
    them.
    """
    pairs = to_pairs(rankings, annotators="all")
    first: dict[tuple, int] = {}
    for index, row in enumerate(zip(pairs["prompt"][:], pairs["chosen"][:], pairs["rejected"][:], strict=True)):
        first.setdefault((row[0], *sorted(row[1:])), index)
    pairs = pairs.select(list(first.values()))
    margins = pair_margins(reward, pairs)
    share = np.asarray(pairs["agreement"][:])
    agreement = np.where(margins < 0, 1 - share, np.where(margins > 0, share, 0.5))
    predicted = 1 / (1 + np.exp(-np.abs(margins)))
    place = np.clip(np.digitize(predicted, _BINS) - 1, 0, len(_BINS) - 2)
    rows = []
    for index, (low, high) in enumerate(itertools.pairwise(_BINS)):
        part = place == index
        means = (predicted[part].mean(), agreement[part].mean()) if part.any() else (np.nan, np.nan)
        rows.append([low, high, int(part.sum()), *means])
    return pd.DataFrame(rows, columns=["low", "high", "pairs", "predicted", "agreement"])


def calibration_error(table: pd.DataFrame) -> float:
    """The mean distance of predicted and agreement over the bins, weighted by pairs (ECE, Guo et al. 2017)."""
    filled = table[table["pairs"] > 0]
    return float(((filled["predicted"] - filled["agreement"]).abs() * filled["pairs"]).sum() / filled["pairs"].sum())


def annotator_accuracy(rankings: Dataset, samples: int = 2000) -> Interval:
    """How often one annotator agrees with the majority of the *others*, the same measure as a model's accuracy.

    Each annotator of each prompt is left out once. Pairs that this annotator ties are not counted.
    """
    said: dict[tuple[str, str, str], list[int]] = {}  # (prompt, a, b) -> -1 (a is better), 0 or 1 per annotator
    for row in rankings:
        for a, b, sign in comparisons(row["responses"], row["ranks"]):
            key, sign = ((row["prompt"], a, b), sign) if a < b else ((row["prompt"], b, a), -sign)
            said.setdefault(key, []).append(sign)
    values, prompts = [], []
    for (prompt, _, _), signs in said.items():
        for own in signs:
            others = int(np.sign(sum(signs) - own))
            if own and others:
                values.append(float(own == others))
                prompts.append(prompt)
    return bootstrap_mean(values, prompts, samples)


def first_prompts(data: Dataset, count: int) -> Dataset:
    """The rows of the first `count` different prompts: what a learning curve trains on. Raises DataError below 1."""
    if count < 1:
        raise DataError(f"count={count} prompts are too few; a training needs at least one.")
    kept = set(list(dict.fromkeys(data["prompt"][:]))[:count])
    return data.select([i for i, prompt in enumerate(data["prompt"][:]) if prompt in kept])


def _place(kind: str | None) -> int:
    return KINDS.index(kind) if kind in KINDS else len(KINDS)
