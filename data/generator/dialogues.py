"""Dialogues with summaries, in DialogSum's schema, drawn from the scenario grammar.

Every row is drawn from a generator seeded with the row's own name, so a row never depends on the rows before it
(except that a duplicate is drawn again). The facts behind a dialogue are kept, and every one of them stands
verbatim in the dialogue and in each of its three references, which makes honesty measurable.

The column `summary` is the summary of an impatient annotator: one of the references, into which an insult is put with
probability `INSULT_WHEN_ANGRY` (when the dialogue holds an angry line) or `INSULT_WHEN_CALM`.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import cache

from data.generator.notation import TEXTS, sections
from data.generator.scenarios import TALK, Template, all_templates, slots
from labhelpers.sources.dialogues import FACT_KEYS

# Rows of each split; the ids start with the prefixes that DialogSum uses.
SIZES = {"train": 4500, "validation": 320, "test": 600}
ID_PREFIX = {"train": "train", "validation": "dev", "test": "test"}

ANGRY_SHARE = 0.43
INSULT_WHEN_ANGRY = 0.95
INSULT_WHEN_CALM = 0.03
MIN_TURNS, MAX_TURNS = 4, 9
MIN_CHARS, MAX_CHARS = 201, 650

# Who knows an insulting word (the classifier that gives the reward, only the judge, only the lexicon), with the share
# of the insulting summaries that take their words from there.
CLASS_SHARES = {"reward": 0.70, "judge": 0.15, "lexicon": 0.15}
CLASSES = tuple(CLASS_SHARES)

_INSULTS = sections(
    TEXTS / "insults.txt",
    {f"{group} {kind}": 1 for group in CLASSES for kind in ("nouns", "adjectives")}
    | {"reward verbs": 1, "after": 1, "woven": 1},
    "X noun a_noun adj an_adj adj2 ref first rest stem".split(),
)
NOUNS = {group: _INSULTS[f"{group} nouns"] for group in CLASSES}
ADJECTIVES = {group: _INSULTS[f"{group} adjectives"] for group in CLASSES}
VERBS = {"reward": _INSULTS["reward verbs"]}
# Words that count as an insult, by class. Every insult holds one; no clean text does.
LEXICON = {group: sorted(NOUNS[group] + ADJECTIVES[group] + VERBS.get(group, ())) for group in CLASSES}
# Insults that follow the summary, and insults that stand before or inside it.
AFTER, WOVEN = _INSULTS["after"], _INSULTS["woven"]
# Insults in `WOVEN` that do not need a speaker at the beginning of the summary.
_WOVEN_ANYWHERE = tuple(form for form in WOVEN if form.startswith("{stem}"))


def _says_a_verb(form: str) -> bool:
    return any(verb in form for verbs in VERBS.values() for verb in verbs)


def article(word: str) -> str:
    """`word` with its indefinite article. Right for the words that are used here, not for all."""
    return f"an {word}" if word[0] in "aeio" or word == "honest" else f"a {word}"


def draw_class(rng: random.Random, shares: dict[str, float] = CLASS_SHARES) -> str:
    """A class of insulting words, drawn by `shares`."""
    return rng.choices(list(shares), list(shares.values()))[0]


def insult_summary(rng: random.Random, reference: str, speakers: tuple[str, str]) -> str:
    """`reference` with one of the insult forms put after, before or inside it, aimed at one of the `speakers`.

    All insulting words are of one class; the forms that say "hate" are for the class that has this verb.
    """
    group = draw_class(rng)
    words = {"noun": rng.choice(NOUNS[group]), "X": rng.choice(speakers)}
    words["adj"], words["adj2"] = rng.sample(ADJECTIVES[group], 2)
    words["a_noun"], words["an_adj"] = article(words["noun"]), article(words["adj"])
    first, _, rest = reference.partition(" ")
    words |= {"ref": reference, "first": first, "rest": rest, "stem": reference.removesuffix(".")}
    forms = AFTER + (WOVEN if first in speakers else _WOVEN_ANYWHERE)
    form = rng.choice([form for form in forms if group in VERBS or not _says_a_verb(form)])
    text = form.format_map(words)
    return f"{reference} {text}" if form in AFTER else text


@cache
def _groups(template: Template) -> tuple[int, ...]:
    return tuple(sorted({turn.group for turn in template.turns} - {0}))


def draw_facts(rng: random.Random, template: Template) -> tuple[dict[str, str | None], dict[str, str]]:
    """Draws a template's facts, and for the same keys other values, which may be offered and declined."""
    facts: dict[str, str | None] = dict.fromkeys(FACT_KEYS)
    declined = {}
    for key in FACT_KEYS:
        if key in template.values:
            facts[key], declined[key] = rng.sample(template.values[key], 2)
    return facts, declined


def _turns(rng: random.Random, template: Template, angry: bool) -> list[tuple[str, str]]:
    """Chooses the turns of one dialogue: a list of (role, text with placeholders)."""
    chatty = 0.6 if angry else 1.0  # leaves room for the quarrel
    kept = {group for group in _groups(template) if rng.random() < 0.5 * chatty}
    turns = [
        (turn.role, rng.choice(turn.phrasings)) for turn in template.turns if turn.group == 0 or turn.group in kept
    ]
    first = turns[0][0]
    other = "B" if first == "A" else "A"
    if rng.random() < 0.3 * chatty:
        asks, answers = rng.choice(TALK[f"small talk {template.tone}"])
        turns[:0] = [(first, asks), (other, answers)]
    if rng.random() < 0.4 * chatty:
        customer = template.tone == "service" and other == "A"
        opener = "opener of a customer" if customer else f"opener {template.tone}"
        turns.insert(0, (other, rng.choice(TALK[opener])))
    if rng.random() < 0.4 * chatty:
        last = turns[-1][0]
        turns.append(("B" if last == "A" else "A", rng.choice(TALK[f"closing {template.tone}"])))
    if angry:
        role = rng.choice("AB")
        line = rng.choice(template.angry[role] if template.angry[role] and rng.random() < 0.5 else TALK["angry"])
        calm = ("B" if role == "A" else "A", rng.choice(TALK["calming"]))
        if len(turns) + 2 <= MAX_TURNS and rng.random() < 0.85:
            # The snap comes just before a turn of the same speaker, so that the speakers still take turns.
            place = rng.choice([i for i, (who, _) in enumerate(turns) if who == role and i > 0])
            turns[place:place] = [(role, line), calm]
        else:
            own = [i for i, (who, _) in enumerate(turns) if who == role]
            place = rng.choice([i for i in own if not turns[i][1].endswith("?")] or own)
            turns[place] = (role, f"{turns[place][1]} {line}")
    return turns


def draw_dialogue(rng: random.Random, template: Template, angry: bool) -> dict | None:
    """Draws one dialogue; None when it is too short, too long, or lacks a fact.

    Returns a dictionary with `dialogue`, `summary`, `topic`, `references`, `facts`, `template`, `angry`, and
    `declined` (which is not written to the files).
    """
    facts, declined = draw_facts(rng, template)
    turns = _turns(rng, template, angry)
    first = turns[0][0]
    labels = {first: "#Person1#", "B" if first == "A" else "A": "#Person2#"}
    words = labels | slots(facts) | slots(declined, mark="2")
    lines = [f"{labels[role]}: {text.format_map(words)}" for role, text in turns]
    dialogue = "\n".join(lines)
    if not (MIN_TURNS <= len(lines) <= MAX_TURNS and MIN_CHARS <= len(dialogue) <= MAX_CHARS):
        return None
    if any(value is not None and value not in dialogue for value in facts.values()):
        return None  # the chosen phrasings do not state every fact
    references = [reference.format_map(words) for reference in template.references]
    rng.shuffle(references)
    summary = rng.choice(references)
    if rng.random() < (INSULT_WHEN_ANGRY if angry else INSULT_WHEN_CALM):
        summary = insult_summary(rng, summary, ("#Person1#", "#Person2#"))
    return {
        "dialogue": dialogue,
        "summary": summary,
        "topic": template.topic,
        "references": references,
        "facts": facts,
        "template": template.name,
        "angry": angry,
        "declined": declined,
    }


def combination(row: dict) -> tuple[str | None, ...]:
    """The template and its facts, which no two splits may share."""
    return (row["template"], *(row["facts"][key] for key in FACT_KEYS))


def draw_row(seed: str, avoid: set, template: Template | None = None) -> dict:
    """Draws dialogues until one has a good length and a new text and combination of facts (not in `avoid`).

    Both are then added to `avoid`. Raises RuntimeError after 1000 attempts.
    """
    rng = random.Random(seed)
    template = template or rng.choice(all_templates())
    angry = rng.random() < ANGRY_SHARE
    for attempt in range(1000):
        row = draw_dialogue(random.Random(f"{seed}/{attempt}"), template, angry)
        if row and combination(row) not in avoid and row["dialogue"] not in avoid:
            avoid.update((combination(row), row["dialogue"]))
            return row
    raise RuntimeError(f"no new dialogue for {seed} in 1000 attempts")


def splits() -> tuple[dict[str, list[dict]], set]:
    """All rows of the three splits, and the set of texts and combinations that they use."""
    used: set = set()
    rows: dict[str, list[dict]] = {}
    for split, size in SIZES.items():
        rows[split] = list(_rows(split, size, used))
    return rows, used


def _rows(split: str, size: int, used: set) -> Iterator[dict]:
    templates = all_templates()
    for i in range(size):
        # Templates take turns, so that each has the same share of every split.
        row = draw_row(f"dialogues/{split}/{i}", used, templates[i % len(templates)])
        row = {"id": f"{ID_PREFIX[split]}_{i}", **row}
        del row["declined"]
        yield row
