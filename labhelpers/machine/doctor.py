"""`labs doctor`: checks Python, the packages, memory and disk, and the data, for when the course does not run."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
import shutil
import sys
from pathlib import Path

from labhelpers.errors import DataError
from labhelpers.packages import misfits, needed_packages, pins_file
from labhelpers.sources.locations import data_dir

# What the course needs, with a margin: a kernel holds torch and two tiny models, artifacts take a few megabytes.
_MEMORY_GB, _DISK_GB = 2, 1


@dataclasses.dataclass(frozen=True)
class Finding:
    """One check: `what` was checked, what was `found`, and whether that is `ok` for the course."""

    what: str
    found: str
    ok: bool


def examine(constraints: Path | None = None, data: Path | None = None) -> list[Finding]:
    """The findings of all checks.

    `constraints` is the file of pinned versions, by default the one that `pins_file` finds (without one, the check is
    skipped). `data` is the folder of the course's data, by default the one that `data_dir` finds.
    """
    constraints = constraints or pins_file()
    return [
        Finding("python", sys.version.split()[0], sys.version_info >= (3, 11)),
        *([_packages(constraints)] if constraints.is_file() else []),
        Finding("processor cores", str(os.cpu_count()), True),
        _memory(),
        _disk(Path.cwd()),
        _data(data),
    ]


def _packages(constraints: Path) -> Finding:
    wrong = [f"{one.name} {one.found or 'missing'} instead of {one.pinned}" for one in misfits(constraints)]
    what = f"{len(needed_packages())} as pinned in {constraints.name}"
    return Finding("packages", "; ".join(wrong) + f" (see {constraints.name})" if wrong else what, not wrong)


def _memory() -> Finding:
    import psutil

    free = psutil.virtual_memory().available / 2**30
    return Finding("free memory", f"{free:.1f} GB (the course needs {_MEMORY_GB})", free >= _MEMORY_GB)


def _disk(folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free / 2**30
    return Finding("free disk", f"{free:.1f} GB (the course needs {_DISK_GB})", free >= _DISK_GB)


def _data(folder: Path | None) -> Finding:
    """Compares the data with the data card, where every line of a file has its path in backticks and its sha256."""
    try:
        folder = data_dir(folder)
        card = (folder / "README.md").read_text(encoding="utf-8")
    except (DataError, OSError) as error:
        return Finding("data", str(error), False)
    listed = re.findall(r"`(?:data/)?([\w./-]+)`[^\n]*?\b([0-9a-f]{64})\b", card)
    wrong = [name for name, digest in listed if _digest(folder / name) != digest]
    if wrong:
        return Finding("data", f"missing or changed since the data card was written: {', '.join(wrong)}", False)
    return Finding("data", f"{len(listed)} files as listed in the data card", bool(listed))


def _digest(path: Path) -> str | None:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None
