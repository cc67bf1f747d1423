"""Figures that compare policies: distributions, paired differences, intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from labhelpers.evaluation.intervals import Interval
from labhelpers.plots.style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    NAMES,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
    error_bars,
    styled,
)


@styled
def paired_differences(
    differences: Sequence[float],
    interval: Interval,
    label: str = "difference in P(hate), after − before",
    title: str = "What changed, prompt by prompt",
) -> Figure:
    """The difference of every prompt, sorted, and beside it the mean with its 95 % interval. NaN are left out.

    The left panel shows how many prompts improved, stayed the same or got worse; the right panel shows the average.
    """
    values = np.asarray(differences, dtype=float)
    values = np.sort(values[~np.isnan(values)])
    fig = Figure(figsize=(7.2, 3.4))
    left, right = fig.subplots(1, 2, sharey=True, width_ratios=[3.4, 1])
    place = np.arange(1, len(values) + 1)
    left.fill_between(place, values, 0, step="mid", color=SKY, alpha=0.5, linewidth=0)
    left.plot(place, values, color=BLUE, linewidth=1.4, drawstyle="steps-mid")
    left.axhline(0, color=INK, linewidth=1)
    left.set(title=title, xlabel=f"prompts, sorted by difference (n = {len(values)})", ylabel=label)
    left.margins(x=0.01)
    right.axhline(0, color=INK, linewidth=1)
    errors = error_bars(interval.estimate, interval.low, interval.high)
    right.errorbar([0], [interval.estimate], yerr=errors, fmt="o", color=BLUE, capsize=6, markersize=7)
    mean, rest = format(interval, "+.2f").replace("-", "−").split(" ", 1)
    right.set(title="Mean, 95 % CI", xlabel=f"{mean}\n{rest}", xlim=(-1, 1), xticks=[])
    return fig


@styled
def intervals(table: pd.DataFrame, title: str = "After − before, 95 % confidence intervals") -> Figure:
    """A forest plot of the table of `evaluation.compare`: the difference of every measure with its interval.

    Blue means better, vermilion worse, and grey undecided: the interval contains 0. Less toxicity and fewer insults are
    better; more of every other measure is better.
    """
    fig = Figure(figsize=(7.2, 1.2 + 0.42 * len(table)))
    ax = fig.subplots()
    ax.axvline(0, color=INK, linewidth=1)
    for place, (name, row) in enumerate(table.iterrows()):
        better = -1 if name in ("toxicity", "judge_toxicity", "insult_rate", "insult") else 1
        decided = row["low"] > 0 or row["high"] < 0
        colour = GREY if not decided else BLUE if better * row["difference"] > 0 else VERMILION
        ax.plot([row["low"], row["high"]], [place, place], color=colour, linewidth=3, solid_capstyle="butt")
        ax.plot(row["difference"], place, "o", color=colour, markersize=7)
        text = f"{row['before']:.3f} → {row['after']:.3f}"
        ax.annotate(text, (1.01, place), xycoords=("axes fraction", "data"), va="center", fontsize=9, color=INK)
    ax.set_yticks(range(len(table)), [NAMES.get(name, (name,))[0] for name in table.index])
    ax.set_ylim(len(table) - 0.5, -0.5)
    ax.grid(axis="y", visible=False)
    ax.xaxis.get_major_locator().set_params(nbins=6)
    ax.set(title=title, xlabel="difference (blue: better, vermilion: worse, grey: undecided)", ylabel="measure")
    return fig


@styled
def policies(
    table: pd.DataFrame, title: str = "Policies side by side, mean and 95 % interval", differences: bool = False
) -> Figure:
    """A panel per measure, with a dot and its interval for each policy; of `differences`, also a line at 0.

    `table` has one row per (measure, policy) with the columns measure, policy, mean, low, high; its order is kept.
    """
    measures, names = list(dict.fromkeys(table["measure"])), list(dict.fromkeys(table["policy"]))
    fig = Figure(figsize=(2.5 * len(measures) + 0.4, 3.4))
    axes = fig.subplots(1, len(measures), squeeze=False)[0]
    colours = [ORANGE, BLUE, GREEN, PURPLE, VERMILION, SKY]
    for ax, measure in zip(axes, measures, strict=True):
        if differences:
            ax.axhline(0, color=INK, linewidth=1)
        for _, row in table[table["measure"] == measure].iterrows():
            place = names.index(row["policy"])
            errors = error_bars(row["mean"], row["low"], row["high"])
            colour = colours[place % len(colours)]
            ax.errorbar([place], [row["mean"]], yerr=errors, fmt="o", color=colour, capsize=5, markersize=7)
        heading, label = NAMES.get(measure, (measure, measure))
        ax.set(title=heading, xlabel="policy", ylabel=label, xlim=(-0.6, len(names) - 0.4))
        ax.set_xticks(range(len(names)), names, rotation=20, ha="right")
        ax.grid(axis="x", visible=False)
        low, high = ax.get_ylim()
        ax.set_ylim(max(low, -0.02) if (table["low"] >= 0).all() else low, high)
    fig.suptitle(title, x=0.01, ha="left", weight="bold")
    return fig


@styled
def repetitions(table: pd.DataFrame, label: str, title: str) -> Figure:
    """A strip of points per column of `table` (one row per repetition), with the median and the middle 95 %."""
    fig = Figure(figsize=(6.6, 1.4 + 0.7 * table.shape[1]))
    ax = fig.subplots()
    for place, name in enumerate(table.columns):
        values = np.sort(table[name].to_numpy(float))
        # Points are spread by their rank, not at random, so that the figure is the same every time.
        spread = place + 0.28 * (((np.arange(len(values)) * 7) % 11) / 10 - 0.5) * 2
        ax.scatter(values, spread, s=9, color=SKY, alpha=0.7, linewidths=0)
        low, middle, high = np.percentile(values, [2.5, 50, 97.5])
        ax.plot([low, high], [place, place], color=BLUE, linewidth=2.4)
        ax.plot(middle, place, "o", color=BLUE, markersize=7)
    ax.axvline(0, color=INK, linewidth=1)
    ax.set_yticks(range(table.shape[1]), [f"{name} prompts" for name in table.columns])
    ax.set_ylim(table.shape[1] - 0.5, -0.5)
    ax.grid(axis="y", visible=False)
    ax.set(title=title, xlabel=f"{label}   (dot: median, line: middle 95 %)", ylabel="measured on")
    return fig


@styled
def seeds(pairs: Mapping[str, tuple[Sequence[float], Sequence[float]]], label: str, title: str) -> Figure:
    """A panel per entry of `pairs`, name -> (before, after): a line for every seed, from before to after."""
    fig = Figure(figsize=(3.4 * len(pairs) + 0.4, 3.4))
    axes = fig.subplots(1, len(pairs), squeeze=False, sharey=True)[0]
    for ax, (name, (before, after)) in zip(axes, pairs.items(), strict=True):
        for first, last in zip(before, after, strict=True):
            ax.plot([0, 1], [first, last], color=BLUE, alpha=0.6, marker="o", markersize=5, linewidth=1.4)
        ax.set(title=name, xticks=[0, 1], xticklabels=["before", "after"], xlim=(-0.25, 1.25))
        ax.set(xlabel="the policy, before and after PPO", ylabel=label)
    axes[0].set_ylim(bottom=0)
    fig.suptitle(title, x=0.01, ha="left", weight="bold")
    return fig
