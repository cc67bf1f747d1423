"""Sequence classifiers: loading one, its logits for texts, and its labels by name."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from labhelpers.errors import DataError, ModelError
from labhelpers.policy.fast.passes import passes, token_bytes
from labhelpers.policy.padding import pad
from labhelpers.policy.pretrained import load_text_classifier


def load_classifier(
    location, dtype: str | torch.dtype = "auto", device: str = "auto"
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """(model in eval mode, tokenizer) of a sequence classifier: a folder, a Hub id or an fsspec address.

    `dtype` is a name such as "float64" or "auto" (as stored), `device` a torch device or "auto" (see `resolve_device`).
    Only safetensors are read, never a pickle. Raises ModelError when the location holds no classifier.
    """
    model, tokenizer, _ = load_text_classifier(location, dtype, device)
    return model, tokenizer


def max_input_tokens(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> int | None:
    """How many tokens, special ones included, the model takes; None when nothing limits it.

    RoBERTa and its relatives number positions from their padding id + 1: with 514 positions and padding id 1 it takes
    512 tokens. These models are recognised by the padding entry in their table of positions.
    """
    limits = [tokenizer.model_max_length]
    positions = getattr(model.config, "max_position_embeddings", None)
    if positions:
        tables = [module for name, module in model.named_modules() if name.endswith("position_embeddings")]
        paddings = [padding for t in tables if (padding := getattr(t, "padding_idx", None)) is not None]
        limits.append(positions - max((padding + 1 for padding in paddings), default=0))
    limit = min(limits)
    return limit if limit < 10**9 else None  # tokenizers write "no limit" as 10**30


def class_logits(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    batch_size: int = 64,
    keep: str = "start",
) -> Tensor:
    """Logits `[B, n_labels]` on the CPU, in the order of `texts`, float32 or wider; no gradient.

    At most `batch_size` texts of similar length are computed at a time (see `passes`). Texts longer than the model
    takes are cut; `keep` ("start" or "end") says which part of them stays. Raises DataError when an entry is not a
    text.
    """
    texts = list(texts)
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            raise DataError(f"text {index} of {len(texts)} must be a string, but is {type(text).__name__}.")
    if not texts:
        return torch.empty(0, model.config.num_labels)
    limit = max_input_tokens(model, tokenizer)
    side, tokenizer.truncation_side = tokenizer.truncation_side, {"start": "right", "end": "left"}[keep]
    try:
        token_ids = tokenizer(texts, truncation=limit is not None, max_length=limit)["input_ids"]
    finally:
        tokenizer.truncation_side = side
    return logits_of(model, tokenizer, token_ids, batch_size)


def logits_of(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, token_ids: Sequence[list[int]], batch_size: int = 64
) -> Tensor:
    """As `class_logits`, from the texts' token ids, of which there must be at least one."""
    # RoBERTa finds its positions by comparing ids with the padding id of its *config*: pad with that one.
    pad_id = tokenizer.pad_token_id if model.config.pad_token_id is None else model.config.pad_token_id
    lengths = torch.tensor([len(ids) for ids in token_ids])
    order, parts = [], []
    with torch.no_grad():
        for places in passes(lengths, token_bytes(model), model.device, at_most=batch_size):
            order.append(places)
            input_ids, mask = pad([token_ids[i] for i in places.tolist()], pad_id, device=model.device)
            logits = model(input_ids=input_ids, attention_mask=mask).logits
            parts.append(logits.cpu())
    logits = torch.cat(parts)
    logits = logits if logits.dtype == torch.float64 else logits.float()
    return torch.empty_like(logits).index_copy_(0, torch.cat(order), logits)


def label_index(model: PreTrainedModel, label: str) -> int:
    """The column of `label` in the model's logits. Raises ModelError, with all its labels, when it is missing."""
    labels = model.config.id2label
    for index, name in labels.items():
        if name == label:
            return int(index)
    raise ModelError(
        f"the classifier has no label {label!r}; its labels are {', '.join(map(repr, labels.values()))}. Give the "
        "name of the harmless one as harmless_label (judge_harmless_label for the judge)."
    )
