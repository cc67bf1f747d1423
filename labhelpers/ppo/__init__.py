"""Proximal policy optimization for language models of both families, encoder-decoder and decoder-only.

Read in this order: `loss` (the arithmetic, each formula with its source), `labhelpers.policy.rollout` (the policy
writes), `experience` (what travels through a step), `config` and `trainer` (the loop), `batches` (its queries),
`statistics` (what it reports), `checkpoint` (stopping and going on), `processes` (several of them).
"""

from labhelpers.policy.rollout import Rollout, generate, generate_texts
from labhelpers.ppo.config import PPOConfig
from labhelpers.ppo.experience import Experience
from labhelpers.ppo.loss import (
    AdaptiveKLController,
    FixedKLController,
    PPOLosses,
    gae,
    masked_mean,
    masked_var,
    ppo_losses,
    token_rewards,
    update_diagnostics,
    whiten,
)
from labhelpers.ppo.trainer import PPOTrainer

__all__ = [
    "AdaptiveKLController",
    "Experience",
    "FixedKLController",
    "PPOConfig",
    "PPOLosses",
    "PPOTrainer",
    "Rollout",
    "gae",
    "generate",
    "generate_texts",
    "masked_mean",
    "masked_var",
    "ppo_losses",
    "token_rewards",
    "update_diagnostics",
    "whiten",
]
