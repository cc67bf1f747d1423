"""Proximal policy optimization for language models of both families, encoder-decoder and decoder-only.

Read in this order: `loss` (the arithmetic, each formula with its source), `labhelpers.policy.rollout` (the policy
writes), `experience` (what travels through a step), `config` and `trainer` (the loop), `batches` (its queries),
`statistics` (what it reports), `checkpoint` (stopping and going on), `processes` (several of them).
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "config": ["PPOConfig"],
        "experience": ["Experience"],
        "loss": [
            "AdaptiveKLController",
            "FixedKLController",
            "PPOLosses",
            "gae",
            "masked_mean",
            "masked_var",
            "ppo_losses",
            "token_rewards",
            "update_diagnostics",
            "whiten",
        ],
        "trainer": ["PPOTrainer"],
    },
)
