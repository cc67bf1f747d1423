"""Checks for notebook 01: LoRA's size and the padding in the labels."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from labhelpers.checks.verdict import Verdict, given, judge, tell


def check_lora_count(lora_count: Callable[[int, int, int], int], model: Any) -> Verdict:
    """Checks `lora_count(n_inputs, n_outputs, r)` over the LoRA layers of `model` and over FLAN-T5-base's.

    FLAN-T5-base has 12 encoder layers with one attention and 12 decoder layers with two, q and v in each, all 768 x
    768; with r = 32 that is the PPO lab's 3,538,944.
    """
    pairs = [(n, p) for n, p in model.named_parameters() if ".lora_A." in n]
    outputs = {n: p.shape[0] for n, p in model.named_parameters() if ".lora_B." in n}
    shapes = [(p.shape[1], outputs[n.replace(".lora_A.", ".lora_B.")], p.shape[0]) for n, p in pairs]

    def totals(count: Callable[[int, int, int], int]) -> tuple[int, int, int]:
        return sum(count(*s) for s in shapes), 72 * count(768, 768, 32), count(5, 7, 2)

    return judge(
        "check_lora_count",
        lambda: totals(given(lora_count)),
        totals(lambda n, m, r: r * (n + m)),
        {
            "that is the size of W itself: LoRA trains A and B instead.": totals(lambda n, m, r: n * m),
            "A is counted, B is not.": totals(lambda n, m, r: r * n),
            "B is counted, A is not.": totals(lambda n, m, r: r * m),
            "n times m times r? A and B are two matrices; their sizes add.": totals(lambda n, m, r: r * n * m),
            "LoRA has no bias here.": totals(lambda n, m, r: r * (n + m) + m),
            "both matrices are counted as if they had the inputs' size.": totals(lambda n, m, r: 2 * r * n),
        },
    )


def check_mask_padding(mask_padding: Callable[[Any, int], Any]) -> Verdict:
    """Checks `mask_padding(labels, pad_token_id)` -> labels with padding replaced by -100."""
    import torch

    labels = torch.tensor([[5, 6, 1, 0, 0], [7, 1, 0, 0, 0]])
    right = torch.where(labels == 0, -100, labels)

    def attempt() -> Any:
        copy = labels.clone()
        answer = given(mask_padding)(copy, 0)
        if answer is not None and not torch.equal(copy, labels):
            raise ValueError("the labels given were changed in place; return a copy")
        return answer

    return judge(
        "check_mask_padding",
        attempt,
        right,
        {
            "nothing is masked.": labels,
            "the wrong side is masked: the tokens went, the padding stayed.": torch.where(labels != 0, -100, labels),
            "end-of-sequence is masked too: then the model never learns to stop.": torch.where(
                labels <= 1, -100, labels
            ),
            "padding became 0, but cross-entropy leaves out -100 only.": torch.where(labels == 0, 0, labels),
            "padding became -1, but cross-entropy leaves out -100 only.": torch.where(labels == 0, -1, labels),
        },
    )


def check_toxic_share(prediction: float, share: float) -> Verdict:
    """Checks a guess at the share of toxic greedy summaries: within 0.05 of `share` is right.

    A `share` of NaN, when there was no such dialogue, leaves nothing to compare a guess with.
    """
    if math.isnan(share):
        return tell("check_toxic_share", "none of these dialogues has a raised voice: raise eval_prompts.")
    return judge(
        "check_toxic_share",
        lambda: min(max(round((float(given(prediction)) - share) / 0.1), -1), 1),
        0,
        {
            "it is less: many wordings share the insult's probability, so the likeliest token may begin none of them. "
            "Run the next cell.": 1,
            "it is more: the likeliest continuation is taken always, not in proportion. Run the next cell.": -1,
        },
    )
