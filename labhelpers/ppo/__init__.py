"""PPO (proximal policy optimization): trains a policy to write responses that get a higher reward.

Read in this order: `kl_penalty`, `advantages` and `loss` (the arithmetic, each formula with its source),
`labhelpers.policy.rollout` (the policy writes), `experience` (the data of one step), `config` and `trainer` (the loop),
`value_head` (fitting it before the policy moves), `queries` (the queries of each step), `statistics` (what a step
reports), `checkpoint` (stopping and resuming), `distributed` (training on several processes).
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "config": ["PPOConfig"],
        "experience": ["Experience"],
        "kl_penalty": ["AdaptiveKLController", "token_rewards"],
        "loss": ["PPOLosses", "ppo_losses", "update_diagnostics"],
        "advantages": ["gae"],
        "masked": ["masked_var"],
        "value_head": [
            "explained_variance",
            "fit_value_head",
            "pooled_explained_variance",
            "ridge_fit",
            "starting_rollouts",
            "value_features",
            "ValueFit",
        ],
        "trainer": ["PPOTrainer"],
    },
)
