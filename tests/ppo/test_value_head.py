"""A value head that sees the prompt, its fit before training, and how much of the returns it explains."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from labhelpers.errors import ModelError, TrainingError
from labhelpers.policy import generate, load_policy, load_policy_from
from labhelpers.ppo import (
    PPOConfig,
    PPOTrainer,
    explained_variance,
    fit_value_head,
    pooled_explained_variance,
    ridge_fit,
    starting_rollouts,
    value_features,
)
from tests.support.models import FAMILIES, PROMPTS, save_model, save_sft_adapter


@pytest.fixture(params=FAMILIES)
def folders(request, tmp_path):
    return save_model(request.param, tmp_path / "base"), save_sft_adapter(request.param, tmp_path / "sft")


def load(folders, **options):
    base, sft = folders
    return load_policy(str(base), sft, torch.float64, **options)


def random_head(policy):
    torch.manual_seed(3)
    torch.nn.init.normal_(policy.value_head.weight)


def test_a_head_that_sees_the_prompt_gives_one_value_in_generation_and_in_a_full_pass(folders):
    policy, tokenizer = load(folders, sees_prompt=True)
    random_head(policy)
    rollout = generate(policy, tokenizer, PROMPTS, 12, seed=1)
    _, values = policy(rollout.queries, rollout.query_mask, rollout.responses, rollout.mask)
    torch.testing.assert_close(values, rollout.values, rtol=0, atol=1e-10)


def test_it_sees_the_prompt_beside_the_response(folders):
    """Other prompts before the same response give other values, also where the head looks at the prompt alone."""
    policy, tokenizer = load(folders, sees_prompt=True)
    random_head(policy)
    width = policy.base.get_output_embeddings().weight.shape[1]
    policy.value_head.weight.data[:, :width] = 0
    rollout = generate(policy, tokenizer, PROMPTS, 6, seed=1)
    same = rollout.responses[:1].expand(len(PROMPTS), -1)
    mask = rollout.mask[:1].expand(len(PROMPTS), -1)
    _, values = policy(rollout.queries, rollout.query_mask, same, mask)
    kept = values[:, : int(mask[0].sum())]
    assert torch.unique(kept[:, 0].round(decimals=8)).numel() == len(PROMPTS)
    torch.testing.assert_close(kept, kept[:, :1].expand_as(kept))  # constant over the response


def test_the_labs_head_keeps_its_size(folders):
    plain, _ = load(folders)
    seeing, _ = load(folders, sees_prompt=True)
    hidden = plain.base.get_output_embeddings().weight.shape[1]
    assert sum(p.numel() for p in plain.value_head.parameters()) == hidden + 1
    assert sum(p.numel() for p in seeing.value_head.parameters()) > hidden + 1


def test_a_saved_head_comes_back_as_it_was_and_one_of_the_other_kind_is_refused(folders, tmp_path):
    policy, tokenizer = load(folders, sees_prompt=True)
    random_head(policy)
    policy.save(tmp_path / "out")
    rollout = generate(policy, tokenizer, PROMPTS, 8, seed=1)
    again, _ = load_policy_from(tmp_path / "out", str(folders[0]), torch.float64)
    assert again.sees_prompt
    reloaded = generate(again, tokenizer, PROMPTS, 8, seed=1)
    torch.testing.assert_close(reloaded.values, rollout.values, rtol=1e-5, atol=1e-5)
    with pytest.raises(ModelError, match="sees_prompt"):
        load_policy_from(tmp_path / "out", str(folders[0]), torch.float64, sees_prompt=False)


def test_the_fit_finds_returns_that_depend_on_prompt_and_state(folders):
    policy, tokenizer = load(folders, sees_prompt=True)
    rollout = generate(policy, tokenizer, PROMPTS * 8, 12, seed=2)
    features, rows = value_features(policy, rollout)
    assert len(features) == len(rows) == int(rollout.mask.sum())
    torch.manual_seed(0)
    returns = features @ torch.randn(features.shape[1], dtype=torch.float64) + 5
    fit = fit_value_head(policy, features, returns)
    assert fit.explained_variance > 0.9 and fit.tokens == len(returns)
    found = policy.value_head(features).squeeze(-1)
    assert explained_variance(found, returns) > 0.95
    _, values = policy(rollout.queries, rollout.query_mask, rollout.responses, rollout.mask)
    torch.testing.assert_close(values[rollout.mask.bool()], found, rtol=0, atol=1e-8)


def test_unusable_returns_are_refused(folders):
    policy, _ = load(folders)
    features = torch.zeros(20, policy.value_head.weight.shape[1], dtype=torch.float64)
    with pytest.raises(TrainingError, match="20 features.*3 returns"):
        fit_value_head(policy, features, torch.zeros(3))
    with pytest.raises(TrainingError, match="shape"):
        explained_variance(torch.zeros(3), torch.zeros(4))


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=30), st.integers(0, 9))
@settings(deadline=None)
def test_explained_variance_is_1_for_the_returns_and_0_for_their_mean(returns, seed):
    returns = torch.tensor(returns, dtype=torch.float64)
    mean = returns.mean().expand_as(returns)
    if float((returns - mean).square().sum()) < 1e-9:
        return
    assert explained_variance(returns, returns) == 1
    assert explained_variance(mean, returns) == pytest.approx(0, abs=1e-9)
    worse = returns.mean() + torch.randn(len(returns), generator=torch.Generator().manual_seed(seed)) * 100
    assert explained_variance(worse.double(), returns) < 0


def test_the_steps_sums_give_the_explained_variance_of_all_their_tokens(folders):
    """Pooled over steps: the predictions before each update, against the rewards that followed (lambda = 1)."""
    policy, tokenizer = load(folders, sees_prompt=True)
    random_head(policy)
    trainer = PPOTrainer(PPOConfig(batch_size=5, mini_batch_size=5, learning_rate=1e-3, lam=0.5), policy, tokenizer)
    history, values = [], []
    for step in range(2):
        rollout = trainer.generate(PROMPTS, max_new_tokens=8)
        scores = torch.arange(5.0) - step
        history.append(trainer.step(rollout, scores))
        keep = rollout.mask.bool()
        if step == 0:  # the KL is 0: each token's return is the score
            first = scores.double()[:, None].expand_as(rollout.values)[keep]
            assert pooled_explained_variance(history) == pytest.approx(explained_variance(rollout.values[keep], first))
        values.append(rollout.values[keep])
    assert sum(row["ppo/val/tokens"] for row in history) == len(torch.cat(values))
    twice = pooled_explained_variance([history[0], history[0]])
    assert twice == pytest.approx(pooled_explained_variance(history[:1]))


def test_a_trainer_fits_the_head_to_scores_as_training_will_see_them(folders):
    """Clipped or normalised, discounted, and only before the first step."""
    policy, tokenizer = load(folders, sees_prompt=True)
    start = starting_rollouts(policy, tokenizer, PROMPTS * 6, 8, seed=1, batch_size=7)
    assert len(start.texts) == 30 and len(start.features) == len(start.rows) == len(start.left)
    lengths = torch.bincount(start.rows)
    assert all(start.left[start.rows == row].tolist() == list(range(n))[::-1] for row, n in enumerate(lengths))
    scores = torch.linspace(-9, 9, 30)
    config = PPOConfig(batch_size=5, mini_batch_size=5, score_clip=1.0, gamma=0.9)
    trainer = PPOTrainer(config, policy, tokenizer)
    trainer.fit_value_head(start, scores)
    weight, bias, _ = ridge_fit(start.features, scores.clamp(-1, 1).double()[start.rows] * 0.9**start.left)
    torch.testing.assert_close(policy.value_head.weight[0].detach(), weight)
    torch.testing.assert_close(policy.value_head.bias[0].detach(), bias)
    with pytest.raises(TrainingError, match="30 responses need as many finite scores"):
        trainer.fit_value_head(start, scores[:4])
    trainer.step(trainer.generate(PROMPTS, max_new_tokens=4), torch.zeros(5))
    with pytest.raises(TrainingError, match="before the first one"):
        trainer.fit_value_head(start, scores)
