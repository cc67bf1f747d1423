"""Texts with the labels nothate or hate, which the toxicity classifiers are trained and tested on.

Three splits with disjoint phrasings: `train` (for the classifier that gives the reward), `judge` (for a second one that
never gives a reward) and `test`. A text's `template` names the phrasing it came from, and `words` the class of its
insulting words: `train` has only those that the reward knows, `judge` also the judge's, `test` all.
Insults are mild and aimed at people. Hard cases on both sides have kinds of their own: annoyance at things, words that
are negated or only quoted are nothate; an insult disguised by its spelling is hate.
"""

from __future__ import annotations

import random
from functools import cache
from typing import NamedTuple

from data.generator import dialogues
from data.generator.notation import TEXTS, sections
from data.generator.scenarios import NAMES

SIZES = {"train": 3400, "judge": 2600, "test": 1400}
# The kinds of texts that stand alone, and those that are made from a summary.
ALONE = {"nothate": ("nothate", "things", "negated", "quoted"), "hate": ("hate", "disguised")}
FROM_SUMMARY = {"nothate": ("clean",), "hate": ("after", "woven")}
LABELS = tuple(ALONE)
HARD = ("things", "negated", "quoted", "disguised")
# The classes of insulting words that each split uses, with their shares.
WORDS = {
    "train": {"reward": 1.0},
    "judge": {"reward": 0.6, "judge": 0.4},
    "test": {"reward": 0.5, "judge": 0.25, "lexicon": 0.25},
}
# Share of the texts that are made from a dialogue summary.
SUMMARY_SHARE = 0.45
_ODD_VOWELS = str.maketrans("aeiou", "4310v")

_TEXTS = sections(
    TEXTS / "hate.txt",
    {"good": 1, "things": 1}
    | {
        f"{split} {kind}": 1
        for split in SIZES
        for kind in ("lead", *(kind for kinds in (ALONE, FROM_SUMMARY) for label in LABELS for kind in kinds[label]))
    },
    (
        "N N2 N3 P P2 X adj adj2 an_adj an_adj_cap noun a_noun nouns good a_good T T2 "  # see _words
        "odd_adj an_odd_adj odd_noun an_odd_noun ref ref2 cut first rest stem"  # disguised; from a summary
    ).split(),
)


class Drawn(NamedTuple):
    text: str
    template: str  # split/kind/number of the phrasing
    words: str | None  # class of the insulting words


@cache
def phrasings(split: str, kind: str) -> tuple[str, ...]:
    """The phrasings of one split and kind (see `ALONE` and `FROM_SUMMARY`).

    Of the insult forms of the dialogues, every second one is also a phrasing of `train`; the others are in `judge`.
    """
    shared = {"after": dialogues.AFTER, "woven": dialogues.WOVEN}.get(kind, ())
    start = {"train": 0, "judge": 1}.get(split, len(shared))
    return (*_TEXTS[f"{split} {kind}"], *shared[start::2])


def disguise(rng: random.Random, word: str) -> str:
    """`word` as people write it to pass a filter: another sign for a vowel, or the letters apart."""
    way = rng.choice(("sign", "apart", "star"))
    if way == "apart":
        return " ".join(word)
    place = rng.choice([i for i, letter in enumerate(word) if letter in "aeiou"])
    new = "*" if way == "star" else word[place].translate(_ODD_VOWELS)
    return word[:place] + new + word[place + 1 :]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _words(rng: random.Random, group: str) -> dict[str, str]:
    """Values for every slot that does not come from a summary; insulting words are of one class."""
    adj, adj2 = rng.sample(dialogues.ADJECTIVES[group], 2)
    noun, good = rng.choice(dialogues.NOUNS[group]), rng.choice(_TEXTS["good"])
    name, name2, name3 = rng.sample(NAMES, 3)
    thing, thing2 = rng.sample(_TEXTS["things"], 2)
    label, label2 = rng.sample(("#Person1#", "#Person2#"), 2)
    article = dialogues.article
    odd_adj, odd_noun = disguise(rng, adj), disguise(rng, noun)
    return {
        "adj": adj, "adj2": adj2,
        "an_adj": article(adj), "an_adj_cap": _capital(article(adj)), "noun": noun, "a_noun": article(noun),
        "nouns": noun + "s", "good": good, "a_good": article(good),
        "odd_adj": odd_adj, "an_odd_adj": article(adj).replace(adj, odd_adj),
        "odd_noun": odd_noun, "an_odd_noun": article(noun).replace(noun, odd_noun),
        "N": name, "N2": name2, "N3": name3, "P": label, "P2": label2, "X": label, "T": thing, "T2": thing2,
    }  # fmt: skip


def says(form: str, group: str) -> str | None:
    """The class of the insulting words in a phrasing that is filled from `group`; None when it has none."""
    if any(slot in form for slot in ("adj", "noun")):
        return group
    return "reward" if "hate" in form else None


def _fits(form: str, group: str) -> bool:
    """Whether a hateful phrasing has words of one class only: "hate" is the reward's."""
    return group in dialogues.VERBS or "hate" not in form


def _reference(rng: random.Random, seed: str, used: set) -> str:
    """A clean summary of a dialogue that is in no split."""
    return rng.choice(dialogues.draw_row(seed, used)["references"])


def _from_summary(rng: random.Random, split: str, label: str, references: tuple[str, str], group: str) -> Drawn:
    """A text made from the first of two summaries; a phrasing may append the second one."""
    ref, ref2 = references
    first, _, rest = ref.partition(" ")
    words = _words(rng, group) | {"ref": ref, "ref2": ref2, "first": first, "rest": rest, "stem": ref.removesuffix(".")}
    words["cut"] = " ".join(ref.split()[: rng.randrange(4, 10)])
    kind = rng.choice(FROM_SUMMARY[label])
    while True:
        k = rng.randrange(len(phrasings(split, kind)))
        if kind == "clean" and rng.random() < 0.3:
            k = 0  # the first phrasing is the plain summary
        form = phrasings(split, kind)[k]
        speaker = first.startswith("#Person") or not ("{first}" in form or kind == "woven" and form.endswith("{ref}"))
        if speaker and (label == "nothate" or _fits(form, group)):
            break
    text = form.format_map(words)
    return Drawn(f"{ref} {text}" if kind == "after" else _capital(text), f"{split}/{kind}/{k}", says(form, group))


def _chat(rng: random.Random, split: str, label: str, group: str) -> Drawn:
    """A text without a summary."""
    forms = [(kind, k) for kind in ALONE[label] for k in range(len(phrasings(split, kind)))]
    while True:
        kind, k = rng.choice(forms)
        form = phrasings(split, kind)[k]
        if label == "nothate" or _fits(form, group):
            break
    words = _words(rng, group)
    text = _capital(form.format_map(words))
    if rng.random() < 0.4:
        lead = rng.choice(_TEXTS[f"{split} lead"])
        text = f"{lead.format_map(words)} {text}"
    return Drawn(text, f"{split}/{kind}/{k}", says(form, group) if kind != "things" else None)


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
            group = dialogues.draw_class(rng, WORDS[split])
            summary = rng.random() < SUMMARY_SHARE
            if summary:
                references = tuple(_reference(rng, f"hate/{split}/{pair}/{n}", used) for n in (1, 2))
            for label in LABELS:
                while True:
                    if summary:
                        drawn = _from_summary(rng, split, label, references, group)
                    else:
                        drawn = _chat(rng, split, label, group)
                    if drawn.text not in taken:
                        break
                taken.add(drawn.text)
                result[split].append(
                    {"text": drawn.text, "label": label, "template": drawn.template, "words": drawn.words}
                )
    return result
