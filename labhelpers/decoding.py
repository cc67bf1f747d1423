"""Decoding one token at a time: what a policy remembers between two tokens, and the step that appends one.

    hidden, state = start(policy, queries, query_mask, room=max_new_tokens)
    logits = state.logits(hidden)      # [B, d] -> [B, V]
    hidden = state.advance(tokens)     # [B] -> [B, d]: the hidden state that predicts the next token
    rows = state.keep(goes_on)         # rows that have ended cost nothing more; the order of those that are left

Any model is decoded through transformers' cache (`CacheDecoding`). T5's decoder has a step of its own (`T5Decoding`):
for one token, most of the time of the general one goes into everything but the model.
"""

from __future__ import annotations

import functools
import platform
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


def start(
    policy: Policy, queries: Tensor, query_mask: Tensor, room: int, encoded: Tensor | None = None
) -> tuple[Tensor, CacheDecoding | T5Decoding]:
    """Reads the queries: `[B, Q]` -> the hidden state `[B, d]` that predicts the first token, and the state.

    `room` is the largest number of tokens that will be asked for; `encoded` `[B, Q, d]` are the queries' states where
    `Policy.encode` has been called already.
    """
    base = policy.base
    if not policy.is_encoder_decoder:
        state = CacheDecoding(policy, query_mask)
        output = base.get_decoder()(
            input_ids=queries, attention_mask=query_mask, position_ids=positions(query_mask),
            past_key_values=state.cache, use_cache=True,
        )  # fmt: skip
        return output.last_hidden_state[:, -1], state
    if encoded is None:
        encoded = policy.encode(queries, query_mask)
    first = torch.full_like(queries[:, 0], base.config.decoder_start_token_id)
    if type(base) is T5ForConditionalGeneration and base.dtype != torch.float16:  # which needs clamping here and there
        state = T5Decoding(policy, encoded, query_mask, room)
    else:
        state = CacheDecoding(policy, query_mask, encoded)
    return state.advance(first), state


def positions(attention_mask: Tensor) -> Tensor:
    """Position of every token when the padding does not count (`[B, L]`)."""
    return (attention_mask.cumsum(-1) - 1).clamp(min=0)


_GROWTH = 64  # tokens


class CacheDecoding:
    """Decoding with the model's own forward pass and transformers' key-value cache."""

    def __init__(self, policy: Policy, query_mask: Tensor, encoded: Tensor | None = None):
        self.decoder, self.logits = policy.base.get_decoder(), _logits(policy, len(query_mask))
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

    Keys and values grow by `_GROWTH` tokens at a time; the relative position bias is one table; projections of the same
    input are one matrix product, adapters added in. The numbers are those of the model's own
    forward pass but for rounding, which a test checks.
    """

    def __init__(self, policy: Policy, encoded: Tensor, query_mask: Tensor, room: int):
        decoder, self.logits = policy.base.get_decoder(), _logits(policy, len(encoded))
        self.embed, self.final_norm = decoder.embed_tokens, decoder.final_layer_norm
        rows, first = len(encoded), decoder.block[0].layer[0].SelfAttention
        self.heads, self.head_size = first.n_heads, first.key_value_proj_dim
        self.room, self.length = room, 0
        distances = torch.arange(1 - room, 1, device=encoded.device)[None]  # key - query: the farthest key first
        bucket = first._relative_position_bucket(
            distances, bidirectional=False, num_buckets=first.relative_attention_num_buckets,
            max_distance=first.relative_attention_max_distance,
        )  # fmt: skip
        bias = first.relative_attention_bias(bucket).permute(0, 2, 1)[:, :, None]  # [1, H, 1, room]
        lowest = torch.finfo(encoded.dtype).min
        self.bias = F.pad(bias, (0, _GROWTH), value=lowest)  # then the places that no token has taken yet
        self.query_bias = torch.zeros_like(query_mask, dtype=encoded.dtype).masked_fill(query_mask == 0, lowest)
        self.query_bias = self.query_bias[:, None, None]  # [B, 1, 1, Q]
        self.layers = [_T5Layer(block, encoded, self.heads) for block in decoder.block]
        self.rows = rows

    def advance(self, tokens: Tensor) -> Tensor:
        """Appends one token per row (`[B]`) and returns the hidden state `[B, d]` that predicts the next."""
        n, heads, size, t = self.rows, self.heads, self.head_size, self.length
        if t % _GROWTH == 0:
            for layer in self.layers:
                layer.grow(n)
        bias = self.bias[..., self.room - 1 - t :][..., : t - t % _GROWTH + _GROWTH]
        hidden = self.embed(tokens)
        for layer in self.layers:
            query, key, value = layer.qkv(layer.norm(hidden)).view(n, 3, heads, size).unbind(1)
            layer.keys[:n, :, t], layer.values[:n, :, t] = key, value
            seen = _attend(query[:, :, None], layer.keys[:n].mT, layer.values[:n], bias)
            hidden = hidden + layer.output(seen.reshape(n, heads * size))
            query = layer.cross_query(layer.cross_norm(hidden)).view(n, heads, 1, size)
            seen = _attend(query, layer.cross_keys[:n], layer.cross_values[:n], self.query_bias[:n])
            hidden = hidden + layer.cross_output(seen.reshape(n, heads * size))
            hidden = hidden + layer.feed_forward(layer.last_norm(hidden))
        self.length += 1
        return self.final_norm(hidden)

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
            for kept in (layer.keys, layer.values, layer.cross_keys, layer.cross_values):
                kept[gaps] = kept[moved]
        self.rows = left
        return order[:left]


class _T5Layer:
    """One block's projections as functions, its norms, its keys and values (`[B, H, t, d]`), and those of the query,
    which stay as they are (`[B, H, d, Q]` and `[B, H, Q, d]`, `_ordered`)."""

    def __init__(self, block: nn.Module, encoded: Tensor, heads: int):
        (own, cross, last), n = block.layer, len(encoded)
        attention, cross_attention, dense = own.SelfAttention, cross.EncDecAttention, last.DenseReluDense
        self.norm, self.cross_norm, self.last_norm = own.layer_norm, cross.layer_norm, last.layer_norm
        self.qkv = _side_by_side([attention.q, attention.k, attention.v], n)
        self.output = _side_by_side([attention.o], n)
        self.cross_query = _side_by_side([cross_attention.q], n)
        self.cross_output = _side_by_side([cross_attention.o], n)
        size = attention.key_value_proj_dim
        self.keys, self.values = (encoded.new_empty(n, heads, 0, size) for _ in range(2))
        keys, values = (
            projection(encoded).view(n, -1, heads, size).transpose(1, 2)
            for projection in (cross_attention.k, cross_attention.v)
        )
        self.cross_keys, self.cross_values = _ordered(keys.mT), _ordered(values)
        self.gated = hasattr(dense, "wi_0")
        self.wi = _side_by_side([dense.wi_0, dense.wi_1] if self.gated else [dense.wi], n)
        self.act, self.wo = dense.act, _side_by_side([dense.wo], n)

    def grow(self, rows: int) -> None:
        """Makes room for `_GROWTH` more tokens of the first `rows` rows, with zeros in it.

        Products want dense tensors: they copy a slice of a larger one, every time.
        """
        room = self.keys.new_zeros(rows, self.keys.shape[1], _GROWTH, self.keys.shape[3])
        self.keys, self.values = (torch.cat([kept[:rows], room], 2) for kept in (self.keys, self.values))

    def feed_forward(self, hidden: Tensor) -> Tensor:
        """`[B, d]` -> `[B, d]`, with a gate (T5 1.1, FLAN-T5; Shazeer 2020) or without."""
        inner = self.wi(hidden)
        if self.gated:
            gate, linear = inner.chunk(2, -1)
            return self.wo(self.act(gate) * linear)
        return self.wo(self.act(inner))


def _attend(query: Tensor, keys: Tensor, values: Tensor, bias: Tensor) -> Tensor:
    """Attention of one token, `[B, H, 1, d]`, to keys `[B, H, d, t]` and values `[B, H, t, d]`.

    Plain products beat the fused kernel, which is made for many tokens.
    """
    weights = (_row_times(query, keys) + bias).softmax(-1, dtype=torch.promote_types(query.dtype, torch.float32))
    return _row_times(weights.to(values.dtype), values)


def _ordered(matrix: Tensor) -> Tensor:
    """`[…, k, n]` in the memory order in which `_row_times` reads it fastest: half precisions column by column."""
    return matrix.mT.contiguous().mT if matrix.dtype.itemsize == 2 else matrix.contiguous()


def _row_times(row: Tensor, matrix: Tensor) -> Tensor:
    """`[…, 1, k]` times `[…, k, n]` -> `[…, 1, n]`."""
    if row.dtype.itemsize == 2 and not matrix.is_contiguous():
        return (matrix.mT @ row.mT).mT
    return row @ matrix


def _logits(policy: Policy, rows: int) -> Callable[[Tensor], Tensor]:
    return functools.partial(policy.logits, head=_side_by_side([policy.base.get_output_embeddings()], rows))


def _side_by_side(modules: Sequence[nn.Module], rows: int) -> Callable[[Tensor], Tensor]:
    """Several linear layers of one input as one function of `rows` rows, which returns their outputs side by side.

    Active adapters are added to the weights, or in a half precision, which would round them away, to the result.
    """
    parts = [_weight_and_adapters(module) for module in modules]
    if any(part is None for part in parts):
        return lambda x: torch.cat([module(x) for module in modules], -1)
    weights, adapters = zip(*parts, strict=True)
    if weights[0].dtype in (torch.float32, torch.float64):
        sums = [sum((b @ a for a, b in low_rank), weight) for weight, low_rank in parts]
        return _product(sums[0] if len(sums) == 1 else torch.cat(sums), rows)
    if not any(adapters):
        return _product(weights[0] if len(weights) == 1 else torch.cat(weights), rows)
    # One product more for all adapters: the rows of their A matrices stand below those of the weights.
    down = [a.to(weights[0].dtype) for low_rank in adapters for a, _ in low_rank]
    ups = [torch.cat([b for _, b in pairs], 1) if pairs else w.new_zeros(len(w), 0) for w, pairs in parts]
    up = torch.block_diag(*ups).to(weights[0].dtype).T.contiguous()  # [all ranks, all outputs]
    product, outputs = _product(torch.cat([*weights, *down]), rows), up.shape[1]

    def with_adapters(x: Tensor) -> Tensor:
        result = product(x)
        return torch.addmm(result[:, :outputs], result[:, outputs:], up)

    return with_adapters


def _product(weight: Tensor, rows: int) -> Callable[[Tensor], Tensor]:
    """`x[rows, in] -> x @ weight.T`; on a CPU with the weight in the order in which oneDNN reads it fastest.

    For a few rows, reading the weight is what takes the time: this is two to five times faster in float32.
    """
    if not _is_packable(weight):
        return lambda x: F.linear(x, weight)
    packed = torch.ops.mkldnn._reorder_linear_weight(weight.detach(), rows)
    return lambda x: torch.ops.mkldnn._linear_pointwise(x, packed, None, "none", [], "")


def _is_packable(weight: Tensor) -> bool:
    if (
        weight.device.type != "cpu"
        or platform.machine() not in ("x86_64", "AMD64")
        or not torch.backends.mkldnn.is_available()
    ):
        return False
    if weight.dtype == torch.bfloat16:
        return torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return weight.dtype == torch.float32


def _weight_and_adapters(module: nn.Module) -> tuple[Tensor, list[tuple[Tensor, Tensor]]] | None:
    """A linear layer's weight and its active adapters as pairs (down `[r, in]`, scaled up `[out, r]`); None for any
    other layer, a quantised one for instance, which has no such weight."""
    if type(module) is nn.Linear and module.bias is None:
        return module.weight, []
    if type(module) is not LoraLinear or module.lora_variant:
        return None
    base = _weight_and_adapters(module.base_layer)
    if base is None or module.merged or module.disable_adapters:
        return base
    names = [name for name in module.active_adapters if name in module.lora_A]
    if any(module.lora_B[name].bias is not None for name in names):
        return None
    pairs = [(module.lora_A[name].weight, module.scaling[name] * module.lora_B[name].weight) for name in names]
    return base[0], pairs
