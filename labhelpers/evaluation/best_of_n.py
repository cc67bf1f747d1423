"""Best-of-n from one set of samples: what the best of n would be worth, for every n up to the number of samples."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from labhelpers.errors import DataError


def best_of_n(proxy: Sequence[Sequence[float]], value: Sequence[Sequence[float]], n: int) -> np.ndarray:
    """The expected `value` of the sample that the `proxy` likes best among n, per prompt `[P]`; both are `[P, N]`.

    Unbiased: the mean over all subsets of n of the N samples (Nakano et al. 2021, arXiv 2112.09332, appendix I). The
    sample that i others beat is the best of a subset with probability C(N - 1 - i, n - 1) / C(N, n). Samples that the
    proxy likes equally share their places. Raises DataError for shapes that differ and for n outside 1 ... N.
    """
    proxy, value = np.asarray(proxy, dtype=float), np.asarray(value, dtype=float)
    if proxy.ndim != 2 or proxy.shape != value.shape:
        raise DataError(f"proxy has shape {proxy.shape}, value {value.shape}; both are prompts x samples.")
    total = proxy.shape[1]
    if not 1 <= n <= total:
        raise DataError(f"n is {n}; with {total} samples a prompt it is 1 to {total}.")
    chance = np.array([math.comb(total - 1 - i, n - 1) for i in range(total)], dtype=float) / math.comb(total, n)
    found = np.empty(len(proxy))
    for row, (liked, worth) in enumerate(zip(proxy, value, strict=True)):
        order = np.argsort(-liked, kind="stable")
        _, group = np.unique(-liked[order], return_inverse=True)
        shared = np.bincount(group, worth[order]) / np.bincount(group)
        found[row] = chance @ shared[group]
    return found


def best_of_n_kl(n: int) -> float:
    """KL(best-of-n || the policy), in nats: at most log n - (n - 1) / n, with equality where no two samples are equal.

    Stiennon et al. (2020), appendix G.3; that it is an upper bound: Beirami et al. (2024, arXiv 2401.01879).
    """
    return math.log(n) - (n - 1) / n
