"""How likely the chosen tokens are: log p(a) = logit_a - logsumexp(logits), gathered before any softmax."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from labhelpers.policy.fast import plain
from labhelpers.policy.fast.logprobs import ChosenLogprobs


def token_logprobs(logits: Float[Tensor, "N V"], tokens: Int[Tensor, " N"]) -> Float[Tensor, " N"]:
    """log p(token)."""
    return logits.gather(-1, tokens[:, None]).squeeze(-1) - logits.logsumexp(-1)


def chosen_logprobs(head: nn.Module, hidden: Float[Tensor, "N d"], tokens: Int[Tensor, " N"]) -> Float[Tensor, " N"]:
    """log p(token) from hidden states, in float32 or better.

    With a frozen output layer without a bias, only a few hundred rows of the `[N, V]` logits exist at a time, forward
    and backward. Any other output layer (a bias, an adapter of its own) is applied as it is, and every one is with
    `LABHELPERS_PLAIN=1`.
    """
    if type(head) is nn.Linear and head.bias is None and not head.weight.requires_grad and not plain():
        return ChosenLogprobs.apply(hidden, head.weight, tokens)
    logits = head(hidden)
    return token_logprobs(logits if logits.dtype == torch.float64 else logits.float(), tokens)
