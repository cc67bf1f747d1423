"""Reads one line of human feedback, in any of four formats.

Each format is recognised by a column name that no other format has:

==================  ==============================================================  ==========================
format              columns                                                         meaning
==================  ==============================================================  ==========================
Ground Truth / A2I  `inputContent`, `humanAnswers` (`ranking_1`, `ranking_2`, …)    rank, 1 is best
plain table         `prompt`, `responses`, `ranks`                                  rank, 1 is best
reward-model lab's  `prompt`, `response`, `ranking`                                 0 or 1, **1 is preferred**
star ratings        `prompt`, `responses`, `star_ratings`                           stars, more is better
==================  ==============================================================  ==========================

(An A2I answer may also hold `star_rating_1`, …) A line with two of `ranks`, `ranking` and `star_ratings` is an error:
nothing is guessed. In a .csv the lists are written as JSON.

A line gives rankings, or Problems that say why there is none; `rankings` decides what to do about a Problem.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from labhelpers.sources.locations import Record, parse_json, text_problem, unix_lines

_NO_ANSWER = {"answerContent": {}}
_RANK_COLUMNS = {"ranks": "ranks", "ranking": "ranking", "star_ratings": "stars", "star_rating": "stars"}


@dataclass(frozen=True)
class Problem:
    """A line or an answer that gave no ranking. `malformed` is False when only an answer is missing."""

    file: str
    line: int
    reason: str
    malformed: bool = True

    def __str__(self) -> str:
        return f"{self.file}, line {self.line}: {self.reason}"


@dataclass(frozen=True)
class Ranking:
    """One person's order of the responses that this person ranked.

    `key` stays the same when a person with a name answers the same item again. Answers without a name may or may not
    come from one person, so each of them has a key of its own.
    """

    prompt: str
    responses: list[str]
    ranks: list[int]
    annotator: str | None
    key: tuple


class _Unanswered(Exception):
    """Fewer than two responses were ranked: the line is valid, but there is nothing to learn from it."""


def answers(record: Record) -> Iterator[Ranking | Problem]:
    """The rankings on one line, with a Problem instead of each one that cannot be used."""
    if record.problem:
        yield Problem(record.file, record.line, record.problem)
        return
    try:
        is_a2i = "humanAnswers" in record.fields
        readers = _a2i_readers(record) if is_a2i else [partial(_table_row, record)]
    except ValueError as error:
        yield Problem(record.file, record.line, str(error))
        return
    for read in readers:
        try:
            yield read()
        except ValueError as error:
            yield Problem(record.file, record.line, str(error))
        except _Unanswered as error:
            yield Problem(record.file, record.line, str(error), malformed=False)


def _a2i_readers(record: Record) -> list[Callable[[], Ranking]]:
    """One reader per human answer, so that one bad answer does not spoil the others."""
    fields = record.fields
    beside = [column for column in _RANK_COLUMNS if column in fields]
    if beside:
        raise ValueError(f"holds both `humanAnswers` and `{beside[0]}`; keep one")
    try:
        task = fields["inputContent"]["taskObject"]
        prompt, responses = task["prompt"], task["responses"]
    except (KeyError, TypeError):
        raise ValueError("`inputContent` must hold `taskObject` with `prompt` and `responses`") from None
    given = fields["humanAnswers"]
    if not isinstance(given, list):
        raise ValueError(f"`humanAnswers` must be a list, but is {type(given).__name__}")
    responses = _responses("responses", responses)
    return [
        partial(_a2i_answer, prompt, responses, answer, (record.file, record.line, number))
        for number, answer in enumerate(given or [_NO_ANSWER])
    ]


def _a2i_answer(prompt, responses: list[str], answer, place: tuple) -> Ranking:
    content = answer.get("answerContent") if isinstance(answer, dict) else None
    if not isinstance(content, dict):
        raise ValueError("an entry of `humanAnswers` has no `answerContent`")
    forms = {}
    for prefix, form in (("ranking_", "ranks"), ("star_rating_", "stars")):
        given = {key.removeprefix(prefix): value for key, value in content.items() if key.startswith(prefix)}
        unknown = sorted(set(given) - {str(i + 1) for i in range(len(responses))})
        if unknown:
            raise ValueError(f"`{prefix}{unknown[0]}` belongs to none of the {len(responses)} responses")
        if given:
            forms[form] = [given.get(str(i + 1)) for i in range(len(responses))]
    if len(forms) > 1:
        raise ValueError("holds both `ranking_…` and `star_rating_…`; keep one")
    form, values = next(iter(forms.items()), ("ranks", [None] * len(responses)))
    return _ranking(prompt, responses, form, values, _annotator(answer.get("workerId")), place)


def _table_row(record: Record) -> Ranking:
    fields = record.fields
    present = [column for column in _RANK_COLUMNS if column in fields]
    if len(present) > 1:
        raise ValueError(f"holds both `{present[0]}` and `{present[1]}`, which rank in different ways; keep one")
    if not present:
        raise ValueError("none of `ranks`, `ranking` (0/1), `star_ratings` and `humanAnswers` is there")
    lists = [column for column in ("responses", "response") if column in fields]
    if len(lists) != 1:
        problem = "holds both `responses` and `response`" if lists else "`responses`, a list of texts, is missing"
        raise ValueError(problem)
    responses = _responses(lists[0], fields[lists[0]])
    values = _list(present[0], fields[present[0]])
    if len(values) != len(responses):
        raise ValueError(f"{len(responses)} responses, but {len(values)} values in `{present[0]}`")
    annotator = _annotator(fields.get("annotator"))
    place = (record.file, record.line)
    return _ranking(fields.get("prompt"), responses, _RANK_COLUMNS[present[0]], values, annotator, place)


def _ranking(prompt, responses: list[str], form: str, values: list, annotator: str | None, place: tuple) -> Ranking:
    """The ranking that values of any `form` mean, without responses that have no value.

    `place` says where the answer is in the file; it is the key of an answer without a name.
    """
    problem = text_problem(prompt)
    if problem:
        raise ValueError(f"`prompt` {problem}")
    prompt = unix_lines(prompt)
    missing = [v is None or isinstance(v, str) and not v.strip() for v in values]
    answered = [(r, v) for r, v, is_missing in zip(responses, values, missing, strict=True) if not is_missing]
    if form == "ranks":
        numbers = [_whole(v, "rank") for _, v in answered]
        wrong = next((n for n in numbers if not 1 <= n <= len(responses)), None)
        if wrong is not None:
            hint = "; 0 and 1 belong under `ranking`, where 1 is preferred" if wrong == 0 else ""
            raise ValueError(f"rank {wrong} is not between 1 and {len(responses)}{hint}")
    elif form == "ranking":
        numbers = [_whole(v, "`ranking`") for _, v in answered]
        if set(numbers) - {0, 1}:
            wrong = max(set(numbers) - {0, 1})
            raise ValueError(f"`ranking` holds {wrong}, but must be 0, or 1 for preferred; ranks belong under `ranks`")
        numbers = [1 if set(numbers) == {0} else 2 - n for n in numbers]  # all 0, like all 1, is a tie
    else:
        stars = [_number(v) for _, v in answered]
        best_first = sorted(set(stars), reverse=True)
        numbers = [1 + best_first.index(s) for s in stars]
    ranks: dict[str, int] = {}
    for (text, _), number in zip(answered, numbers, strict=True):
        if ranks.setdefault(text, number) != number:
            raise ValueError(f"the same text is ranked {ranks[text]} and {number}: {text!r:.60}")
    if len(ranks) < 2:
        raise _Unanswered(f"{len(ranks)} different text(s) of {len(responses)} responses are ranked; a pair needs two")
    key = (prompt, tuple(sorted(responses)), annotator) if annotator else place
    return Ranking(prompt, list(ranks), list(ranks.values()), annotator, key)


def _responses(column: str, value) -> list[str]:
    responses = _list(column, value)
    if len(responses) < 2:
        raise ValueError(f"`{column}` must hold at least two texts, but holds {len(responses)}")
    for number, text in enumerate(responses, start=1):
        problem = text_problem(text)
        if problem:
            raise ValueError(f"response {number} {problem}")
    return [unix_lines(text) for text in responses]


def _list(column: str, value) -> list:
    if isinstance(value, str):
        try:
            value = parse_json(value)
        except (ValueError, RecursionError):
            raise ValueError(f"`{column}` must be a list (in a .csv: as JSON), but is the text {value!r:.40}") from None
    if not isinstance(value, list):
        raise ValueError(f"`{column}` must be a list, but is {type(value).__name__}")
    return value


def _annotator(value) -> str | None:
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError(f"the annotator must be a name, but is {type(value).__name__}")
    return str(value)


def _number(value) -> float:
    try:
        number = float("nan") if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = float("nan")
    if not np.isfinite(number):
        raise ValueError(f"{value!r:.40} is not a number")
    return number


def _whole(value, what: str) -> int:
    number = _number(value)
    if number != int(number):
        raise ValueError(f"{what} {value!r} is not a whole number")
    return int(number)


def preference(record: Record) -> tuple[str | None, tuple[str, str, str] | None]:
    """One line of public preference data: (None, (prompt, chosen, rejected)), or (why it is dropped, None)."""
    if record.problem:
        return f"malformed: {record.problem}", None
    sides = [record.fields.get("chosen"), record.fields.get("rejected")]
    for name, side in zip(("chosen", "rejected"), sides, strict=True):
        problem = text_problem(side, may_be_empty=True)
        if problem:
            return f"malformed: `{name}` {problem}", None
    sides = [unix_lines(side) for side in sides]
    chosen, rejected = sides
    if not chosen.strip() or not rejected.strip():
        return "empty", None
    if chosen.strip() == rejected.strip():
        return "identical", None
    mark = "\n\nAssistant:"
    end = chosen.rfind(mark, 0, len(os.path.commonprefix(sides)))
    if end < 0:
        return "no common prompt", None
    end += len(mark)
    prompt, chosen, rejected = chosen[:end], chosen[end:], rejected[end:]
    if not chosen.strip() or not rejected.strip():
        return "empty", None
    if "\n\nHuman:" in chosen or "\n\nHuman:" in rejected:
        return "further turn", None
    return None, (prompt, chosen, rejected)
