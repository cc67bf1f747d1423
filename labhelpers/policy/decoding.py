"""Decoding one token at a time: the state that a policy keeps between two tokens, and the step that appends a token.

    hidden, state = start(policy, queries, query_mask, room=max_new_tokens)
    logits = state.logits(hidden)      # [B, d] -> [B, V]
    hidden = state.advance(tokens)     # [B] -> [B, d]: the hidden state that predicts the next token
    rows = state.keep(goes_on)         # drops rows that have ended; returns the places of the others

Any model can be decoded with transformers' cache (`CacheDecoding`). T5 has its own step (`T5Decoding`), because for a
single token the general step spends most of its time outside the model.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
from torch import Tensor
from transformers import T5ForConditionalGeneration
from transformers.cache_utils import DynamicCache, EncoderDecoderCache

from labhelpers.policy.fast import plain
from labhelpers.policy.fast.cache import growing_cache
from labhelpers.policy.fast.products import side_by_side
from labhelpers.policy.fast.t5_decoding import T5Decoding
from labhelpers.policy.model import Policy


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
            input_ids=queries, attention_mask=query_mask, past_key_values=state.cache, use_cache=True,
            **policy.position_ids(query_mask),
        )  # fmt: skip
        return output.last_hidden_state[:, -1], state
    if encoded is None:
        encoded = policy.encode(queries, query_mask)
    first = torch.full_like(queries[:, 0], policy.start_token)
    known = type(base) is T5ForConditionalGeneration and base.dtype != torch.float16  # T5 clamps float16
    if known and not plain():
        state = T5Decoding(base, _logits(policy, len(encoded)), encoded, query_mask, room)
    else:
        state = CacheDecoding(policy, query_mask, encoded)
    return state.advance(first), state


class CacheDecoding:
    """Decoding with the model's own forward pass and transformers' key-value cache."""

    def __init__(self, policy: Policy, query_mask: Tensor, encoded: Tensor | None = None):
        self.policy, self.decoder = policy, policy.base.get_decoder()
        self.logits = _logits(policy, len(query_mask))
        self.mask, self.encoded = query_mask, encoded  # [B, Q], decoder-only: grows with every token; [B, Q, d]
        own = growing_cache(policy.base.config.get_text_config(decoder=True))
        self.caches = [own] if encoded is None else [own, DynamicCache()]
        self.cache = own if encoded is None else EncoderDecoderCache(*self.caches)

    def advance(self, tokens: Tensor) -> Tensor:
        """Appends one token per row (`[B]`) and returns the hidden state `[B, d]` that predicts the next."""
        if self.encoded is not None:
            extra = {"encoder_hidden_states": self.encoded, "encoder_attention_mask": self.mask}
        else:
            self.mask = torch.cat([self.mask, torch.ones_like(self.mask[:, :1])], 1)
            extra = {name: ids[:, -1:] for name, ids in self.policy.position_ids(self.mask).items()}
            extra["attention_mask"] = self.mask
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


def _logits(policy: Policy, rows: int) -> Callable[[Tensor], Tensor]:
    if not policy.plain_head:
        return policy.logits
    return functools.partial(policy.logits, head=side_by_side([policy.base.get_output_embeddings()], rows))
