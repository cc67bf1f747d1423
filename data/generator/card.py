"""Updates the tables of the data card (data/README.md)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

TEXT_FOLDERS = ("dialogues", "feedback", "hate")
MODEL_FOLDERS = ("adapters", "models")


def _rows(data: Path, folders: tuple[str, ...], size: Callable[[Path], str]) -> list[str]:
    files = sorted(path for folder in folders for path in (data / folder).rglob("*") if path.is_file())
    return [
        f"| `{path.relative_to(data).as_posix()}` | {size(path)} | {hashlib.sha256(path.read_bytes()).hexdigest()} |"
        for path in files
    ]


def _lines(path: Path) -> str:
    count = path.read_bytes().count(b"\n")
    return f"{count:,}" if path.suffix == ".jsonl" else ""


def fill(data: Path, name: str, table: list[str]) -> None:
    """Writes the lines of a table between the card's markers of that name; does nothing where there is no card."""
    card = data / "README.md"
    if not card.exists():
        return
    before, begin, rest = card.read_text(encoding="utf-8").partition(f"<!-- {name} -->")
    _, end, after = rest.partition(f"<!-- /{name} -->")
    card.write_bytes("\n".join([before + begin, "", *table, "", end + after]).encode())


def update(data: Path) -> None:
    """Writes the tables of sizes and hashes."""
    models = _rows(data, MODEL_FOLDERS, lambda path: path.stat().st_size)
    fill(data, "models", ["| file | bytes | sha256 |", "|---|---:|---|", *models])
    fill(data, "files", ["| file | rows | sha256 |", "|---|---:|---|", *_rows(data, TEXT_FOLDERS, _lines)])
