"""`python -m labhelpers.tiny [DIR]`: write all generated data files under DIR (default: the repository's data/).

Where DIR holds the data card (README.md), its table of hashes is brought up to date as well.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

from labhelpers.tiny import dialogues, hate, rankings
from labhelpers.tiny.scenarios import vocabulary

TABLE_BEGIN, TABLE_END = "<!-- files -->", "<!-- /files -->"


def _jsonl(rows: list[dict]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def contents() -> dict[str, str]:
    """Every data file as {path relative to the data folder: text}."""
    rows, used = dialogues.splits()
    files = {f"dialogues/{split}.jsonl": _jsonl(rows[split]) for split in rows}
    files["dialogues/vocabulary.json"] = json.dumps(vocabulary(), ensure_ascii=False, indent=1) + "\n"
    files |= {f"hate/{split}.jsonl": _jsonl(texts) for split, texts in hate.rows(used).items()}
    files["hate/lexicon.json"] = json.dumps(sorted(dialogues.LEXICON), ensure_ascii=False) + "\n"
    files["feedback/rankings.jsonl"] = _jsonl(rankings.rows(used))
    return files


def hash_table(files: dict[str, str]) -> str:
    """The data card's table: file, rows, sha256."""
    lines = ["| file | rows | sha256 |", "|---|---:|---|"]
    for name, text in sorted(files.items()):
        rows = f"{text.count(chr(10)):,}" if name.endswith(".jsonl") else ""
        lines.append(f"| `{name}` | {rows} | {hashlib.sha256(text.encode()).hexdigest()} |")
    return "\n".join(lines)


def write(folder: Path) -> None:
    """Write the data files under `folder`, and the hashes into its card where there is one."""
    files = contents()
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
    card = folder / "README.md"
    if card.exists():
        before, _, rest = card.read_text(encoding="utf-8").partition(TABLE_BEGIN)
        after = rest.partition(TABLE_END)[2]
        card.write_bytes(f"{before}{TABLE_BEGIN}\n{hash_table(files)}\n{TABLE_END}{after}".encode())


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[2] / "data")
