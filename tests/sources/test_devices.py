"""What is asked of the machine: memory that stays with the process."""

import platform
import subprocess
import sys

import pytest

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
