"""LoRA adapters on disk: reading one, and folding two into one that a bare base understands.

A LoRA layer adds s·B·A to a weight (Hu et al. 2021, "LoRA: low-rank adaptation of large language models"). Two of them
one after the other add s₁·B₁·A₁ + s₂·B₂·A₂, which is again a LoRA layer: A = [A₁; A₂], B = [s₁·B₁, s₂·B₂] with s = 1.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftConfig, PeftModel, get_peft_model_state_dict
from peft.utils import load_peft_weights
from safetensors.torch import save_file
from torch import Tensor

from labhelpers.errors import ModelError

ADAPTER_FILE = "adapter_model.safetensors"


def read_adapter(folder: str | Path) -> dict[str, Any]:
    """The config and tensors of a plain LoRA adapter: `{"config": LoraConfig, "tensors": {name: Tensor}}`.

    Raises ModelError when the folder holds none, holds only a pickle (`adapter_model.bin`), or a variant of LoRA whose
    update is not s·B·A with one s for all layers.
    """
    folder = Path(folder)
    if not (folder / "adapter_config.json").is_file():
        raise ModelError(f"no adapter in {folder}: adapter_config.json is missing.")
    if not (folder / ADAPTER_FILE).is_file():
        raise ModelError(f"{folder} holds no {ADAPTER_FILE}. Pickled weights (.bin) can run code and are not loaded.")
    config = PeftConfig.from_pretrained(str(folder))
    plain = isinstance(config, LoraConfig) and config.bias == "none" and not config.modules_to_save
    if not plain or config.use_rslora or config.use_dora or config.alpha_pattern or config.rank_pattern:
        raise ModelError(
            f"the adapter in {folder} is not plain LoRA (one rank and alpha, no bias): it can't be merged."
        )
    return {"config": config, "tensors": load_peft_weights(str(folder), device="cpu")}


def fold_adapters(model: PeftModel, first: dict[str, Any] | None, folder: Path) -> None:
    """Writes `first` (an adapter that was merged into the base) and the model's active adapter as one peft adapter."""
    active: LoraConfig = model.peft_config[model.active_adapter]
    second = {name: t.detach().cpu() for name, t in get_peft_model_state_dict(model).items()}
    parts = [(active.lora_alpha / active.r, active.r, second)]
    if first is not None:
        config: LoraConfig = first["config"]
        parts.insert(0, (config.lora_alpha / config.r, config.r, first["tensors"]))
    rank = sum(r for _, r, _ in parts)
    layers = sorted({name.rsplit(".lora_", 1)[0] for _, _, tensors in parts for name in tensors})
    folded: dict[str, Tensor] = {}
    for layer in layers:
        a_name, b_name = f"{layer}.lora_A.weight", f"{layer}.lora_B.weight"
        like_a, like_b = next((t[a_name], t[b_name]) for _, _, t in parts if a_name in t)
        dtype = torch.float64 if like_a.dtype == torch.float64 else torch.float32
        # An adapter that leaves this layer alone contributes zeros, so that all layers keep one rank.
        a = [t.get(a_name, torch.zeros(r, like_a.shape[1])).to(dtype) for _, r, t in parts]
        b = [s * t.get(b_name, torch.zeros(like_b.shape[0], r)).to(dtype) for s, r, t in parts]
        folded[a_name], folded[b_name] = torch.cat(a, 0).contiguous(), torch.cat(b, 1).contiguous()
    merged = LoraConfig(
        r=rank,
        lora_alpha=rank,  # scaling 1: the parts' own scalings are in B
        # By full name: the two may have named their layers in different ways.
        target_modules=[layer.removeprefix("base_model.model.") for layer in layers],
        bias="none",
        task_type=active.task_type,
        base_model_name_or_path=None,
        inference_mode=True,
    )
    save_file(folded, folder / ADAPTER_FILE)
    merged.save_pretrained(str(folder))
