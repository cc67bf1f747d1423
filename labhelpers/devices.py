"""Which device and which precision: the two words of a profile turned into torch's terms."""

from __future__ import annotations

import torch

from labhelpers.errors import ModelError

DTYPES = ("auto", "float64", "float32", "bfloat16", "float16")


def resolve_device(device: str = "auto") -> str:
    """ "auto" is CUDA where there is one, else Apple's MPS, else the CPU; other names stay as they are."""
    if device != "auto":
        return device
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def resolve_dtype(dtype: str | torch.dtype | None = "auto") -> torch.dtype | str:
    """A torch dtype, or "auto": as the checkpoint is stored. Raises ModelError for an unknown name."""
    if dtype is None or dtype == "auto":
        return "auto"
    if isinstance(dtype, str):
        if dtype not in DTYPES:
            raise ModelError(f"dtype {dtype!r} is unknown; choose {', '.join(DTYPES)}.")
        dtype = getattr(torch, dtype)
    return dtype
