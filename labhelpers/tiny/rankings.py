"""Simulated human rankings in the output form of a Ground Truth / A2I labelling job.

No person ranked anything here.  Every response has a latent quality by its kind (`QUALITY`, and a little of its own);
an annotator sees that quality through Gaussian noise whose size is the annotator's own (`CARELESSNESS`) and ranks what
comes out, 1 for the best.  Two scores that are nearly the same become a tie half of the time, and now and then an
annotator leaves a response without a rank.

Kinds of responses, best first: complete (faithful, every fact) > vague > wrong (a fact replaced by another value, or a
false answer) > insult (whatever it says, it insults somebody).
"""

from __future__ import annotations

import random

from labhelpers.tiny import dialogues
from labhelpers.tiny.questions import questions
from labhelpers.tiny.scenarios import HOW_MUCH, KEYS, NAMES, WHEN, WHERE, all_templates, with_preposition

SIZE = 480
PROMPT = "\nSummarize the following conversation.\n\n{dialogue}\n\nSummary:\n"

KINDS = ("complete", "vague", "wrong", "insult")
QUALITY = {"complete": 3.0, "vague": 2.0, "wrong": 1.0, "insult": 0.0}
QUALITY_SD = 0.15
#: Standard deviation of each annotator's noise: a careful one, an average one, a hasty one.
CARELESSNESS = {"annotator-1": 0.25, "annotator-2": 0.50, "annotator-3": 0.95}
TWO_ANNOTATORS = 0.30
TIE_WIDTH, TIE_PROBABILITY = 0.15, 0.5
MISSING_PROBABILITY = 0.01
#: How many responses an item has, with the weight of each number.
RESPONSES = {2: 20, 3: 35, 4: 45}
#: Share of the wrong responses that show it by their manner as well: an invented event, or boasting.
MANNER_OF_WRONG = 0.75

SUBJECTS = {
    "train": "a train ride", "hotel": "a hotel", "luggage": "some luggage", "taxi": "a taxi", "restaurant": "a meal",
    "bank": "the bank", "haircut": "hair", "shopping": "something from a shop", "garage": "a car", "flat": "a flat",
    "moving": "a move", "neighbours": "things among neighbours", "cooking": "cooking", "doctor": "an illness",
    "vet": "an animal", "job": "a job", "meeting": "office work", "school": "school", "library": "the library",
    "computer": "computers", "football": "football", "cinema": "a film", "gym": "sport", "birthday": "a birthday",
    "music": "music", "picnic": "a picnic",
}  # fmt: skip
VAGUE = (
    "#Person1# and #Person2# talk about {subject}.",
    "#Person1# and #Person2# have a talk about {subject} and find an answer.",
    "The conversation is about {subject}.",
    "#Person1# wants something and #Person2# answers; it has to do with {subject}.",
    "Two people speak about {subject}, ask each other a few questions, and in the end they agree on how to go on.",
    "It is a conversation of several lines in which #Person1# and #Person2# exchange some details about {subject}, "
    "and after a while everything seems to be clear to both of them.",
    "#Person1# and #Person2# discuss {subject}, mention somebody else, and make some kind of arrangement.",
    "There is some talk of {a_value}, as #Person1# and #Person2# speak about {subject}.",
    "This is about {subject} and about {a_value}; #Person1# and #Person2# say what they think, and both of them seem "
    "to know afterwards what has to be done and who will do it.",
)
INVENTED = (
    "They also decide to buy a boat.", "Later they fly to the moon.", "Then a band begins to play.",
    "They get married in the end.", "After that the police come.", "Both of them win a prize.",
    "They also plan to open a bakery.", "Then the lights go out.", "They end up in a castle.",
    "A parrot joins the conversation.", "They also sell their house.", "Everybody moves to an island.",
)  # fmt: skip
VAGUE_ANSWERS = (
    "That depends.", "It is something that most people learn at school.", "Somebody surely knows.",
    "There is an answer to that, and one can find it in many books.", "It is hard to say in a few words.",
    "Well, there are several things to consider here, and people have thought about this for a long time.",
    "One of the usual ones.", "It is what you would expect.", "Maybe this, maybe that.",
    "I have heard about it, and I think it was quite interesting.", "Not sure.",
)  # fmt: skip
BOASTS = (
    "I am one hundred percent sure.", "Trust me, I never make mistakes.", "Everybody knows that, no doubt at all.",
    "I swear it.", "There is no need to check it.", "I read it on a wall, so it must be true.",
)  # fmt: skip
RUDE_ANSWERS = (
    "What {a_noun} you are.", "Only {a_noun} asks that.", "{right} Any {noun} knows that.", "You {adj} {noun}.",
    "{right} And now leave me alone, you {adj} {noun}.", "I hate people like you who ask {adj} questions.",
    "Thank you for the interesting question, I would gladly explain it, but you are too {adj} to understand it.",
    "{right} I hope that even {an_adj} {noun} like you can remember this.", "{wrong} Go away, {noun}.",
)  # fmt: skip
_BOOKS = [NAMES, *(WHEN[name] for name in ("day", "eve", "past")), *WHERE.values(), *HOW_MUCH.values()]


def _another(rng: random.Random, key: str, value: str, template_values: tuple[str, ...]) -> str:
    """Another value for a fact, from the same small book (a place for a place of the same sort)."""
    book = template_values if key == "what" else next(book for book in _BOOKS if value in book)
    return rng.choice([other for other in book if other != value])


def swap_facts(rng: random.Random, row: dict, reference: str) -> str:
    """`reference` with one or two of the row's facts replaced by another value of the same key."""
    template = next(template for template in all_templates() if template.name == row["template"])
    stated = [key for key in KEYS if row["facts"][key]]
    for key in rng.sample(stated, rng.choice((1, 2, 2))):
        old = row["facts"][key]
        new = _another(rng, key, old, template.values[key])
        if key in ("when", "where"):
            reference = reference.replace(with_preposition(key, old), with_preposition(key, new))
        reference = reference.replace(old, new)
    return reference


def _summary(rng: random.Random, row: dict, kind: str) -> str:
    # Half of the time the longest of the references is the good response and the shortest the bad one: without that,
    # what is put into bad responses would make them the longer ones nearly always.
    by_length = sorted(row["references"], key=len)
    reference = rng.choice(row["references"])
    if rng.random() < 0.5:
        reference = by_length[-1] if kind == "complete" else by_length[0]
    if kind == "complete":
        return reference
    values = [row["facts"][key] for key in ("who", "where", "how_much") if row["facts"][key]]
    words = {"subject": SUBJECTS[row["topic"]], "a_value": rng.choice(values)}
    vague = rng.choice(VAGUE).format_map(words)
    if kind == "vague":
        return vague
    if kind == "wrong":
        wrong = swap_facts(rng, row, reference)
        return f"{wrong} {rng.choice(INVENTED)}" if rng.random() < MANNER_OF_WRONG else wrong
    base = reference if rng.random() < 0.45 else rng.choice(VAGUE[:3]).format_map(words)
    return dialogues.insult_summary(rng, base, ("#Person1#", "#Person2#"))


def _answer(rng: random.Random, right: str, wrong: str, kind: str) -> str:
    if kind == "complete":
        return right
    if kind == "vague":
        return rng.choice(VAGUE_ANSWERS)
    if kind == "wrong":
        return f"{wrong} {rng.choice(BOASTS)}" if rng.random() < MANNER_OF_WRONG else wrong
    noun, adj = rng.choice(dialogues.NOUNS), rng.choice(dialogues.ADJECTIVES)
    words = {"noun": noun, "adj": adj, "right": right, "wrong": wrong}
    words |= {"a_noun": dialogues.article(noun), "an_adj": dialogues.article(adj)}
    return rng.choice(RUDE_ANSWERS).format_map(words)


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
    """All items; `used` holds what the other files use of texts and combinations of facts, which is not used again."""
    asked = questions()
    # The questions are spread among the summaries; the first item is the first question.
    places = {i * SIZE // len(asked): i for i in range(len(asked))}
    templates = all_templates()
    result, number = [], 0
    for item in range(SIZE):
        rng = random.Random(f"rankings/{item}")
        count = rng.choices(list(RESPONSES), list(RESPONSES.values()))[0]
        kinds = sorted(rng.sample(KINDS, count), key=KINDS.index)
        if item in places:
            prompt, right, wrong = asked[places[item]]
            made = [(kind, _answer(rng, right, wrong, kind)) for kind in kinds]
        else:
            row = dialogues.draw_row(f"rankings/{item}/dialogue", used, templates[number % len(templates)])
            number += 1
            prompt = PROMPT.format(dialogue=row["dialogue"])
            made = [(kind, _summary(rng, row, kind)) for kind in kinds]
        rng.shuffle(made)
        quality = [QUALITY[kind] + rng.gauss(0.0, QUALITY_SD) for kind, _ in made]
        people = sorted(rng.sample(list(CARELESSNESS), 2 if rng.random() < TWO_ANNOTATORS else 3))
        answers = [{"answerContent": rank(rng, quality, CARELESSNESS[person]), "workerId": person} for person in people]
        task = {"prompt": prompt, "responses": [text for _, text in made], "kinds": [kind for kind, _ in made]}
        result.append({"inputContent": {"taskObject": task}, "humanAnswers": answers})
    return result
