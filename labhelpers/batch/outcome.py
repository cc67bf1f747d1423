"""How a run of a batch ended: one class. The run's line in `summary.csv` and its `status.json` are made from it.

A run that has not ended is "to do". A killed worker cannot report; `without_worker` then makes the outcome.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from typing import Literal

from pydantic import TypeAdapter

Status = Literal[
    "to do",
    "finished",  # every notebook ran to its end
    "failed",  # a cell raised an error, or a failure that has no status of its own
    "kernel died",  # the notebook's process was killed, for example by the system when memory ran out
    "timeout",  # longer than the plan's timeout_minutes
    "over limit",  # more memory, processes or disk than allowed
    "disk full",
    "worker lost",  # the worker of the run was killed repeatedly
    "refused",  # the worker has another version of the package
    "interrupted",  # by Ctrl-C; never stored, because the run will be done again
]
_LOST = "the worker was lost: the process that did this run disappeared several times"


@dataclasses.dataclass
class RunOutcome:
    """Which run it is, how it ended, and its results.

    Where a run failed: `notebook` and `cell` (the 4 of `In [4]`), `last_lines` (the last lines shown there) and
    `executed` (the file of that notebook, relative to the run's folder). `results` are `{notebook: {name: value}}`.

    Of a submission: `student_id`, the learning platform's number for the student, or None; `verdicts` of its checks,
    `{notebook: {check: "right." or "not yet. …"}}`; `missing`, the notebooks that the student has not handed in;
    `remarks`, whatever else is odd.

    `started` is in seconds since 1970. `archive` is the packed folder of a run that another machine did; `status.json`
    does not hold it.
    """

    id: str
    label: str = ""
    status: Status = "to do"
    reason: str = ""
    notebook: str | None = None
    cell: int | None = None
    last_lines: list[str] = dataclasses.field(default_factory=list)
    executed: str | None = None
    seconds: float | None = None
    peak_memory_gb: float | None = None
    parameters: dict = dataclasses.field(default_factory=dict)
    notebooks: list[str] = dataclasses.field(default_factory=list)
    notebook_seconds: dict[str, float] = dataclasses.field(default_factory=dict)
    results: dict[str, dict] = dataclasses.field(default_factory=dict)
    student: str | None = None
    student_id: str | None = None
    missing: list[str] = dataclasses.field(default_factory=list)
    remarks: list[str] = dataclasses.field(default_factory=list)
    verdicts: dict[str, dict[str, str]] = dataclasses.field(default_factory=dict)
    isolated: bool = False
    worker: str | None = None
    started: float | None = None
    version: str | None = None
    archive: bytes | None = dataclasses.field(default=None, repr=False)

    @property
    def place(self) -> str | None:
        """The cell as Jupyter shows it, `In [4]`."""
        return None if self.cell is None else f"In [{self.cell}]"

    def to_json(self) -> str:
        """The text of `status.json`."""
        kept = dataclasses.asdict(dataclasses.replace(self, archive=None))
        del kept["archive"]
        text = json.dumps(kept, indent=1, ensure_ascii=False) + "\n"
        return text.encode(errors="replace").decode()  # a notebook may show half a character, which no file can hold

    @classmethod
    def from_json(cls, text: str) -> RunOutcome:
        """The outcome in the text of a `status.json`. Raises ValueError for any other text."""
        return _READER.validate_json(text)

    def ended(self, status: Status, reason: str = "", **changes) -> RunOutcome:
        """This outcome with the status and reason of its end."""
        return dataclasses.replace(self, status=status, reason=reason, **changes)

    def without_worker(self, error: BaseException | None) -> RunOutcome:
        """The outcome when the worker returned nothing. `error` is Dask's reason, or None when Dask gives no reason."""
        if error is None or type(error).__name__ == "KilledWorker":
            return self.ended("worker lost", _LOST, seconds=0.0)
        return self.ended("failed", f"the worker failed: {type(error).__name__}: {error}", seconds=0.0)


_READER = TypeAdapter(RunOutcome)


def summary_csv(outcomes: list[RunOutcome]) -> str:
    """The text of `summary.csv`: a line per run with its end, its parameters and its recorded results."""
    parameters = list(dict.fromkeys(name for run in outcomes for name in run.parameters))
    results = list(
        dict.fromkeys((notebook, name) for run in outcomes for notebook, found in run.results.items() for name in found)
    )
    own = ["run", "student", "status", "reason", "notebook", "cell", "executed", "seconds", "peak_memory_gb"]
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow([*own, *parameters, *(f"{notebook}.{name}" for notebook, name in results)])
    for run in outcomes:
        executed = f"{run.id}/{run.executed}" if run.executed else None
        line = [run.id, run.student, run.status, run.reason, run.notebook, run.place, executed]
        line += [run.seconds, run.peak_memory_gb, *(run.parameters.get(name) for name in parameters)]
        line += [run.results.get(notebook, {}).get(name) for notebook, name in results]
        table.writerow([json.dumps(value) if isinstance(value, (list, dict)) else value for value in line])
    return text.getvalue()
