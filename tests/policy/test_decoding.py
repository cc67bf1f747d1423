"""Decoding token by token gives what one pass over the whole text gives, whatever rows end when."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import T5Config, T5ForConditionalGeneration

from labhelpers.policy.decoding import CacheDecoding, start
from labhelpers.policy.fast.operations import fused_operations
from labhelpers.policy.fast.t5_decoding import _GROWTH, T5Decoding
from labhelpers.policy.loading import make_policy
from tests.support.models import tiny_model

VOCABULARY = 40


def t5(dtype=torch.float64, **options):
    """A small T5 with an adapter that PPO has moved."""
    torch.manual_seed(0)
    config = T5Config(
        vocab_size=VOCABULARY, d_model=24, d_kv=4, d_ff=32, num_layers=2, num_heads=3, decoder_start_token_id=0,
        relative_attention_num_buckets=8, relative_attention_max_distance=12, **options,
    )  # fmt: skip
    model = T5ForConditionalGeneration(config).to(dtype).eval()
    policy = make_policy(fused_operations(model), lora_r=2, target_modules=["q", "v", "o", "wi_0", "wi"])
    for name, parameter in policy.named_parameters():
        if ".lora_B." in name:
            parameter.data = torch.randn_like(parameter) * 0.2
    return policy


def queries(rows, width=7):
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(2, VOCABULARY, (rows, width), generator=generator)
    mask = (torch.arange(width) < torch.randint(1, width + 1, (rows, 1), generator=generator)).long()
    return ids * mask, mask


@torch.no_grad()
def decoded(policy, ids, mask, tokens):
    """Hidden states `[B, T, d]` token by token, when every row goes on to the end."""
    hidden, state = start(policy, ids, mask, room=tokens.shape[1])
    states = [hidden]
    for t in range(tokens.shape[1] - 1):
        hidden = state.advance(tokens[:, t])
        states.append(hidden)
    return torch.stack(states, 1), state


SHAPES = {"T5": {}, "FLAN-T5": {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-12), (torch.float32, 1e-5), (torch.bfloat16, 0.1)])
@pytest.mark.parametrize("reference", [False, True])
def test_t5s_own_step_equals_one_pass(shape, dtype, tolerance, reference):
    """With the adapter and without: what policy and reference generate is their own."""
    policy = t5(dtype, **SHAPES[shape])
    ids, mask = queries(4)
    tokens = torch.randint(2, VOCABULARY, (4, 20), generator=torch.Generator().manual_seed(2))

    def both():
        with torch.no_grad():
            return policy.hidden_states(ids, mask, tokens, torch.ones_like(tokens)), decoded(policy, ids, mask, tokens)

    if reference:
        with policy.reference():
            whole, (single, state) = both()
    else:
        whole, (single, state) = both()
    assert isinstance(state, T5Decoding)
    assert (whole - single).abs().max() < tolerance
    if dtype == torch.float64:  # the adapter makes a difference, so leaving it out would have been seen
        with policy.reference():
            plain = decoded(policy, ids, mask, tokens)[0]
        assert reference or (plain - single).abs().max() > 1e-3


def test_more_tokens_than_there_is_room_for_at_first():
    """Keys and values grow; the places that no token has taken yet count for nothing."""
    policy = t5()
    ids, mask = queries(3)
    tokens = torch.randint(2, VOCABULARY, (3, 2 * _GROWTH + 5), generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        whole = policy.hidden_states(ids, mask, tokens, torch.ones_like(tokens))
        single, state = decoded(policy, ids, mask, tokens)
    assert state.layers[0].keys.shape[2] == 3 * _GROWTH
    assert (whole - single).abs().max() < 1e-12


def test_other_models_go_through_the_models_own_pass():
    policy = make_policy(tiny_model("llama").double())
    ids, mask = queries(2, 5)
    state = start(policy, ids, mask.flip(-1), room=3)[1]
    assert isinstance(state, CacheDecoding)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 12), min_size=1, max_size=6), st.sampled_from(["t5", "llama"]))
def test_rows_may_end_in_any_order(lengths, family):
    """A row's hidden states do not depend on which others end before it."""
    policy = _policies(family)
    ids, mask = queries(len(lengths))
    if family == "llama":
        ids, mask = ids.flip(-1), mask.flip(-1)
    tokens = torch.randint(2, VOCABULARY, (len(lengths), 12), generator=torch.Generator().manual_seed(3))
    whole = decoded(policy, ids, mask, tokens)[0]
    ends = torch.tensor(lengths)
    with torch.no_grad():
        hidden, state = start(policy, ids, mask, room=12)
        active = torch.arange(len(lengths))
        for t in range(12):
            assert torch.allclose(hidden, whole[active, t], atol=1e-12)
            goes_on = ends[active] > t + 1
            if not goes_on.any():
                break
            active = active[state.keep(goes_on)]
            assert sorted(active.tolist()) == (ends > t + 1).nonzero().flatten().tolist()
            hidden = state.advance(tokens[active, t])


_made = {}


def _policies(family):
    if family not in _made:
        _made[family] = t5() if family == "t5" else make_policy(fused_operations(tiny_model("llama").double()))
    return _made[family]
