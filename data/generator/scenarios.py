"""The grammar of the dialogues: their topics, their turns, and the values of their facts."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from data.generator.notation import TEXTS, Line, lines, sections
from labhelpers.errors import close_matches
from labhelpers.sources.dialogues import FACT_KEYS

TONES = ("service", "work", "friends")

_FACTS = sections(
    TEXTS / "facts.txt",
    {"who": 1}
    | dict.fromkeys(("when:day", "when:eve", "when:past"), 2)
    | dict.fromkeys(("where:eat", "where:city", "where:street", "where:spot", "where:room"), 2)
    | dict.fromkeys(("how_much:cash", "how_much:big", "how_much:party"), 1)
    | dict.fromkeys(("how_much:short", "how_much:long", "how_much:tickets"), 1),
)
_PREPOSITIONS = {
    value: preposition
    for book, entries in _FACTS.items()
    if book.startswith(("when:", "where:"))
    for preposition, value in entries
}
NAMES = _FACTS["who"]
# The values of each book of facts.txt, and "when:any": a day or an evening.
BOOKS = {book: tuple(e if isinstance(e, str) else e[1] for e in entries) for book, entries in _FACTS.items()}
BOOKS["when:any"] = BOOKS["when:day"] + BOOKS["when:eve"]

TALK = sections(
    TEXTS / "talk.txt",
    {f"opener {tone}": 1 for tone in TONES}
    | {"opener of a customer": 1, "angry": 1, "calming": 1}
    | {f"small talk {tone}": 2 for tone in TONES}
    | {f"closing {tone}": 1 for tone in TONES},
)


@dataclass(frozen=True)
class Turn:
    """One turn: the role that speaks ("A" or "B"), its phrasings, and the optional group it belongs to (0: none)."""

    role: str
    phrasings: list[str]
    group: int


@dataclass
class Topic:
    """What the templates of a topic share."""

    name: str
    tone: str
    what: tuple[str, ...] = ()
    angry: dict[str, list[str]] = field(default_factory=lambda: {"A": [], "B": []})


@dataclass(eq=False)
class Template:
    """One scenario: the values each fact may take, its turns and its three reference summaries."""

    name: str
    topic: str
    tone: str
    values: dict[str, tuple[str, ...]]
    angry: dict[str, list[str]]
    turns: list[Turn] = field(default_factory=list)
    references: list[str] = field(default_factory=list)


def with_preposition(value: str) -> str:
    """A time or place with the preposition it takes in a sentence: "on Friday at 7 pm", "tomorrow morning"."""
    return f"{_PREPOSITIONS[value]} {value}".lstrip()


def slots(values: dict[str, str | None], mark: str = "") -> dict[str, str]:
    """The slots in a scenario's text that facts fill. `mark` is added to each name ("2" for declined values)."""
    filled = {}
    for key, value in values.items():
        if value is not None:
            filled[("much" if key == "how_much" else key) + mark] = value
            if key in ("when", "where"):
                filled[("on" if key == "when" else "at") + mark] = with_preposition(value)
    return filled


def _known_slots(facts: Collection[str]) -> list[str]:
    names = {"how_much": ["much"], "when": ["when", "on"], "where": ["where", "at"]}
    facts = [name for key in facts for name in names.get(key, [key])]
    return ["A", "B", *facts, *(f"{name}2" for name in facts)]


def _template(line: Line, topic: Topic) -> Template:
    """The template that a line "- name [tone] | who what when:day ..." begins."""
    head, _, facts = line.text[1:].partition("|")
    name, *own_tone = head.split() or [""]
    if not name or not facts or len(own_tone) > 1 or not set(own_tone) <= set(TONES):
        raise line.error(
            f"a template begins with `- name | facts` or `- name tone | facts` (tones: {', '.join(TONES)})"
        )
    values = {}
    for book in facts.split():
        if book not in ("what", *BOOKS):
            raise line.error(f"unknown fact {book!r} ({close_matches(book, ['what', *BOOKS])})")
        values[book.partition(":")[0]] = topic.what if book == "what" else BOOKS[book]
    angry = {"A": [], "B": []} if own_tone else topic.angry
    return Template(f"{topic.name}/{name}", topic.name, own_tone[0] if own_tone else topic.tone, values, angry)


def parse(file: Path) -> list[Template]:
    """Reads one file of scenarios. Raises DataError that names file and line for a line that is not in the notation."""
    topic: Topic | None = None
    template: Template | None = None
    begun: list[tuple[Line, Template]] = []
    for line in lines(file):
        mark, rest = line.text[0], line.text[1:].strip()
        said = template if line.text[:2] in ("A:", "A?", "B:", "B?") or mark in "/>" else None
        if mark == "=":
            if len(rest.split()) != 2 or rest.split()[1] not in TONES:
                raise line.error(f"a topic is `= name tone`, with one of the tones {', '.join(TONES)}")
            topic, template = Topic(*rest.split()), None
        elif topic and line.text.startswith("what:") and (not template or "what" in template.values):
            what = tuple(value.strip() for value in line.text.removeprefix("what:").split(";"))
            if template:
                template.values["what"] = what
            else:
                topic.what = what
        elif topic and not template and line.text[:3] in ("!A ", "!B "):
            line.check_slots("AB")
            topic.angry[line.text[1]].append(line.text[3:])
        elif topic and mark == "-":
            template = _template(line, topic)
            begun.append((line, template))
        elif said:
            line.check_slots(_known_slots(said.values))
            if mark == ">":
                said.references.append(rest)
            elif mark == "/" and said.turns:
                said.turns[-1].phrasings.append(rest)
            elif mark == "/":
                raise line.error("another phrasing, but no turn above it")
            else:
                groups = [turn.group for turn in said.turns] or [0]
                group = 0
                if rest[0] == "?":  # a run of optional turns is one group
                    group = groups[-1] or max(groups) + 1
                said.turns.append(Turn(mark, [rest[1:].strip()], group))
        else:
            raise line.error("not in the notation of scenarios, or not in this place (see data/generator/README.md)")
    for line, done in begun:
        if not done.turns or len(done.references) != 3:
            raise line.error(f"a template has turns and three references, but this has {len(done.references)}")
        if few := [key for key, values in done.values.items() if len(values) < 2]:
            raise line.error(f"the fact {few[0]!r} has fewer than two values to choose from")
    return [done for _, done in begun]


@cache
def all_templates() -> tuple[Template, ...]:
    """Every template, in the order of the files' names."""
    return tuple(template for file in sorted((TEXTS / "scenarios").glob("*.txt")) for template in parse(file))


def vocabulary() -> dict[str, list[str]]:
    """The closed vocabulary of every fact, over all templates, sorted."""
    return {
        key: sorted({value for template in all_templates() for value in template.values.get(key, ())})
        for key in FACT_KEYS
    }
