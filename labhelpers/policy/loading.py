"""Makes a policy from a location (base model, merged SFT adapter, PPO adapter, value head), or from a saved folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from peft import LoraConfig, PeftModel, TaskType, get_peft_model
from transformers import AutoConfig, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from labhelpers.errors import ModelError
from labhelpers.policy.adapters import merge_adapter
from labhelpers.policy.examination import examine
from labhelpers.policy.model import Policy, saved_head_sees_prompt
from labhelpers.policy.pretrained import check_vocabulary, load_language_model
from labhelpers.policy.quantised import quantise
from labhelpers.sources.locations import model_folder


def load_base(location: str, dtype: str | torch.dtype | None = "auto", device: str = "auto") -> PreTrainedModel:
    """Loads a base model of either family, as its config says, in eval mode; safetensors only.

    `location` is a folder, a Hub id or an fsspec address; `dtype` and `device` may be "auto". Raises ModelError when
    the location holds no such model.
    """
    return load_language_model(location, dtype, device)


def load_tokenizer(location: str) -> PreTrainedTokenizerBase:
    """Loads a tokenizer. Raises ModelError when there is none, when it has no end-of-sequence token, or when it has ids
    that the model in the same place does not know."""
    folder = model_folder(location)
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder)
        config = AutoConfig.from_pretrained(folder) if (Path(folder) / "config.json").is_file() else None
    except (OSError, ValueError) as error:
        raise ModelError(f"no tokenizer could be loaded from {str(location)!r}: {error}") from error
    if tokenizer.eos_token_id is None:
        raise ModelError(f"the tokenizer in {str(location)!r} has no end-of-sequence token: no response could end.")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    vocabulary = getattr(config and config.get_text_config(decoder=True), "vocab_size", None)
    if vocabulary is not None:
        check_vocabulary(tokenizer, vocabulary)
    return tokenizer


def make_policy(
    base: PreTrainedModel,
    sft_adapter: str | Path | None = None,
    lora_r: int = 8,
    lora_alpha: int = 16,
    lora_dropout: float = 0.0,
    target_modules: list[str] | str | None = None,
    seed: int = 0,
    gradient_checkpointing: bool = False,
    quantization: str | None = None,
    sees_prompt: bool = False,
) -> Policy:
    """Base model -> SFT merged in -> fresh PPO adapter -> value head (which `sees_prompt` or, as in the lab, does not).

    The new adapter's A matrices are drawn from `seed` by numpy: its numbers are the same on every machine, those of
    torch.normal_ are not. The B matrices are 0, so policy and reference start equal. `quantization` is None,
    "8bit" or "4bit"; see `quantise`.

    Raises ModelError for an SFT adapter that does not fit (see `read_adapter`), for `target_modules` on which an
    adapter cannot be saved (see `check_trained`), and for a model if the policy would compute other numbers than the
    model itself (see `examine`).
    """
    sft = None
    if sft_adapter is not None:
        base, sft = merge_adapter(base, model_folder(sft_adapter))
    if quantization is not None:
        base = quantise(base, quantization)
    config = LoraConfig(
        r=lora_r,
        lora_alpha=lora_alpha,
        lora_dropout=lora_dropout,
        target_modules=target_modules or default_targets(base),
        bias="none",
        task_type=TaskType.SEQ_2_SEQ_LM if base.config.is_encoder_decoder else TaskType.CAUSAL_LM,
    )
    try:
        model = get_peft_model(base, config)
    except ValueError as error:
        raise ModelError(
            f"target_modules={target_modules!r} cannot be adapted in {type(base).__name__}: {error}"
        ) from error
    init_adapter(model, seed)
    policy = Policy(model, sft, sees_prompt)
    if gradient_checkpointing:
        policy.checkpoint_gradients()
    policy.eval()
    examine(policy)
    return policy


def default_targets(base: PreTrainedModel) -> list[str]:
    """The names of the query and value projections in the model's family; the PPO lab trains these."""
    names = {name.rsplit(".", 1)[-1] for name, _ in base.named_modules()}
    for candidates in (["q_proj", "v_proj"], ["c_attn"], ["query_key_value"], ["q", "v"]):
        if set(candidates) <= names:
            return candidates
    raise ModelError(f"no known attention projections in {type(base).__name__}: name them as target_modules.")


def init_adapter(model: PeftModel, seed: int) -> None:
    """LoRA's usual start (A uniform as nn.Linear's weights, B zero), from numpy's generator, rounded to float32."""
    generator = np.random.default_rng([seed, 0x10FA])
    for name, parameter in sorted(model.named_parameters()):
        if ".lora_A." in name:
            bound = parameter.shape[1] ** -0.5
            start = generator.uniform(-bound, bound, size=tuple(parameter.shape)).astype(np.float32)
            parameter.data.copy_(torch.from_numpy(start))
        elif ".lora_B." in name:
            parameter.data.zero_()


def load_policy(
    policy_model: str,
    sft_adapter: str | Path | None = None,
    dtype: str | torch.dtype | None = "auto",
    device: str = "auto",
    **options: Any,
) -> tuple[Policy, PreTrainedTokenizerBase]:
    """`load_base` + `load_tokenizer` + `make_policy`, with the tokenizer padding on the policy's side."""
    policy = make_policy(load_base(policy_model, dtype, device), sft_adapter, **options)
    tokenizer = load_tokenizer(policy_model)
    tokenizer.padding_side = policy.padding_side
    return policy, tokenizer


def load_policy_from(
    folder: str | Path,
    policy_model: str,
    dtype: str | torch.dtype | None = "auto",
    device: str = "auto",
    **options: Any,
) -> tuple[Policy, PreTrainedTokenizerBase]:
    """The policy that `Policy.save` wrote to `folder`, and its tokenizer: to generate with, to measure, to train on.

    `policy_model` is the bare base model that the policy was made from; `folder` is a path, a Hub id or an fsspec
    address; `options` are those of `make_policy`. The saved adapter (SFT and PPO in one) is merged into the base, as
    an SFT adapter is, and a fresh adapter comes on top. So the policy's reference is the policy as it was saved, and KL
    starts at 0 again. (If training went on with the saved adapter itself, the reference would be the base without SFT.)
    Saving after more training folds all adapters into one again. To continue with the first reference and the
    optimizer's state, resume the trainer from its checkpoint instead.

    In half precision the merge rounds the weights, like the merge of an SFT adapter. Whether the value head sees the
    prompt is as it was saved.

    Raises ModelError when the folder holds no adapter, no value head, or a value head of another width.
    """
    folder = model_folder(folder)
    options = {"sees_prompt": saved_head_sees_prompt(folder)} | options
    policy, tokenizer = load_policy(policy_model, folder, dtype, device, **options)
    policy.load_value_head(folder)
    return policy, tokenizer
