"""Proximal policy optimization for language models of both families, encoder-decoder and decoder-only.

Read in this order: `kl_penalty`, `advantages` and `loss` (the arithmetic, each formula with its source),
`labhelpers.policy.rollout` (the policy writes), `experience` (what travels through a step), `config` and `trainer` (the
loop), `queries` (its batches of prompts), `statistics` (what it reports), `checkpoint` (stopping and going on),
`distributed` (several processes).
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "config": ["PPOConfig"],
        "experience": ["Experience"],
        "kl_penalty": ["AdaptiveKLController", "FixedKLController", "token_rewards"],
        "loss": ["PPOLosses", "ppo_losses", "update_diagnostics"],
        "advantages": ["gae"],
        "masked": ["masked_mean", "masked_var", "whiten"],
        "trainer": ["PPOTrainer"],
    },
)
