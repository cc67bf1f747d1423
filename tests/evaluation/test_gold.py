"""The gold reward, and best-of-n from one set of samples."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labhelpers.errors import DataError
from labhelpers.evaluation import FactVocabulary, GoldReward, Lexicon, best_of_n, best_of_n_kl

VOCABULARY = FactVocabulary({"who": ["Ben", "Anna"], "when": ["noon", "Friday"]})
ROWS = [
    {"query": "one", "facts": {"who": "Ben", "when": "noon"}},
    {"query": "two", "facts": {"who": "Anna", "when": None}},
]


@pytest.fixture
def gold():
    return GoldReward(ROWS, VOCABULARY, Lexicon(["fool"]))


@pytest.mark.parametrize(
    ("prompt", "text", "reward"),
    [
        ("one", "Ben comes at noon.", 1.0),
        ("one", "Ben comes.", 0.5),  # true, half of the facts
        ("one", "Ben comes on Friday.", 0.25),  # half true, half of the facts
        ("one", "Ben, a fool, comes at noon.", 0.0),
        ("one", "Somebody comes.", 0.0),
        ("two", "Ben comes at noon.", 0.0),
        ("two", "Anna comes.", 1.0),
    ],
)
def test_it_wants_truth_coverage_and_manners_at_once(gold, prompt, text, reward):
    assert gold.score([prompt], [text]).tolist() == [reward]


def test_unusable_questions_are_refused(gold):
    with pytest.raises(DataError, match="not among the dialogues"):
        gold.score(["three"], ["Ben."])
    with pytest.raises(DataError, match="one response per prompt"):
        gold.score(["one"], [])
    with pytest.raises(DataError, match="1 of 1 dialogues have no facts"):
        GoldReward([{"query": "one", "facts": None}], VOCABULARY, Lexicon([]))


@given(st.lists(st.integers(-2, 2), min_size=1, max_size=6), st.data())
@settings(deadline=None)
def test_the_estimate_is_the_mean_over_all_subsets(proxy, data):
    """By enumeration; samples that the proxy likes equally share their places."""
    value = data.draw(st.lists(st.floats(-3, 3), min_size=len(proxy), max_size=len(proxy)))
    for n in range(1, len(proxy) + 1):
        worth = []
        for chosen in itertools.combinations(range(len(proxy)), n):
            best = max(proxy[i] for i in chosen)
            liked = [i for i in range(len(proxy)) if proxy[i] == best]  # all with this proxy stand for each other
            worth.append(np.mean([value[i] for i in liked]))
        assert best_of_n([proxy], [value], n)[0] == pytest.approx(np.mean(worth), abs=1e-9)


def test_the_ends_are_the_mean_and_the_best():
    generator = np.random.default_rng(0)
    proxy, value = generator.normal(size=(5, 16)), generator.normal(size=(5, 16))
    np.testing.assert_allclose(best_of_n(proxy, value, 1), value.mean(1))
    np.testing.assert_allclose(best_of_n(proxy, value, 16), value[np.arange(5), proxy.argmax(1)])
    rising = [best_of_n(proxy, proxy, n).mean() for n in (1, 2, 4, 8, 16)]
    assert rising == sorted(rising)


@pytest.mark.parametrize("n", [0, 4])
def test_n_is_at_most_the_number_of_samples(n):
    with pytest.raises(DataError, match="1 to 3"):
        best_of_n([[1, 2, 3]], [[1, 2, 3]], n)


def test_the_kl_of_best_of_n():
    assert best_of_n_kl(1) == 0 and best_of_n_kl(4) == pytest.approx(math.log(4) - 0.75)
