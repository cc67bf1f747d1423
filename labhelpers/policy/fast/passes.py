"""How many rows go through a model at a time: on a CPU, as many as its caches hold."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from jaxtyping import Int
from torch import Tensor
from transformers import PretrainedConfig, PreTrainedModel

from labhelpers.policy.fast import plain

CACHE_BYTES = 2 * 2**20  # level 2 cache of one core on today's servers and laptops: 1 to 2 MiB


def passes(
    lengths: Int[Tensor, " B"], token_bytes: int, device: torch.device, at_most: int | None = None, caches: int = 2
) -> Iterator[Int[Tensor, " b"]]:
    """The places of rows that go through a model together; every row comes once.

    Rows of like length are together, which saves padding, the shortest first. On a CPU a pass holds as many of them as
    keep their widest activations, `token_bytes` per token, within `caches` times a core's cache, and at least one: a
    larger pass is slower, since every layer then fetches from memory what the one before has written there. Elsewhere,
    and at the most, `at_most` rows (None: all). With `LABHELPERS_PLAIN=1`: in their order, `at_most` at a time.
    """
    most = at_most or max(len(lengths), 1)
    if plain():
        yield from (rows for rows in torch.arange(len(lengths), device=lengths.device).split(most) if len(rows))
        return
    order = lengths.argsort(stable=True)
    if device.type != "cpu":
        yield from (rows for rows in order.split(most) if len(rows))
        return
    sizes = lengths[order].tolist()
    first = 0
    for end in range(1, len(sizes) + 1):
        # Row `end` would be the longest, and all rows are padded to it.
        full = end == len(sizes) or end - first == most
        if full or (end + 1 - first) * sizes[end] * token_bytes > caches * CACHE_BYTES:
            yield order[first:end]
            first = end


def token_bytes(model: PreTrainedModel) -> int:
    """Bytes of the widest activations that `model` has for one token: those inside a feed-forward layer."""
    gated = getattr(model.config, "is_gated_act", False)  # two layers side by side
    return feed_forward_width(model.config) * (2 if gated else 1) * model.dtype.itemsize


def feed_forward_width(config: PretrainedConfig) -> int:
    """The width of the layer inside a feed-forward block, as the families name it; 4 times the model's by default."""
    names = ("d_ff", "intermediate_size", "n_inner", "decoder_ffn_dim", "ffn_dim", "ffn_hidden_size")
    widths = (getattr(config, name, None) for name in names)
    return next((width for width in widths if isinstance(width, int) and width), 4 * config.hidden_size)
