"""Checks for notebook 04: the token rewards, generalised advantage estimation, the clipped surrogate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from labhelpers.checks.verdict import Verdict, given, judge


def check_labs_reward(prediction: str) -> Verdict:
    """Checks the prediction which label's logit the PPO lab's `reward[0]` pays for a hateful text."""
    return judge(
        "check_labs_reward",
        lambda: {"nothate": 0, "hate": 1}[str(given(prediction)).strip().lower()],
        1,
        {"the list is sorted by score, so its first entry is the *larger* logit: run the next cell and look.": 0},
    )


def check_token_rewards(token_rewards: Callable[..., Any]) -> Verdict:
    """Checks `token_rewards(score, logprobs, ref_logprobs, kl_coef)` for one response, `[T]` each but the score."""
    import torch

    logprobs = torch.tensor([-1.0, -0.5, -2.0, -0.2])
    ref = torch.tensor([-1.5, -0.25, -1.0, -0.6])
    score, beta = 3.0, 0.1
    kl = logprobs - ref
    right = -beta * kl
    right[-1] += score
    everywhere, first, sign = score - beta * kl, -beta * kl, beta * kl
    first[0] += score
    sign[-1] += score
    no_penalty, no_coef = torch.zeros(4), -kl
    no_penalty[-1], no_coef[-1] = score, no_coef[-1] + score
    absolute = -beta * kl.abs()
    absolute[-1] += score
    return judge(
        "check_token_rewards",
        lambda: given(token_rewards)(score, logprobs, ref, beta),
        right,
        {
            "the sign of the KL term: moving away from the reference must cost, not pay.": sign,
            "the score belongs to the last token only: the reward model judged the whole response.": everywhere,
            "the score stands at the first token; it is known only after the last.": first,
            "where is the KL penalty? Only the score arrives.": no_penalty,
            "did you forget the KL coefficient?": no_coef,
            "that is the absolute log-ratio; the penalty here is the log-ratio itself, sign and all.": absolute,
            "the score is missing: only the KL penalty arrives.": -beta * kl,
        },
    )


def _gae(values: Any, rewards: Any, mask: Any, gamma: float, lam: float, mistake: str = "") -> Any:
    """Generalised advantage estimation, plain or with one mistake built in."""
    import torch

    if mistake != "no mask":
        values, rewards = values * mask, rewards * mask
    length = values.shape[1]
    steps = range(length) if mistake == "forward loop" else reversed(range(length))
    advantages, running = torch.zeros_like(values), torch.zeros(len(values), dtype=values.dtype)
    for t in steps:
        last = t == length - 1
        following = torch.zeros_like(running) if last or mistake == "no bootstrap" else values[:, t + 1]
        delta = rewards[:, t] + gamma * following - (0 if mistake == "no baseline" else values[:, t])
        decay = {"no lambda": gamma, "no gamma": lam, "lambda = 0": 0.0}.get(mistake, gamma * lam)
        running = delta + decay * running
        advantages[:, t] = running
    return advantages if mistake == "no mask" else advantages * mask


def check_gae(gae: Callable[..., Any]) -> Verdict:
    """Checks `gae(values, rewards, mask, gamma, lam)` -> advantages `[B, T]`, not whitened, 0 outside the mask."""
    import torch

    generator = torch.Generator().manual_seed(0)
    values, rewards = (torch.randn(3, 5, generator=generator, dtype=torch.float64) for _ in range(2))
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 0, 0, 0, 0]])
    inputs = (values, rewards, mask, 0.9, 0.8)
    right = _gae(*inputs)
    valid = right[mask.bool()]
    messages = {
        "forward loop": "the loop runs from the first token to the last. A_t needs A_{t+1}: go backwards.",
        "no mask": "the mask is forgotten: values and rewards of the padding leak into the last tokens.",
        "no bootstrap": "the next value is missing: delta_t needs gamma * V_{t+1}.",
        "no baseline": "V_t is not subtracted: these are discounted rewards, not advantages.",
        "no lambda": "lambda is missing: A_{t+1} is discounted by gamma * lambda.",
        "no gamma": "gamma is missing where A_{t+1} is discounted: it is gamma * lambda.",
        "lambda = 0": "A_{t+1} never arrives: this is the one-step error delta_t alone.",
    }
    mistakes = {message: _gae(*inputs, mistake=kind) for kind, message in messages.items()}
    whitened = torch.where(mask.bool(), (right - valid.mean()) / valid.std(), 0)
    mistakes["these advantages are whitened already; return them as they are."] = whitened
    mistakes["these are the returns, A + V; the advantages are wanted."] = right + values * mask

    def attempt() -> Any:
        answer = given(gae)(*(x.clone() if torch.is_tensor(x) else x for x in inputs))
        # What stands outside the mask is never used, except when it shows that the mask was forgotten.
        if torch.is_tensor(answer) and answer.shape == right.shape and torch.allclose(answer[mask.bool()], valid):
            return right
        return answer

    return judge("check_gae", attempt, right, mistakes)


def check_clipped_surrogate(surrogate: Callable[..., Any]) -> Verdict:
    """Checks `surrogate(new_logprobs, old_logprobs, advantages, epsilon)` -> the loss of every token, `[B, T]`."""
    import torch

    # Ratios below, inside and above 1 ± 0.2, each with a gain and with a loss.
    old = torch.tensor([[-1.0, -1.0, -1.0, -1.0, -1.0, -1.0]], dtype=torch.float64)
    new = old + torch.tensor([0.5, 1.1, 1.6, 0.6, 0.95, 1.5], dtype=torch.float64).log()
    advantages = torch.tensor([[2.0, 1.5, 0.5, -1.0, -0.5, -1.5]], dtype=torch.float64)
    ratio, clipped = (new - old).exp(), (new - old).exp().clamp(0.8, 1.2)
    unclipped_loss, clipped_loss = -advantages * ratio, -advantages * clipped
    right = torch.maximum(unclipped_loss, clipped_loss)
    kept, difference = advantages.clamp(-0.2, 0.2), new - old
    half_kept = torch.maximum(-kept * ratio, unclipped_loss)
    no_exponential = torch.maximum(-advantages * difference, -advantages * difference.clamp(0.8, 1.2))
    upside_down = torch.maximum(-advantages / ratio, -advantages * (1 / ratio).clamp(0.8, 1.2))
    return judge(
        "check_clipped_surrogate",
        lambda: given(surrogate)(new.clone(), old.clone(), advantages.clone(), 0.2),
        right,
        {
            "the sign: an optimiser minimises, so what is gained must lower the loss.": -right,
            "the clipped term alone is not enough: where the policy has moved the wrong way it must still learn. "
            "Take the worse of the two terms, token by token.": clipped_loss,
            "nothing is clipped here: take the worse of this and of the same with the clipped ratio.": unclipped_loss,
            "of the two losses this takes the minimum: the *worse* one counts, the larger loss.": torch.minimum(
                unclipped_loss, clipped_loss
            ),
            "the advantage is clipped; it is the ratio that may not leave 1 ± epsilon.": half_kept,
            "the advantage is clipped; it is the *ratio* that may not leave 1 ± epsilon.": -kept * ratio,
            "the ratio is exp(new - old): the exponential is missing.": no_exponential,
            "old and new are the wrong way round: the ratio is new over old.": upside_down,
            "that is the mean over the tokens; return the loss of every token.": right.mean(),
        },
    )
