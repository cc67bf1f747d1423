"""A value head that is fitted before the policy moves, and how much of the returns a value head explains.

A value head that starts at 0 and learns while the policy changes explains nothing for a long time; the advantages are
then the returns themselves. The rollouts of the starting policy are enough to fit it: VC-PPO (Yuan et al. 2025, arXiv
2503.01491) trains it on them first; Ouyang et al. (2022) start it from the reward model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from labhelpers.errors import TrainingError
from labhelpers.policy.fast.passes import passes
from labhelpers.policy.model import Policy
from labhelpers.policy.rollout import Rollout, generate

RIDGES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)  # per token and standardised feature
_BEFORE_THE_FIRST = 10**6  # steps of the sampler, far from those of a training
HELD_OUT = 0.2  # share of the rollouts, the last ones, that choose the ridge


@dataclass(frozen=True)
class ValueFit:
    """How well a value head was fitted: `explained_variance` on the tokens that were held out."""

    tokens: int
    ridge: float
    explained_variance: float


@torch.no_grad()
def explained_variance(values: Float[Tensor, " N"], returns: Float[Tensor, " N"]) -> float:
    """1 - SSE / SST: 1 where the values are the returns, 0 where they are no better than the returns' mean.

    Below 0 they are worse than that. Raises TrainingError for unequal lengths; NaN where all returns are equal.
    """
    if values.shape != returns.shape:
        raise TrainingError(f"values have shape {tuple(values.shape)}, returns {tuple(returns.shape)}.")
    spread = (returns - returns.mean()).square().sum()
    return float(1 - (returns - values).square().sum() / spread) if float(spread) else float("nan")


def pooled_explained_variance(history: Sequence[Mapping[str, float]]) -> float:
    """The explained variance over the tokens of several steps, from the statistics that `PPOTrainer.step` returned.

    The returns are those with lambda = 1 (the rewards that followed), the values those before the step's update.
    """
    tokens = sum(row["ppo/val/tokens"] for row in history)

    def mean(name: str) -> float:
        return sum(row["ppo/val/tokens"] * row[f"ppo/val/{name}"] for row in history) / tokens

    spread = mean("to_go_square_mean") - mean("to_go_mean") ** 2 if tokens else 0.0
    return 1 - mean("to_go_error") / spread if spread > 0 else float("nan")


@torch.no_grad()
def value_features(policy: Policy, rollout: Rollout) -> tuple[Float[Tensor, "N k"], Float[Tensor, " N"]]:
    """What the value head reads at each response token `[N, k]`, row after row, and the number `[N]` of its row."""
    inputs: dict[int, Tensor] = {}
    for rows in passes(rollout.total_lengths, policy.token_bytes, rollout.mask.device, 64):
        part = rollout.rows(rows)
        encoded = policy.encode(part.queries, part.query_mask)
        hidden = policy.hidden_states(part.queries, part.query_mask, part.responses, part.mask, encoded)
        prompts = policy.prompt_states(encoded, part.query_mask, hidden[:, 0])
        for place, row in enumerate(rows.tolist()):
            own = hidden[place][part.mask[place].bool()]
            seen = None if prompts is None else prompts[place].expand(len(own), -1)
            inputs[row] = policy.value_inputs(own, seen).double()
    numbers = [torch.full((len(inputs[row]),), row) for row in sorted(inputs)]
    return torch.cat([inputs[row] for row in sorted(inputs)]), torch.cat(numbers).to(rollout.mask.device)


@dataclass(frozen=True)
class StartingRollouts:
    """Responses of the starting policy, from which value heads are fitted, for one reward after the other.

    `features` `[N, k]` are what the value head reads at each of the N response tokens, `rows` `[N]` the numbers of
    their responses, `left` `[N]` the tokens that still follow.
    """

    queries: list[str]
    texts: list[str]
    finished: Bool[Tensor, " B"]
    features: Float[Tensor, "N k"]
    rows: Int[Tensor, " N"]
    left: Int[Tensor, " N"]


def starting_rollouts(
    policy: Policy,
    tokenizer: PreTrainedTokenizerBase,
    queries: Sequence[str],
    max_new_tokens: int,
    *,
    seed: int = 0,
    batch_size: int = 64,
) -> StartingRollouts:
    """One response of the policy to each query, before any update, with random numbers that no PPO step uses."""
    queries, texts, finished, features, rows, left = list(queries), [], [], [], [], []
    for first in range(0, len(queries), batch_size):
        some = queries[first : first + batch_size]
        rollout = generate(
            policy, tokenizer, some, max_new_tokens, seed=seed, step=_BEFORE_THE_FIRST + first, use_value_head=False
        )
        inputs, numbers = value_features(policy, rollout)
        texts += rollout.texts
        finished.append(rollout.finished)
        features.append(inputs)
        rows.append(numbers + first)
        left.append(torch.cat([torch.arange(n - 1, -1, -1) for n in rollout.lengths.tolist()]).to(numbers))
    return StartingRollouts(queries, texts, torch.cat(finished), torch.cat(features), torch.cat(rows), torch.cat(left))


@torch.no_grad()
def fit_value_head(policy: Policy, features: Float[Tensor, "N k"], returns: Float[Tensor, " N"]) -> ValueFit:
    """Fits the policy's value head to the `returns` of tokens with these `features` by ridge regression, in float64.

    `features` are those of `value_features` for one or more rollouts, in order. The strength of the ridge is chosen on
    the last fifth of the tokens, which the report is about; then all are fitted. Raises TrainingError for unequal
    lengths or fewer than ten tokens.
    """
    if len(features) != len(returns) or len(returns) < 10:
        raise TrainingError(
            f"{len(features)} features and {len(returns)} returns; as many are needed, and at least 10."
        )
    weight, bias, fit = ridge_fit(features, returns)
    policy.value_head.weight.copy_(weight[None])
    policy.value_head.bias.copy_(bias)
    return fit


def ridge_fit(
    features: Float[Tensor, "N k"], returns: Float[Tensor, " N"]
) -> tuple[Float[Tensor, " k"], Float[Tensor, ""], ValueFit]:
    """(weights, bias, how good they are) of the ridge regression that `fit_value_head` puts into the value head."""
    features, returns = features.double(), returns.double()
    first = round(len(returns) * (1 - HELD_OUT))
    found = {}
    for ridge in RIDGES:
        weight, bias = _ridge(features[:first], returns[:first], ridge)
        found[ridge] = explained_variance(features[first:] @ weight + bias, returns[first:])
    best = max(found, key=lambda ridge: found[ridge])
    weight, bias = _ridge(features, returns, best)
    return weight, bias, ValueFit(len(returns), best, found[best])


def _ridge(features: Tensor, returns: Tensor, ridge: float) -> tuple[Tensor, Tensor]:
    """Weights `[k]` and bias that minimise the mean squared error plus `ridge` times the weights' squares.

    Features are standardised for it, so that one strength suits all of them.
    """
    mean, scale = features.mean(0), features.std(0).clamp(min=1e-8)
    standard = (features - mean) / scale
    gram = standard.T @ standard / len(standard)
    gram += ridge * torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
    weight = torch.linalg.solve(gram, standard.T @ (returns - returns.mean()) / len(standard)) / scale
    return weight, returns.mean() - mean @ weight
