"""Simulated human rankings in the output form of a Ground Truth / A2I labelling job.

No person ranked anything here. Every response has a latent quality, given by its kind (`QUALITY`) plus a small random
part. An annotator sees this quality plus Gaussian noise, with a standard deviation that belongs to the annotator
(`CARELESSNESS`), and ranks the sums; rank 1 is best. Two nearly equal sums become a tie half of the time, and sometimes
an annotator leaves a response without a rank.

Kinds of responses, best first: complete (faithful, every fact) > vague > wrong (a fact replaced by another value, or a
false answer) > insult (it insults somebody, whatever else it says).
"""

from __future__ import annotations

import random

from data.generator import dialogues
from data.generator.notation import TEXTS, sections
from data.generator.scenarios import BOOKS, all_templates, with_preposition
from labhelpers.errors import DataError
from labhelpers.sources.dialogues import FACT_KEYS, format_prompt

SIZE = 480
QUALITY = {"complete": 3.0, "vague": 2.0, "wrong": 1.0, "insult": 0.0}
KINDS = tuple(QUALITY)
QUALITY_SD = 0.15
# Standard deviation of each annotator's noise: a careful one, an average one, a hasty one.
CARELESSNESS = {"annotator-1": 0.25, "annotator-2": 0.50, "annotator-3": 0.95}
TWO_ANNOTATORS = 0.30
TIE_WIDTH, TIE_PROBABILITY = 0.15, 0.5
MISSING_PROBABILITY = 0.01
# The numbers of responses that an item may have, with their weights.
RESPONSES = {2: 20, 3: 35, 4: 45}
# Share of the wrong responses that also show it by their manner: an invented event, or boasting.
MANNER_OF_WRONG = 0.75

# (text of a response, its manner: "invented", "boasting" or None)
Made = tuple[str, str | None]

_TEXTS = sections(
    TEXTS / "rankings.txt",
    {"subjects": 2, "vague summaries": 1, "invented events": 1, "vague answers": 1, "boasts": 1, "rude answers": 1},
    "subject a_value noun a_noun adj an_adj right wrong".split(),
)
_SUBJECTS = dict(_TEXTS["subjects"])
# (question, right answer, wrong answer)
QUESTIONS = sections(TEXTS / "questions.txt", {"questions": 3})["questions"]


def _another(rng: random.Random, key: str, value: str, template_values: tuple[str, ...]) -> str:
    """Another value for a fact, from the same small list (for a place, another place of the same kind)."""
    book = template_values if key == "what" else next(book for book in BOOKS.values() if value in book)
    return rng.choice([other for other in book if other != value])


def swap_facts(rng: random.Random, row: dict, reference: str) -> str:
    """`reference` with one or two of the row's facts replaced by another value of the same key."""
    template = next(template for template in all_templates() if template.name == row["template"])
    stated = [key for key in FACT_KEYS if row["facts"][key]]
    for key in rng.sample(stated, rng.choice((1, 2, 2))):
        old = row["facts"][key]
        new = _another(rng, key, old, template.values[key])
        if key in ("when", "where"):
            reference = reference.replace(with_preposition(old), with_preposition(new))
        reference = reference.replace(old, new)
    return reference


def _wrong(rng: random.Random, text: str, sentences: tuple[str, ...], manner: str) -> Made:
    """A wrong response. Most have an additional sentence, which shows by its manner that the response is wrong."""
    if rng.random() < MANNER_OF_WRONG:
        return f"{text} {rng.choice(sentences)}", manner
    return text, None


def _summary(rng: random.Random, row: dict, kind: str) -> Made:
    # Half of the time the longest reference becomes the good response and the shortest the bad one. Otherwise the
    # additions to bad responses would nearly always make them the longer ones.
    by_length = sorted(row["references"], key=len)
    reference = rng.choice(row["references"])
    if rng.random() < 0.5:
        reference = by_length[-1] if kind == "complete" else by_length[0]
    if kind == "complete":
        return reference, None
    values = [row["facts"][key] for key in ("who", "where", "how_much") if row["facts"][key]]
    words = {"subject": _SUBJECTS[row["topic"]], "a_value": rng.choice(values)}
    vague = rng.choice(_TEXTS["vague summaries"]).format_map(words)
    if kind == "vague":
        return vague, None
    if kind == "wrong":
        return _wrong(rng, swap_facts(rng, row, reference), _TEXTS["invented events"], "invented")
    short = _TEXTS["vague summaries"][:3]
    base = reference if rng.random() < 0.45 else rng.choice(short).format_map(words)
    return dialogues.insult_summary(rng, base, ("#Person1#", "#Person2#")), None


def _answer(rng: random.Random, right: str, wrong: str, kind: str) -> Made:
    if kind == "complete":
        return right, None
    if kind == "vague":
        return rng.choice(_TEXTS["vague answers"]), None
    if kind == "wrong":
        return _wrong(rng, wrong, _TEXTS["boasts"], "boasting")
    noun, adj = rng.choice(dialogues.NOUNS), rng.choice(dialogues.ADJECTIVES)
    words = {"noun": noun, "adj": adj, "right": right, "wrong": wrong}
    words |= {"a_noun": dialogues.article(noun), "an_adj": dialogues.article(adj)}
    return rng.choice(_TEXTS["rude answers"]).format_map(words), None


def rank(rng: random.Random, quality: list[float], carelessness: float) -> dict[str, str]:
    """One annotator's answer, {"ranking_1": "2", ...}: 1 is best, equal ranks are ties, no key means not ranked."""
    seen = [value + rng.gauss(0.0, carelessness) for value in quality]
    order = sorted(range(len(seen)), key=lambda i: -seen[i])
    answer, place = {}, 0
    for position, i in enumerate(order):
        close = position > 0 and seen[order[position - 1]] - seen[i] < TIE_WIDTH
        if position == 0 or not (close and rng.random() < TIE_PROBABILITY):
            place += 1
        answer[i] = place
    kept = [i for i in sorted(answer) if rng.random() >= MISSING_PROBABILITY]
    return {f"ranking_{i + 1}": str(answer[i]) for i in kept}


def rows(used: set) -> list[dict]:
    """All items. `used` holds the texts and combinations of facts of the other files, which are not used again."""
    # Questions are spread evenly among summaries; the first item is a question.
    asked = {i * SIZE // len(QUESTIONS): question for i, question in enumerate(QUESTIONS)}
    templates = all_templates()
    nameless = {template.topic for template in templates} - _SUBJECTS.keys()
    if nameless:
        raise DataError(f"no entry for the topic {min(nameless)!r} under [subjects]", file=TEXTS / "rankings.txt")
    result, number = [], 0
    for item in range(SIZE):
        rng = random.Random(f"rankings/{item}")
        count = rng.choices(list(RESPONSES), list(RESPONSES.values()))[0]
        kinds = sorted(rng.sample(KINDS, count), key=KINDS.index)
        if item in asked:
            prompt, right, wrong = asked[item]
            made = [(kind, *_answer(rng, right, wrong, kind)) for kind in kinds]
        else:
            row = dialogues.draw_row(f"rankings/{item}/dialogue", used, templates[number % len(templates)])
            number += 1
            prompt = format_prompt(row["dialogue"])
            made = [(kind, *_summary(rng, row, kind)) for kind in kinds]
        rng.shuffle(made)
        quality = [QUALITY[kind] + rng.gauss(0.0, QUALITY_SD) for kind, _, _ in made]
        people = sorted(rng.sample(list(CARELESSNESS), 2 if rng.random() < TWO_ANNOTATORS else 3))
        answers = [{"answerContent": rank(rng, quality, CARELESSNESS[person]), "workerId": person} for person in people]
        kinds, texts, manners = map(list, zip(*made, strict=True))
        task = {"prompt": prompt, "responses": texts, "kinds": kinds, "manners": manners}
        result.append({"inputContent": {"taskObject": task}, "humanAnswers": answers})
    return result
