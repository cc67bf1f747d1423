"""What the fine-tuned summariser answers to the dialogues that are ranked: some of the responses that annotators see.

Drawn from the policy itself in float64 with the course's counter-based sampler, so that they are the same on every
machine for the same checkpoint. Each row of the file names its prompt by a hash.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from data.generator.rankings import SAMPLES
from labhelpers.errors import DataError
from labhelpers.sources.dialogues import format_prompt

FILE = "feedback/samples.jsonl"
MAX_NEW_TOKENS = 48


def _name(prompt: str) -> str:
    return hashlib.sha256(prompt.encode()).hexdigest()[:16]


def build(data: Path, asked: Sequence[dict]) -> None:
    """Samples answers to the dialogues `asked` from the models in `data` and writes them to `data/FILE`."""
    from labhelpers.policy import generate_texts, load_policy

    policy, tokenizer = load_policy(
        str(data / "models" / "t5-base-summariser"), data / "adapters" / "sft", "float64", "cpu"
    )
    prompts = [format_prompt(row["dialogue"]) for row in asked]
    rounds = [generate_texts(policy, tokenizer, prompts, MAX_NEW_TOKENS, seed=20, step=i) for i in range(SAMPLES)]
    lines = [
        json.dumps({"prompt": _name(prompt), "samples": texts}) + "\n"
        for prompt, *texts in zip(prompts, *rounds, strict=True)
    ]
    (data / FILE).parent.mkdir(parents=True, exist_ok=True)
    (data / FILE).write_bytes("".join(lines).encode())


def read(data: Path, asked: Sequence[dict]) -> dict[str, list[str]]:
    """{prompt: samples} for the dialogues `asked`. Raises DataError when the file was made for others."""
    lines = (data / FILE).read_text(encoding="utf-8").splitlines()
    by_name = {row["prompt"]: row["samples"] for row in map(json.loads, lines)}
    prompts = [format_prompt(row["dialogue"]) for row in asked]
    missing = [prompt for prompt in prompts if _name(prompt) not in by_name]
    if missing:
        raise DataError(
            f"has no samples for {len(missing)} of {len(prompts)} dialogues: it was made for other ones. "
            "Run `python -m data.generator samples rankings`.",
            file=data / FILE,
        )
    return {prompt: by_name[_name(prompt)] for prompt in prompts}
