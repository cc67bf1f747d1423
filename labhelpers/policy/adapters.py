"""LoRA adapters: reading one, merging one into its base, and folding two into one for the bare base.

A LoRA layer adds s·B·A to a weight (Hu et al. 2021, "LoRA: low-rank adaptation of large language models"). Two of them
one after the other add s₁·B₁·A₁ + s₂·B₂·A₂, which is again a LoRA layer: A = [A₁; A₂], B = [s₁·B₁, s₂·B₂] with s = 1.

Only such adapters are accepted: one rank and one scaling, on linear layers inside the model, and an unchanged base.
What else peft can do would be lost in saving, or make the saved policy another one. It is refused before anything is
computed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from peft import LoraConfig, PeftConfig, PeftModel, get_peft_model_state_dict
from peft.tuners.lora import LoraLayer
from peft.tuners.tuners_utils import check_target_module_exists
from peft.utils import load_peft_weights
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from labhelpers.errors import ModelError

ADAPTER_FILE = "adapter_model.safetensors"
_PREFIX = "base_model.model."
_FACTORS = (".lora_A.weight", ".lora_B.weight")

# The options of a config that may have any value: which layers, how large, where it comes from. All other options, also
# those of later versions of peft, must have their default or be empty.
_FREE = {
    "task_type", "peft_type", "auto_mapping", "peft_version", "base_model_name_or_path", "revision", "inference_mode",
    "r", "lora_alpha", "lora_dropout", "target_modules", "exclude_modules", "layers_to_transform", "layers_pattern",
    "fan_in_fan_out", "init_lora_weights",
}  # fmt: skip
_INITS = (True, False, "gaussian")  # the others, for instance PiSSA and OLoRA, first change the base


def read_adapter(folder: str | Path, base: PreTrainedModel) -> dict[str, Any]:
    """The config and tensors of a plain LoRA adapter for `base`: `{"config": LoraConfig, "tensors": {name: Tensor}}`.

    Raises ModelError when the folder holds no adapter or only a pickle (`adapter_model.bin`), when the adapter is of
    another kind than s·B·A with one s for all layers, or when its tensors are not exactly those that `base` takes.
    """
    folder = Path(folder)
    if not (folder / "adapter_config.json").is_file():
        raise ModelError(f"no adapter in {folder}: adapter_config.json is missing.")
    if not (folder / ADAPTER_FILE).is_file():
        raise ModelError(
            f"{folder} holds no {ADAPTER_FILE}. Pickled weights (.bin) can run code and are not loaded; "
            f"`labs convert {folder}` writes them again as safetensors, without running what they hold."
        )
    try:
        config = PeftConfig.from_pretrained(str(folder))
    except (OSError, TypeError, ValueError) as error:
        raise ModelError(f"the adapter_config.json in {folder} cannot be read: {error}") from error
    check_config(config, f"the adapter in {folder}")
    try:
        tensors = load_peft_weights(str(folder), device="cpu")
    except SafetensorError as error:
        raise ModelError(f"{folder / ADAPTER_FILE} is damaged ({error}): copy or download it again.") from error
    _check_tensors(tensors, config, base, f"the adapter in {folder}")
    return {"config": config, "tensors": tensors}


def merge_adapter(base: PreTrainedModel, folder: str | Path) -> tuple[PreTrainedModel, dict[str, Any]]:
    """(`base` with the adapter in `folder` added to its weights, what `read_adapter` read).

    The sum is taken in the base's own dtype, or in float32 if that is a half precision. Raises ModelError when
    `read_adapter` does; `base` is then unchanged.
    """
    adapter = read_adapter(folder, base)
    half = base.dtype if base.dtype in (torch.float16, torch.bfloat16) else None
    if half:
        base = base.float()
    base = PeftModel.from_pretrained(base, str(folder)).merge_and_unload()
    return base.to(half) if half else base, adapter


def check_config(config: PeftConfig, what: str) -> None:
    """Raises ModelError, naming the options at fault, for anything but plain LoRA; `what` begins the message."""
    if type(config) is not LoraConfig:
        raise ModelError(f"{what} is not plain LoRA but {type(config).__name__}: it can't be merged.")
    default = LoraConfig()
    values = {f.name: getattr(config, f.name) for f in dataclasses.fields(config) if f.name not in _FREE}
    other = [name for name, value in values.items() if value and value != getattr(default, name)]
    if config.init_lora_weights not in _INITS:
        other.append("init_lora_weights")
    if other:
        given = ", ".join(f"{name}={getattr(config, name)!r}" for name in other)
        raise ModelError(
            f"{what} is not plain LoRA (one rank and alpha, no bias, a base that stays as it is): it can't be merged "
            f"into one. Leave out {given}, and train again."
        )


def check_trained(model: PeftModel) -> None:
    """Raises ModelError when something in `model` is or can be trained that `fold_adapters` would not save.

    It saves one plain LoRA adapter on linear layers inside the model.
    """
    check_config(model.peft_config[model.active_adapter], "the policy's adapter")
    base = model.get_base_model()
    for name, module in base.named_modules():
        if isinstance(module, LoraLayer):
            _check_layer(base, name, module.get_base_layer(), "the policy's adapter")
    free = [name for name, p in model.named_parameters() if p.requires_grad and not _is_factor(name)]
    if free:
        raise ModelError(
            f"{len(free)} parameters outside the adapter can be trained ({free[0]} is one): a saved adapter would not "
            "hold them. Switch them off with requires_grad_(False)."
        )


def fold_adapters(model: PeftModel, first: dict[str, Any] | None, folder: Path) -> None:
    """Writes `first` (an adapter that was merged into the base) and the model's active adapter as one peft adapter."""
    active: LoraConfig = model.peft_config[model.active_adapter]
    state = get_peft_model_state_dict(model, adapter_name=model.active_adapter)
    second = {name: t.detach().cpu() for name, t in state.items()}
    parts = [(active.lora_alpha / active.r, active.r, second)]
    if first is not None:
        config: LoraConfig = first["config"]
        parts.insert(0, (config.lora_alpha / config.r, config.r, first["tensors"]))
    rank = sum(r for _, r, _ in parts)
    layers = sorted({layer for _, _, tensors in parts for layer in _layers(tensors)})
    folded: dict[str, Tensor] = {}
    for layer in layers:
        a_name, b_name = (_PREFIX + layer + factor for factor in _FACTORS)
        like_a, like_b = next((t[a_name], t[b_name]) for _, _, t in parts if a_name in t)
        dtype = torch.float64 if like_a.dtype == torch.float64 else torch.float32
        # An adapter that leaves this layer alone contributes zeros, so that all layers keep one rank.
        a = [t.get(a_name, torch.zeros(r, like_a.shape[1])).to(dtype) for _, r, t in parts]
        b = [s * t.get(b_name, torch.zeros(like_b.shape[0], r)).to(dtype) for s, r, t in parts]
        folded[a_name], folded[b_name] = torch.cat(a, 0).contiguous(), torch.cat(b, 1).contiguous()
    merged = LoraConfig(
        r=rank,
        lora_alpha=rank,  # scaling 1: the parts' own scalings are in B
        target_modules=layers,  # by full name, because the two adapters may name layers in different ways
        bias="none",
        task_type=active.task_type,
        base_model_name_or_path=None,
        inference_mode=True,
    )
    save_file(folded, folder / ADAPTER_FILE)
    merged.save_pretrained(str(folder))


@contextmanager
def as_saved(model: PeftModel, first: dict[str, Any] | None, folder: Path) -> Iterator[None]:
    """Inside this context `model` computes what its bare base computes with the adapter in `folder`.

    No second model is needed: the weights of the bare base are the merged weights minus `first`. So the output of every
    layer is that of the merged weight, minus the update of `first`, plus the update of the saved adapter, which is read
    from its file again. The active adapter is off.
    """
    saved, config = load_file(folder / ADAPTER_FILE), PeftConfig.from_pretrained(str(folder))
    base, changed = model.get_base_model(), []
    updates = {layer: [(config.lora_alpha / config.r, *_factors(saved, layer))] for layer in _layers(saved)}
    for layer in _layers(first["tensors"]) if first else ():
        scaling = first["config"].lora_alpha / first["config"].r
        updates.setdefault(layer, []).append((-scaling, *_factors(first["tensors"], layer)))
    try:
        for layer, parts in updates.items():
            module = base.get_submodule(layer)
            inner = module.get_base_layer() if isinstance(module, LoraLayer) else module
            changed.append((module, vars(module).get("forward")))
            module.forward = _with_updates(inner.forward, parts)
        with model.disable_adapter():
            yield
    finally:
        for module, before in changed:
            del module.forward
            if before is not None:  # the instance has its own forward: the fast one of a LoRA layer
                module.forward = before


def _with_updates(
    layer: Callable[[Tensor], Tensor], parts: list[tuple[float, Tensor, Tensor]]
) -> Callable[[Tensor], Tensor]:
    def forward(x: Tensor) -> Tensor:
        result = layer(x)
        for scaling, down, up in parts:
            # In the file's precision: half precision would hide the differences that are looked for.
            wide = torch.promote_types(x.dtype, down.dtype)
            update = F.linear(F.linear(x.to(wide), down.to(x.device, wide)), up.to(x.device, wide))
            result = result + (scaling * update).to(result.dtype)
        return result

    return forward


def _check_tensors(tensors: dict[str, Tensor], config: LoraConfig, base: PreTrainedModel, what: str) -> None:
    """Raises ModelError unless the tensors are the two factors, of the config's rank, for every layer in the config."""
    known = dict(base.named_modules())
    odd = [name for name in tensors if not (name.startswith(_PREFIX) and name.endswith(_FACTORS))]
    if odd or not tensors:
        found = f"holds {odd[0]!r}" if odd else "holds no tensor"
        raise ModelError(
            f"{what} {found}; the names of a LoRA adapter are {_PREFIX}LAYER.lora_A.weight and ….lora_B.weight. Save "
            "it with peft from the model that it belongs to."
        )
    layers = _layers(tensors)
    strange = [layer for layer in layers if layer not in known]
    if strange:
        raise ModelError(
            f"{what} belongs to another model: {len(strange)} of its {len(layers)} layers are not in "
            f"{type(base).__name__}, {_some(strange)}."
        )
    for layer in layers:
        _check_layer(base, layer, known[layer], what)
        wide, high = _sizes(known[layer])
        expected = dict(zip(_FACTORS, ((config.r, wide), (high, config.r)), strict=True))
        found = {f: tuple(t.shape) for f in _FACTORS if (t := tensors.get(_PREFIX + layer + f)) is not None}
        if found != expected:
            raise ModelError(
                f"{what} does not fit {type(base).__name__}: for {layer} it holds {_shapes(found)}, with rank "
                f"{config.r} this model takes {_shapes(expected)}. It was trained on a model of another size."
            )
    wanted = [name for name in known if name and check_target_module_exists(config, name)]
    if missing := [name for name in wanted if name not in layers]:
        raise ModelError(
            f"{what} belongs to another model: its target_modules name {len(missing)} layers of {type(base).__name__} "
            f"that it has no tensors for, {_some(missing)}."
        )
    if surplus := [layer for layer in layers if layer not in wanted]:
        raise ModelError(
            f"{what} holds {len(surplus)} layers that its adapter_config.json does not name, {_some(surplus)}: peft "
            "would leave them out without a word. Save it again with peft from the model that it was trained in."
        )


def _check_layer(base: PreTrainedModel, name: str, layer: nn.Module, what: str) -> None:
    """Raises ModelError unless `layer` is a linear layer inside the model.

    Embeddings and the output layer are refused: peft saves them whole, and the two may share one weight.
    """
    ends = (base.get_input_embeddings(), base.get_output_embeddings())
    ends = [end.get_base_layer() if isinstance(end, LoraLayer) else end for end in ends]
    if isinstance(layer, (nn.Linear, Conv1D)) and not any(layer is end for end in ends):
        return
    raise ModelError(
        f"{what} is on {name} ({type(layer).__name__}): it can be saved exactly only on linear layers inside the "
        "model, not on embeddings or the output layer. Name other layers as target_modules."
    )


def _layers(tensors: dict[str, Tensor]) -> list[str]:
    """The layers of the base, by name, that tensors belong to."""
    return sorted({name.rsplit(".lora_", 1)[0].removeprefix(_PREFIX) for name in tensors})


def _factors(tensors: dict[str, Tensor], layer: str) -> tuple[Tensor, Tensor]:
    """(A `[r, in]`, B `[out, r]`)."""
    down, up = (tensors[_PREFIX + layer + factor] for factor in _FACTORS)
    return down, up


def _is_factor(name: str) -> bool:
    return ".lora_A." in name or (".lora_B." in name and name.endswith(".weight"))


def _sizes(layer: nn.Module) -> tuple[int, int]:
    """(inputs, outputs)"""
    return (layer.nx, layer.nf) if isinstance(layer, Conv1D) else (layer.in_features, layer.out_features)


def _shapes(shapes: dict[str, tuple[int, ...]]) -> str:
    return " and ".join(f"{name.split('.')[1]} {shape}" for name, shape in shapes.items())


def _some(names: list[str], most: int = 3) -> str:
    return ", ".join(names[:most]) + (", …" if len(names) > most else "")
