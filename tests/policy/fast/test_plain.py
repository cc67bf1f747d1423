"""Everything that is there for speed against its plain counterpart, and the switch between the two."""

import copy

import pytest
import torch
from peft import LoraConfig, get_peft_model
from peft.tuners.lora import Linear as LoraLinear
from torch import nn
from transformers.activations import NewGELUActivation
from transformers.cache_utils import DynamicCache, DynamicLayer
from transformers.models.t5.modeling_t5 import T5LayerNorm

from labhelpers.policy import generate
from labhelpers.policy.decoding import CacheDecoding, start
from labhelpers.policy.fast.cache import GrowingLayer, growing_cache
from labhelpers.policy.fast.passes import passes
from labhelpers.policy.fast.products import side_by_side
from labhelpers.policy.fast.t5_decoding import T5Decoding
from labhelpers.policy.loading import load_policy
from labhelpers.policy.logprobs import chosen_logprobs
from labhelpers.policy.sampling import GREEDY
from labhelpers.ppo import PPOConfig, PPOTrainer
from tests.support.models import PROMPTS, save_model, save_sft_adapter, tiny_model

DTYPES = [(torch.float64, 1e-13), (torch.float32, 1e-5), (torch.bfloat16, 0.05)]


@pytest.fixture
def plainly(monkeypatch):
    """Calls something with the switch on."""

    def call(function, *arguments, **options):
        with monkeypatch.context() as patch:
            patch.setenv("LABHELPERS_PLAIN", "1")
            return function(*arguments, **options)

    return call


def close(found, expected, tolerance):
    """Within `tolerance` of the largest number."""
    assert found.dtype == expected.dtype
    assert (found - expected).abs().max() <= tolerance * expected.abs().max()


@pytest.mark.parametrize("dtype, tolerance", DTYPES)
def test_chosen_logprobs_equal_log_softmax(plainly, dtype, tolerance):
    """Values and the gradient to the hidden states, over more rows than are computed at a time."""
    torch.manual_seed(0)
    head = nn.Linear(12, 70, bias=False, dtype=dtype).requires_grad_(False)
    hidden, tokens, upstream = 3 * torch.randn(600, 12).to(dtype), torch.randint(70, (600,)), torch.randn(600)
    results = []
    for call in (lambda f, *a: f(*a), plainly):
        leaf = hidden.clone().requires_grad_()
        logprobs = call(chosen_logprobs, head, leaf, tokens)
        logprobs.backward(upstream.to(logprobs))
        results.append((logprobs.detach(), leaf.grad, type(logprobs.grad_fn).__name__))
    (fast, fast_gradient, one), (slow, slow_gradient, other) = results
    assert one != other, "both went the same way"
    close(fast, slow, tolerance)
    close(fast_gradient, slow_gradient, tolerance)


@pytest.mark.parametrize("dtype, tolerance", DTYPES)
@pytest.mark.parametrize("rows", [1, 5])
@pytest.mark.parametrize("reference", [False, True])
def test_products_side_by_side_equal_the_layers_one_by_one(plainly, dtype, tolerance, rows, reference):
    """Layers with an adapter and without, and the adapters switched off."""
    torch.manual_seed(0)
    layers = nn.ModuleDict({name: nn.Linear(16, width, bias=False) for name, width in [("a", 8), ("b", 24), ("c", 8)]})
    model = get_peft_model(layers.to(dtype), LoraConfig(r=2, lora_alpha=6, target_modules=["a", "c"]))
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            parameter.data.normal_()
    modules = [model.base_model.model[name] for name in "abc"]
    x = torch.randn(rows, 16).to(dtype)
    if reference:
        model.base_model.disable_adapter_layers()
    with torch.no_grad():
        close(side_by_side(modules, rows)(x), plainly(side_by_side, modules, rows)(x), tolerance)


@pytest.mark.parametrize("dtype", [dtype for dtype, _ in DTYPES])
def test_the_growing_cache_holds_what_transformers_cache_holds(plainly, dtype):
    """Token by token over several times its room, rows dropped in between: bit for bit."""
    config = tiny_model("llama").config
    growing, plain = growing_cache(config), plainly(growing_cache, config)
    torch.manual_seed(0)
    rows, kept = 4, torch.tensor([3, 1])
    for t in range(200):
        if t == 90:
            for cache in (growing, plain):
                cache.batch_select_indices(kept)
            rows = 2
        keys, values = torch.randn(2, rows, 2, 5 if t == 0 else 1, 8).to(dtype)
        for layer in range(2):
            for found, expected in zip(
                growing.update(keys, values, layer), plain.update(keys, values, layer), strict=True
            ):
                assert torch.equal(found, expected)
    assert type(growing.layers[0]) is GrowingLayer and type(plain.layers[0]) is DynamicLayer
    assert growing.get_seq_length() == plain.get_seq_length()


def test_a_window_keeps_transformers_own_cache():
    """A model that looks back a few tokens only needs layers that know it."""
    config = copy.deepcopy(tiny_model("llama").config)
    config.sliding_window, config.layer_types = 4, ["sliding_attention"] * 2
    cache = growing_cache(config)
    assert type(cache) is DynamicCache and not any(type(layer) is GrowingLayer for layer in cache.layers)


@pytest.mark.parametrize("dtype, tolerance", DTYPES)
@pytest.mark.parametrize("family", ["t5", "flan-t5"])
def test_t5s_own_step_equals_the_models_cached_pass(plainly, tmp_path, family, dtype, tolerance):
    """Logits token by token, with rows that end on the way, matched by where the rows stand."""
    policy, _ = load_policy(
        str(save_model(family, tmp_path / "base")), save_sft_adapter(family, tmp_path / "sft"), dtype
    )
    queries = torch.randint(2, 200, (5, 9), generator=torch.Generator().manual_seed(1))
    mask = (torch.arange(9) < torch.tensor([9, 4, 7, 1, 6])[:, None]).long()
    tokens = torch.randint(2, 200, (5, 12), generator=torch.Generator().manual_seed(2))
    ends = torch.tensor([12, 3, 8, 3, 12])

    @torch.no_grad()
    def decode():
        hidden, state = start(policy, queries * mask, mask, room=12)
        active, found = torch.arange(5), torch.zeros(5, 12, policy.base.config.vocab_size, dtype=torch.float64)
        for t in range(11):
            found[active, t] = state.logits(hidden).double()
            goes_on = ends[active] > t + 1
            if not goes_on.all():
                active = active[state.keep(goes_on)]
            hidden = state.advance(tokens[active, t])
        return found, type(state)

    (fast, kind), (slow, plain_kind) = decode(), plainly(decode)
    assert (kind, plain_kind) == (T5Decoding, CacheDecoding)
    close(fast, slow, tolerance)


def test_plain_passes_are_the_rows_in_their_order(plainly):
    lengths = torch.tensor([5, 1, 9, 2, 2])
    plain = plainly(lambda: [rows.tolist() for rows in passes(lengths, 10**9, torch.device("cpu"), at_most=2)])
    assert plain == [[0, 1], [2, 3], [4]]
    assert plainly(lambda: list(passes(lengths[:0], 1, torch.device("cpu")))) == []
    fast = [rows.tolist() for rows in passes(lengths, 10**9, torch.device("cpu"), at_most=2)]
    assert sorted(sum(fast, [])) == sorted(sum(plain, []))


def replaced(policy):
    """The parts of a policy's model that run other code than transformers' and peft's."""
    modules = list(policy.modules())
    return {
        "norms": any("forward" in vars(m) for m in modules if isinstance(m, T5LayerNorm)),
        "adapters": any("forward" in vars(m) for m in modules if isinstance(m, LoraLinear)),
        "gelu": not any(type(m) is NewGELUActivation for m in modules),
    }


def test_the_switch_leaves_a_model_as_it_is(plainly, tmp_path):
    base = str(save_model("flan-t5", tmp_path))
    assert replaced(load_policy(base)[0]) == {"norms": True, "adapters": True, "gelu": True}
    assert replaced(plainly(load_policy, base)[0]) == {"norms": False, "adapters": False, "gelu": False}


@pytest.mark.parametrize("family", ["flan-t5", "llama", "gpt2"])
def test_a_ppo_step_with_and_without_what_is_fast(plainly, tmp_path, family):
    """The same responses, statistics and trained parameters, but for rounding: transformers' norms round to float32."""
    base, sft = str(save_model(family, tmp_path / "base")), save_sft_adapter(family, tmp_path / "sft")

    def step():
        policy, tokenizer = load_policy(base, sft, torch.float64)
        settings = {"batch_size": 5, "mini_batch_size": 5, "ppo_epochs": 2, "learning_rate": 1e-3}
        trainer = PPOTrainer(PPOConfig(**settings), policy, tokenizer)
        rollout = trainer.generate(PROMPTS, 8)
        stats = trainer.step(rollout, [float(len(text)) for text in rollout.texts])
        numbers = {name: value for name, value in stats.items() if not name.startswith("time/")}
        return rollout.texts, numbers, torch.cat([p.detach().flatten() for p in trainer.parameters])

    (texts, numbers, trained), (plain_texts, plain_numbers, plain_trained) = step(), plainly(step)
    assert texts == plain_texts
    assert numbers == pytest.approx(plain_numbers, rel=1e-4, abs=1e-6)
    torch.testing.assert_close(trained, plain_trained, rtol=0, atol=1e-5)


def test_greedy_responses_are_the_same_in_float32(plainly, tmp_path):
    base = str(save_model("t5", tmp_path))

    def respond():
        policy, tokenizer = load_policy(base, dtype="float32")
        return generate(policy, tokenizer, PROMPTS, 10, sampling=GREEDY).responses.tolist()

    assert respond() == plainly(respond)
