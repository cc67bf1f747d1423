"""A base model in 8 or 4 bits (the extra `quantised`, bitsandbytes): for policies that would not fit otherwise.

LLM.int8 (Dettmers et al. 2022) and NF4 (Dettmers et al. 2023, QLoRA) round the frozen weights; adapters, value head and
losses keep their precision. Policy and reference share the rounded weights, so KL still starts at 0.
"""

from __future__ import annotations

import torch
from torch import nn
from transformers import PreTrainedModel

from labhelpers.errors import ModelError

KINDS = ("8bit", "4bit")


def quantise(model: PreTrainedModel, kind: str) -> PreTrainedModel:
    """Replaces the model's linear layers in place by `kind` ("8bit" or "4bit") ones; the output layer stays, and T5's
    `wo`, which transformers keeps in float32 for its range.

    Adapters that stay frozen must be merged into the model before, and the model must be on its device. Raises
    ModelError for an unknown kind, a float64 model, or without bitsandbytes.
    """
    if kind not in KINDS:
        raise ModelError(f"quantization {kind!r} is unknown; choose {' or '.join(KINDS)}.")
    if model.dtype == torch.float64:
        raise ModelError("a float64 model is not for quantising; choose dtype bfloat16, float16 or float32.")
    try:
        import bitsandbytes
    except ImportError:
        raise ModelError(
            f"quantization={kind!r} needs bitsandbytes, which is not installed: "
            "`pip install -c constraints.txt -e '.[quantised]'`."
        ) from None
    kept = {model.get_output_embeddings(), *(m for name, m in model.named_modules() if name.endswith(".wo"))}
    for parent in list(model.modules()):
        for name, layer in parent.named_children():
            if type(layer) is nn.Linear and layer not in kept:
                setattr(parent, name, _quantised(bitsandbytes.nn, layer, kind))
    setattr(model, f"is_loaded_in_{kind}", True)  # peft reads this
    return model


def _quantised(bnb, layer: nn.Linear, kind: str) -> nn.Module:
    options = {"bias": layer.bias is not None, "device": "meta"}
    if kind == "4bit":
        new = bnb.Linear4bit(
            layer.in_features, layer.out_features, compute_dtype=layer.weight.dtype, quant_type="nf4", **options
        )
        new.support_avx512bf16_for_cpu = False  # weights packed that way on a CPU have no backward pass
        new.weight = bnb.Params4bit(layer.weight.data.cpu(), requires_grad=False, quant_type="nf4", module=new)
    else:
        new = bnb.Linear8bitLt(layer.in_features, layer.out_features, has_fp16_weights=False, threshold=6.0, **options)
        new.weight = bnb.Int8Params(layer.weight.data.cpu(), requires_grad=False, has_fp16_weights=False)
    new.bias = layer.bias
    return new.to(layer.weight.device)  # the move rounds the weights
