"""Means over training seeds, and p-values corrected for their number."""

import numpy as np
import pytest
from scipy import stats

from labhelpers.errors import DataError
from labhelpers.evaluation import holm, mean_over_seeds


def test_the_interval_over_seeds_is_students():
    values = [0.1, 0.4, 0.35, 0.2]
    own = mean_over_seeds(values)
    low, high = stats.t.interval(0.95, 3, loc=np.mean(values), scale=stats.sem(values))
    assert (own.estimate, own.low, own.high) == pytest.approx((np.mean(values), low, high))
    assert own.by == "seed" and own.n == 4


def test_lists_are_averaged_place_by_place():
    first, second = mean_over_seeds([[1.0, 5.0], [3.0, 5.0]])
    assert first.estimate == 2 and (second.estimate, second.low, second.high) == (5, 5, 5)


def test_one_seed_has_no_interval_and_none_no_mean():
    assert np.isnan(mean_over_seeds([0.3]).low)
    with pytest.raises(DataError, match="no seed"):
        mean_over_seeds([])
    with pytest.raises(DataError, match="different lengths"):
        mean_over_seeds([[1.0], [1.0, 2.0]])


def test_holm_multiplies_the_smallest_by_their_number_and_never_turns_the_order_round():
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0] and holm([]) == []
    with pytest.raises(DataError, match="between 0 and 1"):
        holm([0.5, 1.5])
