"""Two operations of the models, written so that backward keeps little: the RMS norm and GELU.

Transformers writes both as formulas of several steps, and autograd keeps what every step has made. The functions are
the same ones; only their intermediate results are computed again.
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.activations import NewGELUActivation
from transformers.models.llama.modeling_llama import LlamaRMSNorm
from transformers.models.mistral.modeling_mistral import MistralRMSNorm
from transformers.models.qwen2.modeling_qwen2 import Qwen2RMSNorm
from transformers.models.qwen3.modeling_qwen3 import Qwen3RMSNorm
from transformers.models.t5.modeling_t5 import T5LayerNorm

from labhelpers.policy.fast import plain

# The classes that were compared with our formula, one by one. Others have a similar name and another formula
# (Gemma's norm multiplies by 1 + weight). A test compares all of these.
KNOWN_NORMS = (T5LayerNorm, LlamaRMSNorm, MistralRMSNorm, Qwen2RMSNorm, Qwen3RMSNorm)


def fused_operations(model: PreTrainedModel) -> PreTrainedModel:
    """Replaces the RMS norms that are known and GELU by formula (GPT-2's, FLAN-T5's); returns the model.

    The norms compute in the model's own precision, a half one in float32. Transformers casts float64 down to float32,
    which rounds differently as soon as the last bit of the input differs, and that differs between machines: it would
    be the largest source of drift. GELU (Hendrycks and Gimpel 2016, with tanh) becomes torch's. Every other operation
    stays as it is, and all of them with `LABHELPERS_PLAIN=1`.
    """
    if plain():
        return model
    for module in list(model.modules()):
        if type(module) in KNOWN_NORMS:
            module.forward = functools.partial(_normalised, module, epsilon=module.variance_epsilon)
        for name, child in module.named_children():
            if type(child) is NewGELUActivation:
                setattr(module, name, nn.GELU(approximate="tanh"))
    return model


def _normalised(module: nn.Module, hidden: Tensor, epsilon: float) -> Tensor:
    if torch.is_grad_enabled():
        return _RMSNorm.apply(hidden, module.weight, epsilon)
    return _rms_norm(hidden, module.weight, epsilon)[0]  # the same, without what autograd costs for one token


def _rms_norm(x: Tensor, weight: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
    """y = w · x / rms(x) over the last dimension (Zhang and Sennrich 2019), and 1 / rms(x): `[…, d]`, `[…, 1]`."""
    wide = x if x.dtype == torch.float64 else x.float()
    length = torch.linalg.vector_norm(wide, dim=-1, keepdim=True)
    inverse = length.square_().div_(x.shape[-1]).add_(epsilon).rsqrt_()
    return (wide * inverse).to(weight.dtype).mul_(weight), inverse


class _RMSNorm(torch.autograd.Function):
    """`_rms_norm` with a gradient. What is kept for it: x, and one number per token."""

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
        y, inverse = _rms_norm(x, weight, epsilon)
        ctx.save_for_backward(x, weight, inverse)
        return y

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, weight, inverse = ctx.saved_tensors
        wide = x.to(inverse.dtype)
        to_x = to_weight = None
        if ctx.needs_input_grad[1]:
            to_weight = (gradient * wide * inverse).flatten(0, -2).sum(0).to(weight.dtype)
        if ctx.needs_input_grad[0]:
            # With n = x / rms and g = w · gradient: (g - n · mean(g · n)) / rms.
            scaled = (gradient * weight).to(inverse.dtype)
            along = (scaled * wide).mean(-1, keepdim=True).mul_(inverse.square())
            to_x = scaled.addcmul_(wide, along, value=-1).mul_(inverse).to(x.dtype)
        return to_x, to_weight, None
