"""Positions of tokens in rows that are padded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

if TYPE_CHECKING:
    pass


def positions(attention_mask: Tensor) -> Tensor:
    """Position of every token when the padding does not count (`[B, L]`)."""
    return (attention_mask.cumsum(-1) - 1).clamp(min=0)
