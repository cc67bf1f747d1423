"""What travels through a PPO step, from several processes: the rows of all, each as its own process has it."""

from dataclasses import fields

import pytest
import torch

from labhelpers.ppo import Experience
from labhelpers.ppo import distributed as module
from labhelpers.ppo.distributed import Processes


def experience(query_lengths, response_lengths, padding_side, seed):
    generator = torch.Generator().manual_seed(seed)
    n, width, long = len(query_lengths), max(query_lengths), max(response_lengths)
    query_mask = (torch.arange(width) < torch.tensor(query_lengths)[:, None]).long()
    query_mask = query_mask.flip(-1) if padding_side == "left" else query_mask
    mask = (torch.arange(long) < torch.tensor(response_lengths)[:, None]).long()
    tokens = [torch.randint(1, 99, m.shape, generator=generator) * m for m in (query_mask, mask)]
    numbers = {
        name: torch.randn(n, long, generator=generator) * mask
        for name in ("logprobs", "values", "ref_logprobs", "token_kl", "advantages", "returns")
    }
    return Experience(
        queries=tokens[0], query_mask=query_mask, responses=tokens[1], mask=mask, finished=mask.any(-1),
        texts=[f"{seed} {i}" for i in range(n)], query_texts=["q"] * n,
        scores=torch.randn(n, generator=generator), **numbers,
    )  # fmt: skip


@pytest.mark.parametrize("padding_side", ["left", "right"])
def test_gathered_rows_are_those_of_their_processes(monkeypatch, padding_side):
    ours, theirs = experience([3, 2], [4, 1], padding_side, 0), experience([5, 6, 4], [2, 2, 3], padding_side, 1)
    given = iter([v for v in (getattr(theirs, f.name) for f in fields(theirs)) if v is not None])

    def gather_object(own):  # the other process gives the same field in the same moment
        value = next(given)
        return own + (value if isinstance(value, list) else [value])

    monkeypatch.setattr(module, "gather_object", gather_object)
    processes = Processes()
    processes.count = 2
    whole = ours.gathered(processes, padding_side)
    whole.check()
    assert len(whole) == 5
    assert whole.query_mask[:, -1 if padding_side == "left" else 0].all(), "every query starts or ends in one column"
    for part, rows in [(ours, [0, 1]), (theirs, [2, 3, 4])]:
        found, expected = whole.rows(torch.tensor(rows)), part.rows(torch.arange(len(part)))
        for name in (f.name for f in fields(found)):
            a, b = getattr(found, name), getattr(expected, name)
            assert torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b, name
