"""The packages that the course needs: the versions in which it is known to work, and the versions installed.

Nothing outside Python's own library is imported here, so that this module works when packages are missing.
"""

from __future__ import annotations

import importlib.metadata
import re
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Misfit:
    """A package in another version than the pinned one: `found`, which is None when the package is missing."""

    name: str
    found: str | None
    pinned: str

    @property
    def other_major(self) -> bool:
        """Whether another major version is installed, which may lack something that the notebooks call."""
        return self.found is not None and self.found.split(".")[0] != self.pinned.split(".")[0]


def pins_file() -> Path:
    """The file of pins: a clone's `constraints.txt`, or the copy of it in an installed wheel."""
    return (_clone() or Path(__file__).resolve().parent) / "constraints.txt"


def pinned_versions(constraints: Path) -> dict[str, str]:
    """`{package: version}` of the lines `package==version`; names as `canonical` spells them."""
    lines = constraints.read_text(encoding="utf-8").splitlines()
    pins = (re.fullmatch(r"([\w.-]+)==([\w.!+-]+)", line.strip()) for line in lines)
    return {canonical(pin.group(1)): pin.group(2) for pin in pins if pin}


def canonical(name: str) -> str:
    """A package's name as indexes compare it (PEP 503): `rouge_score` is `rouge-score`."""
    return re.sub(r"[-_.]+", "-", name).lower()


def needed_packages() -> list[str]:
    """What labhelpers needs without its extras, sorted; empty when it is on the path but not installed."""
    try:
        requirements = importlib.metadata.requires("labhelpers") or []
    except importlib.metadata.PackageNotFoundError:
        return []
    return sorted(
        canonical(re.match(r"[\w.-]+", requirement).group())
        for requirement in requirements
        if "extra ==" not in requirement
    )


def misfits(constraints: Path) -> list[Misfit]:
    """The needed packages that are missing, or not in the version that the file `constraints` pins.

    Empty when there is no such file.
    """
    pins = pinned_versions(constraints) if constraints.is_file() else {}
    compared = [(name, _installed(name), pins[name]) for name in needed_packages() if name in pins]
    return [Misfit(name, found, pinned) for name, found, pinned in compared if found != pinned]


def missing_packages() -> str | None:
    """One sentence about the needed packages that this Python does not have; None when it has all."""
    names = [one.name for one in misfits(pins_file()) if one.found is None]
    if not names:
        return None
    first = ", ".join(names[:3]) + (f" and {len(names) - 3} more packages" if len(names) > 3 else "")
    return f"{sys.executable} has no {first}: {how_to_install(names)}"


def how_to_install(names: list[str]) -> str:
    """The end of a sentence: what to do in a notebook about packages that are missing or do not fit."""
    what = f'-e "{_clone()}"' if _clone() else " ".join(names)
    command = f'%pip install -c "{pins_file()}" {what}'
    return (
        f"choose the course's kernel (menu Kernel, Change Kernel), or run `{command}` in a cell and restart the kernel"
    )


def _clone() -> Path | None:
    """The root of the repository that the package is run from, None for an installed wheel."""
    root = Path(__file__).resolve().parents[1]
    return root if (root / "pyproject.toml").is_file() else None


def _installed(name: str) -> str | None:
    try:
        return importlib.metadata.version(name).split("+")[0]  # "+cpu" is the build, not the version
    except importlib.metadata.PackageNotFoundError:
        return None
