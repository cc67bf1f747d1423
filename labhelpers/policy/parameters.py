"""How many parameters a module has, and how many of them are trained."""

from __future__ import annotations

from torch import nn


def count_parameters(module: nn.Module) -> tuple[int, int]:
    """(trainable, all) parameters; one that is used in several places counts once."""
    sizes = [(p.numel(), p.requires_grad) for p in module.parameters()]
    return sum(n for n, trained in sizes if trained), sum(n for n, _ in sizes)


def print_number_of_trainable_model_parameters(model: nn.Module) -> str:
    """The PPO lab's count, under its name: three lines of text, which it returns for you to print.

    Inside `Policy.reference()` the policy's `model` has 0 trainable parameters.
    """
    trainable, total = count_parameters(model)
    share = f"{trainable / total:.2%}" if total else "none there"
    return (
        f"trainable model parameters: {trainable}\nall model parameters: {total}\n"
        f"percentage of trainable model parameters: {share}"
    )
