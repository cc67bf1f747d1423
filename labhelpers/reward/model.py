"""The reward model: one number per (prompt, response), learned from pairs in which people preferred one response.

The loss is Bradley and Terry's (1952), as in Ouyang et al. (2022): -log sigma(r_chosen - r_rejected). This module holds
the model and its one way of reading text; `labhelpers.reward.training` trains it, `labhelpers.reward.evaluation` says
how good it is. Notebook 04 takes it as PPO's reward through `score(prompts, responses)`.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from labhelpers.errors import DataError, ModelError, TrainingError
from labhelpers.policy.adapters import merge_adapter
from labhelpers.policy.classifier import logits_of, max_input_tokens
from labhelpers.policy.loading import load_tokenizer
from labhelpers.policy.pretrained import check_vocabulary, load_language_model, load_text_classifier
from labhelpers.reward.prompted import MODEL_TYPE, PromptedReward, load_prompted
from labhelpers.sources.dialogues import prompt_ids
from labhelpers.sources.locations import model_folder, read_json
from labhelpers.sources.quiet import quiet

TEXT = "Question: {prompt}\n\nAnswer: {response}\n"  # word for word what the reward-model lab scores


def format_text(prompt: str, response: str) -> str:
    """What the model reads: `TEXT` filled in, the same in training and in scoring."""
    return TEXT.format(prompt=prompt, response=response)


def pairwise_loss(chosen: Tensor, rejected: Tensor, weights: Tensor | None = None) -> Tensor:
    """The mean of -log sigma(chosen - rejected) over pairs `[P]`, weighted by `weights` `[P]` if there are any."""
    losses = -torch.nn.functional.logsigmoid(chosen - rejected)  # [P]; logsigmoid stays finite at any margin
    if weights is None:
        return losses.mean()
    weights = weights.to(losses)
    return (weights * losses).sum() / weights.sum()


class RewardModel:
    """A model with one output, and the tokenizer it was trained with.

    `model` is a sequence classifier that reads prompt and response as one text, as in the reward-model lab, or a
    `PromptedReward`, which reads the response as its base model would write it. Raises ModelError when the model has
    another number of outputs, or a vocabulary that does not hold the tokenizer's ids.
    """

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, batch_size: int = 32):
        if model.config.num_labels != 1:
            raise ModelError(
                f"a reward model has one output, but this one has {model.config.num_labels} (num_labels in its "
                "config). Start one with new_reward_model, or give the artifact of notebook 03."
            )
        check_vocabulary(tokenizer, model.get_input_embeddings().num_embeddings)
        self.model, self.tokenizer, self.batch_size = model, tokenizer, batch_size

    def score(self, prompts: Sequence[str], responses: Sequence[str]) -> Tensor:
        """Rewards `[B]` on the CPU, no gradient; only differences between responses to one prompt have a meaning.

        A text longer than the model takes loses its beginning, not the response. Raises DataError for unequal lengths,
        TrainingError for a reward that is not finite.
        """
        if len(prompts) != len(responses):
            raise DataError(f"{len(prompts)} prompts, but {len(responses)} responses; one response per prompt.")
        for index, text in enumerate((*prompts, *responses)):
            if not isinstance(text, str):
                what = f"prompt {index}" if index < len(prompts) else f"response {index - len(prompts)}"
                raise DataError(f"{what} must be a string, but is {type(text).__name__}.")
        if not len(prompts):
            return torch.empty(0)
        ids = self.encode(prompts, responses)
        rewards = logits_of(self.model, self.tokenizer, ids, self.batch_size).squeeze(-1)
        bad = torch.nonzero(~torch.isfinite(rewards)).flatten().tolist()
        if bad:
            raise TrainingError(
                f"the reward of response {bad[0]} is {rewards[bad[0]].item()} ({len(bad)} of {len(rewards)} are not "
                f"finite): {responses[bad[0]]!r:.80}. Train the reward model again, with a lower learning rate."
            )
        return rewards

    def encode(self, prompts: Sequence[str], responses: Sequence[str]) -> list[list[int]]:
        """Token ids as the model reads them, the same in training and in scoring; what is too long loses its beginning.

        A classifier reads `format_text`, a `PromptedReward` prompt, separator and response (with its end).
        """
        if not self.prompted:
            return encode_texts(self, [format_text(p, r) for p, r in zip(prompts, responses, strict=True)])
        tokenizer, limit = self.tokenizer, max_input_tokens(self.model.base, self.tokenizer)
        kept = None if limit is None else slice(-limit, None)
        rows = []
        asked = prompt_ids(tokenizer, prompts)
        for prompt, response in zip(asked, tokenizer(list(responses))["input_ids"], strict=True):
            if response[-1:] != [tokenizer.eos_token_id]:  # decoder-only models write it, their tokenizers do not
                response = [*response, tokenizer.eos_token_id]
            if limit is not None and not self.model.config.is_encoder_decoder:
                kept = slice(-max(limit - len(response), 1), None)  # one sequence holds both
            rows.append([*(prompt[kept] if kept else prompt), self.model.separator, *response])
        return rows

    @property
    def prompted(self) -> bool:
        """Whether the model reads prompt and response apart (`PromptedReward`)."""
        return isinstance(self.model, PromptedReward)

    def pipeline(self):
        """transformers' `text-classification` pipeline, as the reward-model lab uses it.

        With one output it answers the *sigmoid* of the reward; call it with `function_to_apply="none"` for the reward.
        Raises ModelError for a `PromptedReward`: a pipeline has one text, this model reads two.
        """
        if self.prompted:
            raise ModelError("this reward model reads a prompt and a response, a pipeline one text: use score().")
        from transformers import pipeline

        return pipeline("text-classification", model=self.model, tokenizer=self.tokenizer)

    def save(self, folder: str | Path) -> None:
        """Writes model (safetensors, in its own precision) and tokenizer in the Hub's form."""
        with quiet():
            self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)


def load_reward_model(location, dtype: str | torch.dtype = "auto", device: str = "auto") -> RewardModel:
    """A trained reward model from a folder, a Hub id or an fsspec address, in eval mode; safetensors only.

    Raises ModelError when there is none: a checkpoint without a trained head would give random rewards.
    """
    with quiet():
        if _is_prompted(location):
            return RewardModel(load_prompted(location, dtype, device), load_tokenizer(location))
        model, tokenizer, missing = _load(location, dtype, device)
    if missing:
        raise ModelError(
            f"{str(location)!r} holds no trained reward model ({missing[0]} is missing). Train one with notebook 03, "
            "or start one from this checkpoint with new_reward_model."
        )
    return RewardModel(model, tokenizer)


def new_reward_model(
    location, dtype: str | torch.dtype = "auto", device: str = "auto", seed: int = 0, sft_adapter=None
) -> RewardModel:
    """An encoder, an encoder-decoder or a decoder-only checkpoint with a fresh head of one output.

    What the checkpoint lacks is drawn from `seed` by numpy, whose numbers are the same on every machine (torch's are
    not): matrices with standard deviation 1/sqrt(columns), vectors 0. `sft_adapter` (a peft folder for the base model
    at `location`) is merged first: the reward model then starts from the SFT model.
    """
    with contextlib.ExitStack() as stack, quiet():
        if sft_adapter is not None:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="labhelpers-merged-"))
            location = _merge(location, sft_adapter, folder)
        model, tokenizer, missing = _load(location, dtype, device)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    if model.config.pad_token_id is None:
        model.config.pad_token_id = tokenizer.pad_token_id
    _draw(dict(model.named_parameters()), missing, seed)
    return RewardModel(model, tokenizer)


def new_prompted_reward(
    base, adapter=None, dtype: str | torch.dtype = "auto", device: str = "auto", seed: int = 0
) -> RewardModel:
    """A reward model that starts from the language model at `base`, either family, with the peft `adapter` merged in.

    Its head is drawn from `seed` as in `new_reward_model`. All weights are to be trained. Raises ModelError when there
    is no such model, or an adapter that does not fit.
    """
    language_model = load_language_model(str(base), dtype, device)
    if adapter is not None:
        language_model, _ = merge_adapter(language_model, model_folder(str(adapter)))
    with quiet():
        model = PromptedReward.on(language_model)
    heads = {name: parameter for name, parameter in model.named_parameters() if not name.startswith("base.")}
    _draw(heads, [name for name in heads if not name.startswith("norms.")], seed)
    return RewardModel(model.eval(), load_tokenizer(str(base)))


def _draw(parameters: dict[str, Tensor], names: Sequence[str], seed: int) -> None:
    """Draws matrices with standard deviation 1/sqrt(columns) by numpy, in the names' order; vectors become 0."""
    generator = np.random.default_rng([seed, 0x4EAD])
    for name in sorted(names):
        start = np.zeros(tuple(parameters[name].shape))
        if parameters[name].dim() > 1:
            start = generator.standard_normal(start.shape) * start.shape[1] ** -0.5
        parameters[name].data.copy_(torch.from_numpy(start.astype(np.float32)))


def encode_texts(reward_model: RewardModel, texts: Sequence[str]) -> list[list[int]]:
    """Token ids as `RewardModel.score` sees them: special tokens added, the beginning cut where it is too long."""
    tokenizer, limit = reward_model.tokenizer, max_input_tokens(reward_model.model, reward_model.tokenizer)
    side, tokenizer.truncation_side = tokenizer.truncation_side, "left"
    try:
        return tokenizer(list(texts), truncation=limit is not None, max_length=limit)["input_ids"]
    finally:
        tokenizer.truncation_side = side


def _load(location, dtype, device: str) -> tuple[PreTrainedModel, PreTrainedTokenizerBase, list[str]]:
    """(model with one output, tokenizer, names of the parameters that the checkpoint did not have)."""
    return load_text_classifier(location, dtype, device, "reward model", num_labels=1, ignore_mismatched_sizes=True)


def _merge(location, sft_adapter, folder: str) -> str:
    """The language model at `location` with the adapter merged into its weights, saved in `folder`."""
    merged, _ = merge_adapter(load_language_model(location, "auto", "auto"), sft_adapter)
    merged.save_pretrained(folder)
    load_tokenizer(location).save_pretrained(folder)
    return folder


def _is_prompted(location) -> bool:
    file = Path(model_folder(location)) / "config.json"
    return file.is_file() and read_json(file).get("model_type") == MODEL_TYPE
