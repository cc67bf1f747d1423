"""`labs doctor`: checks Python, the packages, memory and disk, and the data, for when the course does not run."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import os
import re
import shutil
import sys
from pathlib import Path

from labhelpers.errors import DataError
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

    `constraints` is the file of pinned versions, by default that of the repository (an installed wheel has none, and
    skips the check). `data` is the folder of the course's data, by default the one that `data_dir` finds.
    """
    constraints = constraints or Path(__file__).resolve().parents[2] / "constraints.txt"
    return [
        Finding("python", sys.version.split()[0], sys.version_info >= (3, 11)),
        *([_packages(constraints)] if constraints.is_file() else []),
        Finding("processor cores", str(os.cpu_count()), True),
        _memory(),
        _disk(Path.cwd()),
        _data(data),
    ]


def pinned_versions(constraints: Path) -> dict[str, str]:
    """`{package: version}` of the lines `package==version` in a file of pins. Names are spelled as by `canonical`."""
    lines = constraints.read_text(encoding="utf-8").splitlines()
    pins = (re.fullmatch(r"([\w.-]+)==([\w.!+-]+)", line.strip()) for line in lines)
    return {canonical(pin.group(1)): pin.group(2) for pin in pins if pin}


def canonical(name: str) -> str:
    """A package's name as indexes compare it (PEP 503): `rouge_score` is `rouge-score`."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _packages(constraints: Path) -> Finding:
    pins = pinned_versions(constraints)
    found = {canonical(d.metadata["Name"]): d.version for d in importlib.metadata.distributions() if d.metadata["Name"]}
    needed = set()
    for requirement in importlib.metadata.requires("labhelpers") or []:
        if "extra ==" not in requirement:
            needed.add(canonical(re.match(r"[\w.-]+", requirement).group()))
    wrong = [
        f"{name} {found.get(name, 'missing')} instead of {pins[name]}"
        for name in sorted(needed & pins.keys())
        if found.get(name, "").split("+")[0] != pins[name]  # "+cpu" names the build, not the version
    ]
    what = f"{len(needed)} as pinned in {constraints.name}"
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
