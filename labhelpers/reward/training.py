"""Training of the reward model by trl's `RewardTrainer`, with two changes.

Both follow Ouyang et al. (2022), section 3.5. All pairs of a prompt stay together in one batch, and every response is
encoded once, even if it is in several pairs. The loss of a prompt is the *mean* over its pairs, so that four responses
(6 pairs) do not count six times as much as two (1 pair).
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import math
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from datasets import Dataset
from torch import Tensor
from transformers.trainer_callback import PrinterCallback, ProgressCallback
from transformers.trainer_utils import get_last_checkpoint
from trl import RewardConfig, RewardTrainer

from labhelpers.errors import DataError, TrainingError
from labhelpers.policy.padding import pad
from labhelpers.reward.model import RewardModel, pairwise_loss
from labhelpers.sources.quiet import quiet

_PAIRS_PER_ROW = 64  # a prompt with more pairs than this comes as several rows of the training set
_TOGETHER = 16  # sequences of similar length that are encoded in one go


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
    reporting: Mapping[str, str] | None = None,
) -> list[dict[str, float]]:
    """Trains `reward_model` in place on Dataset(prompt, chosen, rejected) and returns the trainer's log, a row a step.

    `batch_size` counts prompts, each with all its pairs. AdamW, warm-up over a tenth of the steps, linear decay, no
    dropout (trl's default). With `weigh_prompts=False` every pair counts the same, and the loss is trl's own.

    After each epoch a checkpoint goes to the folder `checkpoints` (none when that is None; older ones there go). It has
    the library's format, with a pickled optimiser state: resume only from your own (True: the last one; or the path of
    one), and give others what `RewardModel.save` writes. A resumed run ends with the same model as an uninterrupted
    run.

    `reporting`: where the trainer reports its log to while it trains, as arguments of transformers' `TrainingArguments`
    (`report_to` and what belongs to it); None: nowhere.

    Raises DataError for no usable pair, TrainingError for a loss that is not finite or nothing to resume from.
    """
    rows = training_rows(reward_model, pairs)
    if epochs == 0:
        return []
    with contextlib.ExitStack() as stack:
        folder = checkpoints or stack.enter_context(tempfile.TemporaryDirectory(prefix="labhelpers-reward-"))
        asked = {"epochs": epochs, "learning_rate": learning_rate, "batch_size": batch_size, "seed": seed}
        resume = _prepare_checkpoints(checkpoints, resume_from_checkpoint, asked | {"data": _fingerprint(rows)})
        arguments = reward_arguments(
            reward_model, folder, epochs=epochs, learning_rate=learning_rate, batch_size=batch_size, seed=seed,
            save_strategy="epoch" if checkpoints else "no", **(reporting or {}),
        )  # fmt: skip
        trainer = _PromptTrainer(reward_model, arguments, rows, weigh_prompts)
        with quiet():
            trainer.train(resume_from_checkpoint=resume)
    reward_model.model.eval()
    log = [row for row in trainer.state.log_history if "loss" in row]
    if not all(math.isfinite(row["loss"]) for row in log):
        raise TrainingError("the loss of the reward model is no longer finite; use a lower reward_learning_rate.")
    return log


def reward_arguments(
    reward_model: RewardModel,
    folder: str | Path,
    *,
    epochs: int,
    learning_rate: float,
    batch_size: int,
    seed: int = 0,
    **options: Any,
) -> RewardConfig:
    """The arguments that `train_reward_model` gives trl's `RewardTrainer`; `options` are more of trl's own."""
    return _arguments(
        reward_model, folder, seed,
        num_train_epochs=epochs, learning_rate=learning_rate, per_device_train_batch_size=batch_size, **options,
    )  # fmt: skip


def trl_loss(reward_model: RewardModel, pairs: Dataset) -> float:
    """The loss that trl's unchanged `RewardTrainer` computes for `pairs` as one batch, to compare with your own."""
    encoded = reward_model.encode(*zip(*_sides(pairs, "chosen"), *_sides(pairs, "rejected"), strict=True))
    rows = Dataset.from_dict({"chosen_ids": encoded[: len(pairs)], "rejected_ids": encoded[len(pairs) :]})
    with tempfile.TemporaryDirectory(prefix="labhelpers-reward-") as folder, quiet():
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


def training_rows(reward_model: RewardModel, pairs: Dataset) -> Dataset:
    """One row per prompt with all its pairs: Dataset(chosen_ids, rejected_ids, weights), lists of equal length.

    A pair is left out if its two texts become equal when they are cut to the model's length. Raises DataError when
    nothing is left.
    """
    chosen, rejected = _sides(pairs, "chosen"), _sides(pairs, "rejected")
    unique = list(dict.fromkeys(chosen + rejected))
    ids = dict(zip(unique, reward_model.encode(*zip(*unique, strict=True)), strict=True)) if unique else {}
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
        with quiet():
            super().__init__(
                reward_model.model,
                args=arguments,
                train_dataset=rows,
                processing_class=reward_model.tokenizer,
                data_collator=functools.partial(collate_pairs, pad_id=reward_model.tokenizer.pad_token_id),
            )
        for printer in (PrinterCallback, ProgressCallback):
            self.remove_callback(printer)

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        weights, sides = inputs.pop("weights"), inputs.pop("sides")

        def both_sides(input_ids: Tensor, attention_mask: Tensor, **_: Any) -> SimpleNamespace:
            """Logits `[2P, 1]`, first all chosen and then all rejected, from the unique texts `[U, T]`."""
            rewards = _rewards(model, input_ids, attention_mask)  # [U]
            return SimpleNamespace(logits=rewards[sides][:, None])

        loss, outputs = super().compute_loss(both_sides, inputs, return_outputs=True)
        if self.weigh_prompts:
            loss = pairwise_loss(*outputs.logits.squeeze(-1).chunk(2), weights)
        return (loss, outputs) if return_outputs else loss

    def create_model_card(self, *_: Any, **__: Any) -> None:
        """A checkpoint to resume from needs no model card."""


def collate_pairs(rows: list[dict[str, Any]], pad_id: int) -> dict[str, Any]:
    """Rows of `training_rows` as one batch; every text is in it once.

    `input_ids` and `attention_mask` of the U unique texts `[U, T]`; of the P pairs `sides` `[2P]`, the
    texts' numbers, first all chosen and then all rejected ones, and `weights` `[P]`.
    """
    chosen = [tuple(ids) for row in rows for ids in row["chosen_ids"]]
    rejected = [tuple(ids) for row in rows for ids in row["rejected_ids"]]
    place = {ids: i for i, ids in enumerate(dict.fromkeys(chosen + rejected))}
    input_ids, attention_mask = pad(list(place), pad_id)
    return {
        "input_ids": input_ids,
        "attention_mask": attention_mask,
        "sides": torch.tensor([place[ids] for ids in chosen + rejected]),
        "weights": torch.tensor([w for row in rows for w in row["weights"]], dtype=torch.float64),
    }


def _rewards(model, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
    """Rewards `[U]` of texts `[U, T]`, a few of similar length at a time: padding would cost a quarter of the work."""
    lengths = attention_mask.sum(-1)
    order = torch.argsort(lengths, stable=True)
    parts = []
    for some in order.split(_TOGETHER):
        longest = int(lengths[some].max())
        output = model(input_ids=input_ids[some, :longest], attention_mask=attention_mask[some, :longest])
        parts.append(output.logits.squeeze(-1))
    return torch.cat(parts)[torch.argsort(order)]


def _arguments(reward_model: RewardModel, folder, seed: int, **options: Any) -> RewardConfig:
    """trl's configuration: silent, the model's own precision and device; it reports nowhere unless `options` say so."""
    options = {"report_to": "none"} | options
    with quiet():
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
            **options,
        )


def _prepare_checkpoints(checkpoints, wanted: bool | str | Path, asked: dict[str, Any]) -> str | None:
    """The checkpoint to resume from, or None after clearing away those of an earlier training."""
    if checkpoints is None and wanted:
        raise TrainingError("nothing can be resumed without a folder of checkpoints; give `checkpoints`.")
    if checkpoints is None:
        return None
    folder = Path(checkpoints)
    note = folder / "training.json"
    if not wanted:
        for old in folder.glob("checkpoint-*"):
            shutil.rmtree(old)
        folder.mkdir(parents=True, exist_ok=True)
        note.write_text(json.dumps(asked), encoding="utf-8")
        return None
    last = get_last_checkpoint(str(folder)) if folder.is_dir() else None
    chosen = Path(last or folder / "none") if wanted is True else Path(wanted)
    if chosen.resolve().parent != folder.resolve():
        raise TrainingError(
            f"{wanted} is not one of this run's own checkpoints in {folder}. They hold pickled state, which is never "
            "loaded from elsewhere; load the model with load_reward_model instead."
        )
    if not chosen.is_dir() or not note.is_file():
        raise TrainingError(f"there is no checkpoint to resume from in {folder}; train without resuming.")
    before = json.loads(note.read_text(encoding="utf-8"))
    changed = [name for name, value in asked.items() if before.get(name) != value]
    if changed:
        raise TrainingError(
            f"the checkpoints in {folder} come from a training with other {', '.join(changed)}; train without resuming."
        )
    return str(chosen)


def _fingerprint(rows: Dataset) -> str:
    """A hash of the training rows, the same on every machine."""
    return hashlib.sha256(json.dumps([rows[name][:] for name in rows.column_names]).encode()).hexdigest()


def _sides(pairs: Dataset, side: str) -> list[tuple[str, str]]:
    return list(zip(pairs["prompt"][:], pairs[side][:], strict=True))
