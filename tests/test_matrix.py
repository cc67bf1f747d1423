"""The stored outputs hold on other machines: all notebooks under nbval with other instruction sets, threads, languages,
time zones, folders and homes. Part of `make test-all`; `pytest tests/test_matrix.py -k lowest` runs one of them."""

import os
import shutil
import subprocess
import sys

import pytest

from tests.support.paths import ROOT

pytestmark = pytest.mark.slow
LOWEST = {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41", "MKL_ENABLE_INSTRUCTIONS": "SSE4_2"}
VARIANTS = {
    "aten-default": {"ATEN_CPU_CAPABILITY": "default"},
    "aten-avx2": {"ATEN_CPU_CAPABILITY": "avx2"},
    "onednn-sse41": {"ONEDNN_MAX_CPU_ISA": "SSE41"},
    "onednn-avx2": {"ONEDNN_MAX_CPU_ISA": "AVX2"},
    "mkl-sse42": {"MKL_ENABLE_INSTRUCTIONS": "SSE4_2"},
    "mkl-avx2": {"MKL_ENABLE_INSTRUCTIONS": "AVX2"},
    "lowest": LOWEST,
    "one-thread": {"OMP_NUM_THREADS": "1"},
    "two-threads": {"OMP_NUM_THREADS": "2"},
    "language-and-time-zone": {"LC_ALL": "C", "LANG": "ko_KR.UTF-8", "LANGUAGE": "ko", "TZ": "Asia/Seoul"},
    "home-unwritable": {"HOME": "/proc/no-home"},
}

# One result each of ATen's own kernels, oneDNN's and MKL's, in float32, where the instruction set shows.
_PROBE = """
import hashlib, torch
torch.manual_seed(0); torch.set_num_threads(1)
x, y, kernel = torch.randn(257, 513), torch.randn(513, 129), torch.randn(64, 256, 3)
results = [x.exp().sum(-1), torch.nn.functional.conv1d(x[None, :256], kernel), x @ y]
print(*(hashlib.sha256(r.numpy().tobytes()).hexdigest() for r in results))
"""


def probe(settings):
    environment = {name: value for name, value in os.environ.items() if name not in LOWEST} | settings
    done = subprocess.run([sys.executable, "-c", _PROBE], capture_output=True, text=True, env=environment, check=True)
    return done.stdout.split()


@pytest.mark.parametrize("name", LOWEST)
def test_the_variables_take_effect(name):
    """Else the matrix would prove nothing: a float32 computation comes out differently under each of them."""
    plain = probe({})
    assert probe({}) == plain
    assert probe({name: LOWEST[name]}) != plain


def nbval(folder, settings, run_dir):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--nbval", "notebooks"]
    command += ["--nbval-sanitize-with", "tests/nbval_sanitize.cfg"]
    environment = os.environ | {"LABHELPERS_RUN_DIR": str(run_dir)} | settings
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout[-5000:]


@pytest.mark.parametrize("name", VARIANTS)
def test_no_notebook_differs(name, tmp_path):
    nbval(ROOT, VARIANTS[name], tmp_path / "run")


def test_no_notebook_differs_in_a_folder_with_spaces_and_other_letters(tmp_path):
    folder = tmp_path / "Kurs für alle, 강의 课程"
    for name in ("labhelpers", "notebooks", "tests", "data"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("conftest.py", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, folder)
    nbval(folder, {"PYTHONPATH": str(folder)}, folder / "runs" / "nbval")
