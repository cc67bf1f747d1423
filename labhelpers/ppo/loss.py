"""The arithmetic of PPO for language models: token rewards, advantages, the clipped losses, the KL controller.

Everything here works on tensors of B responses of T tokens, `Float[Tensor, "B T"]`, and a `mask` that is 1 on response
tokens up to and including end-of-sequence. Values outside the mask never influence a result.

Sources: Schulman et al. 2017, "Proximal policy optimization algorithms" (the clip); Schulman et al. 2016,
"High-dimensional continuous control using generalized advantage estimation" (GAE); Ziegler et al. 2019, "Fine-tuning
language models from human preferences" (KL penalty and its controller). The numbers agree with trl 0.11.4, the last
release with the classic trainer, with one exception: here whitened rewards are masked again. In trl, padding leaked
into the advantages.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from labhelpers.errors import TrainingError


def masked_mean(x: Float[Tensor, "B T"], mask: Int[Tensor, "B T"]) -> Float[Tensor, ""]:
    """Mean of `x` over the positions where `mask` is 1: a scalar."""
    return torch.where(mask.bool(), x, 0).sum() / mask.sum()


def masked_var(x: Float[Tensor, "B T"], mask: Int[Tensor, "B T"]) -> Float[Tensor, ""]:
    """Unbiased variance of `x` over the mask: a scalar. It is 0 when the mask has a single position."""
    n = mask.sum()
    squares = torch.where(mask.bool(), x - masked_mean(x, mask), 0).square().sum()
    return squares / (n - 1).clamp(min=1)


def whiten(x: Float[Tensor, "B T"], mask: Int[Tensor, "B T"], shift_mean: bool = True) -> Float[Tensor, "B T"]:
    """Scales `x` to unit variance over the mask (and mean 0, if `shift_mean`); 0 outside it."""
    mean = masked_mean(x, mask)
    white = (x - mean) * torch.rsqrt(masked_var(x, mask) + 1e-8)
    return torch.where(mask.bool(), white if shift_mean else white + mean, 0)


def check_shapes(**tensors: Tensor) -> None:
    """Raises TrainingError unless all tensors have the same shape; the message names each."""
    if len({t.shape for t in tensors.values()}) > 1:
        shapes = ", ".join(f"{name} {tuple(t.shape)}" for name, t in tensors.items())
        raise TrainingError(f"these must have one shape [B, T]: {shapes}.")


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
    V is 0 after the last token. Returns are A + V. Advantages are then whitened over the mask, so their mean is always
    0. (The lab asks to maximise this mean.) Raises TrainingError for shapes that do not fit.
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
