"""Notebook 07's plumbing: trl's trainers in exact arithmetic on this project's policies, and measures that repeat."""

import numpy as np
import pandas as pd
import pytest
import torch
from datasets import Dataset
from matplotlib.transforms import Bbox
from torch.nn.functional import logsigmoid
from trl import DPOConfig, DPOTrainer, GRPOConfig, GRPOTrainer
from trl.trainer.utils import add_fused_lm_head

from labhelpers.errors import LabError, ModelError
from labhelpers.methods import (
    CountedReward,
    Meter,
    by_quarter,
    decoder_location,
    exact_head,
    last_group_batch,
    log_ratios,
    plain_options,
    repeated,
    rollouts_for,
    sample,
    sequence_logprobs,
    train_with_trl,
    trl_dpo_loss,
)
from labhelpers.plots import frontier as frontier_plots
from labhelpers.policy import generate
from labhelpers.policy.loading import load_base, load_policy, make_policy
from tests.support.models import PROMPTS, save_model

PAIRS = Dataset.from_dict(
    {
        "prompt": PROMPTS * 2,
        "chosen": ["a red coat", "noon", "the cat", "a taxi", "late"] * 2,
        "rejected": ["No.", "no no", "ill", "How much?", "an owl"] * 2,
    }
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return str(save_model("llama", tmp_path_factory.mktemp("llama")))


def fresh(folder):
    return load_policy(folder, None, "float64", "cpu", lora_r=4, lora_alpha=8)


def weights(policy):
    return torch.cat([p.detach().flatten() for p in policy.model.parameters() if p.requires_grad])


def dpo(policy, tokenizer, beta=0.5, **options):
    config = DPOConfig(
        beta=beta, learning_rate=5e-3, per_device_train_batch_size=5, max_steps=6, max_length=None,
        **plain_options(policy, seed=0) | options,
    )  # fmt: skip
    return train_with_trl(DPOTrainer, policy, config, train_dataset=PAIRS, processing_class=tokenizer)


class Vowels:
    """A reward to test with: how many vowels a response has."""

    def score(self, prompts, responses):
        return torch.tensor([float(sum(text.count(v) for v in "aeiou")) for text in responses], dtype=torch.float64)


def grpo(policy, tokenizer, reward, beta=0.05):
    def function(prompts, completions, **_):
        return reward.score(prompts, completions).tolist()

    config = GRPOConfig(
        beta=beta, num_generations=4, learning_rate=2e-3, per_device_train_batch_size=4, steps_per_generation=2,
        max_steps=6, max_completion_length=10, **plain_options(policy, seed=0),
    )  # fmt: skip
    return train_with_trl(
        GRPOTrainer, policy, config, train_dataset=Dataset.from_dict({"prompt": PROMPTS * 4}),
        processing_class=tokenizer, reward_funcs=function, rollout_func=rollouts_for(policy, 10),
    )  # fmt: skip


def test_the_output_layer_is_exact_where_trls_is_float32(folder):
    ids = torch.randint(2, 200, (3, 9), generator=torch.Generator().manual_seed(0))
    labels = ids.clone()
    labels[0, :5] = labels[1, 7:] = -100
    policy = make_policy(load_base(folder, "float64", "cpu"))
    model = policy.base
    with torch.no_grad():
        plain = model(input_ids=ids).logits[:, :-1].log_softmax(-1)
        right = plain.gather(-1, ids[:, 1:, None]).squeeze(-1) * (labels[:, 1:] != -100)
        add_fused_lm_head(model, outputs=("log_probs", "entropy"))
        trls = model(input_ids=ids, labels=labels, fused_lm_head=True)
        exact_head(policy)
        ours = model(input_ids=ids, labels=labels, fused_lm_head=True)
    assert ours.log_probs.dtype == torch.float64 and trls.log_probs.dtype == torch.float32
    torch.testing.assert_close(ours.log_probs, right, rtol=0, atol=1e-13)
    torch.testing.assert_close(ours.log_probs, trls.log_probs.double() * (labels[:, 1:] != -100), rtol=0, atol=1e-5)
    keep = labels[:, 1:] != -100
    torch.testing.assert_close(ours.entropy[keep], trls.entropy.double()[keep], rtol=0, atol=1e-5)
    assert torch.equal(model(input_ids=ids).logits[:, :-1].log_softmax(-1), plain)


def test_dpo_learns_is_silent_and_repeats(folder, capfd):
    results = []
    for _ in range(2):
        policy, tokenizer = fresh(folder)
        before = [sequence_logprobs(policy, tokenizer, PAIRS["prompt"], PAIRS[s])[0] for s in ("chosen", "rejected")]
        capfd.readouterr()
        trainer = dpo(policy, tokenizer)
        assert capfd.readouterr() == ("", "")
        after = [sequence_logprobs(policy, tokenizer, PAIRS["prompt"], PAIRS[s]) for s in ("chosen", "rejected")]
        results.append(weights(policy))
        assert (after[0][0] - after[1][0] - before[0] + before[1]).mean() > 0.5
        # the reference is still the starting model
        torch.testing.assert_close(after[0][1], before[0], rtol=0, atol=1e-12)
    assert torch.equal(*results)
    assert not policy.model.training
    assert trainer.state.log_history[0]["loss"] == pytest.approx(np.log(2), abs=1e-6)


def test_trls_dpo_loss_is_the_one_written_out(folder):
    policy, tokenizer = fresh(folder)
    trainer = dpo(policy, tokenizer, beta=0.3)
    (c, rc), (r, rr) = (sequence_logprobs(policy, tokenizer, PAIRS["prompt"], PAIRS[s]) for s in ("chosen", "rejected"))
    expected = -logsigmoid(0.3 * (c - rc - r + rr)).mean().item()
    assert trl_dpo_loss(trainer, PAIRS) == pytest.approx(expected, abs=1e-10)


def test_grpo_asks_for_every_response_is_silent_and_repeats(folder, capfd):
    results = []
    for _ in range(2):
        policy, tokenizer = fresh(folder)
        reward = CountedReward(Vowels())
        capfd.readouterr()
        with Meter(reward) as meter:
            trainer = grpo(policy, tokenizer, reward)
        assert capfd.readouterr() == ("", "")
        results.append(weights(policy))
        assert meter.scored == reward.count == 24
    assert torch.equal(*results)
    rewards, advantages = last_group_batch(trainer)
    assert rewards.shape == advantages.shape == (2, 4) and (rewards % 1 == 0).all()
    expected = (rewards - rewards.mean(1, keepdim=True)) / (rewards.std(1, keepdim=True) + 1e-4)
    # trl divides the counts G and G - 1 in float32
    torch.testing.assert_close(advantages, expected, rtol=0, atol=1e-6)


def test_grpo_moves_the_policy_and_not_the_reference(folder):
    policy, tokenizer = fresh(folder)
    before = sequence_logprobs(policy, tokenizer, PROMPTS, ["a cat"] * 5)
    grpo(policy, tokenizer, Vowels())
    after = sequence_logprobs(policy, tokenizer, PROMPTS, ["a cat"] * 5)
    assert (after[0] - before[0]).abs().max() > 1e-3
    torch.testing.assert_close(after[1], before[1], rtol=0, atol=1e-12)


def test_rollouts_for_trl_are_those_of_the_counter_based_sampler(folder):
    policy, tokenizer = fresh(folder)
    policy.model.train()

    class Trainer:
        processing_class = tokenizer
        state = type("State", (), {"global_step": 3})

    output = rollouts_for(policy, 8, seed=5)(PROMPTS, Trainer)
    assert policy.model.training
    policy.eval()
    expected = generate(policy, tokenizer, PROMPTS, 8, seed=5, step=3)
    for ids, prompt in zip(output["prompt_ids"], PROMPTS, strict=True):
        assert ids == tokenizer(prompt).input_ids
    for i, ids in enumerate(output["completion_ids"]):
        assert ids == expected.responses[i][expected.mask[i].bool()].tolist()
        assert len(ids) == len(output["logprobs"][i])


def test_samples_do_not_depend_on_how_they_are_batched(folder):
    policy, tokenizer = fresh(folder)
    one, other = (sample(policy, tokenizer, PROMPTS, 8, batch_size=n, seed=1, step=2) for n in (2, 5))
    assert one.texts == other.texts
    assert log_ratios(policy, one).abs().max() < 1e-9  # a fresh policy is its own reference
    with torch.no_grad():
        for name, parameter in policy.model.named_parameters():
            if "lora_B" in name:
                parameter.add_(0.05)
    moved = log_ratios(policy, one)
    assert moved.abs().min() > 0
    torch.testing.assert_close(moved, log_ratios(policy, other), rtol=0, atol=1e-10)


def test_log_probabilities_of_texts_include_the_end(folder):
    policy, tokenizer = fresh(folder)
    new, old = sequence_logprobs(policy, tokenizer, PROMPTS, ["the lake"] * 5, batch_size=2)
    torch.testing.assert_close(new, old, rtol=0, atol=1e-12)
    ids = tokenizer(PROMPTS[3]).input_ids
    answer = tokenizer("the lake").input_ids + [tokenizer.eos_token_id]
    with torch.no_grad():
        logprobs = policy.base(input_ids=torch.tensor([ids + answer])).logits[0].log_softmax(-1)
    expected = sum(logprobs[len(ids) - 1 + t, token] for t, token in enumerate(answer))
    assert new[3].item() == pytest.approx(expected.item(), abs=1e-10)


@pytest.mark.parametrize("rows, length", [(0, 3), (3, 3), (4, 6), (8, 9)])
def test_a_small_budget_of_prompts_is_repeated_until_it_fills_a_batch(rows, length):
    prompts = repeated(Dataset.from_dict({"query": ["a", "b", "c"]}), rows)
    assert prompts["query"][:] == (["a", "b", "c"] * 3)[:length]


def test_a_log_is_averaged_by_quarters():
    log = [{"step": step, "loss": float(step), "other": 0.0} for step in range(1, 9)] + [{"step": 8, "seconds": 3.0}]
    table = by_quarter(log, {"loss": "the loss"}, steps=8)
    assert table.index.tolist() == [1, 2, 3, 4] and table.index.name == "quarter"
    assert table["the loss"].tolist() == [1.5, 3.5, 5.5, 7.5]
    assert by_quarter(log[:1], {"loss": "the loss"}, steps=1)["the loss"].tolist() == [1.0]


def test_a_training_without_a_step_has_no_quarters():
    table = by_quarter([], {"loss": "the loss"}, steps=8)
    assert table.empty and list(table.columns) == ["the loss"]


def test_a_reward_is_counted_and_cut():
    reward = CountedReward(Vowels(), clip=2)
    assert reward.score(["", "", ""], ["a", "", "aeiou"]).tolist() == [1, 0, 2] and reward.count == 3


def test_a_meter_sees_time_and_questions():
    reward = CountedReward(Vowels())
    reward.score([""], ["before"])
    with Meter(reward) as meter:
        reward.score(["", ""], ["a", "b"])
    assert meter.scored == 2 and meter.seconds > 0
    assert Meter().seconds == Meter().scored == 0


def test_a_profile_without_a_decoder_only_model_is_refused():
    assert decoder_location("there") == "there"
    with pytest.raises(ModelError, match="decoder_model"):
        decoder_location(None)


FRONTIER = pd.DataFrame(
    [
        ["start", "", 0, 0.0, 0.1, 0.0, 0.2],
        ["best-of-n", "n = 2", 0, 0.2, 1.0, 0.8, 1.2],
        ["best-of-n", "n = 4", 0, 0.6, 1.5, 1.4, 1.6],
        ["DPO", "", 0, 4.0, 1.9, 1.8, 2.0],
        ["PPO", "", 0, 3.9, 1.95, 1.8, 2.0],
        ["PPO", "", 1, 3.5, 1.9, 1.8, 2.0],
    ],
    columns=["method", "label", "seed", "kl", "reward", "low", "high"],
)
COSTS = pd.DataFrame({"seconds": [1.0, 20.0], "MB": [np.nan, 3.0]}, index=["best of 8", "PPO"])
FIGURES = {
    "reward_against_kl": lambda: frontier_plots.reward_against_kl(FRONTIER),
    "bare": lambda: frontier_plots.reward_against_kl(FRONTIER[["method", "seed", "kl", "reward"]]),
    "one point": lambda: frontier_plots.reward_against_kl(FRONTIER.head(1)),
    "costs": lambda: frontier_plots.costs(COSTS),
}


@pytest.mark.parametrize("name", FIGURES)
def test_figures_are_titled_labelled_and_whole(name):
    fig = FIGURES[name]()
    fig.draw_without_rendering()
    assert fig.get_suptitle() or fig.axes[0].get_title("left")
    for ax in fig.axes:
        assert ax.get_xlabel() and (ax.get_ylabel() or ax.get_shared_y_axes().get_siblings(ax) != [ax])
    box = fig.get_tightbbox()
    width, height = fig.get_size_inches()
    assert box.x0 >= -0.02 and box.y0 >= -0.02 and box.x1 <= width + 0.02 and box.y1 <= height + 0.02


def test_names_stand_beside_their_points_and_not_on_each_other():
    fig = frontier_plots.reward_against_kl(FRONTIER)
    fig.draw_without_rendering()
    boxes = [text.get_window_extent() for text in fig.axes[0].texts]
    assert sorted(text.get_text() for text in fig.axes[0].texts) == ["DPO", "PPO", "best-of-n, n = 4", "n = 2", "start"]
    assert not any(Bbox.intersection(a, b) for i, a in enumerate(boxes) for b in boxes[i + 1 :])


def test_a_table_that_cannot_be_drawn_is_refused():
    with pytest.raises(LabError, match="no column 'kl'"):
        frontier_plots.reward_against_kl(FRONTIER.drop(columns="kl"))
    with pytest.raises(LabError, match="no row"):
        frontier_plots.reward_against_kl(FRONTIER.head(0))
    with pytest.raises(LabError, match="empty"):
        frontier_plots.costs(COSTS.head(0))
