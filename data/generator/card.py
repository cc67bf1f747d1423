"""Updates the tables of the data card (data/README.md): sizes and hashes of the files in the folder."""

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


def update(data: Path) -> None:
    """Writes the tables between the card's markers; does nothing in a folder that has no card."""
    card = data / "README.md"
    if not card.exists():
        return
    text = card.read_text(encoding="utf-8")
    tables = {
        "models": [
            "| file | bytes | sha256 |",
            "|---|---:|---|",
            *_rows(data, MODEL_FOLDERS, lambda p: p.stat().st_size),
        ],
        "files": ["| file | rows | sha256 |", "|---|---:|---|", *_rows(data, TEXT_FOLDERS, _lines)],
    }
    for name, table in tables.items():
        before, begin, rest = text.partition(f"<!-- {name} -->")
        _, end, after = rest.partition(f"<!-- /{name} -->")
        text = "\n".join([before + begin, "", *table, "", end + after])
    card.write_bytes(text.encode())
