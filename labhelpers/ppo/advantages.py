"""Advantages and returns from values and token rewards: generalised advantage estimation (GAE).

Schulman et al. 2016, "High-dimensional continuous control using generalized advantage estimation". The numbers agree
with trl 0.11.4, the last release with the classic trainer, with one exception: here whitened rewards are masked again.
In trl, padding leaked into the advantages.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from labhelpers.ppo.masked import check_shapes, whiten


def gae(
    values: Float[Tensor, "B T"],
    rewards: Float[Tensor, "B T"],
    mask: Int[Tensor, "B T"],
    gamma: float = 1.0,
    lam: float = 0.95,
    whiten_rewards: bool = False,
) -> tuple[Float[Tensor, "B T"], Float[Tensor, "B T"]]:
    """Generalised advantage estimation: `(advantages, returns)`.

    delta_t = r_t + gamma V_{t+1} - V_t,  A_t = delta_t + gamma lam A_{t+1}  (Schulman et al. 2016, eq. 11, 16);
    V is 0 after the last token. Returns are A + V. Advantages are then whitened over the mask, so their mean over
    it is 0. (The PPO lab asks to maximise the mean.) Raises TrainingError for shapes that do not fit.
    """
    check_shapes(values=values, rewards=rewards, mask=mask)
    keep = mask.bool()
    values = torch.where(keep, values, 0)
    rewards = whiten(rewards, mask, shift_mean=False) if whiten_rewards else torch.where(keep, rewards, 0)
    advantages = torch.zeros_like(values)
    next_advantage = torch.zeros_like(values[:, 0])
    next_value = torch.zeros_like(values[:, 0])
    for t in reversed(range(values.shape[1])):
        delta = rewards[:, t] + gamma * next_value - values[:, t]
        next_advantage = delta + gamma * lam * next_advantage
        advantages[:, t] = next_advantage
        next_value = values[:, t]
    returns = torch.where(keep, advantages + values, 0)
    return whiten(advantages, mask), returns
