"""PPO (proximal policy optimization): trains a policy to write responses that get a higher reward.

Read in this order: `loss` (the arithmetic, each formula with its source), `labhelpers.policy.rollout` (the policy
writes), `experience` (the data of one step), `config` and `trainer` (the loop), `batches` (the queries of each step),
`statistics` (what a step reports), `checkpoint` (stopping and resuming), `processes` (training on several processes).
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
