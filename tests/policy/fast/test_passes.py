"""Which rows go through a model together: every row once, little padding, no more than the caches hold."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from labhelpers.policy.fast.passes import CACHE_BYTES, feed_forward_width, passes, token_bytes
from tests.support.models import tiny_model

CPU = torch.device("cpu")


@given(
    st.lists(st.integers(0, 3000), max_size=40),
    st.sampled_from([1, 64, 4096, 16384, 10**8]),
    st.one_of(st.none(), st.integers(1, 50)),
    st.integers(1, 4),
    st.sampled_from([CPU, torch.device("cuda")]),
)
def test_every_row_comes_once_in_order_of_length(lengths, width, at_most, caches, device):
    lengths = torch.tensor(lengths, dtype=torch.int64)
    groups = [rows.tolist() for rows in passes(lengths, width, device, at_most, caches)]
    order = [row for rows in groups for row in rows]
    assert sorted(order) == list(range(len(lengths)))
    assert [lengths[i].item() for i in order] == sorted(lengths.tolist())
    for rows in groups:
        assert rows and len(rows) <= (at_most or len(lengths))
        padded = len(rows) * max(lengths[i].item() for i in rows)
        assert device != CPU or len(rows) == 1 or padded * width <= caches * CACHE_BYTES


def test_a_cpu_takes_as_many_as_fit_and_a_gpu_all():
    lengths = torch.full((10,), 100)
    token = CACHE_BYTES // 300  # three rows a cache

    def sizes(*options):
        return [len(rows) for rows in passes(lengths, token, *options)]

    assert sizes(CPU, None, 1) == [3, 3, 3, 1]
    assert sizes(CPU, None, 2) == [6, 4]
    assert sizes(CPU, 4, 2) == [4, 4, 2]
    assert sizes(torch.device("cuda"), None, 1) == [10]
    assert sizes(torch.device("cuda"), 4, 1) == [4, 4, 2]


@pytest.mark.parametrize("family, layers", [("t5", 1), ("flan-t5", 2), ("llama", 1), ("gpt2", 1)])
def test_a_tokens_widest_activations_are_inside_the_feed_forward_layers(family, layers):
    model = tiny_model(family)
    width = 4 * 32 if family == "gpt2" else 48
    assert feed_forward_width(model.config) == width
    assert token_bytes(model) == layers * width * 4
    assert token_bytes(model.double()) == layers * width * 8
