"""Adapters: only what can be kept exactly is trained, only what belongs to a model is merged into it."""

import json

import pytest
import torch
from peft import IA3Config, LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file

from labhelpers.course.profiles import load_profile
from labhelpers.errors import ModelError
from labhelpers.policy.adapters import ADAPTER_FILE, read_adapter
from labhelpers.policy.loading import load_base, load_policy, make_policy
from labhelpers.policy.model import Policy
from labhelpers.reward.model import new_reward_model
from labhelpers.sources.locations import data_dir
from tests.support.models import save_model, save_sft_adapter, tiny_model

TARGETS = {"t5": ["q", "v"], "llama": ["q_proj", "v_proj"], "gpt2": ["c_attn"]}


def altered(source, folder, tensors=None, **config):
    """A copy of an adapter with other tensors (a function of the old ones) or config entries."""
    folder.mkdir()
    old = load_file(source / ADAPTER_FILE)
    save_file(tensors(old) if tensors else old, folder / ADAPTER_FILE)
    entries = json.loads((source / "adapter_config.json").read_text()) | config
    (folder / "adapter_config.json").write_text(json.dumps(entries))
    return folder


@pytest.fixture
def sft(tmp_path):
    return save_sft_adapter("t5", tmp_path / "sft")


# -- what is loaded ----------------------------------------------------------------------------------------------


def test_the_courses_adapter_with_its_keys_renamed_is_refused(tmp_path):
    """As trl's old models save theirs: peft loads nothing of it and says nothing, so the policy would be the base."""
    ours = data_dir() / "adapters" / "sft"
    renamed = altered(
        ours,
        tmp_path / "renamed",
        lambda old: {
            name.replace("base_model.model.", "base_model.model.pretrained_model."): t for name, t in old.items()
        },
    )
    base = load_profile("tiny").policy_model
    with pytest.raises(
        ModelError, match="layers are not in T5ForConditionalGeneration, pretrained_model.decoder.block"
    ):
        load_policy(base, renamed, "float64", "cpu")
    with pytest.raises(ModelError, match="belongs to another model"):
        new_reward_model(base, "float64", "cpu", sft_adapter=renamed)
    load_policy(base, ours, "float64", "cpu")


def test_an_adapter_of_six_layers_does_not_fit_two(tmp_path, sft):
    def deeper(old):
        more = {name.replace("block.1.", f"block.{i}."): t.clone() for name, t in old.items() for i in range(2, 6)}
        return old | more

    with pytest.raises(ModelError, match=r"16|24.* layers are not in T5.*, decoder.block.2.layer.0.SelfAttention.q"):
        make_policy(tiny_model("t5"), altered(sft, tmp_path / "deep", deeper))


def test_an_adapter_of_fewer_layers_is_another_models(tmp_path, sft):
    fewer = altered(sft, tmp_path / "fewer", lambda old: {n: t for n, t in old.items() if "block.0." in n})
    with pytest.raises(ModelError, match="target_modules name 6 layers of T5.* has no tensors for, .*block.1"):
        make_policy(tiny_model("t5"), fewer)


def test_an_adapter_of_another_width_names_both_shapes(tmp_path, sft):
    wide = altered(
        sft, tmp_path / "wide", lambda old: {n: t.repeat(1, 2) if "lora_A" in n else t for n, t in old.items()}
    )
    with pytest.raises(
        ModelError, match=r"q it holds lora_A \(4, 64\) and lora_B \(32, 4\), .* takes lora_A \(4, 32\)"
    ):
        make_policy(tiny_model("t5"), wide)
    rank = altered(sft, tmp_path / "rank", r=8)
    with pytest.raises(ModelError, match=r"with rank 8 this model takes lora_A \(8, 32\)"):
        make_policy(tiny_model("t5"), rank)


@pytest.mark.parametrize("change", ["extra", "half", "nothing"])
def test_tensors_that_are_no_pairs_of_factors_are_refused(tmp_path, sft, change):
    def tensors(old):
        if change == "extra":
            return old | {"base_model.model.shared.weight": torch.zeros(2, 2)}
        return {} if change == "nothing" else {n: t for n, t in old.items() if "block.1" not in n or "lora_A" in n}

    match = {
        "extra": "holds 'base_model.model.shared.weight'",
        "nothing": "no tensor",
        "half": r"lora_A \(4, 32\), with",
    }
    with pytest.raises(ModelError, match=match[change]):
        read_adapter(altered(sft, tmp_path / change, tensors), tiny_model("t5"))


@pytest.mark.parametrize(
    "named", [{"target_modules": ["q"]}, {"layers_to_transform": [0]}, {"exclude_modules": ["v"]}], ids=str
)
def test_layers_that_the_config_does_not_name_are_refused(tmp_path, sft, named):
    """peft would leave them out and say nothing, and a fold would put them in."""
    fewer = altered(sft, tmp_path / "fewer", **named)
    with pytest.raises(ModelError, match="holds . layers that its adapter_config.json does not name|plain LoRA"):
        read_adapter(fewer, tiny_model("t5"))


def test_a_file_cut_short_is_damaged(tmp_path, sft):
    file = sft / ADAPTER_FILE
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(ModelError, match="adapter_model.safetensors is damaged.*again"):
        read_adapter(sft, tiny_model("t5"))


def test_a_model_that_refused_an_adapter_is_as_it_was(tmp_path, sft):
    base = tiny_model("t5")
    before = {name: p.clone() for name, p in base.named_parameters()}
    with pytest.raises(ModelError):
        make_policy(base, altered(sft, tmp_path / "rank", r=8))
    assert before.keys() == dict(base.named_parameters()).keys()
    assert all(torch.equal(p, before[name]) for name, p in base.named_parameters())


@pytest.mark.parametrize(
    "options",
    [
        {"use_rslora": True},
        {"use_dora": True},
        {"lora_bias": True},
        {"bias": "lora_only"},
        {"alpha_pattern": {"q": 3}},
        {"rank_pattern": {"q": 3}},
        {"modules_to_save": ["lm_head"]},
        {"trainable_token_indices": [3, 4]},
        {"init_lora_weights": "pissa"},
        {"init_lora_weights": "pissa_niter_4"},
        {"init_lora_weights": "olora"},
        {"init_lora_weights": "eva"},
        {"layer_replication": [[0, 1]]},
    ],
    ids=lambda options: "-".join(options) + str(*options.values()) * ("init_lora_weights" in options),
)
def test_variants_of_lora_are_refused_naming_the_option(tmp_path, sft, options):
    """From a folder, and in a model that is about to be trained: nobody trains for an hour what cannot be kept."""
    (name,) = options
    with pytest.raises(ModelError, match=f"not plain LoRA .* Leave out .*{name}="):
        read_adapter(altered(sft, tmp_path / "variant", **options), tiny_model("t5"))
    if name != "layer_replication" and options != {
        "init_lora_weights": "eva"
    }:  # peft asks for more than a config there
        model = get_peft_model(tiny_model("t5"), LoraConfig(r=4, target_modules=["q", "v"], **options))
        with pytest.raises(ModelError, match=f"the policy's adapter is not plain LoRA .* Leave out {name}="):
            Policy(model)


def test_other_methods_are_no_lora(tmp_path):
    model = get_peft_model(tiny_model("t5"), IA3Config(target_modules=["q", "wo"], feedforward_modules=["wo"]))
    model.save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="not plain LoRA but IA3Config"):
        read_adapter(tmp_path, tiny_model("t5"))
    with pytest.raises(ModelError, match="not plain LoRA but IA3Config"):
        Policy(model)


# -- what is trained ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("family", "targets"),
    [
        ("t5", ["q", "shared"]),
        ("t5", ["lm_head"]),
        ("flan-t5", ["q", "lm_head"]),
        ("gpt2", ["wte"]),
        ("llama", ["lm_head"]),
    ],
)
def test_neither_end_of_a_model_is_adapted(family, targets):
    """peft would save the embeddings whole, and tied ones move at both ends."""
    with pytest.raises(ModelError, match=f"is on .*{targets[-1]} .*not on embeddings or the output layer"):
        make_policy(tiny_model(family), target_modules=targets)


def test_target_modules_that_are_not_there_are_named():
    with pytest.raises(ModelError, match=r"target_modules=\['nothing'\] cannot be adapted in T5.*not found"):
        make_policy(tiny_model("t5"), target_modules=["nothing"])
    with pytest.raises(ModelError, match=r"target_modules=\['layer_norm'\] cannot be adapted in T5"):
        make_policy(tiny_model("t5"), target_modules=["layer_norm"])


def test_weights_beside_the_adapter_must_not_be_trained(tmp_path):
    policy = make_policy(tiny_model("t5"))
    policy.base.get_decoder().final_layer_norm.weight.requires_grad_(True)
    with pytest.raises(ModelError, match=r"1 parameters outside the adapter .*final_layer_norm.weight is one"):
        policy.save(tmp_path / "out")
    assert not (tmp_path / "out").exists()


# -- what is saved -----------------------------------------------------------------------------------------------


def trained(family, tmp_path, dtype, **options):
    base = save_model(family, tmp_path / "base")
    sft = save_sft_adapter(family, tmp_path / "sft")
    policy, tokenizer = load_policy(str(base), sft, dtype, "cpu", **options)
    torch.manual_seed(2)
    for name, parameter in policy.named_parameters():
        if ".lora_B." in name:
            parameter.data = torch.randn_like(parameter) * 0.1
    return policy, str(base)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("family", TARGETS)
def test_every_precision_saves(family, dtype, tmp_path):
    trained(family, tmp_path, dtype)[0].save(tmp_path / "out")


def test_the_comparison_sees_what_the_bare_base_would_compute(tmp_path):
    """`as_saved` reckons the bare base from the merged one; here it is held against the bare base itself."""
    from labhelpers.policy.adapters import as_saved

    policy, base = trained("llama", tmp_path, torch.float64, target_modules=["v_proj", "o_proj"], lora_r=3)
    policy.save(tmp_path / "out")
    queries = torch.arange(3, 11)[None]
    arguments = (queries, torch.ones_like(queries), queries, torch.ones_like(queries))
    with torch.no_grad():
        bare = Policy(PeftModel.from_pretrained(load_base(base, torch.float64, "cpu"), str(tmp_path / "out"))).eval()
        expected, own = bare(*arguments)[0], policy(*arguments)[0]
        with as_saved(policy.model, policy.sft, tmp_path / "out"):
            found = policy(*arguments)[0]
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
        assert torch.equal(policy(*arguments)[0], own), "outside, the policy is itself again"


@pytest.mark.parametrize("fault", ["scaling", "sft forgotten", "a layer forgotten"])
def test_a_fold_that_went_wrong_is_not_released(fault, tmp_path, monkeypatch):
    from labhelpers.policy import model

    fold = model.fold_adapters

    def wrong(peft_model, first, folder):
        fold(peft_model, None if fault == "sft forgotten" else first, folder)
        if fault == "scaling":
            altered_config = json.loads((folder / "adapter_config.json").read_text())
            (folder / "adapter_config.json").write_text(json.dumps(altered_config | {"lora_alpha": 3}))
        if fault == "a layer forgotten":
            tensors = load_file(folder / ADAPTER_FILE)
            save_file({n: t for n, t in tensors.items() if "layers.1.self_attn.q" not in n}, folder / ADAPTER_FILE)

    monkeypatch.setattr(model, "fold_adapters", wrong)
    policy, _ = trained("llama", tmp_path, torch.float32)
    with pytest.raises(ModelError, match="is not this policy: log-probabilities differ by up to"):
        policy.save(tmp_path / "out")


def test_an_adapter_of_another_name_is_saved(tmp_path):
    base = save_model("t5", tmp_path / "base")
    model = get_peft_model(load_base(str(base), "float64", "cpu"), LoraConfig(r=2, target_modules=["q"]), "ours")
    policy = Policy(model).eval()
    policy.save(tmp_path / "out")
    load_policy(str(base), tmp_path / "out", "float64", "cpu")
