"""How every check works: compare an answer with the right one, and with the answers that known mistakes give.

A check prints one line, `check_x: right.` or `check_x: not yet. …`, and never raises for a wrong answer: in a notebook
the later cells go on with the library's own implementation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np


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
) -> bool:
    """Runs `attempt`, prints the verdict and returns it. `mistakes`: what to say -> the answer of whoever made it."""
    try:
        answer = attempt()
    except NotImplementedError:
        return _say(name, "nothing there yet: replace the TODO by your code.")
    except Exception as error:  # the learner's code may fail in any way
        return _say(name, f"your code raises {type(error).__name__}: {error}")
    if answer is None:
        return _say(name, "your function returns nothing: does it end with `return`?")
    if same(answer, expected):
        print(f"{name}: right.")
        return True
    for message, wrong in mistakes.items():
        if same(answer, wrong):
            return _say(name, message)
    return _say(name, otherwise or f"expected {_short(expected)}, got {_short(answer)}.")


def _say(name: str, message: str) -> bool:
    print(f"{name}: not yet. {message}")
    return False


def _short(value: Any) -> str:
    if isinstance(value, (tuple, list)):
        return "(" + ", ".join(map(_short, value)) + ")"
    if np.ndim(value) == 0 and isinstance(value, (int, float)):
        return f"{value:.4g}"
    try:
        return np.array2string(np.round(np.asarray(value, dtype=float), 4), separator=", ").replace("\n", "")
    except (TypeError, ValueError):
        return repr(value)[:80]
