"""Which device and which precision: the two words of a profile turned into torch's terms; and how memory is kept."""

from __future__ import annotations

import ctypes
import platform

import torch

from labhelpers.errors import ModelError

DTYPES = ("auto", "float64", "float32", "bfloat16", "float16")


def resolve_device(device: str = "auto", dtype: torch.dtype | None = None) -> str:
    """ "auto" is CUDA where there is one, else Apple's MPS, else the CPU; other names stay as they are.

    MPS has no float64: for that `dtype`, "auto" is the CPU there.
    """
    if device != "auto":
        return device
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() and dtype != torch.float64 else "cpu"


def resolve_dtype(dtype: str | torch.dtype | None = "auto") -> torch.dtype | str:
    """A torch dtype, or "auto": as the checkpoint is stored. Raises ModelError for an unknown name."""
    if dtype is None or dtype == "auto":
        return "auto"
    if isinstance(dtype, str):
        if dtype not in DTYPES:
            raise ModelError(f"dtype {dtype!r} is unknown; choose {', '.join(DTYPES)}.")
        dtype = getattr(torch, dtype)
    return dtype


def keep_freed_memory() -> bool:
    """Tells glibc to keep memory that tensors have freed for the next ones; whether it could be told.

    By default blocks of 32 MB and more go back to the system and are handed out anew, page by page: a tenth of the time
    of a PPO step. The process then stays as large as it has ever been.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    trim_threshold, mmap_max = -1, -4  # M_TRIM_THRESHOLD, M_MMAP_MAX of malloc.h
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(mmap_max, 0)) and bool(mallopt(trim_threshold, -1))  # never
