"""The figures of rankings and of the reward model (notebooks 02 and 03), in the course's style."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from labhelpers.errors import LabError
from labhelpers.plots.style import BLUE, GREEN, GREY, INK, ORANGE, VERMILION, error_bars, styled

_COLOURS = (BLUE, GREEN, ORANGE)


@styled
def ranking_to_pairs(ranks: Mapping[str, int], title: str = "One ranking, many pairs") -> Figure:
    """A row per pair that `ranks` gives, with the chosen response in blue and the rejected one in vermilion.

    `ranks` maps the name of a response to its rank (1 is best). Responses are ordered from best to worst. A tie gives
    no row. Raises LabError for ranks that give no pair.
    """
    names = sorted(ranks, key=ranks.get)
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :] if ranks[a] < ranks[b]]
    if not pairs:
        raise LabError(f"the ranks {list(ranks.values())} give no pair: all responses are equally good.")
    fig = Figure(figsize=(1.6 + 1.1 * len(names), 1.2 + 0.42 * len(pairs)))
    ax = fig.subplots()
    for row, (a, b) in enumerate(pairs):
        x = names.index(a), names.index(b)
        ax.plot(x, (row, row), color=GREY, linewidth=1.4, zorder=1)
        for place, colour, label in zip(x, (BLUE, VERMILION), ("chosen", "rejected"), strict=True):
            ax.scatter(place, row, s=90, color=colour, zorder=2, label=label if row == 0 else None)
    ax.set_xticks(range(len(names)), [f"{name}\nrank {ranks[name]}" for name in names])
    ax.set_yticks(range(len(pairs)), [f"{a} before {b}" for a, b in pairs])
    ax.invert_yaxis()
    ax.margins(x=0.15)
    ax.set(title=title, xlabel="response, best first", ylabel="pair")
    fig.legend(*ax.get_legend_handles_labels(), loc="outside upper right", ncols=2, fontsize=9)
    return fig


@styled
def margin_histograms(groups: Mapping[str, Sequence[float]], title: str = "Margins on held-out pairs") -> Figure:
    """A histogram of the margins r(chosen) - r(rejected) for each group; pairs in the wrong order are vermilion."""
    values = {name: np.asarray(v, dtype=float) for name, v in groups.items()}
    everything = np.concatenate(list(values.values()))
    # 0 is in the figure and the edge of a bin, so that no bar holds both right and wrong pairs.
    width = max(np.ptp(np.append(everything, 0)), 1e-6) / 30
    bins = width * np.arange(np.floor(min(everything.min() / width, 0)), np.ceil(max(everything.max() / width, 0)) + 2)
    fig = Figure(figsize=(6.4, 0.9 + 1.35 * len(values)))
    axes = fig.subplots(len(values), 1, sharex=True, squeeze=False)[:, 0]
    for index, (ax, (name, margins)) in enumerate(zip(axes, values.items(), strict=True)):
        colour = _COLOURS[index % len(_COLOURS)]
        _, edges, bars = ax.hist(margins, bins=bins, color=colour, edgecolor="white", linewidth=0.5)
        for bar, edge in zip(bars, edges[:-1], strict=True):
            if edge < 0:
                bar.set_facecolor(VERMILION)
        ax.axvline(0, color=INK, linewidth=1)
        ax.set_title(f"{name}: {np.mean(margins > 0):.0%} of {len(margins)} pairs right", fontsize=10, weight="normal")
        ax.set_ylabel("pairs")
        ax.grid(axis="x", visible=False)
    axes[-1].set_xlabel("margin r(chosen) − r(rejected)   (vermilion: wrong order)")
    fig.suptitle(title, x=0.01, ha="left", weight="bold")
    return fig


@styled
def calibration(table: pd.DataFrame, title: str = "Is the model as sure as it should be?") -> Figure:
    """The annotators' agreement over the predicted preference: a dot per bin, larger when the bin has more pairs.

    A perfectly calibrated model lies on the diagonal. `table` comes from `reward.evaluation.calibration_table`.
    """
    filled = table[table["pairs"] > 0]
    fig = Figure(figsize=(4.6, 4.2))
    ax = fig.subplots()
    ax.plot([0.5, 1], [0.5, 1], color=GREY, linestyle=(0, (4, 2)), linewidth=1.4, label="perfectly calibrated")
    ax.plot(filled["predicted"], filled["agreement"], color=BLUE, linewidth=1.2)
    sizes = 30 + 350 * filled["pairs"] / filled["pairs"].sum()
    ax.scatter(filled["predicted"], filled["agreement"], s=sizes, color=BLUE, zorder=3, label="reward model, per bin")
    for _, row in filled.iterrows():
        place = (row["predicted"], row["agreement"])
        ax.annotate(f"{row['pairs']:.0f}", place, xytext=(9, -11), textcoords="offset points", fontsize=9, color=INK)
    ax.set(
        title=title, xlabel="predicted: σ(|margin|), mean of the bin",
        ylabel="annotators who prefer the same", xlim=(0.48, 1.02),
    )  # fmt: skip
    ax.legend(loc="best")
    return fig


@styled
def learning_curve(
    table: pd.DataFrame, levels: Mapping[str, float] | None = None, title: str = "What more rankings buy"
) -> Figure:
    """Held-out accuracy with its interval over the number of training prompts; dashed lines for `levels` by name, but
    for a level that is NaN, which nobody measured.

    `table` has the columns prompts, accuracy, low, high; its first row may be the untrained model (0 prompts).
    `levels` maps a name to an accuracy.
    """
    levels = {name: value for name, value in (levels or {}).items() if not np.isnan(value)}
    fig = Figure(figsize=(6.4, 3.8))
    ax = fig.subplots()
    errors = error_bars(table["accuracy"], table["low"], table["high"])
    ax.errorbar(table["prompts"], table["accuracy"], yerr=errors, fmt="o-", color=BLUE, capsize=5, markersize=7)
    for (name, value), colour in zip(levels.items(), (GREEN, ORANGE, VERMILION, GREY), strict=False):
        ax.axhline(value, color=colour, linestyle=(0, (4, 2)), linewidth=1.4)
        place = (0.01, value)
        ax.annotate(
            f"{name} {value:.3f}", place, xycoords=("axes fraction", "data"), va="bottom", fontsize=9, color=INK
        )
    ax.set_ylim(top=max([table["high"].max(), *levels.values()]) + 0.03)  # room for the topmost label
    ax.set_xscale("symlog", linthresh=10)
    ax.set_xticks(table["prompts"], [str(int(n)) for n in table["prompts"]])
    ax.set_xlim(-2, 1.4 * max(table["prompts"].max(), 10))
    ax.minorticks_off()
    ax.set(title=title, xlabel="training prompts", ylabel="held-out pairwise accuracy")
    return fig
