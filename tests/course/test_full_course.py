"""The full profile's code path from end to end, offline: its own names, found in a cache of the Hub's form that holds
stand-ins with random weights. What a random summariser writes is nonsense; that everything fits together is the test.
"""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from labhelpers.course.artifacts import Artifacts
from labhelpers.course.execution import run_notebooks
from labhelpers.course.run import read_results
from labhelpers.sources.dialogues import load_dialogues
from labhelpers.sources.locations import data_dir
from tests.support.models import put_into_cache, save_flan_t5_small, save_roberta

pytestmark = pytest.mark.slow
HATE = "facebook/roberta-hate-speech-dynabench-r4-target"
ROBERTA = data_dir() / "models" / "roberta-base"
SMALL = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 128}
SHORT = {
    "ppo_steps": 1, "batch_size": 4, "mini_batch_size": 2, "eval_prompts": 4, "max_new_tokens": 20, "sft_epochs": 1,
    "sft_train_rows": 24, "sft_batch_size": 4, "bootstrap_samples": 100,
}  # fmt: skip


def published_dialogues(folder: Path) -> list[dict]:
    """DialogSum's form made of the course's dialogues: `fname`, three summaries in the test split, and no facts;
    neighbours joined in pairs, which is about the length of DialogSum's."""
    everything = []
    folder.mkdir()
    for split, count in (("train", 60), ("validation", 20), ("test", 24)):
        rows = [json.loads(line) for line in (data_dir() / "dialogues" / f"{split}.jsonl").open(encoding="utf-8")]
        with (folder / f"{split}.jsonl").open("w", encoding="utf-8") as file:
            for number, (one, other) in enumerate(zip(rows[: 2 * count : 2], rows[1 : 2 * count : 2], strict=True)):
                row = {"fname": f"{split}_{number}", "dialogue": f"{one['dialogue']}\n{other['dialogue']}"}
                summaries = [one["summary"], *one["references"], other["summary"]][:3]
                if split == "test":
                    row |= {f"summary{i}": text for i, text in enumerate(summaries, start=1)}
                    row |= {f"topic{i}": one["topic"] for i in (1, 2, 3)}
                else:
                    row |= {"summary": one["summary"], "topic": one["topic"]}
                file.write(json.dumps(row) + "\n")
                everything.append(row)
    return everything


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """HF_HOME with all that the full profile names."""
    folder = tmp_path_factory.mktemp("full")
    rows = published_dialogues(folder / "dialogsum")
    texts = [row["dialogue"] for row in rows] + [row.get("summary", "") for row in rows]
    cache = folder / "home" / "hub"
    put_into_cache(cache, "knkarthick/dialogsum", folder / "dialogsum", "dataset")
    put_into_cache(cache, "google/flan-t5-base", save_flan_t5_small(folder / "flan", texts))
    hate = save_roberta(folder / "hate", ROBERTA, ("nothate", "hate"), vocab_size=50265)  # roberta-base's shape
    put_into_cache(cache, HATE, hate)
    put_into_cache(cache, "roberta-base", save_roberta(folder / "roberta", ROBERTA, **SMALL))
    return folder / "home"


def run(home, *arguments, **parameters):
    """A command of the course with no network and the stand-ins in the cache; its standard output."""
    given = [text for name, value in parameters.items() for text in ("-p", name, str(value))]
    environment = os.environ | {"HF_HOME": str(home), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", *arguments, "--profile", "full", *given]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1200, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def course(home, tmp_path_factory):
    """01 and 03 to 05, executed."""
    out = tmp_path_factory.mktemp("course")
    lines = (data_dir() / "feedback" / "rankings.jsonl").read_text(encoding="utf-8").splitlines()
    (out / "rankings.jsonl").write_text("\n".join(lines[::6]) + "\n", encoding="utf-8")
    feedback = out / "rankings.jsonl"
    run(home, "labhelpers.cli", "run", "01", "03", "04", "05", "--output-dir", str(out), feedback=feedback, **SHORT)
    return out


def test_the_data_is_dialogsums_form(home, tmp_path):
    published_dialogues(tmp_path / "dialogsum")
    test = load_dialogues(tmp_path / "dialogsum", "test", min_chars=200, max_chars=1000)
    assert len(test) > 8 and {len(references) for references in test["references"]} <= {2, 3}  # equal ones count once
    assert set(test["facts"]) == {None} or all(
        value is None for fact in test["facts"] for value in (fact or {}).values()
    )


def test_the_notebooks_of_the_full_profile_run_end_to_end_by_the_hubs_names(course):
    results = read_results(course)
    assert set(results) == {"01_supervised_finetuning", "03_reward_model", "04_ppo_detoxification", "05_before_after"}
    assert 0 <= results["03_reward_model"]["pairwise_accuracy"] <= 1
    ppo = results["04_ppo_detoxification"]
    assert ppo["ppo_steps"] == 1 and ppo["kl_before_first_update"] < 1e-3  # float32, rollout against a full pass
    after = results["05_before_after"]
    assert after["prompts"] == 4 and after["honesty_after"] is None and after["insult_rate_after"] is None
    assert math.isfinite(after["toxicity_after"]) and math.isfinite(after["sampled_toxicity_after"])
    assert math.isfinite(after["learned_toxicity_after"]), "the learned reward's policy was trained and measured too"
    assert {"reward_model", "sft_adapter", "ppo_toxicity", "ppo_learned"} <= set(Artifacts(course).names())
    assert not [p for p in (course / "artifacts").rglob("*") if p.suffix in (".bin", ".pt", ".pth", ".pkl")]


def test_a_decoder_only_policy_goes_through_notebooks_01_04_and_05_by_one_parameter(tmp_path):
    """The article's CodeLlama form, with the small Llama that ships with the course."""
    given = {"policy_model": "data/models/llama-summariser", "sft_train_rows": 320, "ppo_steps": 2}
    given |= {"rewards": "toxicity", "eval_prompts": 24, "bootstrap_samples": 200}
    run_notebooks(["01", "04", "05"], "tiny", given, tmp_path)
    results = read_results(tmp_path)
    assert results["01_supervised_finetuning"]["rouge_l_after"] > 0.5  # it could summarise before, and still can
    assert results["04_ppo_detoxification"]["kl_before_first_update"] < 1e-9
    assert results["05_before_after"]
