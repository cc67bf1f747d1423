"""LoRA layers that add their update in one product."""

from __future__ import annotations

import functools
from typing import Any

import torch
from peft import PeftModel
from peft.tuners.lora import Linear as LoraLinear
from torch import Tensor, nn

from labhelpers.policy.fast import plain


def fused_adapters(model: PeftModel) -> PeftModel:
    """Makes plain LoRA layers add their update in one product, in the precision of the layer; returns the model.

    peft computes in the adapter's precision, which is float32 beside a bfloat16 layer: it converts the whole input, and
    adds in steps that autograd keeps. The adapter's weights, their gradients and their updates stay in float32. With
    `LABHELPERS_PLAIN=1` peft's own layers stay.
    """
    if plain():
        return model
    for module in model.modules():
        if type(module) is LoraLinear and not module.lora_variant:
            module.forward = functools.partial(_with_low_rank, module)
    return model


def _with_low_rank(module: LoraLinear, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """W x + s · B (A x), `[…, in]` -> `[…, out]`; anything else is left to peft's own layer."""
    names = [name for name in module.active_adapters if name in module.lora_A]
    if kwargs or args or module.merged or module.disable_adapters or len(names) != 1:
        return LoraLinear.forward(module, x, *args, **kwargs)
    (name,) = names
    up, down = module.lora_B[name], module.lora_A[name].weight
    if up.bias is not None:
        return LoraLinear.forward(module, x)
    result = module.base_layer(x)
    inner = nn.functional.linear(module.lora_dropout[name](x), down.to(x.dtype)).flatten(0, -2)  # [N, r]
    up = up.weight.to(x.dtype).T
    return torch.addmm(result.flatten(0, -2), inner, up, alpha=module.scaling[name]).view_as(result)
