"""Device and precision: a profile's names for them, as torch's. And a setting that makes torch reuse memory."""

from __future__ import annotations

import ctypes
import platform

import torch

from labhelpers.errors import ModelError

DTYPES = ("auto", "float64", "float32", "bfloat16", "float16")


def resolve_device(device: str = "auto", dtype: torch.dtype | None = None) -> str:
    """ "auto" is CUDA if available, else Apple's MPS, else the CPU. Other names are returned unchanged.

    MPS has no float64, so with that `dtype` "auto" is the CPU instead of MPS.
    """
    if device != "auto":
        return device
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() and dtype != torch.float64 else "cpu"


def resolve_dtype(dtype: str | torch.dtype | None = "auto") -> torch.dtype | str:
    """The torch dtype of a name, or "auto" (as the checkpoint is stored). Raises ModelError for an unknown name."""
    if dtype is None or dtype == "auto":
        return "auto"
    if isinstance(dtype, str):
        if dtype not in DTYPES:
            raise ModelError(f"dtype {dtype!r} is unknown; choose {', '.join(DTYPES)}.")
        dtype = getattr(torch, dtype)
    return dtype


def keep_freed_memory() -> bool:
    """Tells glibc to keep the memory of freed tensors for new ones. Returns whether glibc accepted that.

    By default, blocks of 32 MB and more are returned to the system and requested again, which takes a tenth of the time
    of a PPO step. With this setting the process never becomes smaller.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    trim_threshold, mmap_max = -1, -4  # M_TRIM_THRESHOLD, M_MMAP_MAX of malloc.h
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(mmap_max, 0)) and bool(mallopt(trim_threshold, -1))  # never
