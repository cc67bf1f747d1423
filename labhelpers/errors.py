"""The errors that a learner or an instructor may meet.

A message is one sentence or two: what was wrong, where, and what to do about it. Every error raised on purpose by this
package is a :class:`LabError`, so one ``except LabError`` tells a mistake in the input from a mistake in the code.
"""

from __future__ import annotations

import difflib
import errno
import re
from collections.abc import Iterable
from pathlib import Path


class LabError(Exception):
    """Something that the person at the keyboard can put right. The message says how."""


class DataError(LabError):
    """A data file that cannot be used.

    ``file``, ``line`` (counted from 1) and ``field`` say where; they stay readable as attributes and are put before the
    message: ``train.jsonl, line 7, field 'dialogue': …``.
    """

    def __init__(
        self,
        message: str,
        *,
        file: str | Path | None = None,
        line: int | None = None,
        field: str | None = None,
    ):
        place = [str(file)] if file is not None else []
        place += [f"line {line}"] if line is not None else []
        place += [f"field '{field}'"] if field is not None else []
        super().__init__(f"{', '.join(place)}: {message}" if place else message)
        self.file, self.line, self.field = file, line, field


class ArtifactError(LabError):
    """What one notebook hands to another is missing, altered, or cannot be written."""


class UsageError(LabError):
    """Something asked for that cannot be: an unknown notebook, a folder in the wrong place. ``labs`` exits with 2."""


class ProfileError(UsageError):
    """An unknown profile or parameter, or a value of the wrong type or out of range."""


class ModelError(LabError):
    """A model location that cannot be loaded, or that holds another kind of model than is needed."""


class NotebookError(LabError):
    """A notebook that failed while it was executed. The message names the notebook, the cell and the error."""


class TrainingError(LabError):
    """A training that cannot go on: nothing to train on, or numbers that are no longer finite."""


def close_matches(word: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown ``word``: a hint at what may have been meant, then all that is known.

    >>> close_matches("kl_cof", ["kl_coef", "seed"])
    "did you mean 'kl_coef'? Known: kl_coef, seed"
    """
    known = sorted(known)
    near = difflib.get_close_matches(str(word), known, n=2)
    hint = f"did you mean {' or '.join(repr(name) for name in near)}? " if near else ""
    return f"{hint}Known: {', '.join(known) if known else 'none'}"


# What the operating system calls "you cannot write here" and what a person can do about it.
_STORAGE_ADVICE = {
    errno.ENOSPC: "the disk is full: free some space or choose another folder",
    errno.EDQUOT: "the disk quota is used up: free some space or choose another folder",
    errno.EACCES: "permission denied: choose a folder that you may write to",
    errno.EPERM: "not permitted: choose a folder that you may write to",
    errno.EROFS: "the file system is read-only: choose another folder",
    errno.ENOTDIR: "a part of the path is a file, not a folder: choose another folder",
    errno.EEXIST: "a file of that name is in the way: choose another folder",
    errno.ENAMETOOLONG: "the path is too long: choose a shorter one",
}


def storage_advice(error: BaseException) -> str | None:
    """What to do about an error that says a folder cannot be written, or None when ``error`` says something else.

    Libraries written in Rust (safetensors, tokenizers) report such errors as text, ``… (os error 28)``.
    """
    code = getattr(error, "errno", None)
    if code is None and (found := re.search(r"\(os error (\d+)\)", str(error))):
        code = int(found.group(1))
    return _STORAGE_ADVICE.get(code)


def last_line(error) -> str:
    """The last line of an error's text, or its class where it has none."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
