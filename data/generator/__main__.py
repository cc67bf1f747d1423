"""`python -m data.generator [PART ...] [--output-dir DIR]`, in the folder of a clone: makes the files in data/.

Each part is made from the parts before it:

- texts: dialogues and hate texts
- models: the checkpoints
- sft: the fine-tuned adapters, by notebook 01
- samples: what the fine-tuned summariser answers to the dialogues that are ranked
- rankings: what simulated annotators say to these and other responses
- ppo: the adapter after PPO, by notebook 04

Without PART, all of them are made.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from data.generator import card, dialogues, hate, rankings, samples, scenarios

PARTS = ("texts", "models", "sft", "samples", "rankings", "ppo")


def _jsonl(rows: list[dict]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _json(value: dict) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1) + "\n"


def texts() -> tuple[dict[str, str], list[dict]]:
    """({path relative to the data folder: content} of the dialogues and hate texts, the dialogues to be ranked)."""
    rows, used = dialogues.splits()
    files = {f"dialogues/{split}.jsonl": _jsonl(rows[split]) for split in rows}
    files["dialogues/vocabulary.json"] = _json(scenarios.vocabulary())
    files |= {f"hate/{split}.jsonl": _jsonl(drawn) for split, drawn in hate.rows(used).items()}
    files["hate/lexicon.json"] = _json(dialogues.LEXICON)
    return files, rankings.dialogue_rows(used)


def feedback(data: Path, asked: list[dict]) -> dict[str, str]:
    """{path: content} of the rankings, from the samples in `data`."""
    return {"feedback/rankings.jsonl": _jsonl(rankings.rows(asked, samples.read(data, asked)))}


def write(folder: Path, files: dict[str, str]) -> None:
    """Writes `files` into `folder`."""
    for name, text in files.items():
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
    parts, data = options.parts or PARTS, options.output_dir
    files, asked = texts()
    if "texts" in parts:
        write(data, files)
    # Imported only when needed: texts are made without torch.
    if "models" in parts:
        from data.generator import models

        models.build(data, data / "models")
        card.fill(data, "classifiers", models.classifier_errors(data))
    if "sft" in parts:
        from data.generator import adapters

        adapters.build_sft(data)
    if "samples" in parts:
        samples.build(data, asked)
    if "rankings" in parts:
        write(data, feedback(data, asked))
    if "ppo" in parts:
        from data.generator import adapters

        adapters.build_ppo(data)
    card.update(data)


if __name__ == "__main__":
    main()
