"""Proximal policy optimization for language models of both families, encoder-decoder and decoder-only.

Read in this order: `loss` (the arithmetic, each formula with its source), `rollout` (the policy writes), `trainer`
(the loop), `processes` (the loop on several processes).
"""

from labhelpers.ppo.loss import (
    AdaptiveKLController,
    FixedKLController,
    PPOLosses,
    gae,
    masked_mean,
    masked_var,
    ppo_losses,
    token_rewards,
    whiten,
)
from labhelpers.ppo.rollout import Rollout, generate, generate_texts
from labhelpers.ppo.trainer import PPOConfig, PPOTrainer

__all__ = [
    "AdaptiveKLController",
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
    "whiten",
]
