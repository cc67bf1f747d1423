"""Intervals by a cluster bootstrap (Field & Welsh 2007): how certain a mean or a paired difference is.

Rows that resemble each other are one cluster: dialogues of one template, rows of one dialogue, pairs of one prompt.
Drawing such rows one by one would treat them as independent, so whole clusters are drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from labhelpers.errors import DataError

NOT_MEASURED = "not measured"


def formatted(value: float | None, spec: str) -> str:
    """`value` with the format `spec` (".1%"), or "not measured" for None and NaN (nothing to count)."""
    return NOT_MEASURED if value is None or np.isnan(value) else format(value, spec)


@dataclass(frozen=True)
class Interval:
    """An estimate with its 95 % interval, its number of rows `n` and of clusters.

    `by` is "cluster", or "row" when all rows belong to one cluster: then single rows are drawn, and the interval is too
    narrow if they resemble each other. Prints as "-0.35 [-0.41, -0.28]"; `f"{interval:.3f}"` sets the digits. With no
    rows it prints as "not measured".
    """

    estimate: float
    low: float
    high: float
    n: int
    clusters: int
    by: str = "cluster"

    def __format__(self, spec: str) -> str:
        spec = spec or ".2f"
        if np.isnan(self.estimate):
            return NOT_MEASURED
        return f"{self.estimate:{spec}} [{self.low:{spec}}, {self.high:{spec}}]"

    def __str__(self) -> str:
        return format(self)

    @property
    def ci95(self) -> list[float]:
        """[low, high], as results are recorded."""
        return [self.low, self.high]

    @property
    def excludes_zero(self) -> bool:
        """Whether the whole interval lies on one side of 0."""
        return self.low > 0 or self.high < 0


def bootstrap_mean(values: Sequence[float], clusters: Sequence, samples: int = 2000, seed: int = 0) -> Interval:
    """The mean of `values` `[n]` with its 95 % percentile interval, resampling whole `clusters` `[n]`.

    NaN rows are left out (`Interval.n` counts the others). Raises DataError for unequal lengths or no samples.
    """
    values = np.asarray(values, dtype=float)
    sums, sizes, by = _cluster_sums(values[:, None], clusters)
    return _interval(lambda weights: (weights @ sums)[:, 0] / (weights @ sizes), sums, sizes, by, samples, seed)


def paired_bootstrap(
    before: Sequence[float],
    after: Sequence[float],
    clusters: Sequence,
    samples: int = 2000,
    seed: int = 0,
    statistic: str = "mean",
) -> Interval:
    """The change from `before` to `after` `[n]`, with its 95 % percentile interval. Row i is the same prompt in both.

    Whole `clusters` `[n]` (for dialogues: `resampling_units`) are drawn with replacement, and the two values of a
    prompt stay together. `statistic` "mean" is mean(after) - mean(before); "relative", the PPO lab's "improvement", is
    mean(after) / mean(before) - 1. Rows with a NaN on either side are left out. Raises DataError for unequal lengths,
    no samples or another statistic.
    """
    before, after = np.asarray(before, dtype=float), np.asarray(after, dtype=float)
    if before.shape != after.shape:
        raise DataError(f"{len(before)} values before, but {len(after)} after; pairs need the same prompts in both.")
    pairs = np.stack([before, after], axis=1)  # [n, 2]
    sums, sizes, by = _cluster_sums(pairs, clusters)
    if statistic == "mean":
        change = lambda weights: (weights @ (sums[:, 1] - sums[:, 0])) / (weights @ sizes)  # noqa: E731
    elif statistic == "relative":
        change = lambda weights: (weights @ sums[:, 1]) / (weights @ sums[:, 0]) - 1  # noqa: E731
    else:
        raise DataError(f"statistic={statistic!r} is unknown; choose 'mean' or 'relative'.")
    return _interval(change, sums, sizes, by, samples, seed)


def _cluster_sums(values: np.ndarray, clusters: Sequence) -> tuple[np.ndarray, np.ndarray, str]:
    """Sums `[C, columns]` and sizes `[C]` of the clusters of `values` `[n, columns]`, and what a cluster is."""
    if len(values) != len(clusters):
        raise DataError(f"{len(values)} values, but {len(clusters)} cluster names; one per value is needed.")
    kept = ~np.isnan(values).any(axis=1)
    values = values[kept]
    names, codes = np.unique(np.asarray(clusters, dtype=object)[kept].astype(str), return_inverse=True)
    by = "cluster"
    if len(names) == 1:  # only single rows can be resampled
        codes, by = np.arange(len(values)), "row"
    n_clusters = int(codes.max()) + 1 if len(codes) else 0
    sums = np.stack([np.bincount(codes, column, n_clusters) for column in values.T], axis=1)
    return sums, np.bincount(codes, minlength=n_clusters).astype(float), by


def _interval(statistic, sums: np.ndarray, sizes: np.ndarray, by: str, samples: int, seed: int) -> Interval:
    if samples < 1:
        raise DataError(f"samples={samples} must be at least 1.")
    n_clusters = len(sizes)
    if not n_clusters:
        return Interval(np.nan, np.nan, np.nan, 0, 0)
    # How often each cluster was drawn, [samples, C]: all samples are then one matrix product instead of a loop.
    drawn = np.random.default_rng(seed).integers(n_clusters, size=(samples, n_clusters))
    cells = drawn + n_clusters * np.arange(samples)[:, None]
    weights = np.bincount(cells.ravel(), minlength=samples * n_clusters).reshape(samples, n_clusters).astype(float)
    with np.errstate(divide="ignore", invalid="ignore"):  # "relative" divides by 0 when a sample has a mean of 0 before
        estimate = float(statistic(np.ones((1, n_clusters)))[0])
        low, high = np.percentile(statistic(weights), [2.5, 97.5])
    return Interval(estimate, float(low), float(high), int(sizes.sum()), 1 if by == "row" else n_clusters, by)


def mean_over_seeds(values: Sequence) -> Interval | list[Interval]:
    """The mean over training seeds with its 95 % interval by Student's t; for lists of equal length, place by place.

    A seed is the unit: what differs from prompt to prompt within a run is averaged already. With one seed there is no
    interval, and its ends are NaN. Raises DataError without values and for lists of different lengths.
    """
    from scipy.stats import t

    values = [np.asarray(value, dtype=float) for value in values]
    if not values:
        raise DataError("no seed, no mean: the list of values is empty.")
    if len({value.shape for value in values}) > 1:
        raise DataError("the seeds' lists are of different lengths.")
    table = np.stack(values)
    if table.ndim > 1:
        return [mean_over_seeds(column) for column in table.T]
    n = len(table)
    half = t.ppf(0.975, n - 1) * table.std(ddof=1) / n**0.5 if n > 1 else np.nan
    mean = float(table.mean())
    return Interval(mean, float(mean - half), float(mean + half), n, n, "seed")


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for their number (Holm 1979): where one stays below 0.05, the chance that any such is a false
    alarm is at most 5 %, however they depend on each other. In the order given. Raises DataError outside [0, 1]."""
    p = np.asarray(p_values, dtype=float)
    if not ((p >= 0) & (p <= 1)).all():
        raise DataError(f"p-values lie between 0 and 1, got {p_values!r}.")
    order = np.argsort(p, kind="stable")
    corrected = np.empty_like(p)
    corrected[order] = np.maximum.accumulate(np.minimum(p[order] * np.arange(len(p), 0, -1), 1.0))
    return corrected.tolist()
