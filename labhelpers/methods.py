"""Helpers of notebook 07: trl's trainers for this project's policies, and the measurements for every method.

trl's `DPOTrainer` and `GRPOTrainer` (1.16) train a peft model in place, so they can train a `Policy`. Three changes
make a run print the same digits on any machine:

- their "fused" output layer takes log-probabilities in float32 whatever the model's precision; `exact_head` takes them
  in the model's own,
- GRPO converts rewards to float32; they are converted back before group means are computed,
- GRPO's rollouts come from the counter-based sampler (`rollouts_for`, through trl's own hook `rollout_func`).
"""

from __future__ import annotations

import contextlib
import functools
import math
import tempfile
import time
import types
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import datasets
import pandas as pd
import torch
from datasets import Dataset
from torch import Tensor
from transformers import PreTrainedTokenizerBase
from transformers.trainer_callback import PrinterCallback, ProgressCallback

from labhelpers.errors import ModelError, TrainingError
from labhelpers.policy.model import Policy
from labhelpers.policy.rollout import Rollout, generate, generate_batches, pad_queries
from labhelpers.sources.quiet import quiet


def decoder_location(location: str | None) -> str:
    """The decoder-only model of a profile. Raises ModelError if the profile names none (the full profile)."""
    if not location:
        raise ModelError(
            "this notebook needs a decoder-only model that can already summarise, and the profile names none: give "
            "the parameter decoder_model (a folder or a Hub id), or use the tiny profile."
        )
    return location


# -- trl's trainers ----------------------------------------------------------------------------------------------


def plain_options(policy: Policy, seed: int) -> dict[str, Any]:
    """The options of every trl configuration here: nothing is printed, reported or saved; the model's own precision;
    AdamW without weight decay; a learning rate that falls linearly to 0."""
    return {
        "output_dir": "unused",
        "seed": seed,
        "data_seed": seed,
        "use_cpu": policy.device.type == "cpu",
        "bf16": False,  # trl's default is True
        "gradient_checkpointing": False,
        "optim": "adamw_torch",
        "weight_decay": 0.0,
        "max_grad_norm": 1.0,
        "lr_scheduler_type": "linear",
        "warmup_steps": 0,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "save_strategy": "no",
        "disable_tqdm": True,
        "report_to": "none",
    }


def make_trainer(trainer_class: type, policy: Policy, config: Any, **arguments: Any):
    """trl's trainer for `policy`, silent, with its reference (the adapter as it is now) and in exact arithmetic.

    The trainer copies the adapter under the name "ref" and trains the original; `policy` is what was trained.
    """
    with tempfile.TemporaryDirectory(prefix="labhelpers-trl-") as folder, _silent():
        config.output_dir = folder
        trainer = trainer_class(model=policy.model, args=config, **arguments)
    for printer in (PrinterCallback, ProgressCallback):
        trainer.remove_callback(printer)
    exact_head(policy)
    if hasattr(trainer, "_calculate_rewards"):
        trainer._calculate_rewards = _in_float64(trainer._calculate_rewards)
    return trainer


def train_with_trl(trainer_class: type, policy: Policy, config: Any, **arguments: Any):
    """Trains `policy` in place with one of trl's trainers and returns the trainer (its log, its last batch).

    Raises TrainingError when a loss is not finite.
    """
    trainer = make_trainer(trainer_class, policy, config, **arguments)
    with tempfile.TemporaryDirectory(prefix="labhelpers-trl-") as folder, _silent():
        trainer.args.output_dir = folder
        trainer.train()
    policy.eval()
    losses = [row["loss"] for row in trainer.state.log_history if "loss" in row]
    if not all(abs(loss) < float("inf") for loss in losses):  # false for NaN too
        raise TrainingError(f"{trainer_class.__name__}: the loss is no longer finite; use a lower learning_rate.")
    return trainer


def rollouts_for(policy: Policy, max_new_tokens: int, seed: int = 0) -> Callable[[list[str], Any], dict[str, list]]:
    """A `rollout_func` for trl with counter-based sampling: draws depend on seed, step, row and position alone."""

    def rollout(prompts: list[str], trainer) -> dict[str, list]:
        training = policy.model.training
        policy.eval()
        sampled = generate(
            policy, trainer.processing_class, prompts, max_new_tokens,
            seed=seed, step=int(trainer.state.global_step), use_value_head=False,
        )  # fmt: skip
        policy.model.train(training)
        return {
            "prompt_ids": _lists(sampled.queries, sampled.query_mask),
            "completion_ids": _lists(sampled.responses, sampled.mask),
            "logprobs": _lists(sampled.logprobs, sampled.mask),
        }

    return rollout


def last_group_batch(trainer) -> tuple[Tensor, Tensor]:
    """(rewards, advantages), each `[P, G]`, of the last rollout that a `GRPOTrainer` made, as it logged them."""
    groups = (-1, trainer.num_generations)
    (rewards,) = trainer._logs["rewards"].values()
    advantages = trainer._logs["advantages"]
    return tuple(torch.tensor(list(x), dtype=torch.float64).reshape(groups) for x in (rewards, advantages))


def trl_dpo_loss(trainer, pairs: Dataset) -> float:
    """The loss that trl's `DPOTrainer` computes for `pairs` as one batch with its present policy, to compare with your
    own."""
    with _silent():
        rows = trainer._prepare_dataset(pairs, trainer.processing_class, trainer.args, "eval")
    batch = trainer.data_collator([rows[i] for i in range(len(rows))])
    trainer.model.eval()
    with torch.no_grad(), _silent():
        return float(trainer.compute_loss(trainer.model, trainer._prepare_inputs(batch)))


def exact_head(policy: Policy) -> None:
    """Makes trl's fused output layer compute in the policy's own precision, by the plain formulas and from its logits.

    trl calls `model(..., labels=…, fused_lm_head=True)` and wants log-probabilities `[B, T-1]` (0 where the label is
    -100) with entropy, mean logit and whether the token was the likeliest (trl only logs these).
    """
    model = policy.base
    fused = model.forward

    @functools.wraps(type(model).forward)
    def forward(self, *args: Any, fused_lm_head: bool = False, labels: Tensor | None = None, **kwargs: Any) -> Any:
        if not fused_lm_head:
            return fused(*args, labels=labels, **kwargs) if labels is not None else fused(*args, **kwargs)
        kwargs["use_cache"] = False
        hidden = self.get_decoder()(*args, **kwargs).last_hidden_state[:, :-1]  # [B, T-1, d]
        targets = labels[:, 1:]
        keep = targets != -100
        logits = policy.logits(hidden[keep])  # [N, V]
        every = logits.log_softmax(-1)
        chosen = every.gather(-1, targets[keep][:, None]).squeeze(-1)
        with torch.no_grad():
            extras = {
                "entropy": -(every.exp() * every).sum(-1),
                "mean_logits": logits.mean(-1),
                "is_top1": logits.argmax(-1) == targets[keep],
            }
        scattered = {name: _scatter(x, keep) for name, x in ({"log_probs": chosen} | extras).items()}
        loss = -chosen.sum() / keep.sum().clamp(min=1)
        return types.SimpleNamespace(loss=loss, label_mask=keep, aux_loss=None, log_sum_sq_probs=None, **scattered)

    model.forward = types.MethodType(forward, model)


def _scatter(x: Tensor, keep: Tensor) -> Tensor:
    return x.new_zeros(keep.shape).masked_scatter(keep, x)


def _in_float64(calculate: Callable[..., Tensor]) -> Callable[..., Tensor]:
    @functools.wraps(calculate)
    def calculated(*args: Any, **kwargs: Any) -> Tensor:
        return calculate(*args, **kwargs).double()

    return calculated


def _lists(values: Tensor, mask: Tensor) -> list[list]:
    return [row[keep.bool()].tolist() for row, keep in zip(values, mask, strict=True)]


@contextlib.contextmanager
def _silent():
    """`quiet`, and no progress bars of datasets and no warnings: learners need no advice on trl's defaults."""
    bars = datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        with quiet(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        if not bars:
            datasets.enable_progress_bars()


def repeated(dataset: Dataset, rows: int) -> Dataset:
    """`dataset` as often as it takes to have at least `rows` rows: PPO's batch may be larger than a small budget."""
    return datasets.concatenate_datasets([dataset] * max(math.ceil(rows / len(dataset)), 1))


# -- what is measured ---------------------------------------------------------------------------------------------


def sequence_logprobs(
    policy: Policy,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[str],
    responses: Sequence[str],
    batch_size: int = 64,
) -> tuple[Tensor, Tensor]:
    """log π(response | prompt) under the policy and under its reference, each `[B]`, end-of-sequence included.

    A response follows its prompt: no token that the tokenizer puts around whole texts stands before or after it.
    """
    parts = []
    for first in range(0, len(prompts), batch_size):
        rows = slice(first, first + batch_size)
        queries, query_mask = pad_queries(list(prompts[rows]), tokenizer, policy.padding_side, policy.device)
        answers = tokenizer(list(responses[rows]), add_special_tokens=False).input_ids
        answers = [ids + [tokenizer.eos_token_id] for ids in answers]
        tokens, mask = pad_queries(answers, tokenizer, "right", policy.device)
        with torch.no_grad():
            new = policy(queries, query_mask, tokens, mask)[0].sum(-1)
            with policy.reference():
                old = policy(queries, query_mask, tokens, mask)[0].sum(-1)
        parts.append((new, old))
    new, old = zip(*parts, strict=True)
    return torch.cat(new), torch.cat(old)


def by_quarter(log: Sequence[Mapping[str, float]], columns: Mapping[str, str], steps: int) -> pd.DataFrame:
    """The means of a training's log over each quarter of its `steps`, to two decimals: a row per quarter.

    `log` has a row per step (`step`, from 1, and statistics); rows without all of `columns`, name in the log ->
    heading, are left out. Without any row the table is empty.
    """
    rows = [row for row in log if columns.keys() <= row.keys()]
    table = pd.DataFrame(rows, columns=["step", *columns], dtype=float)
    quarter = ((table["step"] - 1) * 4 // steps + 1).astype(int).rename("quarter")
    return table.groupby(quarter)[list(columns)].mean().rename(columns=columns).round(2)


@dataclass
class Samples:
    """One sampled response per query: `texts` in the queries' order, and the rollouts with the rows that they hold."""

    texts: list[str]
    parts: list[tuple[list[int], Rollout]]


def sample(
    policy: Policy,
    tokenizer: PreTrainedTokenizerBase,
    queries: Sequence[str],
    max_new_tokens: int,
    batch_size: int = 64,
    seed: int = 0,
    step: int = 0,
) -> Samples:
    """Samples one response per query. Row i draws the same random numbers for every policy and batch size."""
    texts = [""] * len(queries)
    parts = list(generate_batches(policy, tokenizer, queries, max_new_tokens, batch_size, seed=seed, step=step))
    for rows, part in parts:
        for i, text in zip(rows, part.texts, strict=True):
            texts[i] = text
    return Samples(texts, parts)


@torch.no_grad()
def log_ratios(policy: Policy, samples: Samples) -> Tensor:
    """log π − log π_ref of every response `[B]`, in float64; for the policy's own samples its mean estimates the KL.

    Both come from passes of the same kind: in half precision a token-by-token pass would not agree with them.
    """
    ratios = torch.zeros(len(samples.texts), dtype=torch.float64)
    for rows, part in samples.parts:
        arguments = (part.queries, part.query_mask, part.responses, part.mask)
        new = policy(*arguments)[0]
        with policy.reference():
            old = policy(*arguments)[0]
        ratios[torch.tensor(rows)] = (new - old).sum(-1).double().cpu()
    return ratios


class CountedReward:
    """A reward that counts how many responses it has scored (`count`), clipped to ± `clip` if that is given."""

    def __init__(self, reward, clip: float | None = None):
        self.reward, self.clip, self.count = reward, clip, 0

    def score(self, prompts: Sequence[str], responses: Sequence[str]) -> Tensor:
        self.count += len(responses)
        scores = self.reward.score(prompts, responses)
        return scores if self.clip is None else scores.clamp(-self.clip, self.clip)


class Meter:
    """What happens inside `with Meter(reward) as meter:` costs: `seconds`, and `scored`, the number of responses that
    the reward has scored."""

    def __init__(self, reward: CountedReward | None = None):
        self.reward, self.seconds, self.scored = reward, 0.0, 0

    def __enter__(self) -> Meter:
        self._scored = self.reward.count if self.reward is not None else 0
        self._started = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.perf_counter() - self._started
        self.scored = (self.reward.count if self.reward is not None else 0) - self._scored
