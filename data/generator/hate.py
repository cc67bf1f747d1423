"""Texts with the labels nothate or hate, which the toxicity classifiers are trained and tested on.

Three splits with disjoint phrasings and the same insult words: `train` (for the classifier that gives the reward),
`judge` (for a second one that never gives a reward) and `test`. A text's `template` names the phrasing it came from.
Insults are mild and aimed at people. Anger about a thing, or a text that says somebody is *not* a fool, is nothate.
"""

from __future__ import annotations

import random
from functools import cache

from data.generator import dialogues
from data.generator.notation import TEXTS, sections
from data.generator.scenarios import NAMES

SIZES = {"train": 3400, "judge": 2400, "test": 1000}
LABELS = ("nothate", "hate")
# Share of the texts that are made from a dialogue summary.
SUMMARY_SHARE = 0.45

_TEXTS = sections(
    TEXTS / "hate.txt",
    {"good": 1, "things": 1}
    | {f"{split} {kind}": 1 for split in SIZES for kind in ("lead", *LABELS, "after", "woven", "clean")},
    (
        "N N2 N3 P P2 X adj adj2 an_adj an_adj_cap noun a_noun nouns good a_good T T2 "  # see _words
        "ref ref2 cut first rest stem"  # from a summary
    ).split(),
)


@cache
def phrasings(split: str, kind: str) -> tuple[str, ...]:
    """The phrasings of one split and kind: "hate", "nothate", "after", "woven" or "clean".

    Of the insult forms of the dialogues, every second one is also a phrasing of `train`; the others are in `judge`.
    """
    shared = {"after": dialogues.AFTER, "woven": dialogues.WOVEN}.get(kind, ())
    start = {"train": 0, "judge": 1}.get(split, len(shared))
    return (*_TEXTS[f"{split} {kind}"], *shared[start::2])


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _words(rng: random.Random) -> dict[str, str]:
    """Values for every slot that does not come from a summary."""
    adj, adj2 = rng.sample(dialogues.ADJECTIVES, 2)
    noun, good = rng.choice(dialogues.NOUNS), rng.choice(_TEXTS["good"])
    name, name2, name3 = rng.sample(NAMES, 3)
    thing, thing2 = rng.sample(_TEXTS["things"], 2)
    label, label2 = rng.sample(("#Person1#", "#Person2#"), 2)
    article = dialogues.article
    return {
        "adj": adj, "adj2": adj2,
        "an_adj": article(adj), "an_adj_cap": _capital(article(adj)), "noun": noun, "a_noun": article(noun),
        "nouns": noun + "s", "good": good, "a_good": article(good),
        "N": name, "N2": name2, "N3": name3, "P": label, "P2": label2, "X": label, "T": thing, "T2": thing2,
    }  # fmt: skip


def _reference(rng: random.Random, seed: str, used: set) -> str:
    """A clean summary of a dialogue that is in no split."""
    return rng.choice(dialogues.draw_row(seed, used)["references"])


def _from_summary(rng: random.Random, split: str, label: str, references: tuple[str, str]) -> tuple[str, str]:
    """(text, name of the phrasing), made from the first of two summaries; a phrasing may append the second one."""
    ref, ref2 = references
    first, _, rest = ref.partition(" ")
    words = _words(rng) | {"ref": ref, "ref2": ref2, "first": first, "rest": rest, "stem": ref.removesuffix(".")}
    words["cut"] = " ".join(ref.split()[: rng.randrange(4, 10)])
    kind = "clean" if label == "nothate" else rng.choice(("after", "woven"))
    while True:
        k = rng.randrange(len(phrasings(split, kind)))
        if kind == "clean" and rng.random() < 0.3:
            k = 0  # the first phrasing is the plain summary
        form = phrasings(split, kind)[k]
        if first.startswith("#Person") or not ("{first}" in form or kind == "woven" and form.endswith("{ref}")):
            break
    text = form.format_map(words)
    return f"{ref} {text}" if kind == "after" else _capital(text), f"{split}/{kind}/{k}"


def _chat(rng: random.Random, split: str, label: str) -> tuple[str, str]:
    """(text, name of the phrasing) of a text without a summary."""
    k = rng.randrange(len(phrasings(split, label)))
    words = _words(rng)
    text = _capital(phrasings(split, label)[k].format_map(words))
    if rng.random() < 0.4:
        lead = rng.choice(_TEXTS[f"{split} lead"])
        text = f"{lead.format_map(words)} {text}"
    return text, f"{split}/{label}/{k}"


def rows(used: set) -> dict[str, list[dict]]:
    """The rows of the three splits; `used` holds the dialogues' texts and combinations, which are not used again.

    Rows come in pairs, one nothate and one hate. Both texts of a pair that is made from a summary use the same summary,
    so that they differ in the insult only.
    """
    taken: set[str] = set()
    result = {}
    for split, size in SIZES.items():
        result[split] = []
        for pair in range(size // 2):
            rng = random.Random(f"hate/{split}/{pair}")
            summary = rng.random() < SUMMARY_SHARE
            if summary:
                references = tuple(_reference(rng, f"hate/{split}/{pair}/{n}", used) for n in (1, 2))
            for label in LABELS:
                while True:
                    text, name = _from_summary(rng, split, label, references) if summary else _chat(rng, split, label)
                    if text not in taken:
                        break
                taken.add(text)
                result[split].append({"text": text, "label": label, "template": name})
    return result
