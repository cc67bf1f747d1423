"""How likely the chosen tokens are: log p(a) = logit_a - logsumexp(logits), gathered before any softmax."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


def token_logprobs(logits: Float[Tensor, "N V"], tokens: Int[Tensor, " N"]) -> Float[Tensor, " N"]:
    """log p(token)."""
    return logits.gather(-1, tokens[:, None]).squeeze(-1) - logits.logsumexp(-1)


def chosen_logprobs(head: nn.Module, hidden: Float[Tensor, "N d"], tokens: Int[Tensor, " N"]) -> Float[Tensor, " N"]:
    """log p(token) from hidden states, in float32 or better.

    With a plain frozen output layer no `[N, V]` tensor outlives a few hundred rows, forward or backward; any other
    output layer (a bias, an adapter of its own) is applied as it is.
    """
    if type(head) is nn.Linear and head.bias is None and not head.weight.requires_grad:
        return _ChosenLogprobs.apply(hidden, head.weight, tokens)
    logits = head(hidden)
    return token_logprobs(logits if logits.dtype == torch.float64 else logits.float(), tokens)


class _ChosenLogprobs(torch.autograd.Function):
    """d log p(a) / d hidden = W[a] - softmax(logits) W depends on nothing that comes later, so it is computed in the
    forward pass, while the logits are there; backward only scales it."""

    @staticmethod
    def forward(ctx, hidden: Tensor, weight: Tensor, tokens: Tensor, rows: int = 256) -> Tensor:
        n, wants_slope = len(tokens), ctx.needs_input_grad[0]
        wide = torch.float64 if weight.dtype == torch.float64 else torch.float32
        # The largest tensors of all, so they are made once: the product, and where it is narrower, its float32 copy.
        products = weight.new_empty(min(rows, n), len(weight))
        logits = products if products.dtype == wide else torch.empty_like(products, dtype=wide)
        chosen = hidden.new_empty(n, dtype=wide)
        slopes = torch.empty_like(hidden) if wants_slope else None
        for first in range(0, n, rows):
            part = slice(first, min(first + rows, n))
            a, product, logit = tokens[part], products[: n - first], logits[: n - first]
            torch.mm(hidden[part], weight.T, out=product)
            if logits is not products:
                logit.copy_(product)
            taken, largest = logit.gather(-1, a[:, None]), logit.amax(-1, keepdim=True)
            weights = logit.sub_(largest).exp_()
            total = weights.sum(-1, keepdim=True)
            chosen[part] = (taken - largest - total.log()).squeeze(-1)
            if wants_slope:
                narrow = weights if logits is products else product.copy_(weights)
                slopes[part] = weight[a] - (narrow @ weight).div_(total)
        if wants_slope:
            ctx.save_for_backward(slopes)
        return chosen

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        (slopes,) = ctx.saved_tensors
        return gradient[:, None].to(slopes.dtype) * slopes, None, None, None
