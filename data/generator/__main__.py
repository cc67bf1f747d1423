"""`python -m data.generator [PART ...] [--output-dir DIR]`, in the folder of a clone: makes the files in data/.

The parts are texts, models and adapters; each is made from the parts before it. Without PART, all of them are made.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from data.generator import card, dialogues, hate, rankings, scenarios

PARTS = ("texts", "models", "adapters")


def _jsonl(rows: list[dict]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def contents() -> dict[str, str]:
    """Every text file as {path relative to the data folder: content}."""
    rows, used = dialogues.splits()
    files = {f"dialogues/{split}.jsonl": _jsonl(rows[split]) for split in rows}
    files["dialogues/vocabulary.json"] = json.dumps(scenarios.vocabulary(), ensure_ascii=False, indent=1) + "\n"
    files |= {f"hate/{split}.jsonl": _jsonl(texts) for split, texts in hate.rows(used).items()}
    files["hate/lexicon.json"] = json.dumps(dialogues.LEXICON, ensure_ascii=False, indent=1) + "\n"
    files["feedback/rankings.jsonl"] = _jsonl(rankings.rows(used))
    return files


def write(folder: Path) -> None:
    """Writes the text files into `folder`."""
    for name, text in contents().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m data.generator", description="Makes the course's data again.")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)}; none: all of them")
    parser.add_argument("--output-dir", type=Path, default=Path(__file__).resolve().parents[1], metavar="DIR")
    options = parser.parse_args(arguments)
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"unknown part {sorted(unknown)[0]!r}; there are {', '.join(PARTS)}")
    parts = options.parts or PARTS
    if "texts" in parts:
        write(options.output_dir)
    # Imported only when needed: texts are made without torch.
    if "models" in parts:
        from data.generator import models

        models.build(options.output_dir, options.output_dir / "models")
    if "adapters" in parts:
        from data.generator import adapters

        adapters.build(options.output_dir)
    card.update(options.output_dir)


if __name__ == "__main__":
    main()
