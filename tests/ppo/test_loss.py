"""PPO's arithmetic against the last classic trl release, and the one promise that release broke: padding is inert."""

import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from labhelpers.errors import TrainingError
from labhelpers.policy.logprobs import token_logprobs
from labhelpers.ppo import AdaptiveKLController, Experience, gae, ppo_losses, token_rewards, update_diagnostics
from labhelpers.ppo.statistics import rollout_statistics
from tests.support.paths import ROOT

REFERENCE = json.loads(ROOT.joinpath("tests", "ppo_parity.json").read_text())
CASES = REFERENCE["cases"]
TOLERANCE = {"rtol": 1e-5, "atol": 1e-5}


def close(ours, expected, mask=None):
    ours, expected = torch.as_tensor(ours, dtype=torch.float32), torch.as_tensor(expected, dtype=torch.float32)
    if mask is not None:
        ours, expected = ours[mask.bool()], expected[mask.bool()]
    torch.testing.assert_close(ours, expected, **TOLERANCE)


def run(case):
    """(experience, losses, diagnostics) of the case, and its token rewards."""
    config, inputs = case["config"], {k: torch.tensor(v) for k, v in case["inputs"].items()}
    mask, old = inputs["mask"], inputs["old_logprobs"]
    rewards, kl = token_rewards(
        inputs["scores"], old, inputs["ref_logprobs"], mask, config["kl_coef"], config["kl_penalty"]
    )
    advantages, returns = gae(inputs["values"], rewards, mask, config["gamma"], config["lam"], config["whiten_rewards"])
    logits = inputs["new_logits"]
    new = token_logprobs(logits.flatten(0, 1), inputs["actions"].flatten()).view(mask.shape)
    terms = (
        new, old, inputs["new_values"], inputs["values"], advantages, returns, mask,
        config["cliprange"], config["cliprange_value"],
    )  # fmt: skip
    experience = Experience(
        queries=mask, query_mask=mask, responses=inputs["actions"], mask=mask, logprobs=old, values=inputs["values"],
        finished=torch.ones(len(mask), dtype=torch.bool), texts=[""] * len(mask), query_texts=[""] * len(mask),
        scores=inputs["scores"], ref_logprobs=inputs["ref_logprobs"], token_kl=kl, advantages=advantages,
        returns=returns, rewards_to_go=returns,
    )  # fmt: skip
    return experience, ppo_losses(*terms, config["vf_coef"]), update_diagnostics(*terms), rewards


@pytest.mark.parametrize("case", CASES, ids=lambda c: "-".join(str(v) for v in c["config"].values()))
def test_every_field_agrees_with_the_reference(case):
    experience, losses, diagnostics, rewards = run(case)
    expected = dict(case["expected"])
    close(rewards, expected.pop("token_rewards"), experience.mask)
    for name in ("token_kl", "advantages", "returns"):
        close(getattr(experience, name), expected.pop(name), experience.mask)
    close(losses.policy, expected.pop("policy_loss"))
    close(losses.value * case["config"]["vf_coef"], expected.pop("value_loss_times_vf_coef"))
    for name in ("policy", "value", "total"):
        close(getattr(losses, name), expected.pop(f"loss/{name}"))
    statistics = rollout_statistics(experience)
    close(statistics["objective/kl"], expected.pop("objective_kl"))
    for name, value in expected.items():
        close(diagnostics[name] if name in diagnostics else statistics[f"ppo/{name}"], value)


def test_adaptive_controller_agrees_with_the_reference():
    controller = AdaptiveKLController(0.2, 6.0, 10000)
    for row in REFERENCE["adaptive_kl"]:
        controller.update(row["kl"], row["n_steps"])
        assert controller.value == pytest.approx(row["value_after"], rel=1e-12)


@settings(max_examples=60, deadline=None)
@given(case=st.sampled_from(CASES), seed=st.integers(0, 2**31), columns=st.integers(0, 5), scale=st.floats(0.1, 1e4))
def test_positions_outside_the_mask_never_matter(case, seed, columns, scale):
    """Other numbers there, or more padding columns, change no result (whitened rewards leaked once)."""
    generator = torch.Generator().manual_seed(seed)
    mask = torch.tensor(case["inputs"]["mask"])
    wide = torch.nn.functional.pad(mask, (0, columns))
    changed = {}
    for name, value in case["inputs"].items():
        tensor = torch.tensor(value)
        if name == "scores":
            changed[name] = tensor
            continue
        if tensor.dim() == 3:
            tensor = torch.nn.functional.pad(tensor, (0, 0, 0, columns))
        else:
            tensor = torch.nn.functional.pad(tensor, (0, columns))
        noise = torch.randn(tensor.shape, generator=generator) * scale
        if name == "actions":
            noise = torch.randint(0, 13, tensor.shape, generator=generator)
        keep = wide.bool() if tensor.dim() == 2 else wide.bool()[..., None]
        changed[name] = wide if name == "mask" else torch.where(keep, tensor, noise)
    other = {"config": case["config"], "inputs": {k: v.tolist() for k, v in changed.items()}}
    experience, losses, diagnostics, rewards = run(case)
    padded, padded_losses, padded_diagnostics, padded_rewards = run(other)
    keep = padded.mask.bool()
    pairs = [(rewards, padded_rewards)]
    pairs += [(getattr(experience, name), getattr(padded, name)) for name in ("token_kl", "advantages", "returns")]
    for ours, wider in pairs:
        torch.testing.assert_close(wider[keep], ours[experience.mask.bool()], rtol=1e-5, atol=1e-6)
        assert (wider[~keep] == 0).all()
    torch.testing.assert_close(padded_losses.total, losses.total, rtol=1e-5, atol=1e-6)
    for name, value in diagnostics.items():
        torch.testing.assert_close(padded_diagnostics[name], value, rtol=1e-4, atol=1e-5)
    assert rollout_statistics(padded) == pytest.approx(rollout_statistics(experience), rel=1e-4, abs=1e-5)


def test_gradients_outside_the_mask_are_zero_even_for_infinite_ratios():
    mask = torch.tensor([[1, 1, 0, 0], [1, 0, 0, 0]])
    new = torch.zeros(2, 4, requires_grad=True)
    values = torch.zeros(2, 4, requires_grad=True)
    old = torch.where(mask.bool(), 0.0, -1e30)
    advantages, returns = torch.ones(2, 4), torch.ones(2, 4)
    ppo_losses(new, old, values, torch.zeros(2, 4), advantages, returns, mask).total.backward()
    for gradient in (new.grad, values.grad):
        assert gradient.isfinite().all()
        assert (gradient[~mask.bool()] == 0).all() and (gradient[mask.bool()] != 0).all()


def test_micro_batches_add_up_to_the_mini_batch():
    experience = run(CASES[0])[0]
    mask, advantages, returns = experience.mask, experience.advantages, experience.returns
    inputs = {k: torch.tensor(v) for k, v in CASES[0]["inputs"].items()}
    arguments = [inputs["ref_logprobs"], inputs["old_logprobs"], inputs["new_values"], inputs["values"]]
    whole = ppo_losses(*arguments, advantages, returns, mask)
    parts = [
        ppo_losses(*(a[rows] for a in [*arguments, advantages, returns, mask]), n_tokens=mask.sum()).total
        for rows in torch.arange(len(mask)).split(4)
    ]
    torch.testing.assert_close(sum(parts), whole.total)


def test_unusable_input_is_refused_by_name():
    mask = torch.tensor([[1, 1], [1, 0]])
    x = torch.zeros(2, 2)
    with pytest.raises(TrainingError, match="ref_logprobs"):
        token_rewards(torch.zeros(2), x, torch.zeros(2, 3), mask, 0.2)
    with pytest.raises(TrainingError, match="one per response"):
        token_rewards(torch.zeros(3), x, x, mask, 0.2)
    with pytest.raises(TrainingError, match="no token"):
        token_rewards(torch.zeros(2), x, x, torch.tensor([[1, 1], [0, 0]]), 0.2)
    with pytest.raises(TrainingError, match="'kl', 'abs' or 'mse'"):
        token_rewards(torch.zeros(2), x, x, mask, 0.2, "full")
    with pytest.raises(TrainingError, match="values"):
        gae(torch.zeros(2, 3), x, mask)
