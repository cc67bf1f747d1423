"""A base in 8 or 4 bits: what it keeps, and what it says without bitsandbytes."""

import sys

import pytest
import torch

from labhelpers.errors import ModelError
from labhelpers.policy import generate
from labhelpers.policy.loading import load_policy
from labhelpers.policy.quantised import quantise
from labhelpers.sources.locations import data_dir
from tests.support.models import tiny_model


def test_what_cannot_be_quantised_is_refused(monkeypatch):
    with pytest.raises(ModelError, match="quantization '3bit' is unknown; choose 8bit or 4bit"):
        quantise(tiny_model("t5"), "3bit")
    with pytest.raises(ModelError, match="a float64 model is not for quantising"):
        quantise(tiny_model("t5").double(), "4bit")
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(ModelError, match=r"quantization='8bit' needs bitsandbytes.*\[quantised\]"):
        quantise(tiny_model("t5"), "8bit")


@pytest.mark.parametrize("kind", ["8bit", "4bit"])
@pytest.mark.parametrize("model, sft", [("t5-base-summariser", "sft"), ("llama-summariser", None)])
def test_a_quantised_policy_starts_at_its_reference_and_learns(model, sft, kind, tmp_path):
    """SFT merged first; the adapter gets gradients; what is saved goes with the full base."""
    pytest.importorskip("bitsandbytes", reason="the extra `quantised` is not installed")
    base, sft = str(data_dir() / "models" / model), sft and data_dir() / "adapters" / sft
    policy, tokenizer = load_policy(base, sft, "float32", quantization=kind)
    rounded = [p for p in policy.parameters() if p.dtype in (torch.int8, torch.uint8)]
    assert len(rounded) > 5 and not any(p.requires_grad for p in rounded)
    rollout = generate(policy, tokenizer, ["Summarize: Anna asks for two tickets.", "Why?"], 12)
    given = (rollout.queries, rollout.query_mask, rollout.responses, rollout.mask)
    with torch.no_grad():
        logprobs = policy(*given)[0]
        with policy.reference():
            assert torch.equal(policy(*given)[0], logprobs)
    policy(*given)[0].sum().backward()
    trained = {name: p for name, p in policy.named_parameters() if "lora_B" in name}
    assert not [n for n, p in trained.items() if p.grad is None or not p.grad.isfinite().all()]
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in trained.values():
            parameter.add_(0.05 * torch.randn_like(parameter))
        logprobs = policy(*given)[0]
        policy.save(tmp_path / "saved")
        exact, without = (load_policy(base, saved, "float32")[0](*given)[0] for saved in (tmp_path / "saved", sft))
    if kind == "8bit":  # 4 bits lose more of a model as small as this than the adapter adds
        assert (exact - logprobs).abs().mean() < (exact - without).abs().mean() / 2
