"""The reward model: one number per (prompt, response), learned from pairs of which people preferred one.

The loss is Bradley and Terry's (1952), as in Ouyang et al. (2022): -log sigma(r_chosen - r_rejected). trl's
`RewardTrainer` does the training. Two things are arranged around it, both as in Ouyang et al., section 3.5: all pairs of
a prompt stay together in one batch, where every response is encoded once however many pairs it is in; and the loss of
a prompt is the *mean* over its pairs, so that four responses (6 pairs) do not count six times as much as two (1 pair).
"""

from __future__ import annotations

import contextlib
import logging
import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from torch import Tensor
from transformers import AutoModelForSequenceClassification, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.trainer_callback import PrinterCallback, ProgressCallback
from transformers.trainer_utils import get_last_checkpoint
from trl import RewardConfig, RewardTrainer

from labhelpers.errors import DataError, ModelError, TrainingError
from labhelpers.locations import model_folder
from labhelpers.policy import exact_norms
from labhelpers.toxicity import class_logits, max_input_tokens

TEXT = "Question: {prompt}\n\nAnswer: {response}\n"  # word for word what the original lab scores
_PAIRS_PER_ROW = 64  # a prompt with more pairs than this comes as several rows of the training set
_TOGETHER = 16  # sequences of similar length that are encoded in one go


def format_text(prompt: str, response: str) -> str:
    """What the model reads: `TEXT` filled in, the same in training and in scoring."""
    return TEXT.format(prompt=prompt, response=response)


def pairwise_loss(chosen: Tensor, rejected: Tensor, weights: Tensor | None = None) -> Tensor:
    """The mean of -log sigma(chosen - rejected) over pairs `[P]`, weighted by `weights` `[P]` if there are any."""
    losses = -torch.nn.functional.logsigmoid(chosen - rejected)  # [P]; logsigmoid stays finite at any margin
    return losses.mean() if weights is None else (weights * losses).sum() / weights.sum()


class RewardModel:
    """A sequence classifier with one output, and the tokenizer it was trained with.

    `model` and `tokenizer` are plain transformers objects. Raises ModelError when the model has another number of
    outputs, or a vocabulary that does not hold the tokenizer's ids.
    """

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, batch_size: int = 32):
        if model.config.num_labels != 1:
            raise ModelError(
                f"a reward model has one output, but this one has {model.config.num_labels} (num_labels in its "
                "config). Start one with new_reward_model, or give the artifact of notebook 02."
            )
        vocabulary = model.get_input_embeddings().num_embeddings
        if len(tokenizer) > vocabulary:
            raise ModelError(
                f"the tokenizer has {len(tokenizer)} tokens, but the model knows {vocabulary}: it is another model's."
            )
        self.model, self.tokenizer, self.batch_size = model, tokenizer, batch_size

    def score(self, prompts: Sequence[str], responses: Sequence[str]) -> Tensor:
        """Rewards `[B]` on the CPU, no gradient; only differences between responses to one prompt have a meaning.

        A text longer than the model takes loses its beginning, not the response. Raises DataError for unequal lengths,
        TrainingError for a reward that is not finite.
        """
        if len(prompts) != len(responses):
            raise DataError(f"{len(prompts)} prompts, but {len(responses)} responses; one response per prompt.")
        texts = [format_text(p, r) for p, r in zip(prompts, responses, strict=True)]
        rewards = class_logits(self.model, self.tokenizer, texts, self.batch_size, keep="end").reshape(len(texts))
        bad = torch.nonzero(~torch.isfinite(rewards)).flatten().tolist()
        if bad:
            raise TrainingError(
                f"the reward of response {bad[0]} is {rewards[bad[0]].item()} ({len(bad)} of {len(rewards)} are not "
                f"finite): {responses[bad[0]]!r:.80}. Train the reward model again, with a lower learning rate."
            )
        return rewards

    def pipeline(self):
        """transformers' `text-classification` pipeline, as the original lab uses it.

        With one output it answers the *sigmoid* of the reward; call it with `function_to_apply="none"` for the reward.
        """
        from transformers import pipeline

        return pipeline("text-classification", model=self.model, tokenizer=self.tokenizer)

    def save(self, folder: str | Path) -> None:
        """Writes model (safetensors, in its own precision) and tokenizer in the Hub's form."""
        self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)


def load_reward_model(location, dtype: str | torch.dtype = "auto", device: str = "auto") -> RewardModel:
    """A trained reward model from a folder, a Hub id or an fsspec address, in eval mode; safetensors only.

    Raises ModelError when there is none: a checkpoint without a trained head would give random rewards.
    """
    model, tokenizer, missing = _load(location, dtype, device)
    if missing:
        raise ModelError(
            f"{str(location)!r} holds no trained reward model ({missing[0]} is missing). Train one with notebook 02, "
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
    with contextlib.ExitStack() as stack:
        if sft_adapter is not None:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="labhelpers-merged-"))
            location = _merge(location, sft_adapter, folder)
        model, tokenizer, missing = _load(location, dtype, device)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    if model.config.pad_token_id is None:
        model.config.pad_token_id = tokenizer.pad_token_id
    generator = np.random.default_rng([seed, 0x4EAD])
    parameters = dict(model.named_parameters())
    for name in sorted(missing):
        start = np.zeros(tuple(parameters[name].shape))
        if parameters[name].dim() > 1:
            start = generator.standard_normal(start.shape) * start.shape[1] ** -0.5
        parameters[name].data.copy_(torch.from_numpy(start.astype(np.float32)))
    return RewardModel(model, tokenizer)


def train_reward_model(
    reward_model: RewardModel,
    pairs: Dataset,
    checkpoints: str | Path | None = None,
    *,
    epochs: int,
    learning_rate: float,
    batch_size: int,
    seed: int = 0,
    weigh_prompts: bool = True,
    resume_from_checkpoint: bool | str | Path = False,
) -> list[dict[str, float]]:
    """Trains `reward_model` in place on Dataset(prompt, chosen, rejected) and returns the trainer's log, a row a step.

    `batch_size` counts prompts, each with all its pairs. AdamW, warm-up over a tenth of the steps, linear decay, dropout
    off (trl's default). With `weigh_prompts=False` every pair counts the same, and the loss is trl's own to the digit.

    After each epoch a checkpoint goes to the folder `checkpoints` (none when that is None). It is the library's own form
    for resuming and includes pickled optimiser state: resume from your own (True: the last one there; or one of them by
    path), hand on `RewardModel.save`. A run that was resumed ends where an uninterrupted one would.

    Raises DataError for no usable pair, TrainingError for a loss that is not finite or nothing to resume from.
    """
    rows = training_rows(reward_model, pairs)
    with contextlib.ExitStack() as stack:
        folder = checkpoints or stack.enter_context(tempfile.TemporaryDirectory(prefix="labhelpers-reward-"))
        resume = _checkpoint_to_resume(checkpoints, resume_from_checkpoint)
        arguments = _arguments(
            reward_model, folder, seed, save_strategy="epoch" if checkpoints else "no", num_train_epochs=epochs,
            learning_rate=learning_rate, per_device_train_batch_size=batch_size,
        )  # fmt: skip
        if epochs == 0:
            return []
        trainer = _PromptTrainer(reward_model, arguments, rows, weigh_prompts)
        trainer.train(resume_from_checkpoint=resume)
    reward_model.model.eval()
    log = [row for row in trainer.state.log_history if "loss" in row]
    if not all(math.isfinite(row["loss"]) for row in log):
        raise TrainingError("the loss of the reward model is no longer finite; use a lower reward_learning_rate.")
    return log


def trl_loss(reward_model: RewardModel, pairs: Dataset) -> float:
    """The loss that trl's unchanged `RewardTrainer` computes for `pairs` as one batch, to compare one's own with."""
    encoded = encode_texts(reward_model, _texts(pairs, "chosen") + _texts(pairs, "rejected"))
    rows = Dataset.from_dict({"chosen_ids": encoded[: len(pairs)], "rejected_ids": encoded[len(pairs) :]})
    with tempfile.TemporaryDirectory(prefix="labhelpers-reward-") as folder, _quiet():
        trainer = RewardTrainer(
            reward_model.model,
            args=_arguments(reward_model, folder, seed=0),
            train_dataset=rows,
            processing_class=reward_model.tokenizer,
        )
        batch = trainer.data_collator([rows[i] for i in range(len(rows))])
        reward_model.model.eval()
        with torch.no_grad():
            return float(trainer.compute_loss(reward_model.model, trainer._prepare_inputs(batch)))


def encode_texts(reward_model: RewardModel, texts: Sequence[str]) -> list[list[int]]:
    """Token ids as `RewardModel.score` sees them: special tokens added, the beginning cut where it is too long."""
    tokenizer, limit = reward_model.tokenizer, max_input_tokens(reward_model.model, reward_model.tokenizer)
    side, tokenizer.truncation_side = tokenizer.truncation_side, "left"
    try:
        return tokenizer(list(texts), truncation=limit is not None, max_length=limit)["input_ids"]
    finally:
        tokenizer.truncation_side = side


def training_rows(reward_model: RewardModel, pairs: Dataset) -> Dataset:
    """One row per prompt with all its pairs: Dataset(chosen_ids, rejected_ids, weights), lists of equal length.

    A pair whose two texts are the same once they are cut to what the model takes is left out. Raises DataError when
    nothing is left.
    """
    chosen, rejected = _texts(pairs, "chosen"), _texts(pairs, "rejected")
    unique = list(dict.fromkeys(chosen + rejected))
    ids = dict(zip(unique, encode_texts(reward_model, unique), strict=True)) if unique else {}
    groups: dict[str, list[tuple[list[int], list[int]]]] = {}
    for prompt, better, worse in zip(pairs["prompt"][:], chosen, rejected, strict=True):
        if ids[better] != ids[worse]:
            groups.setdefault(prompt, []).append((ids[better], ids[worse]))
    if not groups:
        raise DataError(f"none of {len(pairs)} pairs can be trained on; load more feedback.")
    columns: dict[str, list] = {"chosen_ids": [], "rejected_ids": [], "weights": []}
    for group in groups.values():
        for start in range(0, len(group), _PAIRS_PER_ROW):
            better, worse = zip(*group[start : start + _PAIRS_PER_ROW], strict=True)
            columns["chosen_ids"].append(list(better))
            columns["rejected_ids"].append(list(worse))
            columns["weights"].append([1 / len(group)] * len(better))
    return Dataset.from_dict(columns)


class _PromptTrainer(RewardTrainer):
    """trl's trainer on rows of `training_rows`: each response encoded once, each prompt counted once."""

    def __init__(self, reward_model: RewardModel, arguments: RewardConfig, rows: Dataset, weigh_prompts: bool):
        self.weigh_prompts = weigh_prompts
        with _quiet():
            super().__init__(
                reward_model.model,
                args=arguments,
                train_dataset=rows,
                processing_class=reward_model.tokenizer,
                data_collator=_collate,
            )
        for printer in (PrinterCallback, ProgressCallback):
            self.remove_callback(printer)

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        weights, sides = inputs.pop("weights"), inputs.pop("sides")
        pad_id = self.processing_class.pad_token_id

        def both_sides(input_ids: Tensor, attention_mask: Tensor, **_: Any) -> SimpleNamespace:
            """Logits `[2P, 1]`, first all chosen and then all rejected, from the unique texts `[U, T]`."""
            rewards = _rewards(model, input_ids, attention_mask, pad_id)  # [U]
            return SimpleNamespace(logits=rewards[sides][:, None])

        loss, outputs = super().compute_loss(both_sides, inputs, return_outputs=True)
        if self.weigh_prompts:
            loss = pairwise_loss(*outputs.logits.squeeze(-1).chunk(2), weights)
        return (loss, outputs) if return_outputs else loss

    def create_model_card(self, *_: Any, **__: Any) -> None:
        """A checkpoint to resume from needs no model card."""


def _collate(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """`input_ids` of the unique texts (ragged, as lists), `sides` `[2P]` into them, `weights` `[P]`."""
    chosen = [tuple(ids) for row in rows for ids in row["chosen_ids"]]
    rejected = [tuple(ids) for row in rows for ids in row["rejected_ids"]]
    place = {ids: i for i, ids in enumerate(dict.fromkeys(chosen + rejected))}
    lengths = [len(ids) for ids in place]
    input_ids = torch.zeros(len(place), max(lengths), dtype=torch.long)  # [U, T]
    for i, ids in enumerate(place):
        input_ids[i, : len(ids)] = torch.tensor(ids)
    return {
        "input_ids": input_ids,
        "attention_mask": (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]).long(),
        "sides": torch.tensor([place[ids] for ids in chosen + rejected]),
        "weights": torch.tensor([w for row in rows for w in row["weights"]], dtype=torch.float64),
    }


def _rewards(model, input_ids: Tensor, attention_mask: Tensor, pad_id: int) -> Tensor:
    """Rewards `[U]` of texts `[U, T]`, a few of similar length at a time: padding would cost a quarter of the work."""
    lengths = attention_mask.sum(-1)
    order = torch.argsort(lengths, stable=True)
    input_ids = torch.where(attention_mask.bool(), input_ids, pad_id)
    parts = []
    for some in order.split(_TOGETHER):
        longest = int(lengths[some].max())
        output = model(input_ids=input_ids[some, :longest], attention_mask=attention_mask[some, :longest])
        parts.append(output.logits.squeeze(-1))
    return torch.cat(parts)[torch.argsort(order)]


def _arguments(reward_model: RewardModel, folder, seed: int, **options: Any) -> RewardConfig:
    """trl's configuration: silent, nothing reported anywhere, the model's own precision and device."""
    with _quiet():
        return RewardConfig(
            output_dir=str(folder),
            seed=seed,
            data_seed=seed,
            use_cpu=reward_model.model.device.type == "cpu",
            bf16=False,  # trl's default is True
            gradient_checkpointing=False,
            optim="adamw_torch",
            weight_decay=0.01,
            warmup_steps=0.1,
            max_length=None,  # too long texts were cut; trl would drop them
            remove_unused_columns=False,
            logging_steps=1,
            logging_nan_inf_filter=False,
            disable_tqdm=True,
            report_to="none",
            **options,
        )


def _checkpoint_to_resume(checkpoints, wanted: bool | str | Path) -> str | None:
    if not wanted:
        return None
    last = get_last_checkpoint(str(checkpoints)) if checkpoints and Path(checkpoints).is_dir() else None
    if wanted is True:
        if last is None:
            raise TrainingError(f"there is no checkpoint to resume from in {checkpoints}; train without resuming.")
        return last
    if checkpoints is None or Path(wanted).resolve().parent != Path(checkpoints).resolve():
        raise TrainingError(
            f"{wanted} is not one of this run's own checkpoints in {checkpoints}. They hold pickled state, which is "
            "never loaded from elsewhere; load the model with load_reward_model instead."
        )
    if not Path(wanted).is_dir():
        raise TrainingError(f"the checkpoint {wanted} is not there; the last one is {last}.")
    return str(wanted)


def _texts(pairs: Dataset, side: str) -> list[str]:
    return [format_text(p, r) for p, r in zip(pairs["prompt"][:], pairs[side][:], strict=True)]


def _load(location, dtype, device: str) -> tuple[PreTrainedModel, PreTrainedTokenizerBase, list[str]]:
    """(model with one output, tokenizer, names of the parameters that the checkpoint did not have)."""
    wanted = getattr(torch, dtype, None) if isinstance(dtype, str) and dtype != "auto" else dtype
    if wanted != "auto" and not isinstance(wanted, torch.dtype):
        raise ModelError(f"dtype {dtype!r} is unknown; choose auto, float64, float32 or bfloat16.")
    folder = model_folder(location)
    try:
        model, info = AutoModelForSequenceClassification.from_pretrained(
            folder, num_labels=1, dtype=wanted, use_safetensors=True, output_loading_info=True,
            ignore_mismatched_sizes=True,
        )  # fmt: skip
        tokenizer = AutoTokenizer.from_pretrained(folder)
    except (OSError, ValueError) as error:
        raise ModelError(
            f"no reward model could be loaded from {str(location)!r}: {str(error).splitlines()[0]} Give a local folder "
            "with config.json, model.safetensors and a tokenizer, or a Hub id that can be reached."
        ) from error
    mismatched = [entry[0] if isinstance(entry, tuple) else entry for entry in info["mismatched_keys"]]
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    missing = sorted(set(info["missing_keys"]) | set(mismatched))
    return exact_norms(model.to(device).eval()), tokenizer, missing


def _merge(location, sft_adapter, folder: str) -> str:
    """The language model at `location` with the adapter merged into its weights, saved in `folder`."""
    from peft import PeftModel

    from labhelpers.policy import load_base, load_tokenizer

    base = load_base(model_folder(location))
    PeftModel.from_pretrained(base, str(sft_adapter)).merge_and_unload().save_pretrained(folder)
    load_tokenizer(model_folder(location)).save_pretrained(folder)
    return folder


@contextlib.contextmanager
def _quiet():
    """No advice from trl and transformers in a learner's output."""
    loggers = [logging.getLogger(name) for name in ("trl", "transformers", "accelerate")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
