"""Log-probabilities of chosen tokens; only a few hundred rows of the `[N, V]` logits exist at a time."""

from __future__ import annotations

import torch
from torch import Tensor


class ChosenLogprobs(torch.autograd.Function):
    """The gradient d log p(a) / d hidden = W[a] - softmax(logits) W needs nothing from later layers.

    So the forward pass computes it while the logits exist, and backward only scales it.
    """

    @staticmethod
    def forward(ctx, hidden: Tensor, weight: Tensor, tokens: Tensor, rows: int = 256) -> Tensor:
        n, wants_slope = len(tokens), ctx.needs_input_grad[0]
        wide = torch.float64 if weight.dtype == torch.float64 else torch.float32
        # The largest tensors, allocated once: the product and, for half precisions, its float32 copy.
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
