"""What is asked of the machine: a device that can do it, and memory that stays with the process."""

import platform
import subprocess
import sys

import pytest
import torch

from labhelpers.errors import ModelError
from labhelpers.policy import load_base, load_classifier
from labhelpers.reward import load_reward_model
from labhelpers.sources.devices import resolve_device

_FAULTS = """
import resource, sys, torch
from labhelpers.sources.devices import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
for _ in range(30):
    torch.ones(10_000_000)  # 40 MB: a block of its own by default
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    torch.ones(10_000_000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has these settings")
def test_freed_memory_is_used_again():
    """Twenty times 40 MB need no fresh page when the memory is kept, and some thousands when it is not."""

    def faults(how):
        done = subprocess.run([sys.executable, "-c", _FAULTS, how], capture_output=True, text=True, check=True)
        return int(done.stdout)

    assert faults("keep") < 200 < 1000 < faults("default")


@pytest.mark.parametrize(
    "cuda, mps, dtype, expected",
    [
        (True, True, torch.float32, "cuda"),
        (True, False, torch.float64, "cuda"),
        (False, True, torch.float32, "mps"),
        (False, True, None, "mps"),
        (False, True, torch.float64, "cpu"),
        (False, False, torch.float32, "cpu"),
    ],
)
def test_auto_is_the_best_device_that_knows_the_dtype(monkeypatch, cuda, mps, dtype, expected):
    """Apple's MPS has no float64."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert resolve_device("auto", dtype) == expected
    assert resolve_device("cpu", dtype) == "cpu"


@pytest.mark.parametrize("load", [load_base, load_classifier, load_reward_model])
@pytest.mark.parametrize("name", ["float65", "int8", "nn"])
def test_every_loader_knows_the_same_dtypes(load, name, tmp_path):
    with pytest.raises(ModelError, match=f"dtype '{name}' is unknown; choose auto, float64"):
        load(tmp_path, name)
