"""Positions of tokens in rows that are padded."""

from __future__ import annotations

from torch import Tensor


def positions(attention_mask: Tensor) -> Tensor:
    """Position of every token when the padding does not count (`[B, L]`)."""
    return (attention_mask.cumsum(-1) - 1).clamp(min=0)
