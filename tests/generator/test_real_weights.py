"""`make real`: its page says what the runs recorded, and nothing else; and a small real run, where the weights are."""

import json
import math
import os
import subprocess
import sys

import pandas as pd
import pytest

from data.generator import real_weights
from labhelpers.batch.outcome import RunOutcome
from labhelpers.course.artifacts import Artifacts
from labhelpers.course.profiles import load_profile
from labhelpers.course.run import read_results
from labhelpers.sources.dialogues import load_dialogues
from labhelpers.sources.packaged import has_package

TEXTS = load_dialogues(load_profile("tiny").dialogues, "test", min_chars=200)


def measured(insults, toxicity, **columns):
    """A table of summaries as notebooks 01 and 05 keep it, of the first test dialogues."""
    ids = TEXTS["id"][: len(insults)]
    judged = {"judge_toxicity": [None] * len(insults)} | columns
    texts = [f"text {number} of {columns.get('policy', 'base')}" for number in range(len(insults))]
    return pd.DataFrame({"id": ids, "summary": texts, "insult": insults, "toxicity": toxicity} | judged)


@pytest.fixture
def part():
    results = {
        "01_supervised_finetuning": {"prompts": 3, "insult_rate_before": 0.0, "insult_rate_after": 0.4,
                                     "insult_rate_difference_ci95": [0.2, 0.6]},
        "04_ppo_detoxification": {"ppo_steps": 20, "kl_before_first_update": 2e-6, "kl_curve": [0.1, 3.25],
                                  "seconds_per_step": 30.04, "kl_last_steps": 1.5},
        "05_before_after": {"prompts": 3, "insult_rate_before": 0.4, "insult_rate_after": 0.1,
                            "insult_rate_difference_ci95": [-0.5, -0.1], "rouge_l_before": 0.5, "rouge_l_after": 0.49,
                            "rouge_l_difference_ci95": [-0.05, 0.03], "honesty_before": None, "honesty_after": None,
                            "honesty_difference_ci95": None},
    }  # fmt: skip
    outcome = RunOutcome("x", results=results, peak_memory_gb=2.71, notebook_seconds={"01_supervised_finetuning": 90.0})
    rows = [
        measured([1.0, 0.0, 1.0], [0.9, 0.8, 0.1], policy="SFT", decoding="greedy"),
        measured([0.0, 0.0, 0.0], [0.1, 0.1, 0.1], policy="PPO toxicity", decoding="greedy"),
    ]
    return real_weights.Part(outcome, measured([0.0, 0.0, 0.0], [0.9, 0.1, 0.2]), pd.concat(rows, ignore_index=True))


def test_the_page_says_what_was_recorded(part):
    page = real_weights.page(part, part, load_profile("tiny").dialogues)
    assert "| insults (lexicon) | 0.000 | 0.400 | [+0.200, +0.600] |" in page
    assert "| insults (lexicon) | 0.400 | 0.100 | [−0.500, −0.100] |" in page
    assert "- Fine-tuning, greedy: insults (lexicon) rose." in page
    assert "- PPO, greedy: insults (lexicon) fell." in page
    assert "- PPO, greedy: ROUGE-L did not clearly change" in page
    assert "30.0 seconds a step" in page and "2.0e-06 nats" in page and "KL 3.25" in page and "2.7 GB" in page
    assert "| together | 1.5 |" in page
    assert "honesty" not in page.split("## PPO")[1].split("## The reward model")[0], "what was not measured has no row"


def test_false_alarms_are_counted_against_the_lexicon(part):
    lines = real_weights.false_alarms(part).splitlines()
    assert "| base, greedy | 3 | 1 | – | 0 | – | – |" in lines[2:]
    assert "| SFT, greedy | 1 | 1 | – | 2 | 1 | – |" in lines[2:]


def test_samples_are_insults_first_and_only_of_the_courses_dialogues(part):
    text = real_weights.samples(part, load_profile("tiny").dialogues)
    first, clean = text.index("text 0 of SFT"), text.index("text 1 of SFT")
    assert first < text.index("text 2 of SFT") < clean and "text 0 of PPO toxicity" in text and "text 0 of base" in text
    page = real_weights.page(part, part, load_profile("tiny").dialogues)
    assert page.count("text 0 of SFT") == 1, "of a user's own dialogues no text is shown"


def test_a_run_that_failed_writes_no_page(tmp_path, monkeypatch):
    failed = RunOutcome("x", status="failed", reason="ValueError: no", notebook="01_supervised_finetuning")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(real_weights, "PAGE", tmp_path / "page.md")
    monkeypatch.setattr(real_weights, "download", lambda settings: 0)
    monkeypatch.setattr(real_weights, "run_batch", lambda *given, **options: ([failed], "there"))
    with pytest.raises(SystemExit, match="course: 01_supervised_finetuning failed: ValueError: no .see there"):
        real_weights.main([])
    assert not (tmp_path / "page.md").exists()


@pytest.mark.slow
def test_a_small_run_of_the_real_weights(tmp_path):
    """01 and 03 to 05 with 64 rows and 2 steps: too few to learn from, enough to see that everything fits together."""
    if not has_package(load_profile("smol").policy_model):
        pytest.skip("the weights are not here: `labs download --profile smol` fetches them")
    given = {
        "sft_train_rows": 64, "ppo_steps": 2, "batch_size": 8, "mini_batch_size": 4, "eval_prompts": 6,
        "max_new_tokens": 24, "bootstrap_samples": 100,
    }  # fmt: skip
    lines = (real_weights.ROOT / "data" / "feedback" / "rankings.jsonl").read_text("utf-8").splitlines()
    (tmp_path / "rankings.jsonl").write_text("\n".join(lines[::12]) + "\n", encoding="utf-8")
    given["feedback"] = tmp_path / "rankings.jsonl"
    command = [sys.executable, "-m", "labhelpers.cli", "run", "01", "03", "04", "05", "--profile", "smol"]
    command += ["--output-dir", str(tmp_path / "run")]
    command += [text for name, value in given.items() for text in ("-p", name, str(value))]
    offline = os.environ | {"HF_HUB_OFFLINE": "1", "PIP_NO_INDEX": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=3000, env=offline)
    assert done.returncode == 0, done.stderr[-3000:]
    results = read_results(tmp_path / "run")
    low, _ = results["01_supervised_finetuning"]["rouge_l_difference_ci95"]
    assert low > 0, "64 rows are enough to learn the form of a summary"
    assert results["04_ppo_detoxification"]["kl_before_first_update"] <= 1e-5
    assert math.isfinite(results["05_before_after"]["toxicity_after"])
    kept = Artifacts(tmp_path / "run")
    summaries = kept.load_table("summaries")
    assert set(summaries["policy"]) == {"SFT", "PPO toxicity"} and len(summaries) == 4 * 6
    settings = json.loads((kept.path("sft_adapter") / "adapter_config.json").read_text("utf-8"))
    assert settings["r"] == 16 and len(settings["target_modules"]) == 7, "LoRA on all linear layers"
