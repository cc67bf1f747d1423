"""Reads the text files in `texts/`. README.md beside this file describes how they are written."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Formatter

from labhelpers.errors import DataError, close_matches

TEXTS = Path(__file__).resolve().parent / "texts"


@dataclass(frozen=True)
class Line:
    """One line, stripped, and where it stands."""

    text: str
    file: Path
    number: int

    def error(self, problem: str) -> DataError:
        return DataError(f"{problem}, in {self.text!r}", file=self.file, line=self.number)

    def check_slots(self, known: Collection[str]) -> None:
        """Raises DataError when the line holds a `{slot}` that nothing would fill."""
        try:
            slots = [name for _, name, _, _ in Formatter().parse(self.text) if name is not None]
        except ValueError:
            raise self.error("a brace without its partner") from None
        for name in slots:
            if name not in known:
                raise self.error(f"unknown slot {{{name}}} ({close_matches(name, known)})")


def lines(file: Path) -> Iterator[Line]:
    """The lines of a text file without empty ones and comments (`# ...`; `#Person1#` begins no comment)."""
    for number, text in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        text = text.strip()
        if text and not text.startswith("# "):
            yield Line(text, file, number)


def sections(file: Path, columns: Mapping[str, int], slots: Collection[str] = ()) -> dict[str, tuple]:
    """The entries below each `[heading]` of a file, in the file's order.

    `columns` has every heading that must be there, with the number of parts of its entries: one gives texts, more give
    tuples of texts. Raises DataError for a heading that is unknown, missing or without entries, for an entry
    with another number of parts, and for one with a slot that is not in `slots`.
    """
    found: dict[str, list] = {}
    heading = None
    for line in lines(file):
        if line.text.startswith("["):
            heading = line.text[1:].removesuffix("]")
            if not line.text.endswith("]") or heading not in columns:
                raise line.error(f"unknown heading ({close_matches(heading, columns)})")
            if heading in found:
                raise line.error("a heading that stands twice")
            found[heading] = []
            continue
        if heading is None:
            raise line.error("an entry above the first [heading]")
        line.check_slots(slots)
        parts = tuple(part.strip() for part in line.text.split("|"))
        if len(parts) != columns[heading] or not parts[-1]:
            raise line.error(f"an entry of [{heading}] has {columns[heading]} parts, separated by |")
        found[heading].append(parts if len(parts) > 1 else parts[0])
    missing = [heading for heading in columns if not found.get(heading)]
    if missing:
        raise DataError(f"no entries for the heading [{missing[0]}]", file=file)
    return {heading: tuple(entries) for heading, entries in found.items()}
