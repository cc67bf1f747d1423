"""A key-value cache that does not copy itself for every token, as transformers' DynamicLayer does (it concatenates)."""

from __future__ import annotations

from torch import Tensor
from transformers import PretrainedConfig
from transformers.cache_utils import DynamicCache, DynamicLayer

from labhelpers.policy.fast import plain


class GrowingLayer(DynamicLayer):
    """`keys` and `values` `[B, H, t, d]` are views of buffers with room for more tokens.

    A token is written in place; a full buffer is copied into one that is 1.5 times as large, so that t tokens cost
    O(t).
    """

    def update(self, key_states: Tensor, value_states: Tensor, *args, **kwargs) -> tuple[Tensor, Tensor]:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self.buffers = [key_states.contiguous(), value_states.contiguous()]  # exactly full: cross-attention stays
            self.keys, self.values = self.buffers
            return self.keys, self.values
        old, new = self.keys.shape[-2], self.keys.shape[-2] + key_states.shape[-2]
        if new > self.buffers[0].shape[-2]:
            room = new + max(64, new // 2)
            self.buffers = [_larger(filled, room) for filled in (self.keys, self.values)]
        for buffer, states in zip(self.buffers, (key_states, value_states), strict=True):
            buffer[:, :, old:new] = states
        self.keys, self.values = (buffer[:, :, :new] for buffer in self.buffers)
        return self.keys, self.values

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keeps the given rows, and their room for more tokens."""
        if self.is_initialized:
            length = self.keys.shape[-2]
            self.buffers = [buffer[indices] for buffer in self.buffers]
            self.keys, self.values = (buffer[:, :, :length] for buffer in self.buffers)


def _larger(filled: Tensor, room: int) -> Tensor:
    larger = filled.new_empty(*filled.shape[:2], room, filled.shape[-1])
    larger[:, :, : filled.shape[-2]] = filled
    return larger


def growing_cache(config: PretrainedConfig) -> DynamicCache:
    """A cache made of growing layers, `[B, H, t, d]` keys and values each.

    It is transformers' own where a model of this `config` keeps something else (the last tokens of a window, a
    recurrent state), and with `LABHELPERS_PLAIN=1`.
    """
    cache = DynamicCache(config=config)
    if plain() or any(type(layer) is not DynamicLayer for layer in cache.layers):
        return cache
    growing = DynamicCache()
    growing.layer_class_to_replicate = GrowingLayer
    return growing
