"""Several reward models as one: where they disagree, the reward is not to be trusted."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from labhelpers.errors import DataError

_COMBINE = {"mean": lambda rewards: rewards.mean(0), "min": lambda rewards: rewards.min(0).values}


class EnsembleReward:
    """The mean or the minimum of several rewards (Coste et al. 2024, arXiv 2310.02743, sections 3.1 and 3.2).

    The zero and the scale of a learned reward mean nothing, so each is standardised first, by its mean and standard
    deviation on `reference`: (prompts, responses) of the policy that training starts from. `rewards` have
    `score(prompts, responses)`. Raises DataError for fewer than two rewards, another `how` than "mean" or "min", or a
    reward that gives every reference response the same.
    """

    def __init__(self, rewards: Sequence, reference: tuple[Sequence[str], Sequence[str]], how: str = "min"):
        if len(rewards) < 2:
            raise DataError(f"an ensemble has two rewards or more, not {len(rewards)}.")
        if how not in _COMBINE:
            raise DataError(f"how is {how!r}; choose 'mean' or 'min'.")
        self.rewards, self.how, self.scales = list(rewards), how, []
        for place, reward in enumerate(rewards):
            scores = torch.as_tensor(reward.score(*reference), dtype=torch.float64)
            if len(scores) < 2 or not float(scores.std()) > 0:
                raise DataError(f"reward {place} gives all {len(scores)} reference responses the same: no scale.")
            self.scales.append((float(scores.mean()), float(scores.std())))

    def score(self, prompts: Sequence[str], responses: Sequence[str]) -> Tensor:
        """Rewards `[B]` in float64, in standard deviations of the reference responses."""
        scores = [torch.as_tensor(reward.score(prompts, responses), dtype=torch.float64) for reward in self.rewards]
        standard = [(own - mean) / deviation for own, (mean, deviation) in zip(scores, self.scales, strict=True)]
        return _COMBINE[self.how](torch.stack(standard))
