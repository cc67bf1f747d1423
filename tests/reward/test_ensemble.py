"""Several reward models as one."""

import pytest
import torch

from labhelpers.errors import DataError
from labhelpers.reward import EnsembleReward


class Fixed:
    def __init__(self, rewards):
        self.rewards = rewards

    def score(self, prompts, responses):
        return [self.rewards[response] for response in responses]


ONE, TWO = Fixed({"a": 0.0, "b": 2.0, "c": 1.0}), Fixed({"a": 100.0, "b": 50.0, "c": 0.0})
REFERENCE = (["p"] * 3, ["a", "b", "c"])


def test_each_reward_counts_in_its_own_standard_deviations():
    mean = EnsembleReward([ONE, TWO], REFERENCE, "mean").score(*REFERENCE)
    torch.testing.assert_close(mean, torch.tensor([0.0, 0.5, -0.5], dtype=torch.float64))
    least = EnsembleReward([ONE, TWO], REFERENCE).score(*REFERENCE)
    torch.testing.assert_close(least, torch.tensor([-1.0, 0.0, -1.0], dtype=torch.float64))


@pytest.mark.parametrize(
    ("rewards", "how", "words"),
    [
        ([ONE], "min", "two rewards"),
        ([ONE, TWO], "max", "'mean' or 'min'"),
        ([ONE, Fixed(dict.fromkeys("abc", 1.0))], "min", "reward 1 gives all 3"),
    ],
)
def test_what_is_no_ensemble_is_refused(rewards, how, words):
    with pytest.raises(DataError, match=words):
        EnsembleReward(rewards, REFERENCE, how)
