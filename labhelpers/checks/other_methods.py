"""Checks for notebook 07: who asks the reward model, the loss of DPO, and GRPO's advantages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from labhelpers.checks.verdict import Verdict, given, judge


def check_asks_no_reward(prediction: str) -> Verdict:
    """Checks the prediction which method trains its policy without asking the reward model once while it trains."""
    methods = {"best-of-n": 0, "dpo": 1, "grpo": 2, "ppo": 3, "rloo": 4}
    return judge(
        "check_asks_no_reward",
        lambda: methods.get(str(given(prediction)).strip().lower().replace(" ", "-"), -1),
        1,
        {
            "it trains no policy at all, and asks the reward model n times for every single answer.": 0,
            "it has no value head, but the advantages of a group are made of the rewards of fresh responses.": 2,
            "the reward of every rollout is what it maximises.": 3,
            "a response is compared with the rewards of the others, all of them fresh.": 4,
        },
        "choose one of best-of-n, DPO, GRPO, RLOO and PPO.",
    )


def check_dpo_loss(dpo_loss: Callable[..., Any]) -> Verdict:
    """Checks `dpo_loss(chosen, rejected, ref_chosen, ref_rejected, beta)`, log-probabilities `[P]` -> a scalar."""
    import torch
    from torch.nn.functional import logsigmoid

    f64 = torch.float64
    chosen, rejected = torch.tensor([-9.0, -21.0, -4.0], dtype=f64), torch.tensor([-12.0, -20.0, -7.5], dtype=f64)
    ref_chosen, ref_rejected = (
        torch.tensor([-10.0, -18.5, -4.25], dtype=f64),
        torch.tensor([-11.0, -19.0, -7.0], dtype=f64),
    )
    beta = 0.3
    ratio, ref_ratio = chosen - rejected, ref_chosen - ref_rejected
    margin = beta * (ratio - ref_ratio)

    def attempt() -> Any:
        return given(dpo_loss)(chosen.clone(), rejected.clone(), ref_chosen.clone(), ref_rejected.clone(), beta)

    return judge(
        "check_dpo_loss",
        attempt,
        -logsigmoid(margin).mean(),
        {
            "did you forget beta? It scales how much a log-ratio counts.": -logsigmoid(ratio - ref_ratio).mean(),
            "the reference is missing: what counts is how far the policy has moved away from it.": (
                -logsigmoid(beta * ratio).mean()
            ),
            "the sign: as it stands, minimising it makes the rejected response likelier.": logsigmoid(margin).mean(),
            "chosen and rejected have changed places.": -logsigmoid(-margin).mean(),
            "a sum grows with the number of pairs; take the mean.": -logsigmoid(margin).sum(),
            "one loss per pair is there; return their mean.": -logsigmoid(margin),
            "the logarithm is missing: that is minus the mean probability of the right order.": (
                -torch.sigmoid(margin).mean()
            ),
            "that is 1 minus the probability of the right order; its negative logarithm is wanted.": (
                1 - torch.sigmoid(margin)
            ).mean(),
            "the logarithm belongs to every pair; you take it of the mean probability.": (
                -torch.sigmoid(margin).mean().log()
            ),
            "the reference is added; it has to be subtracted, as a log-ratio is a difference.": (
                -logsigmoid(beta * (ratio + ref_ratio)).mean()
            ),
            "beta scales the reference only; it scales the difference of the two log-ratios.": (
                -logsigmoid(ratio - beta * ref_ratio).mean()
            ),
            "beta scales the policy only; it scales the difference of the two log-ratios.": (
                -logsigmoid(beta * ratio - ref_ratio).mean()
            ),
            "beta stands before the whole loss; it belongs inside the sigmoid.": (
                -beta * logsigmoid(ratio - ref_ratio).mean()
            ),
            "the rejected response is missing: each term compares the two.": (
                -logsigmoid(beta * (chosen - ref_chosen)).mean()
            ),
            "the sigmoid is missing: without it, one easy pair could outweigh all others.": -margin.mean(),
        },
    )


def check_group_advantages(group_advantages: Callable[..., Any]) -> Verdict:
    """Checks `group_advantages(rewards[P, G])` -> advantages `[P, G]`; one group's rewards are all the same."""
    import torch

    rewards = torch.tensor([[1.0, 3.0, -2.0, 0.5], [4.0, 4.0, 4.0, 4.0], [-1.0, -3.0, -2.5, 2.0]], dtype=torch.float64)
    centred = rewards - rewards.mean(1, keepdim=True)
    deviation = rewards.std(1, keepdim=True)
    right = centred / (deviation + 1e-4)
    others = (rewards.sum(1, keepdim=True) - rewards) / (rewards.shape[1] - 1)

    def attempt() -> Any:
        answer = given(group_advantages)(rewards.clone())
        if (
            torch.is_tensor(answer)
            and answer.shape == right.shape
            and torch.allclose(answer.to(right), right, rtol=1e-3, atol=1e-6)
        ):
            return right  # whatever small number keeps the division alive
        return answer

    uncushioned = centred / deviation
    by_prompt = (rewards - rewards.mean(0)) / (rewards.std(0) + 1e-4)
    return judge(
        "check_group_advantages",
        attempt,
        right,
        {
            "a group whose rewards are all equal gives 0 / 0: add a small number (1e-4) to the deviation.": uncushioned,
            "the mean is that of the whole batch; every prompt has its own, over its own responses (dim=1).": (
                (rewards - rewards.mean()) / (rewards.std() + 1e-4)
            ),
            "you compare with the group's mean, but divide by the deviation of the whole batch.": (
                centred / (rewards.std() + 1e-4)
            ),
            "you average over the prompts (dim=0); a group is the responses to *one* prompt (dim=1).": by_prompt,
            "the group's mean is not subtracted.": rewards / (deviation + 1e-4),
            "these are only centred (as in Dr. GRPO, Liu et al. 2025); GRPO divides by the group's deviation.": centred,
            "that is the variance; divide by its square root.": centred / (rewards.var(1, keepdim=True) + 1e-4),
            "each is compared with the mean of the *others*: that is RLOO (Ahmadian et al. 2024), not GRPO.": (
                rewards - others
            ),
            "the deviation divides by G; torch's default (and trl) divides by G - 1.": (
                centred / (rewards.std(1, keepdim=True, correction=0) + 1e-4)
            ),
            "the sign: a response better than its group gets a positive advantage.": -right,
            "the mean is the advantage of nobody: return one number per response.": rewards.mean(1),
        },
    )


def check_leave_one_out(leave_one_out: Callable[..., Any]) -> Verdict:
    """Checks `leave_one_out(rewards)` -> advantages, both `[P, G]` (Kool et al. 2019)."""
    import torch

    rewards = torch.tensor([[1.0, 0.0, -1.0, 4.0], [2.0, 2.5, 0.5, 2.0], [1.0, 1.0, 1.0, 1.0]], dtype=torch.float64)
    count = rewards.shape[1]
    total = rewards.sum(dim=1, keepdim=True)
    baseline = (total - rewards) / (count - 1)
    right = rewards - baseline
    over_prompts = rewards - (rewards.sum(dim=0, keepdim=True) - rewards) / (len(rewards) - 1)
    return judge(
        "check_leave_one_out",
        lambda: given(leave_one_out)(rewards.clone()),
        right,
        {
            "each response is part of its own baseline here: leave it out.": rewards - total / count,
            "the sum of the others is divided by G; there are G − 1 of them.": rewards - (total - rewards) / count,
            "the sign: better than the others is an advantage above 0.": -right,
            "that is the baseline; the advantage is the reward minus it.": baseline,
            "the others are the responses to the *same prompt*: sum along dim=1.": over_prompts,
            "nothing is divided by a deviation here; that is GRPO.": right / (rewards.std(dim=1, keepdim=True) + 1e-4),
        },
    )
