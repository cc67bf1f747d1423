"""The progress of a run: `progress.json` in its folder, which the run's process writes and its supervisor reads."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from pydantic import TypeAdapter

from labhelpers.errors import NotebookError, NotebookProblem, disk_full, storage_advice
from labhelpers.files import write_atomically

PROGRESS = "progress.json"


@dataclasses.dataclass
class Failure:
    """Why a notebook failed: the facts of a NotebookError."""

    notebook: str
    reason: str
    kind: NotebookProblem = "raised"
    cell: int | None = None

    @classmethod
    def of(cls, notebook: str, error: Exception) -> Failure:
        """The facts of an error that kept `notebook` from running to its end."""
        if isinstance(error, NotebookError):
            return cls(notebook, error.reason, error.kind, error.cell)
        reason = storage_advice(error) or str(error)
        return cls(notebook, reason, "disk full" if disk_full(error) else "raised")


@dataclasses.dataclass
class Progress:
    """The seconds of each notebook that ended well, the notebook that is running, what failed, and for a submission
    the verdicts so far, `{notebook: {check: message}}`."""

    seconds: dict[str, float] = dataclasses.field(default_factory=dict)
    running: str | None = None
    failures: list[Failure] = dataclasses.field(default_factory=list)
    verdicts: dict[str, dict[str, str]] = dataclasses.field(default_factory=dict)

    def keep(self, folder: Path) -> None:
        """Writes `progress.json` into a run's folder."""
        write_atomically(folder / PROGRESS, json.dumps(dataclasses.asdict(self)))


_READER = TypeAdapter(Progress)


def read_progress(folder: Path) -> Progress:
    """The progress that the last attempt left in a run's folder; empty when there is no valid file.

    A submission can write this file itself, so only its form is certain, not its content.
    """
    try:
        return _READER.validate_json((folder / PROGRESS).read_bytes())
    except (OSError, ValueError):
        return Progress()
