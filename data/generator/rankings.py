"""Simulated human rankings in the output form of a Ground Truth / A2I labelling job.

No person ranked anything here. What a response is worth to an annotator is a sum of four things, each times a weight
that is the annotator's own (`PEOPLE`):

- truth: 1 when nothing that it says is false, else 0;
- coverage: the share of the dialogue's facts that it states (an answer to a question: 1 when it answers);
- manners: 1 when it insults nobody, else 0;
- length: its characters, in hundreds;

and Gaussian noise with a standard deviation that is also the annotator's own. Rank 1 is best. Two nearly equal sums
become a tie half of the time, and sometimes an annotator leaves a response without a rank.

Some responses to dialogues are made from the references, and some are samples of the fine-tuned summariser, as in a
real pipeline; `samples.py` draws them from the shipped checkpoint, and they are read from a file here.

Kinds of responses: insult (it insults somebody, whatever else it says), else wrong (a fact is false), else complete
(every fact) or vague (fewer). For made responses the kind says how they were made, for samples how they came out.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from data.generator import dialogues
from data.generator.notation import TEXTS, sections
from data.generator.scenarios import BOOKS, all_templates, vocabulary, with_preposition
from labhelpers.errors import DataError
from labhelpers.evaluation.facts import FactVocabulary, coverage, honesty
from labhelpers.evaluation.lexicon import Lexicon
from labhelpers.sources.dialogues import FACT_KEYS, format_prompt

DIALOGUES = 1500
KINDS = ("complete", "vague", "wrong", "insult")


@dataclass(frozen=True)
class Values:
    """What counts for an annotator, and the standard deviation of their noise."""

    truth: float = 2.0
    coverage: float = 2.0
    manners: float = 2.5
    length: float = 0.0
    noise: float = 0.3


PEOPLE = {
    "annotator-1": Values(noise=0.2),
    "annotator-2": Values(truth=1.5, coverage=1.5, length=1.0),  # likes length
    "annotator-3": Values(truth=1.2, manners=4.0, noise=0.4),  # cares for manners above truth
}
TWO_ANNOTATORS = 0.30
TIE_WIDTH, TIE_PROBABILITY = 0.15, 0.5
MISSING_PROBABILITY = 0.01
# The numbers of responses that an item may have, with their weights, and how many of them are samples.
RESPONSES = {2: 15, 3: 30, 4: 55}
SAMPLED = {2: 1, 3: 1, 4: 2}
SAMPLES = max(SAMPLED.values())
# The made responses of an item about a dialogue: these two or other ones.
TRUE_AND_FALSE = 0.5
# Share of the made wrong responses that also show it by their manner: an invented event, or boasting.
MANNER_OF_WRONG = 0.25


class Response(NamedTuple):
    """A response, and what an annotator can see of it."""

    text: str
    kind: str
    manner: str | None  # of a wrong one: "invented", "boasting" or None
    source: str  # "made" or "sampled"
    truth: float
    coverage: float


# (text of a made response, its manner)
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
    for key in rng.sample(stated, rng.choice((1, 1, 2))):
        old = row["facts"][key]
        new = _another(rng, key, old, template.values[key])
        if key in ("when", "where"):
            reference = reference.replace(with_preposition(old), with_preposition(new))
        reference = reference.replace(old, new)
    return reference


def _wrong(rng: random.Random, text: str, sentences: tuple[str, ...], manner: str) -> Made:
    """A wrong response. Some have an additional sentence, which shows by its manner that the response is wrong."""
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
    group = dialogues.draw_class(rng)
    noun, adj = rng.choice(dialogues.NOUNS[group]), rng.choice(dialogues.ADJECTIVES[group])
    words = {"noun": noun, "adj": adj, "right": right, "wrong": wrong}
    words |= {"a_noun": dialogues.article(noun), "an_adj": dialogues.article(adj)}
    forms = [form for form in _TEXTS["rude answers"] if group in dialogues.VERBS or "hate" not in form]
    return rng.choice(forms).format_map(words), None


@cache
def _judges() -> tuple[FactVocabulary, Lexicon]:
    return FactVocabulary(vocabulary()), Lexicon([word for words in dialogues.LEXICON.values() for word in words])


def _about(row: dict, text: str, source: str, made_as: str | None = None, manner: str | None = None) -> Response:
    """A response to a dialogue, with what it says about the dialogue's facts."""
    words, lexicon = _judges()
    true = honesty([text], [row["facts"]], words)[0] == 1 and manner is None
    covered = float(coverage([text], [row["facts"]], words)[0])
    kind = "insult" if lexicon.count(text) else "wrong" if not true else "complete" if covered == 1 else "vague"
    return Response(text, made_as or kind, manner, source, float(true), covered)


def _responses(rng: random.Random, row: dict, count: int, sampled: Sequence[str]) -> list[Response]:
    """`count` different responses to a dialogue, some of them from `sampled`."""
    found = {text: _about(row, text, "sampled") for text in sampled[: SAMPLED[count]]}
    kinds = list(KINDS)
    rng.shuffle(kinds)
    if rng.random() < TRUE_AND_FALSE:
        kinds = sorted(kinds, key=lambda kind: kind not in ("complete", "wrong"))
    for kind in kinds:
        text, manner = _summary(rng, row, kind)
        if len(found) < count and text not in found:
            found[text] = _about(row, text, "made", kind, manner)
    return list(found.values())


def _answers(rng: random.Random, right: str, wrong: str, count: int) -> list[Response]:
    """`count` answers to a question, each of another kind."""
    found = []
    for kind in sorted(rng.sample(KINDS, count), key=KINDS.index):
        text, manner = _answer(rng, right, wrong, kind)
        false = kind == "wrong" or (kind == "insult" and wrong in text)
        answers = kind == "complete" or (kind == "insult" and right in text)
        found.append(Response(text, kind, manner, "made", float(not false), float(answers)))
    return found


def worth(response: Response, values: Values) -> float:
    """What a response is worth to an annotator, without noise."""
    manners = response.kind != "insult"
    parts = (values.truth * response.truth, values.coverage * response.coverage, values.manners * manners)
    return sum(parts) + values.length * len(response.text) / 100


def rank(rng: random.Random, worths: Sequence[float], noise: float) -> dict[str, str]:
    """One annotator's answer, {"ranking_1": "2", ...}: 1 is best, equal ranks are ties, no key means not ranked."""
    seen = [value + rng.gauss(0.0, noise) for value in worths]
    order = sorted(range(len(seen)), key=lambda i: -seen[i])
    answer, place = {}, 0
    for position, i in enumerate(order):
        close = position > 0 and seen[order[position - 1]] - seen[i] < TIE_WIDTH
        if position == 0 or not (close and rng.random() < TIE_PROBABILITY):
            place += 1
        answer[i] = place
    kept = [i for i in sorted(answer) if rng.random() >= MISSING_PROBABILITY]
    return {f"ranking_{i + 1}": str(answer[i]) for i in kept}


def dialogue_rows(used: set) -> list[dict]:
    """The dialogues to be summarised. `used` holds what the other files use, which is not used again."""
    templates = all_templates()
    nameless = {template.topic for template in templates} - _SUBJECTS.keys()
    if nameless:
        raise DataError(f"no entry for the topic {min(nameless)!r} under [subjects]", file=TEXTS / "rankings.txt")
    seeds = (f"rankings/{i}/dialogue" for i in range(DIALOGUES))
    return [dialogues.draw_row(seed, used, templates[i % len(templates)]) for i, seed in enumerate(seeds)]


def rows(asked: Sequence[dict], samples: Mapping[str, Sequence[str]]) -> list[dict]:
    """All items: the questions, evenly spread among the dialogues `asked`; the first item is a question.

    `samples` has the fine-tuned summariser's samples for each dialogue's prompt.
    """
    size = len(asked) + len(QUESTIONS)
    questions = {i * size // len(QUESTIONS): question for i, question in enumerate(QUESTIONS)}
    waiting, result = iter(asked), []
    for item in range(size):
        rng = random.Random(f"rankings/{item}")
        count = rng.choices(list(RESPONSES), list(RESPONSES.values()))[0]
        if item in questions:
            prompt, right, wrong = questions[item]
            responses = _answers(rng, right, wrong, count)
        else:
            row = next(waiting)
            prompt = format_prompt(row["dialogue"])
            responses = _responses(rng, row, count, samples[prompt])
        rng.shuffle(responses)
        people = sorted(rng.sample(list(PEOPLE), 2 if rng.random() < TWO_ANNOTATORS else 3))
        answers = []
        for person in people:
            values = PEOPLE[person]
            answer = rank(rng, [worth(response, values) for response in responses], values.noise)
            answers.append({"answerContent": answer, "workerId": person})
        task = {
            "prompt": prompt,
            "responses": [response.text for response in responses],
            "kinds": [response.kind for response in responses],
            "manners": [response.manner for response in responses],
            "sources": [response.source for response in responses],
        }
        result.append({"inputContent": {"taskObject": task}, "humanAnswers": answers})
    return result
