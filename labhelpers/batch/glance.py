"""A class at a glance: how many students have solved each exercise, and which mistakes are the commonest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from labhelpers.batch.grades import NOT_YET, VERDICTS, answers, exercise_name
from labhelpers.batch.outcome import RunOutcome


@dataclass(frozen=True)
class Success:
    """How a class did in one exercise: the number of students for each of VERDICTS."""

    name: str
    students: Mapping[str, int]

    def percent(self, verdict: str) -> float:
        """The share of the class with this verdict, in percent."""
        return 100 * self.students[verdict] / (sum(self.students.values()) or 1)


@dataclass(frozen=True)
class Mistake:
    """What a check has said of wrong answers, and the students to whom it said so."""

    name: str
    message: str
    students: tuple[str, ...]


def success(outcomes: Sequence[RunOutcome], asked: Mapping[str, Sequence[str]]) -> list[Success]:
    """The success in every exercise, in the course's order. `asked` is `{notebook: [check]}`."""
    counts = {exercise: Counter[str]() for exercise in _pairs(asked)}
    for outcome in outcomes:
        for answer in answers(outcome, asked):
            counts[answer.notebook, answer.check][answer.verdict] += 1
    return [Success(exercise_name(*exercise), {v: count[v] for v in VERDICTS}) for exercise, count in counts.items()]


def mistakes(outcomes: Sequence[RunOutcome], asked: Mapping[str, Sequence[str]]) -> list[Mistake]:
    """The mistakes, the commonest first; equally common ones in the course's order.

    A mistake is one line of one check: the checks name the likely ones in fixed words, so that equal lines are equal
    mistakes.
    """
    order = {exercise: place for place, exercise in enumerate(_pairs(asked))}
    made: dict[tuple[str, str, str], list[str]] = {}
    for outcome in outcomes:
        for answer in answers(outcome, asked):
            if answer.verdict == NOT_YET:
                made.setdefault((answer.notebook, answer.check, answer.message), []).append(outcome.student or "")
    found = sorted(made, key=lambda one: (-len(made[one]), order[one[:2]], one[2]))
    return [Mistake(exercise_name(nb, check), said, tuple(made[nb, check, said])) for nb, check, said in found]


def _pairs(asked: Mapping[str, Sequence[str]]) -> list[tuple[str, str]]:
    return [(notebook, check) for notebook, checks in asked.items() for check in checks]
