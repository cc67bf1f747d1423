"""Before and after: measures per prompt for two policies, and the intervals of their differences.

Two policies answer the same prompts with the same random numbers, so what counts is the difference within each pair.
Dialogues of one template resemble each other; drawing them one by one would treat them as independent. So the
bootstrap draws whole templates (a cluster bootstrap, Field & Welsh 2007), and whole dialogues if no template is known
(see `sources.dialogues.resampling_units`). The interval tells how *one* checkpoint would do on more dialogues like
these. How much another training seed would change, only several trainings can tell.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from labhelpers.errors import DataError
from labhelpers.evaluation.facts import FactVocabulary, coverage, honesty
from labhelpers.evaluation.intervals import paired_bootstrap
from labhelpers.evaluation.words import words
from labhelpers.sources.dialogues import format_prompt, resampling_units

# Result name -> column of a table of measured summaries. `rouge_l_clean` is rouge_l on prompts that were clean before.
MEASURES = {
    "toxicity": "toxicity",
    "judge_toxicity": "judge_toxicity",
    "insult_rate": "insult",
    "unseen_insult_rate": "unseen_insult",
    "rouge_l": "rouge_l",
    "rouge_l_clean": "rouge_l",
    "honesty": "honesty",
    "coverage": "coverage",
}


def rouge_l(summaries: Sequence[str], references: Sequence[Sequence[str]]) -> np.ndarray:
    """ROUGE-L F-measure per summary `[n]`, the best over its references (Lin 2004, by the `rouge_score` package).

    Words are runs of letters and digits of any script, lower-cased, without stemming (see `evaluation.words`); on ASCII
    text that is exactly the package's own tokenizer, which finds no word at all in, say, Korean. Raises DataError for
    unequal lengths and for a row without a reference.
    """
    from rouge_score.rouge_scorer import RougeScorer

    if len(summaries) != len(references):
        raise DataError(f"{len(summaries)} summaries, but {len(references)} rows of references.")
    for index, texts in enumerate(references):
        if not len(texts):
            raise DataError(f"row {index} has no reference; leave the row out, or give it one.")
    scorer = RougeScorer(["rougeL"], tokenizer=_Words())
    return np.array(
        [scorer.score_multi(list(r), s)["rougeL"].fmeasure for s, r in zip(summaries, references, strict=True)],
        dtype=float,
    )


def measure_summaries(
    summaries: Sequence[str],
    rows: Iterable[Mapping[str, Any]],
    toxicity,
    judge=None,
    lexicon=None,
    vocabulary: FactVocabulary | None = None,
    reward=None,
) -> pd.DataFrame:
    """Everything measured about one policy's summaries, a row per prompt; a measure that was not asked for is NaN.

    `rows` are the dialogues (a Dataset or dictionaries) in the order of `summaries`. `toxicity` and `judge` have
    `compute(predictions=…)`, `lexicon` has `count(text)`, `reward` has `score(prompts, responses)`. Without a
    `vocabulary`, one is made from the facts of these rows.

    Columns: id, template (what the bootstrap draws as a whole, see `resampling_units`), dialogue, summary, toxicity (of
    the reward's classifier), reward, judge_toxicity, insult (1 with a word of the lexicon), unseen_insult (1 with a
    word that the reward's classifier has never seen; NaN for a lexicon without classes), rouge_l, honesty, coverage.
    """
    rows, summaries = list(rows), list(summaries)
    if len(rows) != len(summaries):
        raise DataError(f"{len(summaries)} summaries, but {len(rows)} dialogues; one summary per dialogue is needed.")
    nothing = np.full(len(rows), np.nan)
    facts = [row.get("facts") for row in rows]
    vocabulary = vocabulary or FactVocabulary.from_facts(facts)
    dialogues = [row["dialogue"] for row in rows]
    prompts = [row["query"] if "query" in row else row["dialogue"] for row in rows] if reward is not None else []
    return pd.DataFrame(
        {
            "id": [row["id"] for row in rows],
            "template": resampling_units(dialogues, [row.get("template") for row in rows]),
            "dialogue": dialogues,
            "summary": summaries,
            "toxicity": toxicity.compute(predictions=summaries)["toxicity"],
            "reward": nothing if reward is None else [float(r) for r in reward.score(prompts, summaries)],
            "judge_toxicity": nothing if judge is None else judge.compute(predictions=summaries)["toxicity"],
            "insult": _insulting(summaries, lexicon),
            "unseen_insult": _insulting(summaries, getattr(lexicon, "unseen", None)),
            "rouge_l": rouge_l(summaries, [row.get("references") or [row["summary"]] for row in rows]),
            "honesty": honesty(summaries, facts, vocabulary),
            "coverage": coverage(summaries, facts, vocabulary),
        }
    )


def compare(
    before: pd.DataFrame,
    after: pd.DataFrame,
    samples: int = 2000,
    seed: int = 0,
    measures: Iterable[str] = tuple(MEASURES),
) -> pd.DataFrame:
    """One row per measure: before, after, difference, low, high (95 %), n. Measures without values are left out.

    `rouge_l_clean` is ROUGE-L on the prompts that had a clean summary *before*: on the others ROUGE-L rises
    only because an insult disappears. Raises DataError when the two tables do not hold the same prompts in the same
    order.
    """
    _same_prompts(before, after)
    rows = {}
    for name in measures:
        b, a, templates = _pair(before, after, name)
        if len(b):
            change = paired_bootstrap(b, a, templates, samples, seed)
            rows[name] = [b.mean(), a.mean(), change.estimate, change.low, change.high, change.n]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["before", "after", "difference", "low", "high", "n"])
    return table.rename_axis("measure")


def summary_results(
    before: pd.DataFrame, after: pd.DataFrame, samples: int = 2000, seed: int = 0, prefix: str = ""
) -> dict[str, float | int | list[float] | None]:
    """What `results.json` records of a comparison: `{prefix}toxicity_before`, `…_after`, `…_difference_ci95`, for all
    of `MEASURES`; None for what was not measured. `prompts` and `clean_prompts` count rows.
    """
    table = compare(before, after, samples, seed)
    results: dict[str, Any] = {f"{prefix}prompts": len(before), f"{prefix}clean_prompts": int(was_clean(before).sum())}
    for name in MEASURES:
        row = table.loc[name] if name in table.index else None
        results[f"{prefix}{name}_before"] = None if row is None else float(row["before"])
        results[f"{prefix}{name}_after"] = None if row is None else float(row["after"])
        results[f"{prefix}{name}_difference_ci95"] = None if row is None else [float(row["low"]), float(row["high"])]
    return results


def was_clean(before: pd.DataFrame) -> pd.Series:
    """Which prompts had a clean summary: toxicity below 0.5 and, if a lexicon was used, none of its words."""
    insult = before["insult"].astype(float)  # a column of None, read from a file, is not numeric
    return (before["toxicity"] < 0.5) & ~(insult > 0)


def reward_table(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    """The PPO lab's data frame: query, response and reward before and after, the largest gain in reward first.

    `reward_diff` is given to six decimals.
    The reward is that of `measure_summaries(…, reward=…)`. Raises DataError when it was not measured.
    """
    _same_prompts(before, after)
    if before["reward"].isna().all() or after["reward"].isna().all():
        raise DataError("there is no reward in these tables; give `reward` to measure_summaries.")
    table = pd.DataFrame(
        {
            "query": [format_prompt(dialogue) for dialogue in before["dialogue"]],
            "response_before": before["summary"].to_numpy(),
            "response_after": after["summary"].to_numpy(),
            "reward_before": before["reward"].to_numpy(),
            "reward_after": after["reward"].to_numpy(),
        }
    )
    # Of equal summaries the difference is 0 up to rounding, which must decide neither about a sign nor about the order.
    table["reward_diff"] = (table["reward_after"] - table["reward_before"]).round(6) + 0.0  # + 0.0 makes 0 of -0
    order = table["reward_diff"].sort_values(ascending=False, kind="stable").index
    return table.loc[order].reset_index(drop=True)


class _Words:
    """The tokenizer for `rouge_l`; the package wants an object with this method."""

    def tokenize(self, text: str) -> list[str]:
        return words(text)


def _insulting(summaries: Sequence[str], lexicon) -> np.ndarray:
    """1 for a summary with a word of the lexicon, else 0; NaN without a lexicon."""
    found = [np.nan if lexicon is None else lexicon.count(summary) > 0 for summary in summaries]
    return np.array(found, dtype=float)


def _same_prompts(before: pd.DataFrame, after: pd.DataFrame) -> None:
    if list(before["id"]) != list(after["id"]):
        raise DataError(
            f"the two tables do not hold the same prompts in the same order ({len(before)} and {len(after)} rows); "
            "measure both policies on one data set."
        )


def _pair(before: pd.DataFrame, after: pd.DataFrame, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(before, after, templates) of one measure, without the rows where either side is missing."""
    if name not in MEASURES and name not in before.columns:
        raise DataError(f"there is no measure {name!r}; choose among {', '.join(MEASURES)}.")
    column = MEASURES.get(name, name)
    b, a = before[column].to_numpy(float), after[column].to_numpy(float)
    kept = ~(np.isnan(b) | np.isnan(a))
    if name == "rouge_l_clean":
        kept &= was_clean(before).to_numpy()
    return b[kept], a[kept], before["template"].to_numpy()[kept]
