"""A reward model that reads the response in its base model's decoder: what it sees, learns, saves and refuses."""

from __future__ import annotations

import json

import pytest
import torch
from datasets import Dataset

from labhelpers.errors import ModelError
from labhelpers.policy import load_base
from labhelpers.policy.adapters import merge_adapter
from labhelpers.reward.evaluation import pair_margins
from labhelpers.reward.model import load_reward_model, new_prompted_reward
from labhelpers.reward.training import train_reward_model, trl_loss
from tests.support.models import FAMILIES, PROMPTS, save_model, save_sft_adapter

RESPONSES = ["Anna asks.", "A taxi.", "The cat is ill, bring it in at noon.", "The red coat.", "No."]


@pytest.fixture(params=FAMILIES)
def family(request):
    return request.param


@pytest.fixture
def model(family, tmp_path):
    return new_prompted_reward(save_model(family, tmp_path / "base"), None, torch.float64, "cpu")


def test_a_reward_depends_on_the_prompt_and_not_on_what_else_is_scored(model):
    together = model.score(PROMPTS, RESPONSES)
    alone = torch.cat([model.score([p], [r]) for p, r in zip(PROMPTS, RESPONSES, strict=True)])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-10)
    other = model.score(PROMPTS[::-1], RESPONSES)
    assert (together - other).abs()[[0, 1, 3, 4]].min() > 1e-6
    assert model.score([], []).shape == (0,)


def test_it_starts_from_the_fine_tuned_model(family, tmp_path):
    base, sft = save_model(family, tmp_path / "base"), save_sft_adapter(family, tmp_path / "sft")
    merged, _ = merge_adapter(load_base(str(base), torch.float64, "cpu"), sft)
    model = new_prompted_reward(base, sft, torch.float64, "cpu")
    for name, tensor in merged.state_dict().items():
        torch.testing.assert_close(model.model.base.state_dict()[name], tensor, rtol=0, atol=0, msg=name)
    again = new_prompted_reward(base, sft, torch.float64, "cpu")
    torch.testing.assert_close(model.score(PROMPTS, RESPONSES), again.score(PROMPTS, RESPONSES), rtol=0, atol=0)
    other = new_prompted_reward(base, sft, torch.float64, "cpu", seed=1)
    assert not torch.equal(model.score(PROMPTS, RESPONSES), other.score(PROMPTS, RESPONSES))


def test_it_learns_from_pairs_that_only_the_prompt_tells_apart(model):
    """The same two responses, chosen or rejected depending on the prompt: a model without the prompt stays at 1/2."""
    prompts = ["Say yes.", "Say no."]
    rows = [
        {"prompt": f"{prompt} {i}", "chosen": chosen, "rejected": rejected}
        for i in range(6)
        for prompt, chosen, rejected in ((prompts[0], "Yes.", "No."), (prompts[1], "No.", "Yes."))
    ]
    pairs = Dataset.from_list([row | {"prompt_id": row["prompt"]} for row in rows])
    before = trl_loss(model, pairs)
    log = train_reward_model(model, pairs, epochs=12, learning_rate=5e-3, batch_size=4)
    assert log[-1]["loss"] < before / 2
    assert (pair_margins(model, pairs) > 0).mean() == 1


def test_saved_and_loaded_it_gives_the_same_rewards(model, tmp_path):
    model.save(tmp_path / "saved")
    assert {path.suffix for path in (tmp_path / "saved").iterdir()} <= {".json", ".safetensors", ".jinja"}
    again = load_reward_model(tmp_path / "saved", torch.float64, "cpu")
    assert again.prompted
    torch.testing.assert_close(again.score(PROMPTS, RESPONSES), model.score(PROMPTS, RESPONSES), rtol=1e-6, atol=1e-6)


def test_a_damaged_or_foreign_one_is_refused(model, tmp_path):
    model.save(tmp_path / "saved")
    config = json.loads((tmp_path / "saved" / "config.json").read_text())
    for name in ("num_layers", "num_hidden_layers", "n_layer"):
        if name in config["base"]:
            config["base"][name] = 1
    (tmp_path / "saved" / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="does not fit"):
        load_reward_model(tmp_path / "saved", torch.float64, "cpu")


def test_a_text_without_a_prompt_side_is_refused(model):
    ids = torch.tensor([model.tokenizer("Only a text.").input_ids])
    with pytest.raises(ModelError, match="reads a prompt and a response"):
        model.model(ids, torch.ones_like(ids))
    with pytest.raises(ModelError, match="a pipeline one text"):
        model.pipeline()
