"""Training on several processes (through accelerate): each has a share of the batch, and all take the same step."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import Tensor, nn


class Processes:
    """The few collective operations that PPO needs. With one process, or without an accelerator, they do nothing."""

    def __init__(self, accelerator: Accelerator | None = None):
        self.accelerator = accelerator
        self.count = accelerator.num_processes if accelerator else 1
        self.rank = accelerator.process_index if accelerator else 0

    @property
    def is_main(self) -> bool:
        return self.rank == 0

    def share(self, n: int) -> range:
        """The rows of a batch of n that belong to this process: contiguous, in rank order."""
        return range(self.rank * n // self.count, (self.rank + 1) * n // self.count)

    def gather(self, x: Tensor, padding_side: str = "right") -> Tensor:
        """Stacks the tensors `[b, …]` of all processes in rank order.

        Where their second dimensions differ, the shorter ones are padded with 0 on `padding_side`.
        """
        if self.count == 1:
            return x
        parts = [part.to(x.device) for part in gather_object([x.detach().cpu()])]
        if x.dim() > 1:
            width = max(part.shape[1] for part in parts)
            missing = [width - part.shape[1] for part in parts]
            margins = [(0, n) if padding_side == "right" else (n, 0) for n in missing]
            parts = [nn.functional.pad(part, margin) for part, margin in zip(parts, margins, strict=True)]
        return torch.cat(parts)

    def gather_list(self, values: list) -> list:
        """Every process's values in one list, in rank order."""
        return values if self.count == 1 else gather_object(values)

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Adds up the gradients of all processes. (Losses are divided by the whole mini-batch's tokens already.)"""
        if self.count == 1:
            return
        parameters = [p for p in parameters if p.requires_grad]
        flat = torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).flatten().double() for p in parameters])
        flat = self.accelerator.reduce(flat, reduction="sum")
        for p, grad in zip(parameters, flat.split([p.numel() for p in parameters]), strict=True):
            p.grad = grad.view_as(p).to(p.dtype)

    def wait(self) -> None:
        if self.count > 1:
            self.accelerator.wait_for_everyone()
