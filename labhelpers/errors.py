"""The errors that a learner or an instructor may see.

A message is one sentence or two: what was wrong, where, and what to do. Every error that this package raises on purpose
is a LabError, so `except LabError` separates mistakes in the input from mistakes in the code.
"""

from __future__ import annotations

import difflib
import errno
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Literal


class LabError(Exception):
    """A problem that the user can solve; the message says how."""


class DataError(LabError):
    """A data file that cannot be used.

    The attributes `file`, `line` (counted from 1) and `field` say where. They also begin the message:
    `train.jsonl, line 7, field 'dialogue': …`.
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
    """An artifact, which one notebook hands to another, is missing, altered, or cannot be written."""


class UsageError(LabError):
    """A request that cannot be carried out: an unknown notebook, a wrong folder. `labs` exits with status 2."""


class ProfileError(UsageError):
    """An unknown profile or parameter, or a value of the wrong type or out of range."""


class ModelError(LabError):
    """A model that cannot be loaded, or that is not of the kind that is needed."""


NotebookProblem = Literal["unusable", "raised", "kernel died", "disk full", "not writable", "interrupted"]


class NotebookError(LabError):
    """A notebook that cannot be used, or that did not run to its end.

    The attributes hold the facts, and the message is made from them. `reason` says what happened. `notebook` is the
    notebook's name and `cell` the number in `In [4]` (None if the error belongs to no cell). `kind` is "unusable" for a
    notebook that was not executed; otherwise it says what ended the run ("disk full" also for a cell that failed
    because of it). `kept` is the file with the notebook as far as it was executed, None when nothing was saved.
    """

    def __init__(
        self,
        reason: str,
        *,
        notebook: str | None = None,
        cell: int | None = None,
        kind: NotebookProblem = "unusable",
        kept: Path | None = None,
    ):
        name = f"notebook {notebook}"
        if kind == "unusable":
            message = f"{name}{'' if cell is None else f', cell {cell}'}: {reason}" if notebook else reason
        else:
            if kind == "interrupted":
                what = f"interrupted in {name}"
            elif cell is not None:
                what = f"{name} failed in cell In [{cell}]: {reason}"
            else:
                what = f"{name} {'failed' if kind in ('raised', 'kernel died') else 'cannot be written'}: {reason}"
            message = f"{what}; " + (f"executed up to there: {kept}" if kept else "nothing of it was saved")
        super().__init__(message)
        self.reason, self.notebook, self.cell, self.kind, self.kept = reason, notebook, cell, kind, kept


class TrainingError(LabError):
    """A training that cannot continue: there is nothing to train on, or a number is not finite."""


def close_matches(word: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown `word`: the most similar known words, then all known words.

    >>> close_matches("kl_cof", ["kl_coef", "seed"])
    "did you mean 'kl_coef'? Known: kl_coef, seed"
    """
    known = sorted(known)
    near = difflib.get_close_matches(str(word), known, n=2)
    hint = f"did you mean {' or '.join(repr(name) for name in near)}? " if near else ""
    return f"{hint}Known: {', '.join(known) if known else 'none'}"


# The operating system's errors for a failed write -> what the user can do.
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
_FULL = (errno.ENOSPC, errno.EDQUOT)
_FULL_DISK = tuple(_STORAGE_ADVICE[code] for code in _FULL)


def storage_advice(error: BaseException) -> str | None:
    """What to do about an error of writing files, or None when `error` is of another kind.

    Libraries written in Rust (safetensors, tokenizers) report such errors as text, `… (os error 28)`.
    """
    code = getattr(error, "errno", None)
    if code is None and (found := re.search(r"\(os error (\d+)\)", str(error))):
        code = int(found.group(1))
    return _STORAGE_ADVICE.get(code)


def disk_full(error: BaseException | None) -> bool:
    """Whether `error`, or an error that caused it, reports a full disk or a used up quota."""
    while error is not None:
        if storage_advice(error) in _FULL_DISK:
            return True
        error = error.__cause__
    return False


def says_disk_full(traceback: str) -> bool:
    """Whether a traceback that came as text, such as one from a notebook's kernel, reports a full disk.

    It then holds the operating system's error number in the form that Python or Rust writes.
    """
    return any(mark in traceback for code in _FULL for mark in (f"[Errno {code}]", f"(os error {code})"))


def last_line(error: BaseException | str) -> str:
    """The last line of an error's message that is not empty, or else the name of its class."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
