"""Checks for notebook 03: pairs from ranks, the pairwise loss, and what a reward's zero means."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from labhelpers.checks.verdict import Verdict, given, judge


def check_pair_count(count: int) -> Verdict:
    """Checks a guess at how many (chosen, rejected) pairs the ranks 1, 2, 2, 4 of one answer give."""
    ranks = (1, 2, 2, 4)
    k = len(ranks)
    every = k * (k - 1) // 2
    right = sum(a != b for i, a in enumerate(ranks) for b in ranks[i + 1 :])
    return judge(
        "check_pair_count",
        lambda: int(given(count)),
        right,
        {
            "you counted the tie: two responses of the same rank have no better one.": every,
            "every pair is counted in both directions: (a, b) and (b, a) are one pair.": k * (k - 1),
            "both directions are counted, though without the tie.": 2 * right,
            "that is the number of responses; count pairs of them.": k,
            "only neighbours in rank? The best is also better than the last.": len(set(ranks)) - 1,
            "that is every response paired with itself too.": k * k,
        },
        otherwise="list the pairs of two responses, and strike out those without a better side.",
    )


def check_pairwise_loss(pairwise_loss: Callable[[Any, Any], Any]) -> Verdict:
    """Checks `pairwise_loss(chosen[P], rejected[P])`, the mean of -log sigma(chosen - rejected)."""
    import torch

    chosen = torch.tensor([1.5, -0.3, 0.2, 4.0], dtype=torch.float64)
    rejected = torch.tensor([0.1, 0.9, 0.2, -3.0], dtype=torch.float64)
    # Margins of ±1000: log(sigmoid(x)) is -inf at one end, log-sigmoid is not.
    wide = torch.tensor([0.0, 1000.0], dtype=torch.float64)

    def answers(loss: Callable[[Any, Any], Any]) -> tuple[Any, Any]:
        return loss(chosen, rejected), loss(wide, wide.flip(0))

    def attempt() -> Any:
        answer = given(pairwise_loss)(chosen, rejected)
        return None if answer is None else answers(pairwise_loss)

    logsigmoid = torch.nn.functional.logsigmoid
    return judge(
        "check_pairwise_loss",
        attempt,
        answers(lambda c, r: -logsigmoid(c - r).mean()),
        {
            "the minus is missing: the trainer would minimise the probability of what people prefer.": answers(
                lambda c, r: logsigmoid(c - r).mean()
            ),
            "chosen and rejected have changed places.": answers(lambda c, r: -logsigmoid(r - c).mean()),
            "the sum grows with the number of pairs; take the mean.": answers(lambda c, r: -logsigmoid(c - r).sum()),
            "one loss per pair; the trainer wants their mean.": answers(lambda c, r: -logsigmoid(c - r)),
            "the logarithm is missing: that is the mean probability.": answers(
                lambda c, r: torch.sigmoid(c - r).mean()
            ),
            "the logarithm is missing: that is one minus the probability.": answers(
                lambda c, r: (1 - torch.sigmoid(c - r)).mean()
            ),
            "the sigmoid is missing: the margin itself has no lower end to minimise towards.": answers(
                lambda c, r: -(c - r).mean()
            ),
            "the mean is taken before the logarithm.": answers(lambda c, r: -torch.sigmoid(c - r).mean().log()),
            "right for small margins, but infinite for large ones: use torch.nn.functional.logsigmoid.": answers(
                lambda c, r: -torch.log(torch.sigmoid(c - r)).mean()
            ),
            "the sigmoid is taken of each reward alone; it belongs around their difference.": answers(
                lambda c, r: -(torch.sigmoid(c) - torch.sigmoid(r)).mean()
            ),
        },
    )


def check_shift(changes: Mapping[str, bool]) -> Verdict:
    """Checks what changes when every reward grows by 5: a dictionary with accuracy, loss and pipeline_score."""
    names = ("accuracy", "loss", "pipeline_score")

    def attempt() -> Any:
        answers = given(changes)
        if all(answer is None for answer in answers.values()):
            raise NotImplementedError
        missing = [name for name in names if not isinstance(answers.get(name), bool)]
        if missing:
            raise ValueError(f"say True or False for {missing[0]!r}")
        return [float(answers[name]) for name in names]

    return judge(
        "check_shift",
        attempt,
        [0.0, 0.0, 1.0],
        {
            "all three change? Accuracy and loss see only differences of two rewards.": [1.0, 1.0, 1.0],
            "nothing changes? The pipeline takes the sigmoid of one reward, not of a difference.": [0.0, 0.0, 0.0],
            "the loss depends on chosen - rejected alone, and so does the order.": [0.0, 1.0, 1.0],
            "exactly the other way round.": [1.0, 1.0, 0.0],
        },
        otherwise="accuracy and loss depend on differences of rewards; the pipeline's score on one reward.",
    )
