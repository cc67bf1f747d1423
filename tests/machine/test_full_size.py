"""`labs doctor --profile full`: exact counts, estimates that grow with what they should, and what is missing."""

import dataclasses

import pytest
import torch
from huggingface_hub import constants
from transformers import BartForConditionalGeneration, LlamaConfig, T5Config

from labhelpers import cli
from labhelpers.course.profiles import load_profile
from labhelpers.errors import ModelError
from labhelpers.machine import full_size
from tests.support.families import families, tiny_family
from tests.support.models import FLAN_T5_SMALL, put_into_cache, save_model

SPEED = full_size.Speed(large=1e11, tokens=2e10)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache of the Hub's, no network, and no second spent on measuring."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(full_size, "measure_speed", lambda *given: SPEED)
    return tmp_path / "hub"


def base_shape(lora_r=32):
    return full_size.shape_of(full_size.policy_config("google/flan-t5-base"), lora_r)


def test_the_counts_are_the_published_ones(cache):
    shape = base_shape()
    assert shape.parameters == 247_577_856  # an output layer of its own, which the config hides
    assert shape.adapter == 3_538_944  # the lab's
    assert shape.layers == (12, 12) and shape.encoder_decoder
    assert full_size.shape_of(T5Config(**FLAN_T5_SMALL), 8).parameters == 76_961_152


def test_a_decoder_only_model_is_counted_too():
    config = LlamaConfig(
        vocab_size=1000, hidden_size=64, intermediate_size=128, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=4,
    )  # fmt: skip
    shape = full_size.shape_of(config, 8)
    assert shape.layers == (0, 3) and not shape.encoder_decoder
    assert shape.parameters == 3 * (4 * 64 * 64 + 3 * 64 * 128 + 2 * 64) + 64 + 2 * 1000 * 64
    assert shape.adapter == 3 * 2 * 8 * (64 + 64)
    settings = load_profile("full")
    assert full_size.step_memory(shape, settings, torch.float32) > 0
    assert full_size.step_seconds(shape, settings, SPEED) > 0


@pytest.mark.parametrize("kind", ["causal", "seq2seq"])
def test_every_family_is_counted_or_refused(kind):
    """Layers, heads and widths have other names in every family's config."""
    known = {"bart", "bloom", "gemma2", "gpt2", "llama", "marian", "mixtral", "opt", "pegasus", "t5", "bert"}
    counted = {}
    for name in known & set(families(kind)):
        model = tiny_family(kind, name)
        try:
            shape = full_size.shape_of(model.config, 4)
        except ModelError as error:
            assert name == "bert" and "attention projections" in str(error)
            continue
        counted[name] = shape
        assert shape.parameters >= sum(p.numel() for p in model.parameters()) > shape.adapter > 0
        assert shape.encoder_decoder == (kind == "seq2seq") and shape.layers[1] in (1, 2)
        assert full_size.step_memory(shape, load_profile("full"), torch.float32) > 0
    assert len(counted) >= {"causal": 8, "seq2seq": 4}[kind]
    if kind == "seq2seq":
        assert counted["bart"].layers == (2, 1)
        # q_proj and v_proj of four attentions, each from 16 to 16
        assert counted["bart"].adapter == 4 * 2 * 4 * (16 + 16)


def test_a_bart_folder_is_examined_and_one_of_no_known_model_refused(cache, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("labhelpers.machine.doctor.examine", lambda: [])
    bart = tmp_path / "bart"
    BartForConditionalGeneration(tiny_family("seq2seq", "bart").config).save_pretrained(bart)
    given = ["-p", "dialogues", "data/dialogues", "-p", "toxicity_model", str(bart), "-p", "reward_model", str(bart)]
    assert cli.main(["doctor", "--profile", "full", "-p", "policy_model", str(bart), *given]) == 0
    assert "PPO step: about " in capsys.readouterr().out
    (bart / "config.json").write_text('{"model_type": "nobody-s"}')
    assert cli.main(["doctor", "--profile", "full", "-p", "policy_model", str(bart), *given]) == 1
    assert "NOT OK  policy_model: config.json of" in capsys.readouterr().out
    (bart / "config.json").write_text('{"model_type": "vit"}')
    assert cli.main(["doctor", "--profile", "full", "-p", "policy_model", str(bart), *given]) == 1
    assert "NOT OK  policy_model: a model of type 'vit' cannot be a policy" in capsys.readouterr().out


def test_the_estimates_grow_with_what_they_should(cache):
    settings, shape = load_profile("full"), base_shape()

    def memory(dtype=torch.float32, device="cpu", **changed):
        return full_size.step_memory(shape, dataclasses.replace(settings, **changed), dtype, device)

    def seconds(**changed):
        return full_size.step_seconds(shape, dataclasses.replace(settings, **changed), SPEED)

    assert 1.5e9 < memory() < 8e9
    assert memory(torch.bfloat16) < 0.7 * memory()
    assert memory(device="cuda", mini_batch_size=8) > 1.2 * memory(device="cuda")
    assert memory(mini_batch_size=8) == memory(), "a CPU takes as many rows at a time as its caches hold"
    assert memory(batch_size=64) > memory() > memory(batch_size=8) - 1, "the larger of rollout and update counts"
    assert seconds(batch_size=32) == pytest.approx(2 * seconds(), rel=0.1)
    assert seconds(max_new_tokens=400) > 1.5 * seconds()
    assert seconds(ppo_epochs=4) > 1.3 * seconds()


def test_the_probe_measures_this_machine():
    speed = full_size.measure_speed("cpu", torch.float32, 4, seconds=0.1)
    assert speed.large > 1e8 and speed.tokens > 1e7


def test_an_empty_cache_says_what_is_missing_and_how_to_fetch_it(cache, capsys, monkeypatch):
    monkeypatch.setattr("labhelpers.machine.doctor.examine", lambda: [])
    assert cli.main(["doctor", "--profile", "full"]) == 1
    lines = capsys.readouterr().out.splitlines()
    for name in (
        "google/flan-t5-base (policy_model)",
        "knkarthick/dialogsum#train (dialogues)",
        "roberta-base (reward_model)",
    ):
        (line,) = [line for line in lines if name in line]
        assert line.startswith("NOT OK") and "labs download --profile full" in line
    text = "\n".join(lines)
    assert "precision: float32 (as the checkpoint is stored); value head and losses in float32" in text
    assert "PPO step: about " in text and "memory for PPO: about " in text and "free disk for it: " in text
    assert "device: " in text and "dialogues: " not in text
    lab = "3,539,713 of 251,117,569"
    assert f"trained parameters: {lab}; in the PPO lab {lab}" in text


def test_what_is_there_is_found(cache, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("labhelpers.machine.doctor.examine", lambda: [])
    put_into_cache(cache, "owner/flan", save_model("flan-t5", tmp_path / "flan"))
    local = save_model("llama", tmp_path / "llama")
    given = ["-p", "dialogues", "data/dialogues", "-p", "toxicity_model", str(local), "-p", "reward_model", str(local)]
    assert cli.main(["doctor", "--profile", "full", "-p", "policy_model", "owner/flan", *given]) == 0
    out = capsys.readouterr().out
    assert "ok      owner/flan (policy_model): in the cache" in out
    assert (
        "dialogues: 4,500 dialogues, " in out and "in the PPO lab 12,460 dialogues, 10,022 kept, 8,017 and 2,005" in out
    )
    assert cli.main(["doctor", "--profile", "full", "-p", "policy_model", "owner/other", *given]) == 1
    assert "no estimate before owner/other is here" in capsys.readouterr().out
    assert cli.main(["doctor", "--profile", "ful"]) == 2


def test_a_config_with_a_value_of_the_wrong_type_is_a_finding(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "t5", "d_model": "big"}')
    with pytest.raises(ModelError, match="config.json of .* is no model's"):
        full_size.policy_config(str(tmp_path))
