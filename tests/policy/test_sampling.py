"""Counter-based sampling: the numbers depend on what they are for, never on how the work was divided."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from labhelpers.errors import TrainingError
from labhelpers.policy.sampling import (
    GREEDY,
    LengthSampler,
    Sampling,
    filter_logits,
    permutation,
    sample_tokens,
    uniforms,
)


@given(st.integers(-(2**62), 2**62), st.integers(-(2**31), 2**31))
def test_numbers_depend_on_row_and_position_not_on_the_batch(seed, step):
    whole = uniforms(seed, step, torch.arange(8), torch.arange(16))
    part = uniforms(seed, step, torch.tensor([5, 2]), torch.arange(16))
    assert torch.equal(part, whole[[5, 2]])
    assert ((whole >= 0) & (whole < 1)).all()


def test_numbers_are_uniform_and_uncorrelated():
    for seed, step in [(0, 0), (0, 1), (1, 0), (12345, 77)]:
        u = uniforms(seed, step, torch.arange(200), torch.arange(200)).numpy()
        assert stats.kstest(u.ravel(), "uniform").pvalue > 1e-4
        neighbours = [u[:, :-1] * u[:, 1:], u[:-1] * u[1:]]
        for product in neighbours:
            assert abs(product.mean() - 0.25) < 4 * 0.22 / np.sqrt(product.size)
    a = uniforms(0, 0, torch.arange(300), torch.arange(30)).flatten()
    for seed, step in [(0, 1), (1, 0), (1, 1)]:
        b = uniforms(seed, step, torch.arange(300), torch.arange(30)).flatten()
        assert abs(np.corrcoef(a, b)[0, 1]) < 0.05


def test_numbers_stay_what_they_are():
    """Stored outputs of the course depend on them: these values must never change."""
    expected = uniforms(7, 3, torch.tensor([0, 4]), torch.tensor([0, 9]))
    assert [[f"{x:.12f}" for x in row] for row in expected.tolist()] == FROZEN


FROZEN = [["0.207491616716", "0.765321029676"], ["0.216865567126", "0.046325692431"]]


def test_tokens_come_in_the_proportions_of_the_softmax():
    logits = torch.tensor([0.3, -1.0, 2.0, 0.0, float("-inf")], dtype=torch.float64)
    n = 20000
    drawn = sample_tokens(logits.expand(n, -1), uniforms(0, 0, torch.arange(n), torch.tensor([0]))[:, 0])
    counts = torch.bincount(drawn, minlength=5).numpy()
    assert counts[4] == 0
    assert stats.chisquare(counts[:4], n * logits.softmax(-1)[:4].numpy()).pvalue > 1e-4


@settings(deadline=None)
@given(st.lists(st.floats(-20, 20), min_size=2, max_size=30), st.sampled_from([0.0, 0.5, 1 - 2**-53]))
def test_every_draw_has_positive_probability(logits, u):
    logits = torch.tensor([logits], dtype=torch.float64)
    cut = filter_logits(logits, top_k=1)
    assert torch.isfinite(cut[0, sample_tokens(cut, torch.tensor([u], dtype=torch.float64))])


@given(st.lists(st.floats(-10, 10), min_size=3, max_size=30, unique=True), st.integers(1, 40), st.floats(0.05, 1))
def test_top_k_and_top_p_keep_what_their_names_say(logits, k, p):
    logits = torch.tensor([logits], dtype=torch.float64)
    kept = filter_logits(logits, top_k=k).isfinite().sum()
    assert kept == min(k, logits.shape[1])
    probabilities = logits.softmax(-1)[0]
    keep = filter_logits(logits, top_p=p).isfinite()[0]
    total = probabilities[keep].sum()
    assert total >= p - 1e-9 and total - probabilities[keep].min() < p + 1e-9
    assert probabilities[keep].min() >= probabilities[~keep].max() if (~keep).any() else True


def test_temperature_sharpens():
    logits = torch.tensor([[1.0, 2.0]], dtype=torch.float64)
    assert torch.allclose(filter_logits(logits, temperature=0.5), logits * 2)


def test_permutation_is_one_and_depends_on_step():
    assert sorted(permutation(3, 1, 50).tolist()) == list(range(50))
    assert permutation(3, 1, 50).tolist() != permutation(3, 2, 50).tolist()


@pytest.mark.parametrize(
    "option, message",
    [
        ({"temperature": 0.0}, "temperature is 0.0, it must be greater than 0"),
        ({"temperature": -1.0}, "temperature is -1.0, it must be greater than 0"),
        ({"temperature": float("inf")}, "temperature is inf, it must be a finite number"),
        ({"top_k": -1}, "top_k is -1, it must be at least 0"),
        ({"top_k": 50.0}, "top_k is 50.0, it must be a whole number"),
        ({"top_p": 0.0}, "top_p is 0.0, it must be greater than 0"),
        ({"top_p": 1.5}, "top_p is 1.5, it must be at most 1"),
        ({"min_length": -1}, "min_length is -1, it must be at least 0"),
        ({"do_sample": "no"}, "do_sample is 'no', it must be True or False"),
        ({"tok_k": 0}, "unknown setting 'tok_k': did you mean 'top_k'"),  # the lab's misspelling
    ],
)
def test_unusable_options_are_refused_when_they_are_made(option, message):
    with pytest.raises(TrainingError) as caught:
        Sampling(**option)
    assert message in str(caught.value)
    with pytest.raises(dataclasses.FrozenInstanceError):
        GREEDY.top_k = 5


def test_end_of_sequence_is_forbidden_before_the_minimum_length():
    logits = torch.tensor([[0.0, 3.0, 1.0]])
    sampling = Sampling(min_length=2)
    for position, expected in [(0, 2), (1, 2), (2, 1)]:
        assert sampling.filtered(logits, position, ends=torch.tensor([1])).argmax().item() == expected
    assert sampling.is_filtered and not Sampling().is_filtered and not GREEDY.is_filtered


def test_limits_are_drawn_from_the_whole_range_and_belong_to_their_step():
    lengths = LengthSampler(3, 7, seed=1)
    assert set(lengths(400)) == {3, 4, 5, 6}
    assert lengths(8, step=5) == LengthSampler(3, 7, seed=1)(8, step=5), "a resumed run draws the same limits"
    assert lengths(40, step=5) != lengths(40, step=6) != LengthSampler(3, 7, seed=2)(40, step=6)


def test_a_single_length_is_drawn_always():
    assert LengthSampler(5, 5)(3) == [5, 5, 5]


@pytest.mark.parametrize("shortest, longest", [(0, 5), (6, 5)])
def test_a_range_without_a_length_is_refused(shortest, longest):
    with pytest.raises(TrainingError, match=f"no limit lies between {shortest} and {longest}"):
        LengthSampler(shortest, longest)
