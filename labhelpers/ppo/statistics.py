"""What a PPO step reports about its rollout."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from labhelpers.ppo.loss import masked_mean, masked_var


def rollout_statistics(
    mask: Int[Tensor, "B T"],
    old: Float[Tensor, "B T"],
    ref: Float[Tensor, "B T"],
    values: Float[Tensor, "B T"],
    returns: Float[Tensor, "B T"],
    advantages: Float[Tensor, "B T"],
    kl: Float[Tensor, "B T"],
    finished: Bool[Tensor, " B"],
) -> dict[str, float]:
    """The rollout's statistics, over the whole batch.

    `objective/kl`: mean over responses of the summed token KL, the penalty's own kind; `objective/kl_k3`: the same
    divergence by the estimator exp(-d) - 1 + d, never negative and less noisy (Schulman 2020, "Approximating KL
    divergence"); `objective/entropy`: minus the summed log-probability, an unbiased estimate of the entropy.
    """
    keep = mask.bool()
    log_ratio = torch.where(keep, old - ref, 0)
    k3 = torch.where(keep, (-log_ratio).exp() - 1 + log_ratio, 0)
    lengths = mask.sum(-1).to(old)
    returns_var = masked_var(returns, mask)
    stats = {
        "objective/kl": kl.sum(-1).mean(),
        "objective/kl_k3": k3.sum(-1).mean(),
        "objective/entropy": -torch.where(keep, old, 0).sum(-1).mean(),
        "ppo/returns/mean": masked_mean(returns, mask),
        "ppo/returns/var": returns_var,
        "ppo/policy/advantages_mean": masked_mean(advantages, mask),
        "ppo/val/mean": masked_mean(values, mask),
        "ppo/val/var": masked_var(values, mask),
        "ppo/val/var_explained": 1 - masked_var(returns - values, mask) / returns_var.clamp(min=1e-12),
        "tokens/responses_len_mean": lengths.mean(),
        "tokens/unfinished_share": 1 - finished.to(old).mean(),
    }
    return {name: float(value) for name, value in stats.items()}
