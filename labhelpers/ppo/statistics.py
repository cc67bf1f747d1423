"""What a PPO step reports about its rollout."""

from __future__ import annotations

import torch

from labhelpers.ppo.experience import Experience
from labhelpers.ppo.masked import masked_mean, masked_var


def rollout_statistics(experience: Experience) -> dict[str, float]:
    """The statistics of a whole batch, once its advantages are known.

    `objective/kl` is the sum of a response's token KL, averaged over responses (in nats, of the kind that the penalty
    uses). `objective/entropy` is minus the sum of its log-probabilities, an unbiased estimate of the policy's entropy.
    `ppo/val/var_explained` is 1 where the values explain the returns, 0 where they are no better than the returns'
    mean, and negative where they are worse. `ppo/val/tokens` and the means
    `ppo/val/to_go_…` over them, of the rewards that followed each token, are for `pooled_explained_variance`.
    """
    mask, values, returns, old = experience.mask, experience.values, experience.returns, experience.logprobs
    keep, to_go = mask.bool(), experience.rewards_to_go
    returns_var = masked_var(returns, mask)
    stats = {
        "objective/kl": experience.token_kl.sum(-1).mean(),
        "objective/entropy": -torch.where(keep, old, 0).sum(-1).mean(),
        "ppo/mean_scores": experience.scores.mean(),
        "ppo/std_scores": experience.scores.std(correction=0),
        "ppo/returns/mean": masked_mean(returns, mask),
        "ppo/returns/var": returns_var,
        "ppo/policy/advantages_mean": masked_mean(experience.advantages, mask),
        "ppo/val/mean": masked_mean(values, mask),
        "ppo/val/var": masked_var(values, mask),
        "ppo/val/var_explained": 1 - masked_var(returns - values, mask) / returns_var.clamp(min=1e-12),
        "ppo/val/tokens": mask.sum(),
        "ppo/val/to_go_mean": masked_mean(to_go, mask),
        "ppo/val/to_go_square_mean": masked_mean(to_go.square(), mask),
        "ppo/val/to_go_error": masked_mean((to_go - values).square(), mask),
        "tokens/responses_len_mean": experience.lengths.to(old).mean(),
        "tokens/unfinished_share": 1 - experience.finished.to(old).mean(),
    }
    return {name: float(value) for name, value in stats.items()}
