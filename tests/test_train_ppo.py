"""`python -m labhelpers.train_ppo`: notebook 04's training headless, on one process or two, stopped and continued."""

import json
import os
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file

from labhelpers import train_ppo as train
from labhelpers.course.artifacts import Artifacts
from labhelpers.course.execution import run_notebooks
from labhelpers.course.run import read_results
from labhelpers.errors import ArtifactError, UsageError
from tests.support.events import curves

SETTINGS = {
    "sft_adapter": "data/adapters/sft", "rewards": "toxicity", "ppo_steps": 4, "batch_size": 8, "mini_batch_size": 4,
    "max_new_tokens": 12, "eval_prompts": 7,
}  # fmt: skip
# accelerate starts several CPU processes only under this flag's name; the tiny profile keeps them on the CPU.
TWO = "-m accelerate.commands.launch --multi_gpu --num_processes 2 --num_machines 1 --mixed_precision no"
TWO += " --dynamo_backend no --main_process_port 0 -m labhelpers.train_ppo"
# Killed in the middle of the third step, as by kill -9.
KILLED = """
import os, sys
from labhelpers import train_ppo as train
from labhelpers.ppo import PPOTrainer
step = PPOTrainer.step
PPOTrainer.step = lambda self, *given: os._exit(9) if self.steps_done == 2 else step(self, *given)
sys.exit(train.main())
"""


def launch(folder, *options, start=("-m", "labhelpers.train_ppo"), **changed):
    parameters = [text for name, value in (SETTINGS | changed).items() for text in ("-p", name, str(value))]
    command = [sys.executable, *start, "--output-dir", str(folder), *parameters, *options]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)


def outcome(folder):
    """Every number of the artifacts, and the results that are not times."""
    artifacts = Artifacts(folder)
    trained = artifacts.path("ppo_toxicity")
    numbers = {}
    for file in ("adapter_model.safetensors", "value_head.safetensors"):
        numbers |= {name: tensor.flatten().tolist() for name, tensor in load_file(trained / file).items()}
    results = read_results(folder)["04_ppo_detoxification"]
    results.pop("advantage_variance", None)  # a demonstration of the notebook's, no part of the training
    for name in [name for name, value in results.items() if isinstance(value, list)]:
        results |= {f"{name}.{i}": value for i, value in enumerate(results.pop(name))}
    del results["seconds_per_step"]
    return numbers, results, artifacts.load_table("before_toxicity").to_dict("records")


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    folder = tmp_path_factory.mktemp("straight")
    done = launch(folder)
    assert done.returncode == 0, done.stderr
    assert "step   4 " in done.stdout and done.stdout.splitlines()[-1] == "done: ppo_toxicity"
    assert not (folder / "checkpoints" / "ppo").exists(), "a training that ended needs no checkpoint"
    return folder


def test_two_processes_give_what_one_gives(straight, tmp_path):
    done = launch(tmp_path, start=TWO.split())
    assert done.returncode == 0, done.stderr
    assert "2 process(es)" in done.stdout and done.stdout.count("done: ") == 1, "only the first process speaks"
    (numbers, results, before), (our_numbers, our_results, our_before) = outcome(straight), outcome(tmp_path)
    assert our_before == before
    assert our_results == pytest.approx(results, abs=1e-5)  # the weights below, after four steps
    assert our_numbers.keys() == numbers.keys()
    for name, values in numbers.items():
        # Gradients are summed in another order, and Adam divides those that are nearly 0 by themselves: single weights
        # differ by 1e-4, where a weight may have moved by 1e-2; a whole matrix hardly does.
        ours, values = torch.tensor(our_numbers[name]), torch.tensor(values)
        assert torch.linalg.vector_norm(ours - values) <= 1e-3 * torch.linalg.vector_norm(values), name


def test_a_killed_training_goes_on_where_it_was(straight, tmp_path):
    killed = launch(tmp_path, "--save-every", "1", start=("-c", KILLED))
    assert killed.returncode == 9
    again = launch(tmp_path, "--save-every", "1")
    assert again.returncode == 1 and "continue it with --resume" in again.stderr
    other = launch(tmp_path, "--resume", kl_coef=0.3)
    assert other.returncode == 1 and "other settings (kl_coef)" in other.stderr
    resumed = launch(tmp_path, "--save-every", "1", "--resume", tracker="tensorboard")  # watching changes nothing
    assert resumed.returncode == 0, resumed.stderr
    assert "going on after step 2" in resumed.stdout and "step   1 " not in resumed.stdout
    assert outcome(tmp_path) == outcome(straight)
    (found,) = curves(tmp_path / "tensorboard").values()
    reported = read_results(tmp_path)["04_ppo_detoxification"]["reward_curve"]
    assert found["ppo/mean_scores"] == [(step, pytest.approx(score)) for step, score in enumerate(reported, start=1)]


def test_it_is_notebook_04s_training(straight, tmp_path):
    """Same adapter, same value head, same table, same numbers, bit for bit."""
    notebook = {name: value for name, value in SETTINGS.items() if name != "sft_adapter"}
    adapter = train.load_profile("tiny", sft_adapter=SETTINGS["sft_adapter"]).sft_adapter
    run_notebooks(["04"], "tiny", notebook | {"sft_adapter": adapter}, tmp_path, say=lambda line: None)
    (numbers, results, before), (theirs, their_results, their_before) = outcome(straight), outcome(tmp_path)
    assert before == their_before and numbers == theirs
    start = results.pop("kl_before_first_update"), their_results.pop("kl_before_first_update")
    assert max(start) < 1e-9
    assert results == pytest.approx(their_results, abs=1e-12)
    ours, notebooks = (Artifacts(folder).manifest("ppo_toxicity") for folder in (straight, tmp_path))
    assert (ours["producer"], ours["parameters"]) == (notebooks["producer"], notebooks["parameters"])


def test_unusable_arguments_are_refused_in_one_line(tmp_path, capsys):
    for options, status, message in [
        (["-p", "kl_cof", "0.1"], 2, "did you mean 'kl_coef'"),
        (["-p", "ppo_steps", "many"], 2, "must be a whole number"),
        (["--save-every", "0"], 2, "--save-every must be at least 1"),
    ]:
        assert train.main(["--output-dir", str(tmp_path), *options]) == status
        assert message in capsys.readouterr().err
    with pytest.raises(SystemExit):
        train.main(["--seed", "one"])


def test_a_missing_adapter_names_the_notebook_to_run(tmp_path):
    done = launch(tmp_path, sft_adapter="null")
    assert done.returncode == 1 and "run notebook 01_supervised_finetuning first" in done.stderr


def test_checkpoints_of_another_training_are_left_alone(tmp_path):
    (tmp_path / "toxicity" / "step-000002").mkdir(parents=True)
    (tmp_path / "settings.json").write_text(json.dumps({"seed": 0, "kl_coef": 0.2}))
    with pytest.raises(ArtifactError, match="unfinished training: continue it with --resume"):
        train._open_checkpoints(tmp_path, {"seed": 0, "kl_coef": 0.2}, resume=False)
    with pytest.raises(ArtifactError, match="other settings \\(kl_coef\\)"):
        train._open_checkpoints(tmp_path, {"seed": 0, "kl_coef": 0.3}, resume=True)
    train._open_checkpoints(tmp_path, {"seed": 0, "kl_coef": 0.2}, resume=True)
    assert (tmp_path / "toxicity" / "step-000002").is_dir()


def test_every_reward_has_the_notebooks_configuration():
    settings = train.load_profile("full")
    assert (
        train.ppo_config(settings, 3).score_clip is None
        and train.ppo_config(train.load_profile("tiny"), 3).score_clip == 1
    )
    learned = train.ppo_config(settings, 3, "learned")
    assert learned.score_clip is None and learned.scale_scores and learned.center_scores and learned.seed == 3
    with pytest.raises(UsageError):
        train.train("tiny", save_every=0)
