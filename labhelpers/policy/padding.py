"""Lists of token ids of unequal length as one tensor."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Int
from torch import Tensor


def pad(
    rows: Sequence[Sequence[int]], pad_id: int, side: str = "right", device: torch.device | str = "cpu"
) -> tuple[Int[Tensor, "B L"], Int[Tensor, "B L"]]:
    """`(ids, mask)`: the rows, filled up to the longest one with `pad_id` on `side`; the mask is 1 on their own ids.

    `side` is "right" or "left". There must be at least one row; a row may be empty.
    """
    longest = max(len(row) for row in rows)
    ids = torch.full((len(rows), longest), pad_id, dtype=torch.int64)
    mask = torch.zeros_like(ids)
    for i, row in enumerate(rows):
        where = slice(0, len(row)) if side == "right" else slice(longest - len(row), longest)
        ids[i, where], mask[i, where] = torch.tensor(row, dtype=torch.int64), 1
    return ids.to(device), mask.to(device)
