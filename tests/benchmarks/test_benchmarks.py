"""The benchmark still runs: its numbers are nobody's business here, its command is."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest


@pytest.mark.slow
def test_the_benchmark_command_prints_its_ratios():
    script = Path(__file__).parent / "ppo_speed.py"
    options = "--shapes tiny --batch 4 --max-new 4 8 --threads 1 --eval --eval-prompts 4 --eval-prompts-lab 2".split()
    done = subprocess.run([sys.executable, script, *options], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert any(row.get("ours_over_floor", 0) > 0 for row in rows), done.stdout


@pytest.mark.slow
def test_a_step_takes_the_memory_that_the_doctor_estimates(monkeypatch):
    """FLAN-T5-small's shape on the CPU, real-length prompts, 100 new tokens: within 20 %."""
    import torch

    from labhelpers.course.profiles import load_profile
    from labhelpers.machine.full_size import policy_config, shape_of, step_memory

    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    import ppo_speed

    options = ppo_speed.parse("--shapes small --max-new 100 101 --threads 1".split())
    with tempfile.TemporaryDirectory() as folder:
        dialogues = ppo_speed.join_pairs(ppo_speed.BUNDLED, Path(folder) / "dialogues.jsonl")
        measured = ppo_speed.measure("ours", "small", "float32", options, dialogues)["peak_mib"] * 2**20
    name = "google/flan-t5-small"
    settings = load_profile("full", policy_model=name, max_new_tokens=100, eval_batch_size=16)
    estimated = step_memory(shape_of(policy_config(name), settings.lora_r), settings, torch.float32, "cpu")
    assert measured == pytest.approx(estimated, rel=0.2)
