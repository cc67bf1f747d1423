"""Whatever family a model is of: loading changes none of its numbers, and a policy of it computes the model's own.

The complete sweep over what the installed transformers can build is marked slow; a few telling families are not.
"""

import copy
from types import SimpleNamespace

import pytest
import torch
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    BloomConfig,
    BloomForCausalLM,
    GemmaConfig,
    GemmaForCausalLM,
    GraniteConfig,
    GraniteForCausalLM,
    RobertaConfig,
    RobertaForCausalLM,
)

from labhelpers.errors import ModelError
from labhelpers.policy.classifier import max_input_tokens
from labhelpers.policy.decoding import start
from labhelpers.policy.fast.operations import KNOWN_NORMS, fused_operations
from labhelpers.policy.loading import load_base, make_policy
from labhelpers.policy.padding import pad
from labhelpers.reward.model import load_reward_model
from tests.support.families import families, tiny_family, tiny_inputs
from tests.support.models import byte_tokenizer

TELLING = {
    "causal": ["bloom", "cohere", "gemma", "gemma2", "granite", "llama", "mixtral", "nemotron", "opt", "phi"],
    "seq2seq": ["bart", "marian", "mt5", "t5", "umt5"],
    "classification": ["bert", "gemma2", "llama", "qwen2", "roberta", "t5"],
}
SMALL = {
    "vocab_size": 50, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
    "num_key_value_heads": 2,
}  # fmt: skip


def built(kind, names):
    """The tiny models of these families that can be built, one at a time."""
    for name in names:
        model = tiny_family(kind, name)
        if model is not None:
            yield name, model


def names_of(kind, complete):
    return families(kind) if complete else TELLING[kind]


COMPLETE = [False, pytest.param(True, marks=pytest.mark.slow)]


# -- loading changes nothing -------------------------------------------------------------------------------------


@pytest.mark.parametrize("complete", COMPLETE)
def test_replaced_operations_give_every_familys_own_numbers(complete):
    """Language models and classifiers, in float32: patched against unpatched."""
    seen = replaced = 0
    for kind in TELLING:
        for name, model in built(kind, names_of(kind, complete)):
            patched = fused_operations(copy.deepcopy(model))
            inputs = tiny_inputs(kind, model)
            with torch.no_grad():
                own, ours = model(**inputs).logits, patched(**inputs).logits
            assert (ours - own).abs().max() <= 1e-5 * own.abs().max(), (kind, name)
            seen += 1
            replaced += any(type(module) in KNOWN_NORMS for module in model.modules())
    assert seen >= (200 if complete else 20) and replaced >= (8 if complete else 4)


def test_a_norm_of_another_formula_is_left_alone(tmp_path):
    """Gemma's norm multiplies by 1 + weight, and its weights start at 0: taken for Llama's, all logits would be 0."""
    torch.manual_seed(0)
    model = GemmaForCausalLM(GemmaConfig(**SMALL, head_dim=8)).eval()
    model.save_pretrained(tmp_path)
    x = torch.arange(3, 13)[None]
    with torch.no_grad():
        own, loaded = model(x).logits, load_base(tmp_path, "float32", "cpu")(x).logits
    assert own.abs().max() > 0.05
    torch.testing.assert_close(loaded, own, rtol=0, atol=1e-6)


def test_a_reward_models_norms_are_left_alone_too(tmp_path):
    model = tiny_family("classification", "gemma", num_labels=1, vocab_size=len(byte_tokenizer()))
    model.save_pretrained(tmp_path)
    byte_tokenizer().save_pretrained(tmp_path)
    x = torch.arange(3, 13)[None]
    with torch.no_grad():
        own, loaded = model(x).logits, load_reward_model(tmp_path, "float32", "cpu").model(x).logits
    torch.testing.assert_close(loaded, own, rtol=1e-5, atol=1e-6)


# -- log-probabilities are the model's own -----------------------------------------------------------------------


def targets(model):
    """Two linear layers for an adapter, not the output layer and none that peft refuses (Mamba's own)."""
    names = [name for name, module in model.named_modules() if type(module).__name__ in ("Linear", "Conv1D")]
    return [n for n in names if not n.endswith(("lm_head", "out_proj"))][:2]


def moved(policy):
    """The adapter is no longer at its start."""
    torch.manual_seed(3)
    for name, parameter in policy.named_parameters():
        if ".lora_B." in name:
            parameter.data = torch.randn_like(parameter) * 0.1
    return policy


ROWS = [[5, 9, 20, 33, 8, 41], [7, 30], [44, 6, 17, 25]]
RESPONSES = torch.tensor([[11, 28, 36, 4], [19, 3, 47, 22], [40, 12, 9, 31]])


def own_logprobs(policy, row, response):
    """log p of a response `[T]` after a query without padding, by the model's own forward pass and log_softmax."""
    query = torch.tensor([row])
    if policy.is_encoder_decoder:
        first = torch.tensor([[policy.base.config.decoder_start_token_id]])
        inputs = {"input_ids": query, "decoder_input_ids": torch.cat([first, response[None, :-1]], 1)}
    else:
        inputs = {"input_ids": torch.cat([query, response[None, :-1]], 1)}
    every = policy.base(**inputs, use_cache=False).logits[0, -len(response) :].log_softmax(-1)
    return every.gather(-1, response[:, None])[:, 0]


def decoded_logprobs(policy, queries, mask):
    hidden, state = start(policy, queries, mask, room=RESPONSES.shape[1])
    columns = []
    for t in range(RESPONSES.shape[1]):
        every = state.logits(hidden).log_softmax(-1)
        columns.append(every.gather(-1, RESPONSES[:, t : t + 1]))
        if t + 1 < RESPONSES.shape[1]:
            hidden = state.advance(RESPONSES[:, t])
    return torch.cat(columns, 1)


@torch.no_grad()
def compare(policy, tolerance=2e-4):
    """One pass and token by token, queries padded, against each row alone."""
    queries, mask = pad(ROWS, 0, policy.padding_side)
    expected = torch.stack([own_logprobs(policy, row, r) for row, r in zip(ROWS, RESPONSES, strict=True)])
    passed = policy(queries, mask, RESPONSES, torch.ones_like(RESPONSES))[0]
    torch.testing.assert_close(passed, expected, rtol=0, atol=tolerance)
    torch.testing.assert_close(decoded_logprobs(policy, queries, mask), expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("complete", COMPLETE)
@pytest.mark.parametrize("kind", ["causal", "seq2seq"])
def test_every_family_gets_its_own_logprobs_or_is_refused(kind, complete):
    """In training and in decoding, with an adapter; a family that neither agrees nor is refused fails here."""
    same, special, refused, wrong = [], [], [], []
    for name, model in built(kind, names_of(kind, complete)):
        try:
            policy = moved(make_policy(fused_operations(model), target_modules=targets(model)))
        except ModelError:
            refused.append(name)
            continue
        try:
            compare(policy)
        except Exception as error:
            wrong.append((name, f"{type(error).__name__}: {error}"))
            continue
        same.append(name)
        if not policy.plain_head:
            special.append(name)
    assert not wrong, wrong
    least = {("causal", True): 90, ("seq2seq", True): 15, ("causal", False): 10, ("seq2seq", False): 5}
    assert len(same) >= least[kind, complete], (same, refused)
    assert {"causal": {"cohere", "gemma2"}, "seq2seq": {"umt5"}}[kind] <= set(special)
    assert len(special) < len(same) / 3, "the fast output layer serves most families"


def test_granites_scaled_logits(tmp_path):
    torch.manual_seed(0)
    config = GraniteConfig(**SMALL, logits_scaling=8.0, initializer_range=0.8)
    GraniteForCausalLM(config).save_pretrained(tmp_path)
    policy = moved(make_policy(load_base(tmp_path, "float32", "cpu")))
    assert not policy.plain_head
    compare(policy)


def test_a_bias_of_the_final_logits(tmp_path):
    """BART's is a buffer beside the output layer: 0 as a rule, and not always."""
    torch.manual_seed(0)
    sizes = {"d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32}
    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2}
    ids = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 2}
    model = BartForConditionalGeneration(BartConfig(vocab_size=50, max_position_embeddings=64, **sizes, **heads, **ids))
    for bias in (0.0, 1.0):
        model.final_logits_bias = bias * torch.randn(1, 50)
        model.save_pretrained(tmp_path / str(bias))
        policy = moved(make_policy(load_base(tmp_path / str(bias), "float32", "cpu")))
        assert policy.plain_head == (bias == 0.0)
        compare(policy)


@pytest.mark.parametrize("family", ["cohere", "gemma2", "granite"])
def test_gradients_of_a_special_head_are_the_models_own(family):
    """Through a cap that bends and a scale that is not 1, in float32."""
    sizes = {"gemma2": {"final_logit_softcapping": 2.0}, "granite": {"logits_scaling": 8.0}}.get(family, {})
    policy = moved(make_policy(tiny_family("causal", family, **sizes)))
    assert not policy.plain_head
    adapter = [p for name, p in policy.named_parameters() if ".lora_" in name]
    queries, mask = pad(ROWS, 0, "left")
    ours = torch.autograd.grad(policy(queries, mask, RESPONSES, torch.ones_like(RESPONSES))[0].sum(), adapter)
    own = sum(own_logprobs(policy, row, r).sum() for row, r in zip(ROWS, RESPONSES, strict=True))
    for found, expected in zip(ours, torch.autograd.grad(own, adapter), strict=True):
        assert expected.abs().max() > 1e-4
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-5)


def test_models_whose_numbers_cannot_be_had_here_are_refused():
    """RoBERTa counts positions in its own way; Bloom in float64 makes NaN of a padded query, in transformers itself."""
    torch.manual_seed(0)
    roberta = RobertaConfig(**{k: v for k, v in SMALL.items() if k != "num_key_value_heads"}, is_decoder=True)
    with pytest.raises(ModelError, match="RobertaForCausalLM in torch.float32 cannot .* part by part"):
        make_policy(RobertaForCausalLM(roberta).eval(), target_modules=["query"])
    bloom = BloomForCausalLM(BloomConfig(vocab_size=50, hidden_size=16, n_layer=2, n_head=2)).eval()
    make_policy(bloom)
    with pytest.raises(ModelError, match="BloomForCausalLM in torch.float64 .* after a padded query, it gives NaN"):
        make_policy(bloom.double())


def test_gemma_2_makes_nan_of_padding_in_float64():
    """In transformers itself, as Bloom does; in float32 it is a policy like any other."""
    make_policy(tiny_family("causal", "gemma2"))
    with pytest.raises(ModelError, match="Gemma2ForCausalLM in torch.float64 .* after a padded query, it gives NaN"):
        make_policy(tiny_family("causal", "gemma2").double())


# -- texts of any length -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("complete", COMPLETE)
def test_texts_are_cut_to_what_a_classifier_takes(complete):
    """Where the tokenizer names no limit: as many tokens as there are positions, less those a family sets aside."""
    without_limit = SimpleNamespace(model_max_length=10**30)
    offset = ["data2vec-text", "esm", "ibert", "luke", "mpnet", "roberta", "roberta-prelayernorm"]
    cut = set()
    for name, model in built("classification", names_of("classification", complete) + offset):
        limit = max_input_tokens(model, without_limit)
        if limit is None:  # T5 and XLNet: relative positions
            continue
        with torch.no_grad():
            assert model(input_ids=torch.full((1, limit), 5).index_fill(1, torch.tensor([limit - 1]), 2)).logits.numel()
        if limit < 64:
            cut.add(name)
            with pytest.raises((IndexError, RuntimeError)), torch.no_grad():
                model(input_ids=torch.full((1, limit + 1), 5))
    assert cut >= {"data2vec-text", "ibert", "mpnet", "roberta"}
