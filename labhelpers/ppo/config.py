"""The settings of a PPO run."""

from __future__ import annotations

from typing import Literal

from pydantic import ValidationInfo, field_validator
from pydantic.dataclasses import dataclass

from labhelpers.errors import TrainingError
from labhelpers.validation import STRICT, Count, Fraction, Positive, Rate, Seed, checked


@checked(TrainingError)
@dataclass(frozen=True, kw_only=True, config=STRICT)
class PPOConfig:
    """The settings of a PPO run.

    One step is one rollout of `batch_size` responses, then `ppo_epochs` passes over it in mini-batches of
    `mini_batch_size`. Each mini-batch gives one optimizer update; at most `micro_batch_size` of its rows go through the
    model at a time (fewer on a CPU where that is faster, see `labhelpers.policy.fast.passes`). A learning rate may be
    0.

    Raises TrainingError for a value of the wrong type or out of range, for a `batch_size` that is not a multiple of
    `mini_batch_size`, for a schedule without `total_steps` and for an unknown name. The message lists every problem.
    """

    batch_size: Count = 16
    mini_batch_size: Count = 4
    micro_batch_size: Count | None = None  # None: mini_batch_size; changes memory use, not the result
    ppo_epochs: Count = 1
    learning_rate: Rate = 1.41e-5
    value_learning_rate: Rate | None = None  # None: the same as learning_rate
    lr_schedule: Literal["constant", "linear", "cosine"] = "constant"  # linear and cosine fall to 0 at total_steps
    total_steps: Count | None = None
    max_grad_norm: Positive | None = 1.0
    kl_coef: Rate = 0.2
    kl_penalty: Literal["kl", "abs", "mse"] = "kl"
    adaptive_kl: bool = False
    target: Positive = 6.0  # the KL per response that the adaptive controller aims at
    horizon: Count = 10000
    gamma: Fraction = 1.0
    lam: Fraction = 0.95
    whiten_rewards: bool = False
    cliprange: Positive = 0.2
    cliprange_value: Positive = 0.2
    vf_coef: Rate = 0.1
    target_kl: Positive | None = None  # stop a step's updates once approxkl exceeds this
    ratio_threshold: Positive = 10.0  # skip an update whose mean ratio exceeds this
    scale_scores: bool = False  # divide scores by their running standard deviation
    center_scores: bool = False  # subtract the running mean of the scores first
    score_clip: Positive | None = None  # then clip to ± this
    missing_eos_penalty: Rate | None = None  # subtracted from the score of a response that never ended
    dropout: bool = False  # the model's and LoRA's dropout during updates; never during rollouts
    keep_logprobs: bool | None = None  # use the rollout's log-probabilities; None: only in float64 (see `step`)
    forward_batch_size: Count | None = None  # most rows in a pass without gradient; None: micro_batch_size
    seed: Seed = 0

    @field_validator("mini_batch_size")
    @classmethod
    def _divides_the_batch(cls, value: int, info: ValidationInfo) -> int:
        batch_size = info.data.get("batch_size")  # missing when batch_size itself is invalid
        if batch_size is not None and batch_size % value:
            raise ValueError(f"batch_size {batch_size} is not a multiple of it")
        return value

    @field_validator("total_steps")
    @classmethod
    def _ends_the_schedule(cls, value: int | None, info: ValidationInfo) -> int | None:
        schedule = info.data.get("lr_schedule", "constant")
        if value is None and schedule != "constant":
            raise ValueError(f"lr_schedule {schedule!r} needs a number of steps")
        return value
