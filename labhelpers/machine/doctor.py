"""What to look at first when the course does not run: the interpreter, the packages, the machine, the data."""

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

# The course's needs, with room: its kernels hold torch and two tiny models, its artifacts a few megabytes.
_MEMORY_GB, _DISK_GB = 2, 1


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing that was looked at: what, what was found, and whether the course can live with it."""

    what: str
    found: str
    ok: bool


def examine(constraints: Path | None = None, data: Path | None = None) -> list[Finding]:
    """All findings. `constraints`: the file of pins, by default the course's own (skipped where there is none);
    `data`: the course's data, by default wherever it is found."""
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
    """The data card lists each file with its sha256, on one line: the file's path in backticks, then 64 hex digits."""
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
