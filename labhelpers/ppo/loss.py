"""PPO's clipped losses, and the diagnostics of an update.

Tensors are those of B responses of T tokens, `Float[Tensor, "B T"]`, and a `mask` that is 1 on response tokens up to
and including end-of-sequence. Values outside the mask never influence a result. Schulman et al. 2017, "Proximal
policy optimization algorithms". The numbers agree with trl 0.11.4, the last release with
the classic trainer.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from labhelpers.ppo.masked import check_shapes, masked_mean


@dataclass(frozen=True)
class PPOLosses:
    """The scalars `policy`, `value` (without `vf_coef`) and `total` = policy + vf_coef * value, which is minimised."""

    policy: Float[Tensor, ""]
    value: Float[Tensor, ""]
    total: Float[Tensor, ""]


def ppo_losses(
    new_logprobs: Float[Tensor, "B T"],
    old_logprobs: Float[Tensor, "B T"],
    new_values: Float[Tensor, "B T"],
    old_values: Float[Tensor, "B T"],
    advantages: Float[Tensor, "B T"],
    returns: Float[Tensor, "B T"],
    mask: Int[Tensor, "B T"],
    cliprange: float = 0.2,
    cliprange_value: float = 0.2,
    vf_coef: float = 0.1,
    n_tokens: int | Tensor | None = None,
) -> PPOLosses:
    """The clipped surrogate loss and the clipped value loss, averaged over the mask.

    L_policy = mean max(-A rho, -A clip(rho, 1-eps, 1+eps)),  rho = exp(new - old)   (Schulman et al. 2017, equation 7)
    L_value  = 1/2 mean max((V - R)², (clip(V, V_old ± eps) - R)²)

    When the B rows are a micro-batch, `n_tokens` is the number of tokens in the whole mini-batch: the losses of the
    micro-batches then add up to the loss of the mini-batch. Raises TrainingError for shapes that do not fit.
    """
    check_shapes(
        new_logprobs=new_logprobs, old_logprobs=old_logprobs, new_values=new_values, old_values=old_values,
        advantages=advantages, returns=returns, mask=mask,
    )  # fmt: skip
    share = 1.0 if n_tokens is None else mask.sum() / n_tokens
    unclipped, clipped = _surrogates(new_logprobs, old_logprobs, advantages, mask, cliprange)
    policy = masked_mean(torch.maximum(unclipped, clipped), mask) * share
    error, error_clipped = _value_errors(new_values, old_values, returns, cliprange_value)
    value = 0.5 * masked_mean(torch.maximum(error, error_clipped), mask) * share
    return PPOLosses(policy, value, policy + vf_coef * value)


@torch.no_grad()
def update_diagnostics(
    new_logprobs: Float[Tensor, "B T"],
    old_logprobs: Float[Tensor, "B T"],
    new_values: Float[Tensor, "B T"],
    old_values: Float[Tensor, "B T"],
    advantages: Float[Tensor, "B T"],
    returns: Float[Tensor, "B T"],
    mask: Int[Tensor, "B T"],
    cliprange: float = 0.2,
    cliprange_value: float = 0.2,
) -> dict[str, Float[Tensor, ""]]:
    """Scalars that describe an update, computed from the arguments of `ppo_losses`.

    All are averages over the mask, except `policy/ratio_max`, the largest ratio. `policy/approxkl` is half the mean
    squared log-ratio, `policy/policykl` the mean of old - new. A `clipfrac` is the share of tokens where the clipped
    term is the larger one, so that no gradient flows.
    """
    log_ratio = _log_ratio(new_logprobs, old_logprobs, mask)
    ratio = log_ratio.exp()
    unclipped, clipped = _surrogates(new_logprobs, old_logprobs, advantages, mask, cliprange)
    error, error_clipped = _value_errors(new_values, old_values, returns, cliprange_value)
    return {
        "policy/approxkl": 0.5 * masked_mean(log_ratio.square(), mask),
        "policy/policykl": masked_mean(-log_ratio, mask),
        "policy/clipfrac": masked_mean((clipped > unclipped).to(ratio), mask),
        "policy/ratio": masked_mean(ratio, mask),
        "policy/ratio_max": torch.where(mask.bool(), ratio, 0).amax(),
        "val/vpred": masked_mean(new_values, mask),
        "val/error": masked_mean(error, mask),
        "val/clipfrac": masked_mean((error_clipped > error).to(ratio), mask),
    }


def _log_ratio(new_logprobs: Tensor, old_logprobs: Tensor, mask: Tensor) -> Tensor:
    """log(new / old), set to 0 outside the mask before exp: an inf there would make the gradient NaN, even times 0."""
    return torch.where(mask.bool(), new_logprobs - old_logprobs, 0)


def _surrogates(
    new_logprobs: Tensor, old_logprobs: Tensor, advantages: Tensor, mask: Tensor, cliprange: float
) -> tuple[Tensor, Tensor]:
    """(-A rho, -A clip(rho)) of every token; the loss is the larger one."""
    ratio = _log_ratio(new_logprobs, old_logprobs, mask).exp()
    return -advantages * ratio, -advantages * ratio.clamp(1.0 - cliprange, 1.0 + cliprange)


def _value_errors(
    new_values: Tensor, old_values: Tensor, returns: Tensor, cliprange_value: float
) -> tuple[Tensor, Tensor]:
    """Squared errors of every token's value, and of that value clipped to ± `cliprange_value` around the old one."""
    near = torch.minimum(torch.maximum(new_values, old_values - cliprange_value), old_values + cliprange_value)
    return (new_values - returns).square(), (near - returns).square()
