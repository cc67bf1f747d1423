"""How likely the chosen tokens are: log p(a) = logit_a - logsumexp(logits), gathered before any softmax."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def token_logprobs(logits: Tensor, tokens: Tensor) -> Tensor:
    """log p(token): `logits[N, V]`, `tokens[N]` -> `[N]`."""
    return logits.gather(-1, tokens[:, None]).squeeze(-1) - logits.logsumexp(-1)


def chosen_logprobs(head: nn.Module, hidden: Tensor, tokens: Tensor) -> Tensor:
    """log p(token) from hidden states: `hidden[N, d]`, `tokens[N]` -> `[N]`, in float32 or better.

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
        chosen, slopes = [], []
        for h, a in zip(hidden.split(rows), tokens.split(rows), strict=True):
            logits = h @ weight.T
            logits = logits if logits.dtype == torch.float64 else logits.float()
            taken, largest = logits.gather(-1, a[:, None]), logits.amax(-1, keepdim=True)
            weights = logits.sub_(largest).exp_()  # in place: these are the largest tensors of all
            total = weights.sum(-1, keepdim=True)
            chosen.append((taken - largest - total.log()).squeeze(-1))
            if ctx.needs_input_grad[0]:
                slopes.append(weight[a] - (weights.div_(total)).to(weight.dtype) @ weight)
        if ctx.needs_input_grad[0]:
            ctx.save_for_backward(torch.cat(slopes))
        return torch.cat(chosen)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        (slopes,) = ctx.saved_tensors
        return gradient[:, None].to(slopes.dtype) * slopes, None, None, None
