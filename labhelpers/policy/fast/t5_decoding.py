"""T5's decoder for one token per row."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedModel

from labhelpers.policy.fast.products import side_by_side

_GROWTH = 64  # tokens


class T5Decoding:
    """T5's decoder (Raffel et al. 2020) for one token per row. Everything that stays the same is prepared once.

    Keys and values grow by `_GROWTH` tokens at a time; the relative position bias is one table; projections of the same
    input are one matrix product, adapters added in. The numbers are those of the model's own
    forward pass but for rounding, which a test checks.
    """

    def __init__(
        self, base: PreTrainedModel, logits: Callable[[Tensor], Tensor], encoded: Tensor, query_mask: Tensor, room: int
    ):
        decoder, self.logits = base.get_decoder(), logits
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
        self.qkv = side_by_side([attention.q, attention.k, attention.v], n)
        self.output = side_by_side([attention.o], n)
        self.cross_query = side_by_side([cross_attention.q], n)
        self.cross_output = side_by_side([cross_attention.o], n)
        size = attention.key_value_proj_dim
        self.keys, self.values = (encoded.new_empty(n, heads, 0, size) for _ in range(2))
        keys, values = (
            projection(encoded).view(n, -1, heads, size).transpose(1, 2)
            for projection in (cross_attention.k, cross_attention.v)
        )
        self.cross_keys, self.cross_values = _ordered(keys.mT), _ordered(values)
        self.gated = hasattr(dense, "wi_0")
        self.wi = side_by_side([dense.wi_0, dense.wi_1] if self.gated else [dense.wi], n)
        self.act, self.wo = dense.act, side_by_side([dense.wo], n)

    def grow(self, rows: int) -> None:
        """Makes room for `_GROWTH` more tokens of the first `rows` rows, filled with zeros.

        The tensors stay dense, because a product would copy a slice of a larger tensor every time.
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

    Plain products are faster than the fused kernel, which is made for many tokens.
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
