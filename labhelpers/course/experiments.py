"""The experiments that take longer than a lesson: plans in data/experiments/, and the tables that they gave.

`make experiments` carries out the plans and writes a table beside each, with the plan's hash in its first line. A
notebook reads the table with `load_experiment`, finds the row that it has just made itself, and draws the others.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from labhelpers.errors import UsageError, close_matches
from labhelpers.sources.locations import data_dir

_FIRST = "# plan "
_AGAIN = "`make experiments` carries out the plans and writes their tables"


def plan_hash(plan: str | Path) -> str:
    """The hash of what a plan file asks for; comments and layout do not count. Raises UsageError without the file."""
    try:
        asked = yaml.safe_load(Path(plan).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"plan {plan} cannot be read: {error}") from None
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:12]


def table_text(plan: str | Path, rows: Iterable[dict[str, Any]]) -> str:
    """The text of an experiment's table: its plan's hash, then a line per run. Lists are written as JSON."""
    table = pd.DataFrame(list(rows))
    if table.empty:
        return f"{_FIRST}{plan_hash(plan)}\n"
    table = table.map(lambda value: json.dumps(value) if isinstance(value, list) else value)
    return f"{_FIRST}{plan_hash(plan)}\n" + table.to_csv(index=False, lineterminator="\n")


def has_table_of(plan: str | Path) -> bool:
    """Whether the file beside the plan is this plan's table."""
    file = Path(plan).with_suffix(".csv")
    if not file.exists():
        return False
    return file.read_text(encoding="utf-8").partition("\n")[0] == _FIRST + plan_hash(plan)


def load_experiment(name: str, folder: str | Path | None = None) -> pd.DataFrame:
    """The table of the experiment `name`: a row per run, with the parameters that the plan varies and the results.

    While `make experiments` carries out a plan for the first time, its table has no rows and no columns.

    A result is called `NN.name`, NN being the number of the notebook that recorded it; lists are lists again. `folder`
    holds the plan and the table (None: the course's). Raises UsageError for an unknown name, a table that is missing or
    damaged, and a table of another plan.
    """
    folder = data_dir() / "experiments" if folder is None else Path(folder)
    plan, file = folder / f"{name}.yaml", folder / f"{name}.csv"
    if not plan.exists():
        raise UsageError(
            f"no experiment {name!r}: {close_matches(name, [path.stem for path in folder.glob('*.yaml')])}"
        )
    if not file.exists():
        raise UsageError(f"experiment {name!r} has no table yet ({file}): {_AGAIN}.")
    rest = file.read_text(encoding="utf-8").partition("\n")[2]
    if not has_table_of(plan):
        raise UsageError(f"{file} is not the table of {plan}, which has changed since or is another one: {_AGAIN}.")
    if not rest.strip():  # as it is while the plan is carried out for the first time
        return pd.DataFrame()
    try:
        table = pd.read_csv(io.StringIO(rest))
        return table.map(lambda value: json.loads(value) if isinstance(value, str) and value[:1] == "[" else value)
    except ValueError as error:
        raise UsageError(f"{file} is damaged ({error}): {_AGAIN}.") from None


def own_rows(table: pd.DataFrame, **parameters: Any) -> pd.DataFrame:
    """The rows of an experiment's table that were made with these parameters; none where the plan has no such run.

    Raises UsageError for a parameter that the plan does not vary.
    """
    if table.empty:
        return table
    found = pd.Series(True, index=table.index)
    for name, value in parameters.items():
        if name not in table:
            raise UsageError(f"the experiment does not vary {name!r}: {close_matches(name, list(table.columns))}")
        found &= table[name] == value
    return table[found]
