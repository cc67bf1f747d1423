"""Decoding one token at a time: what a policy remembers between two tokens, and the step that appends one.

    hidden, state = start(policy, queries, query_mask, room=max_new_tokens)
    hidden = state.advance(tokens)     # [B] -> [B, d]: the hidden state that predicts the next token
    rows = state.keep(goes_on)         # rows that have ended cost nothing more; the order of those that are left

Any model is decoded through transformers' cache (`CacheDecoding`). T5's decoder has a step of its own (`T5Decoding`):
for one token, most of the time of the general one goes into everything but the model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from peft.tuners.lora import Linear as LoraLinear
from torch import Tensor, nn
from transformers import T5ForConditionalGeneration
from transformers.cache_utils import DynamicCache, EncoderDecoderCache

from labhelpers.cache import growing_cache

if TYPE_CHECKING:
    from labhelpers.policy import Policy


def start(policy: Policy, queries: Tensor, query_mask: Tensor, room: int) -> tuple[Tensor, CacheDecoding | T5Decoding]:
    """Reads the queries: `[B, Q]` -> the hidden state `[B, d]` that predicts the first token, and the state.

    `room` is the largest number of tokens that will be asked for.
    """
    base = policy.base
    if not policy.is_encoder_decoder:
        state = CacheDecoding(policy, query_mask)
        output = base.get_decoder()(
            input_ids=queries, attention_mask=query_mask, position_ids=positions(query_mask),
            past_key_values=state.cache, use_cache=True,
        )  # fmt: skip
        return output.last_hidden_state[:, -1], state
    encoded = _encode(policy, queries, query_mask)
    first = torch.full_like(queries[:, 0], base.config.decoder_start_token_id)
    if type(base) is T5ForConditionalGeneration and base.dtype != torch.float16:  # which needs clamping here and there
        state = T5Decoding(base.get_decoder(), encoded, query_mask, room)
    else:
        state = CacheDecoding(policy, query_mask, encoded)
    return state.advance(first), state


def _encode(policy: Policy, queries: Tensor, query_mask: Tensor) -> Tensor:
    """The encoder's states `[B, Q, d]`; on a CPU a few rows of similar length at a time, to save the padding."""
    lengths = query_mask.sum(-1)
    states = None
    for rows in lengths.argsort(stable=True).split(8 if queries.device.type == "cpu" else len(queries)):
        width = int(lengths[rows].max())
        some = policy.base.get_encoder()(input_ids=queries[rows, :width], attention_mask=query_mask[rows, :width])
        if states is None:
            states = some.last_hidden_state.new_zeros(*queries.shape, some.last_hidden_state.shape[-1])
        states[rows, :width] = some.last_hidden_state
    return states


def positions(attention_mask: Tensor) -> Tensor:
    """Position of every token when the padding does not count (`[B, L]`)."""
    return (attention_mask.cumsum(-1) - 1).clamp(min=0)


class CacheDecoding:
    """Decoding with the model's own forward pass and transformers' key-value cache."""

    def __init__(self, policy: Policy, query_mask: Tensor, encoded: Tensor | None = None):
        self.decoder = policy.base.get_decoder()
        self.mask, self.encoded = query_mask, encoded  # [B, Q], decoder-only: grows with every token; [B, Q, d]
        own = growing_cache()
        self.caches = [own] if encoded is None else [own, DynamicCache()]
        self.cache = own if encoded is None else EncoderDecoderCache(*self.caches)

    def advance(self, tokens: Tensor) -> Tensor:
        """Appends one token per row (`[B]`) and returns the hidden state `[B, d]` that predicts the next."""
        if self.encoded is not None:
            extra = {"encoder_hidden_states": self.encoded, "encoder_attention_mask": self.mask}
        else:
            self.mask = torch.cat([self.mask, torch.ones_like(self.mask[:, :1])], 1)
            extra = {"attention_mask": self.mask, "position_ids": positions(self.mask)[:, -1:]}
        output = self.decoder(input_ids=tokens[:, None], past_key_values=self.cache, use_cache=True, **extra)
        return output.last_hidden_state[:, -1]

    def keep(self, goes_on: Tensor) -> Tensor:
        """Drops the rows where `goes_on[B]` is False; returns the former places of those that are left."""
        rows = goes_on.nonzero().squeeze(-1)
        for cache in self.caches:
            cache.batch_select_indices(rows)
        self.mask = self.mask[rows]
        self.encoded = None if self.encoded is None else self.encoded[rows]
        return rows


class T5Decoding:
    """T5's decoder (Raffel et al. 2020) for one token per row, with everything prepared that stays the same.

    Keys and values have their place for all `room` tokens from the start; the relative position bias is one table;
    projections of the same input are one matrix product, adapters added in. The numbers are those of the model's own
    forward pass but for rounding, which a test checks.
    """

    def __init__(self, decoder: nn.Module, encoded: Tensor, query_mask: Tensor, room: int):
        self.embed, self.final_norm = decoder.embed_tokens, decoder.final_layer_norm
        rows, first = len(encoded), decoder.block[0].layer[0].SelfAttention
        self.heads, self.head_size = first.n_heads, first.key_value_proj_dim
        self.room, self.length = room, 0
        distances = torch.arange(1 - room, 1, device=encoded.device)[None]  # key - query: the farthest key first
        bucket = first._relative_position_bucket(
            distances, bidirectional=False, num_buckets=first.relative_attention_num_buckets,
            max_distance=first.relative_attention_max_distance,
        )  # fmt: skip
        self.bias = first.relative_attention_bias(bucket).permute(0, 2, 1)[:, :, None].contiguous()  # [1, H, 1, room]
        lowest = torch.finfo(encoded.dtype).min
        self.query_bias = torch.zeros_like(query_mask, dtype=encoded.dtype).masked_fill(query_mask == 0, lowest)
        self.query_bias = self.query_bias[:, None, None]  # [B, 1, 1, Q]
        self.layers = [_T5Layer(block, encoded, self.heads, room) for block in decoder.block]
        self.rows = rows

    def advance(self, tokens: Tensor) -> Tensor:
        """Appends one token per row (`[B]`) and returns the hidden state `[B, d]` that predicts the next."""
        n, heads, size, t = self.rows, self.heads, self.head_size, self.length
        bias = self.bias[..., self.room - 1 - t :]
        hidden = self.embed(tokens)
        for layer in self.layers:
            query, key, value = layer.qkv(_rms_norm(layer.norm, hidden)).view(n, 3, heads, size).unbind(1)
            layer.keys[:n, :, t], layer.values[:n, :, t] = key, value
            seen = F.scaled_dot_product_attention(
                query[:, :, None], layer.keys[:n, :, : t + 1], layer.values[:n, :, : t + 1], bias, scale=1.0
            )
            hidden = hidden + layer.output(seen.reshape(n, heads * size))
            query = layer.cross_query(_rms_norm(layer.cross_norm, hidden)).view(n, heads, 1, size)
            seen = F.scaled_dot_product_attention(
                query, layer.cross_keys[:n], layer.cross_values[:n], self.query_bias[:n], scale=1.0
            )
            hidden = hidden + layer.cross_output(seen.reshape(n, heads * size))
            hidden = hidden + layer.feed_forward(_rms_norm(layer.last_norm, hidden))
        self.length += 1
        return _rms_norm(self.final_norm, hidden)

    def keep(self, goes_on: Tensor) -> Tensor:
        """Drops the rows where `goes_on[B]` is False; returns the former places of those that are left.

        Rows from the end move into the gaps: the others, and their long keys and values, stay where they are.
        """
        left = int(goes_on.sum())
        order = torch.arange(len(goes_on), device=goes_on.device)
        gaps = (~goes_on[:left]).nonzero().squeeze(-1)
        moved = left + goes_on[left:].nonzero().squeeze(-1)
        order[gaps] = moved
        self.query_bias[gaps] = self.query_bias[moved]
        for layer in self.layers:
            for kept in (layer.keys, layer.values):
                kept[gaps, :, : self.length] = kept[moved, :, : self.length]
            for kept in (layer.cross_keys, layer.cross_values):
                kept[gaps] = kept[moved]
        self.rows = left
        return order[:left]


class _T5Layer:
    """One block's projections as functions, its norms, and its keys and values (`[B, H, room, d]`; `[B, H, Q, d]`)."""

    def __init__(self, block: nn.Module, encoded: Tensor, heads: int, room: int):
        (own, cross, last), n = block.layer, len(encoded)
        attention, cross_attention, dense = own.SelfAttention, cross.EncDecAttention, last.DenseReluDense
        self.norm, self.cross_norm, self.last_norm = own.layer_norm, cross.layer_norm, last.layer_norm
        self.qkv = _side_by_side([attention.q, attention.k, attention.v])
        self.output = _side_by_side([attention.o])
        self.cross_query, self.cross_output = _side_by_side([cross_attention.q]), _side_by_side([cross_attention.o])
        size = attention.key_value_proj_dim
        self.keys, self.values = (encoded.new_empty(n, heads, room, size) for _ in range(2))
        self.cross_keys, self.cross_values = (
            projection(encoded).view(n, -1, heads, size).transpose(1, 2).contiguous()
            for projection in (cross_attention.k, cross_attention.v)
        )
        self.act, self.wo = dense.act, _side_by_side([dense.wo])
        self.gated = hasattr(dense, "wi_0")
        self.wi = _side_by_side([dense.wi_0, dense.wi_1] if self.gated else [dense.wi])

    def feed_forward(self, hidden: Tensor) -> Tensor:
        """`[B, d]` -> `[B, d]`, with a gate (T5 1.1, FLAN-T5; Shazeer 2020) or without."""
        inner = self.wi(hidden)
        if self.gated:
            gate, linear = inner.chunk(2, -1)
            return self.wo(self.act(gate) * linear)
        return self.wo(self.act(inner))


def _side_by_side(modules: Sequence[nn.Module]) -> Callable[[Tensor], Tensor]:
    """Several linear layers of one input as one function, which returns their outputs side by side."""
    weights = [_weight(module) for module in modules]
    if any(weight is None for weight in weights):
        return lambda x: torch.cat([module(x) for module in modules], -1)
    weight = weights[0] if len(weights) == 1 else torch.cat(weights)
    return lambda x: F.linear(x, weight)


def _weight(module: nn.Module) -> Tensor | None:
    """The layer's weight with its active adapters added; None where that cannot be had without loss.

    (A half precision would round the adapter away; a quantised layer has no such weight.)
    """
    if type(module) is nn.Linear and module.bias is None:
        return module.weight
    if type(module) is not LoraLinear or _weight(module.base_layer) is None or module.lora_variant:
        return None
    weight = module.base_layer.weight
    if module.merged or module.disable_adapters:
        return weight
    if weight.dtype not in (torch.float32, torch.float64):
        return None
    for name in module.active_adapters:
        if name in module.lora_A:
            if module.lora_B[name].bias is not None:
                return None
            weight = weight + module.scaling[name] * (module.lora_B[name].weight @ module.lora_A[name].weight)
    return weight


def _rms_norm(module: nn.Module, hidden: Tensor) -> Tensor:
    """Root mean square normalisation (Zhang and Sennrich 2019): T5's layer norm in one call."""
    return F.rms_norm(hidden, hidden.shape[-1:], module.weight, module.variance_epsilon)
