"""The grammar behind the dialogues: topics, templates, phrasings, and the closed vocabularies of the facts.

The scenarios are plain text, one module for each part of life, in this notation:

    = restaurant service            a topic and its tone (service, work or friends)
    what: a corner table; ...       the topic's own values for the fact `what`
    !A We have been waiting!        an angry line that speaker A of this topic may say
    - booking | what when:eve ...   a template: the facts it uses and the vocabulary of each; "- gift friends |" has
                                    a tone of its own, and the topic's angry lines are left out
    A: Can I book {what}?           a turn of speaker A ...
     / Do you have {what}?          ... and another phrasing of it
    A? Is {when2} possible?         optional turns (a run of them is kept or left out as one); {when2} is a
                                    declined value: it is in the vocabulary and not a fact of this dialogue
    > {A} books {what} {on}.        a reference summary; every template has three

Placeholders: `{what} {who} {when} {where} {much}` are the facts, `{on}` and `{at}` are when and where with the
preposition that fits, a trailing 2 marks the declined value, and `{A}` and `{B}` are the speakers' labels.
Nobody in these scenarios exists.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache

from labhelpers.tiny.scenarios import health, home, leisure, services, travel, work

KEYS = ("who", "what", "when", "where", "how_much")

NAMES = (
    "Amber", "Basil", "Clara", "Daisy", "Eric", "Felix", "Grace", "Hazel", "Ivy", "Jack", "Kate", "Lily",
    "Max", "Nora", "Oscar", "Pearl", "Robin", "Ruby", "Sam", "Tom", "Vera", "Violet", "Walter", "Zoe",
)  # fmt: skip

WHEN = {
    "day": (
        "Monday at noon", "Monday at 9 am", "Tuesday morning", "Tuesday at 4 pm", "Wednesday at 10 am",
        "Wednesday afternoon", "Thursday at 11 am", "Thursday at 3 pm", "Friday morning", "Friday at 2 pm",
        "Saturday at noon", "Saturday morning", "tomorrow morning", "tomorrow at 1 pm", "this afternoon",
        "next Monday", "next Tuesday", "next Thursday",
    ),
    "eve": (
        "Monday evening", "Tuesday at 8 pm", "Wednesday evening", "Thursday at 6 pm", "Friday at 7 pm",
        "Friday evening", "Saturday at 8 pm", "Saturday evening", "Sunday at 5 pm", "Sunday evening",
        "tomorrow evening", "tonight at 9 pm", "next Friday", "next Saturday",
    ),
    "past": (
        "last Monday", "last Wednesday", "last Friday", "last Sunday", "yesterday morning", "yesterday evening",
        "yesterday at noon", "the day before yesterday",
    ),
}  # fmt: skip
WHEN["any"] = WHEN["day"] + WHEN["eve"]

WHERE = {
    "eat": (
        "the Golden Spoon", "the Blue Lantern", "the Hungry Bear", "the Lemon Tree", "the Little Harbour",
        "the Copper Pot",
    ),
    "city": (
        "Oakville", "Lakeside", "Riverton", "Hillford", "Stonebridge", "Eastport", "Maple Bay", "Northfield",
    ),
    "street": (
        "Mill Street", "River Road", "Garden Lane", "Station Street", "Castle Hill", "Orchard Avenue",
        "Park Road", "Market Street",
    ),
    "spot": (
        "the main square", "the north gate", "the old bridge", "the bus station", "the town hall",
        "the post office", "the big fountain", "the river park",
    ),
    "room": (
        "room 12", "room 27", "the blue room", "the green room", "the third floor", "the top floor",
        "the ground floor", "the east wing",
    ),
}  # fmt: skip

HOW_MUCH = {
    "cash": (
        "5 dollars", "8 dollars", "10 dollars", "12 dollars", "15 dollars", "18 dollars", "20 dollars",
        "25 dollars", "30 dollars", "40 dollars", "45 dollars", "60 dollars",
    ),
    "big": (
        "80 dollars", "90 dollars", "120 dollars", "150 dollars", "200 dollars", "250 dollars", "300 dollars",
        "400 dollars",
    ),
    "party": ("two people", "three people", "four people", "six people", "eight people", "ten people"),
    "short": ("twenty minutes", "half an hour", "forty minutes", "two hours", "three hours"),
    "long": ("two days", "three days", "four days", "five days", "two weeks", "three weeks"),
    "tickets": ("two tickets", "three tickets", "four tickets", "five tickets", "six tickets"),
}  # fmt: skip

_BOOKS = {"who": {"": NAMES}, "when": WHEN, "where": WHERE, "how_much": HOW_MUCH}
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

#: What the speaker who does not begin may say first, by tone.
OPENERS = {
    "service": (
        "Good morning, how can I help you?", "Welcome. What can I do for you?", "Hello, who is next, please?",
        "Good afternoon. You look like a person with a question.", "Yes, please? I am listening.",
        "Hello. Sorry, I was just looking for my glasses.", "Good evening. Nice to see you again.",
        "Hello there. Mind the cat, please.",
    ),
    "work": (
        "Good morning. Do you have a minute?", "Hello, come in and take a seat.", "Hi, I hope you slept well.",
        "Good morning. The coffee is fresh for once.", "Hello. I have been meaning to talk to you.",
        "Come in, the door is only stuck a little.",
    ),
    "friends": (
        "Hi there, you look happy today.", "Hey, long time no see.", "Hello, I was just thinking of you.",
        "Hi, sorry about my hair, it is windy.", "There you are. I have been calling you all morning.",
        "Hey, did you bring cookies?", "Hi. Is that a new hat or an old lamp?",
    ),
}  # fmt: skip

#: The same in a service topic where the customer is the one who does not begin.
CUSTOMER_OPENERS = (
    "Hello, is it my turn?", "Good morning.", "Good day to you.", "Hello, it is me again.", "Hello there.",
)  # fmt: skip

#: Small talk: the first speaker says the first, the other one answers.
SMALL_TALK = {
    "service": (
        ("What a lot of rain today.", "Yes, my umbrella has given up."),
        ("It is quiet here today.", "You should have seen us this morning."),
        ("I like your plant.", "Thank you, it is the only one that never complains."),
        ("Is it always this warm in here?", "Only when the boss is on holiday."),
        ("Sorry, I am a bit early.", "Better than me, I am always late."),
        ("I hope you are not too busy.", "I have all the time in the world."),
    ),
    "work": (
        ("How was your weekend?", "Short, like all of them."),
        ("Is there any coffee left?", "Only the kind that can stand without a cup."),
        ("The lift is broken again.", "I know, I have legs like a mountain goat."),
        ("You look tired today.", "My neighbour is learning to sing."),
        ("Did you see the snow?", "I saw it, and then I fell on it."),
    ),
    "friends": (
        ("How are you today?", "Fine, thank you, only a little hungry."),
        ("I love this weather.", "Me too, even the pigeons are smiling."),
        ("You look great today.", "I have slept for once."),
        ("Did you hear that bang?", "That was only my brother cooking."),
        ("I have not seen you for weeks.", "I was hiding from my aunt."),
        ("Is that your dog over there?", "No, mine is the one that eats the bench."),
    ),
}  # fmt: skip

#: A last line, said by whoever's turn it is.
CLOSINGS = {
    "service": (
        "Thank you and have a nice day.", "Good, then that is settled.", "Goodbye, and take care.",
        "Great, that was easy.", "See you soon.", "Thanks, you made my day.",
    ),
    "work": (
        "Good, let us get back to work.", "Fine, that was quick.", "Thank you for your time.", "See you later then.",
        "Great, I will write that down.",
    ),
    "friends": (
        "Great, I cannot wait.", "See you then.", "Good, I have to run now.", "That will be fun.",
        "Bye, and say hello to your mother.", "All right, talk to you soon.",
    ),
}  # fmt: skip

#: Angry lines that fit any topic and either speaker, beside those of the topics.
ANGRY = (
    "This is ridiculous!", "You are not listening to me!", "How often do I have to say this!",
    "I do not have all day!", "This takes forever!", "Why is everything so hard with you!",
    "I am really angry now!", "Do not talk to me like that!", "I have had enough of this!",
    "You always make the same mistake!", "I have been waiting for an hour!", "Nobody ever listens to me!",
    "I cannot believe what I am hearing!", "Stop making fun of me!", "That is the worst answer of the year!",
    "A stone would be more help than you!", "Can you please get to the point!", "That is not funny at all!",
    "I have told you this a hundred times!", "What is wrong with you today!", "You are driving me up the wall!",
    "Are you even awake!", "I could scream right now!", "My patience is gone!", "You never let me finish!",
    "That is none of your business!", "Stop rolling your eyes at me!", "You promised me something else!",
    "I should have stayed in bed!", "Look at me when I talk to you!", "Do you think I am made of time!",
)  # fmt: skip

#: What the other one answers.
CALMING = (
    "Please calm down.", "There is no need to shout.", "I am sorry, I really am.", "Take a deep breath, please.",
    "I can hear you very well.", "Please, the neighbours can hear us.", "Let us stay friendly.",
    "I understand, but shouting does not help.", "All right, all right, we are nearly there.",
    "Sorry. Where were we?",
)  # fmt: skip


@dataclass(frozen=True)
class Turn:
    """One turn: the role that speaks ("A" or "B"), its phrasings, and the optional group it belongs to (0: none)."""

    role: str
    phrasings: tuple[str, ...]
    group: int


@dataclass(frozen=True, eq=False)
class Template:
    """One scenario: the values each fact may take, its turns and its three reference summaries."""

    name: str
    topic: str
    tone: str
    values: dict[str, tuple[str, ...]]
    turns: tuple[Turn, ...]
    references: tuple[str, ...]
    angry: dict[str, tuple[str, ...]] = field(repr=False)


def with_preposition(key: str, value: str) -> str:
    """`value` with the preposition it takes in a sentence: "on Friday at 7 pm", "tomorrow morning", "in room 12"."""
    if key == "when":
        return f"on {value}" if value.startswith(_WEEKDAYS) else value
    if value in WHERE["city"] or value in ("the blue room", "the green room", "the east wing", "the river park"):
        return f"in {value}"
    if value.startswith("room "):
        return f"in {value}"
    if value in WHERE["street"] or value.endswith("floor") or value == "the old bridge":
        return f"on {value}"
    return f"at {value}"


def _values(spec: str, own_what: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    key, _, book = spec.partition(":")
    if key == "what":
        return key, tuple(book.split(";")) if book else own_what
    return key, _BOOKS[key][book]


def _split_facts(text: str) -> list[str]:
    """Split "who what:a cat;a dog when:day" before each key."""
    return [part.strip() for part in re.split(r"\s(?=(?:who|what|when|where|how_much)\b(?::|\s|$))", text.strip())]


def parse(text: str) -> list[Template]:
    """Read scenarios in the notation of this module's docstring; `ValueError` for a line that is not in it."""
    templates: list[Template] = []
    topic = topic_tone = tone = name = ""
    what: tuple[str, ...] = ()
    angry: dict[str, list[str]] = {}
    values: dict[str, tuple[str, ...]] = {}
    turns: list[list] = []
    references: list[str] = []
    lines: dict[str, tuple[str, ...]] = {}
    group = 0

    def finish() -> None:
        if name:
            done = tuple(Turn(role, tuple(phrasings), group) for role, phrasings, group in turns)
            templates.append(Template(name, topic, tone, dict(values), done, tuple(references), dict(lines)))

    for line in text.splitlines():
        if not line.strip():
            continue
        mark, rest = line[0], line[1:].strip()
        if mark == "=":
            finish()
            name = ""
            topic, topic_tone = rest.split()
            angry = {"A": [], "B": []}
        elif line.startswith("what:"):
            what = tuple(value.strip() for value in line[5:].split(";"))
        elif mark == "!":
            angry[rest[0]].append(rest[1:].strip())
        elif mark == "-":
            finish()
            head, _, facts = rest.partition("|")
            short, *own_tone = head.split()
            name, tone = f"{topic}/{short}", own_tone[0] if own_tone else topic_tone
            lines = {"A": (), "B": ()} if own_tone else {role: tuple(said) for role, said in angry.items()}
            values = dict(_values(spec, what) for spec in _split_facts(facts))
            turns, references, group = [], [], 0
        elif mark in "AB" and line[1] in ":?":
            optional = line[1] == "?"
            if optional and (not turns or turns[-1][2] == 0):
                group += 1
            turns.append([mark, [line[2:].strip()], group if optional else 0])
        elif line.startswith(" / "):
            turns[-1][1].append(line[3:].strip())
        elif mark == ">":
            references.append(rest)
        else:
            raise ValueError(f"scenario notation: cannot read the line {line!r}")
    finish()
    return templates


@lru_cache(maxsize=1)
def all_templates() -> tuple[Template, ...]:
    """Every template, in the order of the modules."""
    return tuple(
        template for module in (travel, services, home, health, work, leisure) for template in parse(module.TEXT)
    )


def vocabulary() -> dict[str, list[str]]:
    """The closed vocabulary of every fact, over all templates, sorted."""
    words: dict[str, set[str]] = {key: set() for key in KEYS}
    for template in all_templates():
        for key, values in template.values.items():
            words[key].update(values)
    return {key: sorted(words[key]) for key in KEYS}
