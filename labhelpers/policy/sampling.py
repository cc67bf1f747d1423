"""Sampling that depends on counters, not on a hidden generator.

The random number for one token is a hash of `(seed, step, row, position)`. A batch split differently, run on another
machine or resumed after a crash therefore draws the same numbers, and "before" and "after" can be sampled with *the
same* numbers, which is what makes their comparison a paired one.

The idea is that of counter-based generators (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"); the
mixing function is SplitMix64's finaliser (Steele et al. 2014).
"""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor

from labhelpers.errors import TrainingError
from labhelpers.validation import STRICT, CountOrZero, Positive, checked

# SplitMix64's constants as signed 64-bit integers, the only kind torch multiplies with wrap-around.
_GOLDEN = 0x9E3779B97F4A7C15 - (1 << 64)
_MIX_1 = 0xBF58476D1CE4E5B9 - (1 << 64)
_MIX_2 = 0x94D049BB133111EB - (1 << 64)


def _shift(x: Tensor, bits: int) -> Tensor:
    """Logical right shift: torch's `>>` copies the sign bit, so mask it away."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def _mix(x: Tensor) -> Tensor:
    x = x + _GOLDEN
    x = (x ^ _shift(x, 30)) * _MIX_1
    x = (x ^ _shift(x, 27)) * _MIX_2
    return x ^ _shift(x, 31)


@checked(TrainingError)
@dataclass(frozen=True, kw_only=True, config=STRICT)
class Sampling:
    """How a token is chosen from the policy's distribution; the default takes that distribution as it is.

    `temperature`, `top_k` and `top_p` as in `filter_logits`. `min_length` forbids end-of-sequence before that many
    tokens. `do_sample=False` takes the likeliest of the remaining tokens. Raises TrainingError, naming the option,
    for a value out of range.
    """

    do_sample: bool = True
    temperature: Positive = 1.0
    top_k: CountOrZero = 0
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    min_length: CountOrZero = 0

    @property
    def is_filtered(self) -> bool:
        """Whether tokens are chosen from another distribution than the policy's own."""
        return self.temperature != 1.0 or self.top_k > 0 or self.top_p < 1.0 or self.min_length > 0

    def filtered(self, logits: Tensor, position: int, ends: Tensor) -> Tensor:
        """The logits that the response's token number `position` (from 0) is chosen by: `[B, V]` -> `[B, V]`.

        `ends` are the ids that end a response.
        """
        if position < self.min_length:
            logits = logits.index_fill(-1, ends, float("-inf"))
        return filter_logits(logits, self.temperature, self.top_k, self.top_p)


POLICY_ITSELF = Sampling()
GREEDY = Sampling(do_sample=False)
_LENGTHS = torch.tensor([-2])  # the place of a response's limit; its tokens have the places 0, 1, …, a shuffle has -1


class LengthSampler:
    """A random limit on the new tokens of every response, as in the PPO lab: shortest <= limit < longest, or always
    `shortest` when the two are equal.

    The limits depend on the seed, the step and the row alone, so that a resumed training draws the same ones. Raises
    TrainingError unless 1 <= `shortest` <= `longest`.
    """

    def __init__(self, shortest: int, longest: int, seed: int = 0):
        if not 1 <= shortest <= longest:
            raise TrainingError(
                f"no limit lies between {shortest} and {longest}: give LengthSampler whole numbers with "
                "1 <= shortest <= longest."
            )
        self.shortest, self.longest, self.seed = shortest, longest, seed

    def __call__(self, n: int, step: int = 0) -> list[int]:
        """The limits of `n` responses at this step, for `generate(…, max_new_tokens=…)`."""
        drawn = uniforms(self.seed, step, torch.arange(n), _LENGTHS)[:, 0]
        return (self.shortest + (drawn * (self.longest - self.shortest)).long()).tolist()


def uniforms(seed: int, step: int, rows: Tensor, positions: Tensor) -> Tensor:
    """Uniform numbers in [0, 1), one per row and position: `rows[B]`, `positions[T]` -> float64 `[B, T]`.

    `seed` and `step` are any integers that fit in 64 bits; `rows` identifies a prompt in the *whole* batch, so that the
    result does not depend on how the batch was split.
    """
    key = _mix(_mix(torch.tensor(int(seed), dtype=torch.int64)) ^ torch.tensor(int(step), dtype=torch.int64))
    per_row = _mix(key ^ rows.to("cpu", torch.int64))
    bits = _mix(per_row[:, None] ^ positions.to("cpu", torch.int64)[None, :])
    return _shift(bits, 11).to(torch.float64) * 2.0**-53


def permutation(seed: int, step: int, n: int) -> Tensor:
    """A shuffled `0 … n-1` (int64 `[n]`) that depends on `(seed, step)` alone."""
    return torch.argsort(uniforms(seed, step, torch.arange(n), torch.tensor([-1]))[:, 0], stable=True)


def filter_logits(logits: Tensor, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0) -> Tensor:
    """The logits of the distribution that is sampled from: `logits[B, V]` -> `[B, V]`, excluded tokens at -inf.

    `temperature` divides the logits; `top_k` keeps the k likeliest tokens (0 keeps all); `top_p` keeps the smallest set
    of tokens whose probability reaches p (1 keeps all; Holtzman et al. 2020). The PPO lab's `evaluate_toxicity`
    passes `tok_k=0.0`, a misspelling that leaves transformers' default of 50 in force (section 2.3); here nothing is
    cut unless it is asked for.
    """
    if temperature != 1.0:
        logits = logits / temperature
    if top_k and top_k < logits.shape[-1]:
        kth = logits.topk(int(top_k), dim=-1).values[..., -1:]
        logits = logits.masked_fill(logits < kth, float("-inf"))
    if top_p < 1.0:
        ordered, order = logits.sort(dim=-1, descending=True, stable=True)
        probabilities = ordered.softmax(-1)
        # A token stays if what comes *before* it has not reached p yet: the likeliest one always stays.
        drop = probabilities.cumsum(-1) - probabilities >= top_p
        logits = logits.masked_fill(drop.scatter(-1, order, drop), float("-inf"))
    return logits


def sample_tokens(logits: Tensor, uniform: Tensor) -> Tensor:
    """Draws one token per row by inverting the cumulative distribution: `logits[B, V]`, `uniform[B]` -> int64 `[B]`."""
    cumulative = logits.softmax(-1).cumsum(-1)
    total = cumulative[:, -1:]
    target = uniform.to(cumulative)[:, None] * total
    token = torch.searchsorted(cumulative, target, right=True)
    if bool((target >= total).any()):
        # By rounding, a target may lie behind the last token: then take the last token with a probability.
        token = torch.minimum(token, (cumulative < total).sum(-1, keepdim=True))
    return token.squeeze(-1)
