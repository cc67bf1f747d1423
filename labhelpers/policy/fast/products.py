"""Linear layers and their adapters as one matrix product for a few rows."""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from peft.tuners.lora import Linear as LoraLinear
from torch import Tensor, nn

from labhelpers.policy.fast import plain


def side_by_side(modules: Sequence[nn.Module], rows: int) -> Callable[[Tensor], Tensor]:
    """Several linear layers of one input as one function of `rows` rows, which returns their outputs side by side.

    Active adapters are added to the weights. A half precision would round them away there: they are added to the
    result. Layers that are not plain linear ones are called one by one, and so are all with `LABHELPERS_PLAIN=1`.
    """
    parts = [_weight_and_adapters(module) for module in modules]
    if plain() or any(part is None for part in parts):
        return lambda x: torch.cat([module(x) for module in modules], -1)
    weights, adapters = zip(*parts, strict=True)
    if weights[0].dtype in (torch.float32, torch.float64):
        sums = [sum((b @ a for a, b in low_rank), weight) for weight, low_rank in parts]
        return _product(sums[0] if len(sums) == 1 else torch.cat(sums), rows)
    if not any(adapters):
        return _product(weights[0] if len(weights) == 1 else torch.cat(weights), rows)
    # One product more for all adapters: the rows of their A matrices stand below those of the weights.
    down = [a.to(weights[0].dtype) for low_rank in adapters for a, _ in low_rank]
    ups = [torch.cat([b for _, b in pairs], 1) if pairs else w.new_zeros(len(w), 0) for w, pairs in parts]
    up = torch.block_diag(*ups).to(weights[0].dtype).T.contiguous()  # [all ranks, all outputs]
    product, outputs = _product(torch.cat([*weights, *down]), rows), up.shape[1]

    def with_adapters(x: Tensor) -> Tensor:
        result = product(x)
        return torch.addmm(result[:, :outputs], result[:, outputs:], up)

    return with_adapters


def _product(weight: Tensor, rows: int) -> Callable[[Tensor], Tensor]:
    """`x[rows, in] -> x @ weight.T`; on a CPU with the weight in the order in which oneDNN reads it fastest.

    For a few rows, reading the weight is what takes the time: this is two to five times faster in float32.
    """
    if not _is_packable(weight):
        return lambda x: F.linear(x, weight)
    packed = torch.ops.mkldnn._reorder_linear_weight(weight.detach(), rows)
    return lambda x: torch.ops.mkldnn._linear_pointwise(x, packed, None, "none", [], "")


def _is_packable(weight: Tensor) -> bool:
    if (
        weight.device.type != "cpu"
        or platform.machine() not in ("x86_64", "AMD64")
        or not torch.backends.mkldnn.is_available()
    ):
        return False
    if weight.dtype == torch.bfloat16:
        return torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return weight.dtype == torch.float32


def _weight_and_adapters(module: nn.Module) -> tuple[Tensor, list[tuple[Tensor, Tensor]]] | None:
    """A linear layer's weight and its active adapters as pairs (down `[r, in]`, scaled up `[out, r]`); None for any
    other layer, a quantised one for instance, which has no such weight."""
    if type(module) is nn.Linear and module.bias is None:
        return module.weight, []
    if type(module) is not LoraLinear or module.lora_variant:
        return None
    base = _weight_and_adapters(module.base_layer)
    if base is None or module.merged or module.disable_adapters:
        return base
    names = [name for name in module.active_adapters if name in module.lora_A]
    if any(module.lora_B[name].bias is not None for name in names):
        return None
    pairs = [(module.lora_A[name].weight, module.scaling[name] * module.lora_B[name].weight) for name in names]
    return base[0], pairs
