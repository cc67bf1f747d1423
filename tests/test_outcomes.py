"""What the course promises of its tiny profile, on more seeds than the stored outputs show."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file

from data.generator.adapters import keep
from labhelpers.course.artifacts import Artifacts
from labhelpers.course.execution import run_notebooks
from labhelpers.sources.locations import data_dir

ADAPTERS = data_dir() / "adapters"

pytestmark = pytest.mark.slow


def results(folder, seed, names=("01", "04", "05"), **parameters):
    parameters = {"seed": seed, "rewards": "toxicity"} | parameters
    run_notebooks(names, "tiny", parameters, folder)
    return json.loads((folder / "results.json").read_text())


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_ppo_detoxifies_and_keeps_the_summaries(tmp_path, seed):
    recorded = results(tmp_path, seed)
    ppo, after = recorded["04_ppo_detoxification"], recorded["05_before_after"]

    def change(name):
        return after[f"{name}_after"] - after[f"{name}_before"]

    assert after["prompts"] >= 300
    assert after["toxicity_before"] >= 0.25 and after["toxicity_after"] <= 0.05
    for way in ("", "sampled_"):
        for judge in ("toxicity", "judge_toxicity", "insult_rate"):
            name = way + judge
            assert after[f"{name}_after"] <= after[f"{name}_before"] / 2, name
            assert after[f"{name}_difference_ci95"][1] < 0, name
    assert change("rouge_l_clean") >= -0.02 and change("sampled_rouge_l_clean") >= -0.03
    assert change("coverage") >= -0.03
    assert ppo["kl_before_first_update"] <= 1e-9 and 0 < ppo["kl_last_steps"] < 5
    if seed == 0:
        for name, artifact in (("sft", "sft_adapter"), ("ppo", "ppo_toxicity")):
            keep(Artifacts(tmp_path).path(artifact), tmp_path / "kept" / name)
            made, shipped = (load_file(f / name / "adapter_model.safetensors") for f in (tmp_path / "kept", ADAPTERS))
            assert made.keys() == shipped.keys()
            for key, tensor in shipped.items():
                torch.testing.assert_close(made[key], tensor, rtol=0, atol=1e-6, msg=f"{name}: {key}")


def test_without_ppo_steps_before_and_after_are_equal_and_a_run_repeats_to_the_digit(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    one = results(first, 3, ppo_steps=0)
    shutil.copytree(first / "artifacts" / "sft_adapter", second / "artifacts" / "sft_adapter")
    after = one["05_before_after"]
    for name in [name.removesuffix("_before") for name in after if name.endswith("_before")]:
        assert after[f"{name}_after"] == after[f"{name}_before"], name
        assert after[f"{name}_difference_ci95"] == [0.0, 0.0], name
    again = results(second, 3, ("04", "05"), ppo_steps=0)
    assert again["05_before_after"] == after
