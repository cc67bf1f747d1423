"""Runs that are forked from a warm process: quick, and as separate as others."""

import subprocess
import sys
import time

import pytest

from labhelpers.batch import supervisor, warm
from tests.support.batch_jobs import job

pytestmark = pytest.mark.skipif(not warm.available(), reason="processes are kept warm on Linux only")


def test_what_a_run_changes_no_other_sees(write_notebook, tmp_path):
    """The libraries are there before the first cell; what the first run did to them is not there in the second."""
    said = tmp_path / "said"
    path = write_notebook(
        "01_first",
        f"import os, sys\nsaid = open({str(said)!r}, 'a')\nprint('torch' in sys.modules, end=' ', file=said)",
        "import torch\nprint(hasattr(torch, 'mark'), os.environ.get('MARK'), file=said)\n"
        "torch.mark = 1\nos.environ['MARK'] = 'left'\nsaid.close()",
    )
    for number in range(2):
        assert supervisor.execute(job(tmp_path / f"run{number}", path)).status == "finished"
    assert said.read_text() == "True False None\n" * 2


def test_a_runs_memory_is_its_own(write_notebook, tmp_path):
    """What is shared with the warm process is not counted twice; what a kernel takes is counted."""
    small = write_notebook("01_small", "import time; time.sleep(1)")
    large = write_notebook("02_large", "import time; held = bytearray(b'x') * 500_000_000; time.sleep(1)")
    peaks = [supervisor.execute(job(tmp_path / path.stem, path)).peak_memory_gb for path in (small, large)]
    assert 0 < peaks[0] < 1.0
    assert peaks[1] - peaks[0] == pytest.approx(500_000_000 / 2**30, abs=0.15)


def test_a_kernel_that_is_killed_is_a_row_and_the_next_run_is_well(write_notebook, tmp_path):
    dies = write_notebook("01_dies", "import os; os.kill(os.getpid(), 9)")
    lives = write_notebook("02_lives", "print('well')")
    assert supervisor.execute(job(tmp_path / "dies", dies)).status == "kernel died"
    assert supervisor.execute(job(tmp_path / "lives", lives)).status == "finished"


def test_the_warm_process_ends_with_the_one_that_keeps_it(tmp_path):
    code = "import os\nfrom labhelpers.batch import warm\nprint(warm._Server(dict(os.environ)).process.pid)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    import psutil

    ends = time.monotonic() + 30
    while psutil.pid_exists(int(done.stdout)) and time.monotonic() < ends:
        time.sleep(0.1)
    assert not psutil.pid_exists(int(done.stdout))


def test_where_no_process_can_be_kept_warm_runs_begin_cold(write_notebook, tmp_path, monkeypatch):
    """As where temporary files lie too deep for the path of a socket."""
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(deep))
    path = write_notebook("01_first", "import sys; print('torch' in sys.modules)")
    assert supervisor.execute(job(tmp_path / "run", path, threads=7)).status == "finished"
    assert 7 not in warm._servers
