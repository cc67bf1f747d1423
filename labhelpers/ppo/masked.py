"""Means, variances and whitening over the response tokens of a batch. Values outside the mask never count."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from labhelpers.errors import TrainingError


def masked_mean(x: Float[Tensor, "B T"], mask: Int[Tensor, "B T"]) -> Float[Tensor, ""]:
    """Mean of `x` over the positions where `mask` is 1: a scalar."""
    return torch.where(mask.bool(), x, 0).sum() / mask.sum()


def masked_var(x: Float[Tensor, "B T"], mask: Int[Tensor, "B T"]) -> Float[Tensor, ""]:
    """Unbiased variance of `x` over the mask: a scalar. It is 0 when the mask has a single position."""
    n = mask.sum()
    squares = torch.where(mask.bool(), x - masked_mean(x, mask), 0).square().sum()
    return squares / (n - 1).clamp(min=1)


def whiten(x: Float[Tensor, "B T"], mask: Int[Tensor, "B T"], shift_mean: bool = True) -> Float[Tensor, "B T"]:
    """Scales `x` to unit variance over the mask (and mean 0, if `shift_mean`); 0 outside it."""
    mean = masked_mean(x, mask)
    white = (x - mean) * torch.rsqrt(masked_var(x, mask) + 1e-8)
    return torch.where(mask.bool(), white if shift_mean else white + mean, 0)


def check_shapes(**tensors: Tensor) -> None:
    """Raises TrainingError unless all tensors have the same shape; the message names each."""
    if len({t.shape for t in tensors.values()}) > 1:
        shapes = ", ".join(f"{name} {tuple(t.shape)}" for name, t in tensors.items())
        raise TrainingError(f"these must have one shape [B, T]: {shapes}.")
