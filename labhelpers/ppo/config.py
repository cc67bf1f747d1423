"""The settings of a PPO run."""

from __future__ import annotations

from dataclasses import dataclass

from labhelpers.errors import TrainingError


@dataclass(frozen=True)
class PPOConfig:
    """What a PPO run does. One step = one rollout of `batch_size` responses, then `ppo_epochs` passes over it in
    mini-batches of `mini_batch_size` (one optimizer update each), computed at most `micro_batch_size` rows at a time
    (on a CPU fewer where that is faster, see `labhelpers.policy.fast.passes`)."""

    batch_size: int = 16
    mini_batch_size: int = 4
    micro_batch_size: int | None = None  # None: mini_batch_size; changes memory, not the result
    ppo_epochs: int = 1
    learning_rate: float = 1.41e-5
    value_learning_rate: float | None = None  # None: the same as learning_rate
    lr_schedule: str = "constant"  # or "linear", "cosine": down to 0 at total_steps
    total_steps: int | None = None
    max_grad_norm: float | None = 1.0
    kl_coef: float = 0.2
    kl_penalty: str = "kl"  # or "abs", "mse"
    adaptive_kl: bool = False
    target: float = 6.0  # the KL per response that the adaptive controller aims at
    horizon: int = 10000
    gamma: float = 1.0
    lam: float = 0.95
    whiten_rewards: bool = False
    cliprange: float = 0.2
    cliprange_value: float = 0.2
    vf_coef: float = 0.1
    target_kl: float | None = None  # stop a step's updates once approxkl exceeds this
    ratio_threshold: float = 10.0  # skip an update whose mean ratio exceeds this
    scale_scores: bool = False  # divide scores by their running standard deviation
    center_scores: bool = False  # subtract their running mean first
    score_clip: float | None = None  # then clip to ± this
    missing_eos_penalty: float | None = None  # subtracted from the score of a response that never ended
    dropout: bool = False  # the model's and LoRA's dropout during updates; never during rollouts
    keep_logprobs: bool | None = None  # use the rollout's log-probabilities; None: only in float64 (see `step`)
    forward_batch_size: int | None = None  # rows per no-gradient pass at most; None: micro_batch_size
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("batch_size", "mini_batch_size", "ppo_epochs"):
            if getattr(self, name) < 1:
                raise TrainingError(f"PPOConfig.{name} is {getattr(self, name)}; it must be at least 1.")
        if self.batch_size % self.mini_batch_size:
            raise TrainingError(
                f"batch_size {self.batch_size} is not a multiple of mini_batch_size {self.mini_batch_size}."
            )
        if self.lr_schedule not in ("constant", "linear", "cosine"):
            raise TrainingError(f"lr_schedule is {self.lr_schedule!r}; it must be 'constant', 'linear' or 'cosine'.")
        if self.lr_schedule != "constant" and not self.total_steps:
            raise TrainingError(f"lr_schedule {self.lr_schedule!r} needs total_steps.")
        if self.kl_penalty not in ("kl", "abs", "mse"):
            raise TrainingError(f"kl_penalty is {self.kl_penalty!r}; it must be 'kl', 'abs' or 'mse'.")
