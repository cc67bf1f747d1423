"""How every check works: compare an answer with the right one, and with the answers that known mistakes give.

A check prints one line, `check_x: right.` or `check_x: not yet. …`, returns it as a `Verdict`, and never raises for a
wrong answer: in a notebook the later cells go on with the library's own implementation.

Grades are not read from what is printed, which any cell can print, clear or overwrite. A run that grades sets
HAND_OVER in its kernels' environment; then every verdict is sent to it as well, as a message of the type VERDICT_MIME
beside the output.
"""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

VERDICT_MIME = "application/vnd.labhelpers.verdict+json"
HAND_OVER = "LABHELPERS_HAND_OVER_VERDICTS"


@dataclasses.dataclass(frozen=True, repr=False)
class Verdict:
    """What a check says of an answer: true if the answer is right. `message` is `right.` or `not yet. …`."""

    check: str
    right: bool
    message: str

    def __bool__(self) -> bool:
        return self.right

    def __repr__(self) -> str:
        return f"{self.check}: {self.message}"

    def _ipython_display_(self) -> None:
        """Nothing: the check has printed its line, and a notebook would show it again under a cell's last line."""


def same(answer: Any, expected: Any) -> bool:
    """Whether two answers (numbers, arrays, tensors, tuples of these) are equal up to rounding."""
    if isinstance(expected, (tuple, list)):
        pairs = isinstance(answer, (tuple, list)) and len(answer) == len(expected)
        return pairs and all(same(a, e) for a, e in zip(answer, expected, strict=True))
    try:
        a, e = np.asarray(answer, dtype=float), np.asarray(expected, dtype=float)
    except (TypeError, ValueError):
        return False
    return a.shape == e.shape and bool(np.allclose(a, e, rtol=1e-5, atol=1e-7, equal_nan=True))


def given(answer: Any) -> Any:
    """`answer`, unless it is the None that an exercise starts with: then `judge` says that nothing is there yet."""
    if answer is None:
        raise NotImplementedError
    return answer


def judge(
    name: str, attempt: Callable[[], Any], expected: Any, mistakes: Mapping[str, Any], otherwise: str = ""
) -> Verdict:
    """Runs `attempt`, prints the verdict and returns it. `mistakes`: what to say -> the answer of whoever made it."""
    return tell(name, _mistake(attempt, expected, mistakes, otherwise))


def tell(name: str, mistake: str | None) -> Verdict:
    """Prints the verdict of an answer with this mistake (None: with none) and returns it."""
    verdict = Verdict(name, mistake is None, "right." if mistake is None else f"not yet. {mistake}")
    print(verdict)
    _hand_over(verdict)
    return verdict


def _mistake(attempt: Callable[[], Any], expected: Any, mistakes: Mapping[str, Any], otherwise: str) -> str | None:
    """What is wrong with an answer, in words; None for a right one."""
    try:
        answer = attempt()
    except NotImplementedError:
        return "nothing there yet: replace the TODO by your code."
    except Exception as error:  # the learner's code may fail in any way
        return f"your code raises {type(error).__name__}: {error}"
    if answer is None:
        return "your function returns nothing: does it end with `return`?"
    if same(answer, expected):
        return None
    for message, wrong in mistakes.items():
        if same(answer, wrong):
            return message
    return otherwise or f"expected {_short(expected)}, got {_short(answer)}."


def _hand_over(verdict: Verdict) -> None:
    """Sends a verdict to the run that grades this notebook, where one asks for it."""
    if os.environ.get(HAND_OVER) and "IPython" in sys.modules:
        from IPython import get_ipython

        if shell := get_ipython():
            shell.display_pub.publish({VERDICT_MIME: dataclasses.asdict(verdict)})


def _short(value: Any) -> str:
    if isinstance(value, (tuple, list)):
        return "(" + ", ".join(map(_short, value)) + ")"
    if np.ndim(value) == 0 and isinstance(value, (int, float)):
        return f"{value:.4g}"
    try:
        return np.array2string(np.round(np.asarray(value, dtype=float), 4), separator=", ").replace("\n", "")
    except (TypeError, ValueError):
        return repr(value)[:80]
