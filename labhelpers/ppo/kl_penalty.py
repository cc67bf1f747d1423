"""The KL penalty: the reward of every token, and the controllers of the KL coefficient.

Tensors are those of B responses of T tokens, `Float[Tensor, "B T"]`, and a `mask` that is 1 on response tokens up to
and including end-of-sequence. Ziegler et al. 2019, "Fine-tuning language models from human preferences". The numbers
agree with trl 0.11.4, the last release with the classic trainer.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from labhelpers.errors import TrainingError
from labhelpers.ppo.masked import check_shapes


def token_kl(
    logprobs: Float[Tensor, "B T"], ref_logprobs: Float[Tensor, "B T"], kl_penalty: str = "kl"
) -> Float[Tensor, "B T"]:
    """How far each token is from the reference, from the log-ratio d = log pi - log pi_ref.

    `kl_penalty` "kl" is d itself, "abs" is |d| and "mse" is d²/2. The sum of d over a response is an unbiased estimate
    of the KL divergence, but it can be negative. Raises TrainingError for another `kl_penalty`.
    """
    log_ratio = logprobs - ref_logprobs
    if kl_penalty == "kl":
        return log_ratio
    if kl_penalty == "abs":
        return log_ratio.abs()
    if kl_penalty == "mse":
        return 0.5 * log_ratio.square()
    raise TrainingError(f"kl_penalty is {kl_penalty!r}; it must be 'kl', 'abs' or 'mse'.")


def token_rewards(
    scores: Float[Tensor, " B"],
    logprobs: Float[Tensor, "B T"],
    ref_logprobs: Float[Tensor, "B T"],
    mask: Int[Tensor, "B T"],
    kl_coef: float,
    kl_penalty: str = "kl",
) -> tuple[Float[Tensor, "B T"], Float[Tensor, "B T"]]:
    """The reward of every token: minus `kl_coef` times its KL; the last token of a response also gets the score.

    Ziegler et al. 2019, equation 2. Returns `(rewards, token_kl)`, both 0 outside the mask. Raises TrainingError for
    shapes that do not fit and for a response that has no token.
    """
    check_shapes(logprobs=logprobs, ref_logprobs=ref_logprobs, mask=mask)
    if scores.shape != mask.shape[:1]:
        raise TrainingError(f"scores has shape {tuple(scores.shape)}; one per response is needed: [{mask.shape[0]}].")
    if not bool((mask.sum(-1) > 0).all()):
        raise TrainingError("a response has no token at all (its mask row is 0): it cannot carry a reward.")
    kl = torch.where(mask.bool(), token_kl(logprobs, ref_logprobs, kl_penalty), 0)
    rewards = -kl_coef * kl
    positions = torch.arange(mask.shape[1], device=mask.device)
    last = torch.where(mask.bool(), positions, -1).amax(-1)
    rows = torch.arange(mask.shape[0], device=mask.device)
    rewards[rows, last] = rewards[rows, last] + scores.to(rewards)
    return rewards, kl


class AdaptiveKLController:
    """Raises the KL coefficient when the KL is above `target` and lowers it when the KL is below.

    value <- value (1 + clip(kl / target - 1, -0.2, 0.2) n_steps / horizon), where `n_steps` counts responses
    (Ziegler et al. 2019, section 2.2).
    """

    def __init__(self, init_kl_coef: float = 0.2, target: float = 6.0, horizon: int = 10000):
        self.value, self.target, self.horizon = init_kl_coef, target, horizon

    def update(self, kl: float, n_steps: int) -> None:
        """Changes `value` by the mean KL of `n_steps` responses, in nats per response."""
        error = min(max(kl / self.target - 1, -0.2), 0.2)
        self.value *= 1 + error * n_steps / self.horizon


class FixedKLController:
    """A KL coefficient that never changes."""

    def __init__(self, kl_coef: float):
        self.value = kl_coef

    def update(self, kl: float, n_steps: int) -> None:
        """Does nothing; the method exists so that both controllers are used in the same way."""
