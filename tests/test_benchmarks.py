"""The benchmark still runs: its numbers are nobody's business here, its command is."""

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_the_benchmark_command_prints_its_ratios():
    script = Path(__file__).parent / "benchmarks" / "ppo_speed.py"
    options = "--shapes tiny --batch 4 --max-new 4 8 --threads 1 --eval --eval-prompts 4 --eval-prompts-lab 2".split()
    done = subprocess.run([sys.executable, script, *options], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert any(row.get("ours_over_floor", 0) > 0 for row in rows), done.stdout
