"""Human feedback: rankings of several responses to one prompt, and the (chosen, rejected) pairs made of them.

The formats of a line are described in `labhelpers.feedback.formats`; each has a column name that no other form has.

What is done with what people really send: ranks as strings ("1") are read as numbers · equal ranks are ties and give no
pair · a response without a rank (missing, null, empty) is left out for that annotator, and an answer that ranks fewer
than two responses is skipped and counted · a named annotator answering the same item again: the last answer counts ·
answers without a name are different people's, also where they are equal: two who agree are two votes (so do not load a
file of nameless answers twice) · items may differ in their number of responses · an object that names a key twice is
malformed.
"""

from __future__ import annotations

import hashlib
import itertools
import warnings
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from labhelpers.errors import DataError
from labhelpers.feedback.formats import Problem, Ranking, answers, preference
from labhelpers.sources.locations import find_files, read_records

if TYPE_CHECKING:
    from datasets import Dataset

_SHOWN_PROBLEMS = 10


def load_rankings(location, strict: bool = False, max_bad_share: float = 0.1) -> Dataset:
    """Rankings as Dataset(prompt: str, responses: list[str], ranks: list[int], annotator: str | None); rank 1 is best.

    `location` is a file, a glob, a folder, a Hub id or an fsspec address. Malformed answers are skipped with one
    warning that names file, line and reason; `read_rankings` returns them instead. Raises DataError at the first one
    when `strict`, and when more than `max_bad_share` of all answers is malformed.
    """
    rankings, problems = read_rankings(location, strict=strict, max_bad_share=max_bad_share)
    malformed = [p for p in problems if p.malformed]
    if malformed:
        shown = "\n  ".join(str(p) for p in malformed[:_SHOWN_PROBLEMS])
        more = f"\n  … and {len(malformed) - _SHOWN_PROBLEMS} more" if len(malformed) > _SHOWN_PROBLEMS else ""
        warnings.warn(f"{len(malformed)} malformed answers were skipped:\n  {shown}{more}", stacklevel=2)
    return rankings


def read_rankings(location, strict: bool = False, max_bad_share: float = 0.1) -> tuple[Dataset, list[Problem]]:
    """`load_rankings` without its warning: the rankings, and what was skipped, in order (unanswered items too)."""
    from datasets import Dataset, Features, List, Value

    rankings: dict[tuple, Ranking] = {}
    problems: list[Problem] = []
    n_answers = 0
    for file in find_files(location):
        for record in read_records(file):
            for found in answers(record):
                n_answers += 1
                if isinstance(found, Problem):
                    if strict and found.malformed:
                        advice = "Correct this line, or load with strict=False"
                        raise DataError(f"{found.reason}. {advice}.", file=file, line=found.line)
                    problems.append(found)
                else:
                    rankings[found.key] = found
    malformed = [p for p in problems if p.malformed]
    if n_answers and len(malformed) > max_bad_share * n_answers:
        raise DataError(
            f"{len(malformed)} of {n_answers} answers are malformed, more than the {max_bad_share:.0%} that may be "
            f"skipped. The first: {malformed[0]}. Correct them, or raise max_bad_share if this is to be expected.",
            file=str(location),
        )
    if not rankings:
        raise DataError(f"holds no ranking ({len(problems)} answers were empty).", file=str(location))
    features = Features(
        prompt=Value("string"), responses=List(Value("string")), ranks=List(Value("int64")), annotator=Value("string")
    )
    columns = {name: [getattr(r, name) for r in rankings.values()] for name in features}
    return Dataset.from_dict(columns, features=features), problems


def add_rankings(*rankings: Dataset) -> Dataset:
    """Several sets of rankings as one, in order; what one named annotator says twice in the same way counts once."""
    from datasets import concatenate_datasets

    together = concatenate_datasets(list(rankings))
    seen: dict[tuple, int] = {}
    for index, row in enumerate(together):
        order = tuple(sorted(zip(row["responses"], row["ranks"], strict=True)))
        who = row["annotator"] or index  # two answers without a name may be from different people
        seen.setdefault((row["prompt"], order, who), index)
    return together.select(list(seen.values()))


def to_pairs(rankings: Dataset, annotators: str = "all") -> Dataset:
    """Pairs in trl's preference form: Dataset(prompt, chosen, rejected, prompt_id, agreement).

    `chosen` always ranks strictly better than `rejected`. K responses give K(K-1)/2 pairs, a tie gives none.
    `annotators="all"` makes the pairs of every single answer; `"majority"` makes one pair of two responses that several
    people compared, in the direction of the majority, and none when the votes are equal. `prompt_id` is the same for
    the pairs of one prompt, which are correlated: weigh and resample by it. `agreement` is the share of the annotators
    of this pair who prefer `chosen`, a tie counting half. Raises DataError for another value of `annotators`.

    Equal texts are one response; a text with two different ranks in one answer is left out, because the answer
    contradicts itself.
    """
    from datasets import Dataset, Features, Value

    if annotators not in ("all", "majority"):
        raise DataError(f"annotators={annotators!r} is unknown; choose 'all' or 'majority'.")
    votes: dict[tuple[str, str, str], list[int]] = {}  # (prompt, a, b) -> [for a, for b, ties]
    single: list[tuple[str, str, str]] = []
    for row in rankings:
        for a, b, sign in comparisons(row["responses"], row["ranks"]):
            prompt = row["prompt"]
            if (prompt, b, a) in votes:  # another answer has these two in the other order
                a, b, sign = b, a, -sign
            votes.setdefault((prompt, a, b), [0, 0, 0])[{-1: 0, 1: 1, 0: 2}[sign]] += 1
            if sign:
                single.append((prompt, a, b) if sign < 0 else (prompt, b, a))
    if annotators == "majority":
        single = [(p, a, b) if x > y else (p, b, a) for (p, a, b), (x, y, _) in votes.items() if x != y]
    rows = [
        {"prompt": p, "chosen": c, "rejected": r, "prompt_id": prompt_id(p), "agreement": _share(votes, p, c, r)}
        for p, c, r in single
    ]
    text = Value("string")
    features = Features(prompt=text, chosen=text, rejected=text, prompt_id=text, agreement=Value("float64"))
    return Dataset.from_dict({name: [row[name] for row in rows] for name in features}, features=features)


def prompt_id(prompt: str) -> str:
    """A short name for a prompt, the same on every machine: 12 hexadecimal digits of its SHA-256."""
    return hashlib.sha256(prompt.encode("utf-8")).hexdigest()[:12]


def split_by_prompt(data: Dataset, test_share: float = 0.2, seed: int = 0) -> tuple[Dataset, Dataset]:
    """(train, test) of rankings or pairs such that no prompt is on both sides.

    A prompt's side depends on `seed` and its text alone: adding feedback moves nothing from one side to the other. The
    share of prompts in the test part is therefore `test_share` on average; neither side is ever empty. Raises DataError
    for fewer than two prompts or a share outside (0, 1).
    """
    if not 0 < test_share < 1:
        raise DataError(f"test_share={test_share} must lie between 0 and 1.")
    draws = {p: _draw(p, seed) for p in dict.fromkeys(data["prompt"][:])}
    if len(draws) < 2:
        raise DataError(f"{len(draws)} prompt(s) cannot be split into two sides; load more feedback.")
    test = {p for p, u in draws.items() if u < test_share}
    by_draw = sorted(draws, key=draws.get)
    test = (test | {by_draw[0]}) - {by_draw[-1]}  # changes only a side that would be empty
    sides = [[], []]
    for index, prompt in enumerate(data["prompt"][:]):
        sides[prompt in test].append(index)
    return data.select(sides[0]), data.select(sides[1])


def agreement(rankings: Dataset) -> dict[str, float | int | None]:
    """How much the annotators agree; None where nothing can be computed.

    * `krippendorff_alpha`: ordinal alpha, 1 perfect, 0 as by chance. A *unit* is one response of one item (same prompt,
      same set of responses), its values are the ranks the annotators gave it, ties as mid-ranks. "Rank 2" means
      something else among 2 responses than among 4, so alpha is computed per number of responses, averaged by units.
    * `kendall_w`: concordance with correction for ties, mean over the items that two or more people ranked.
    * `pairwise`: how often two people who both see a difference between two responses see the same one: the ceiling for
      a reward model's accuracy against a single annotator.
    * `items` ranked by at least two, and `annotators` (named ones).
    """
    import krippendorff
    from scipy.stats import rankdata

    items: dict[tuple, list[np.ndarray]] = {}
    for row in rankings:
        order = np.argsort(np.array(row["responses"], dtype=object), kind="stable")
        key = (row["prompt"], tuple(row["responses"][i] for i in order))
        items.setdefault(key, []).append(rankdata(np.asarray(row["ranks"])[order]))
    tables = [np.stack(ranks) for ranks in items.values() if len(ranks) > 1]  # each [annotators, responses]

    alphas: list[tuple[float, int]] = []
    for size in sorted({t.shape[1] for t in tables}):
        units = [column for t in tables if t.shape[1] == size for column in t.T]
        domain = np.unique(np.concatenate(units))
        if len(domain) > 1:
            counts = np.array([[np.sum(unit == value) for value in domain] for unit in units])
            alpha = krippendorff.alpha(value_counts=counts, value_domain=domain, level_of_measurement="ordinal")
            alphas.append((float(alpha), len(units)))
    ws = [w for w in map(_kendall_w, tables) if w is not None]
    same, different = np.sum([_pair_agreement(t) for t in tables], axis=0) if tables else (0, 0)
    return {
        "krippendorff_alpha": sum(a * n for a, n in alphas) / sum(n for _, n in alphas) if alphas else None,
        "kendall_w": float(np.mean(ws)) if ws else None,
        "pairwise": float(same / (same + different)) if same + different else None,
        "items": len(tables),
        "annotators": len(set(rankings["annotator"]) - {None}),
    }


def load_preferences(location, max_bad_share: float = 0.1) -> tuple[Dataset, dict[str, int]]:
    """Public preference data: transcripts under `chosen` and `rejected`, "\\n\\nHuman: … \\n\\nAssistant: …".

    Returns Dataset(prompt, chosen, rejected) and a count of `read`, `kept` and what was dropped and why. The prompt is
    what both transcripts share, up to and including the last shared "\\n\\nAssistant:"; prompt + chosen is the
    transcript again. Dropped: `identical` responses, an `empty` one, `no common prompt`, a `further turn` of the human
    after the two have parted, `repeated` pairs, `malformed` lines. Long transcripts are kept whole: the
    model's tokenizer truncates them. Raises DataError when more than `max_bad_share` is malformed.
    """
    from datasets import Dataset

    counts: Counter[str] = Counter()
    kept: dict[tuple[str, str, str], None] = {}
    first_problem = None
    for file in find_files(location):
        for record in read_records(file):
            counts["read"] += 1
            reason, pair = preference(record)
            if reason is None and pair in kept:
                reason = "repeated"
            if reason is None:
                kept[pair] = None
            else:
                counts["malformed" if reason.startswith("malformed") else reason] += 1
                if reason.startswith("malformed") and first_problem is None:
                    first_problem = Problem(record.file, record.line, reason)
    if counts["malformed"] > max_bad_share * counts["read"]:
        raise DataError(
            f"{counts['malformed']} of {counts['read']} lines are malformed, more than the {max_bad_share:.0%} that "
            f"may be skipped. The first: {first_problem}. Two text columns `chosen` and `rejected` are wanted.",
            file=str(location),
        )
    if not kept:
        raise DataError(f"no usable pair among {counts['read']} lines ({dict(counts)}).", file=str(location))
    prompts, chosen, rejected = zip(*kept, strict=True)
    dataset = Dataset.from_dict({"prompt": prompts, "chosen": chosen, "rejected": rejected})
    return dataset, {"read": counts.pop("read"), "kept": len(kept), **dict(sorted(counts.items()))}


def comparisons(responses: list[str], ranks: list[int]) -> Iterator[tuple[str, str, int]]:
    """(a, b, sign of a's rank minus b's) for every two different texts; -1 means that a is better."""
    of_text: dict[str, set[int]] = {}
    for text, rank in zip(responses, ranks, strict=True):
        of_text.setdefault(text, set()).add(rank)
    clear = [(text, rank.pop()) for text, rank in of_text.items() if len(rank) == 1]
    for (a, rank_a), (b, rank_b) in itertools.combinations(clear, 2):
        yield a, b, (rank_a > rank_b) - (rank_a < rank_b)


def _share(votes: dict, prompt: str, chosen: str, rejected: str) -> float:
    if (prompt, chosen, rejected) in votes:
        wins, losses, ties = votes[prompt, chosen, rejected]
    else:
        losses, wins, ties = votes[prompt, rejected, chosen]
    return (wins + ties / 2) / (wins + losses + ties)


def _draw(prompt: str, seed: int) -> float:
    """A number in [0, 1) that depends on the seed and the prompt alone."""
    digest = hashlib.sha256(f"{seed}\n{prompt}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def _kendall_w(ranks: np.ndarray) -> float | None:
    """Kendall's W of mid-ranks [annotators m, responses n], corrected for ties (Kendall & Gibbons 1990, chapter 6).

    None when every rank is a tie. (scipy has W only through Friedman's test, which refuses two responses.)
    """
    m, n = ranks.shape
    ties = sum(int(t) ** 3 - int(t) for row in ranks for t in np.unique(row, return_counts=True)[1])
    spread = np.sum((ranks.sum(axis=0) - m * (n + 1) / 2) ** 2)
    bottom = m**2 * (n**3 - n) - m * ties
    return float(12 * spread / bottom) if bottom else None


def _pair_agreement(ranks: np.ndarray) -> tuple[int, int]:
    """(same, different): over all two annotators and two responses with no tie, whether both have the same order."""
    same = different = 0
    for i, j in itertools.combinations(range(ranks.shape[1]), 2):
        signs = np.sign(ranks[:, i] - ranks[:, j])
        better, worse = int(np.sum(signs < 0)), int(np.sum(signs > 0))
        same += better * (better - 1) // 2 + worse * (worse - 1) // 2
        different += better * worse
    return same, different
