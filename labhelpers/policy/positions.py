"""Positions of tokens in rows that are padded."""

from __future__ import annotations

from torch import Tensor


def positions(attention_mask: Tensor) -> Tensor:
    """The position of every token, not counting padding (`[B, L]`)."""
    return (attention_mask.cumsum(-1) - 1).clamp(min=0)
