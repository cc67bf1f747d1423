"""Lists of unequal length as one tensor: every id in its place, nothing else marked."""

import pytest
import torch

from labhelpers.policy.padding import pad


@pytest.mark.parametrize(
    "side, ids, mask",
    [
        ("right", [[5, 6, 7], [8, 9, 9], [9, 9, 9]], [[1, 1, 1], [1, 0, 0], [0, 0, 0]]),
        ("left", [[5, 6, 7], [9, 9, 8], [9, 9, 9]], [[1, 1, 1], [0, 0, 1], [0, 0, 0]]),
    ],
)
def test_rows_are_filled_up_on_their_side(side, ids, mask):
    found = pad([[5, 6, 7], [8], []], 9, side)
    assert [x.tolist() for x in found] == [ids, mask]
    assert all(x.dtype == torch.int64 for x in found)


def test_an_id_that_is_the_padding_id_counts_as_a_token():
    assert pad([[9, 9], [1]], 9)[1].tolist() == [[1, 1], [1, 0]]
