"""The data of one PPO step: a rollout, and everything that the step adds to it."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from labhelpers.policy.rollout import Rollout
from labhelpers.ppo.distributed import Processes


@dataclass(frozen=True, kw_only=True)
class Experience(Rollout):
    """A scored rollout of B responses of T tokens. Every per-token tensor is 0 outside the mask.

    `logprobs` and `values` are the *old* ones: they come from the policy that wrote the responses, before this step
    changes it. A field is None until the part of the step that computes it.
    """

    scores: Float[Tensor, " B"]  # as the reward model gave them
    ref_logprobs: Float[Tensor, "B T"]
    token_kl: Float[Tensor, "B T"] | None = None
    advantages: Float[Tensor, "B T"] | None = None  # whitened
    returns: Float[Tensor, "B T"] | None = None
    rewards_to_go: Float[Tensor, "B T"] | None = None  # the returns with lambda = 1

    RESPONSE_FIELDS: ClassVar[tuple[str, ...]] = (
        *Rollout.RESPONSE_FIELDS, "ref_logprobs", "token_kl", "advantages", "returns", "rewards_to_go",
    )  # fmt: skip

    def gathered(self, processes: Processes, padding_side: str) -> Experience:
        """The rows of all processes, in rank order. `padding_side` is where queries are padded, "left" or "right"."""
        if processes.count == 1:
            return self
        whole = {}
        for name in (f.name for f in fields(self)):
            value = getattr(self, name)
            if isinstance(value, list):
                whole[name] = processes.gather_list(value)
            elif isinstance(value, Tensor):
                side = padding_side if name in self.QUERY_FIELDS else "right"
                whole[name] = processes.gather(value, side)
        return replace(self, **whole)
