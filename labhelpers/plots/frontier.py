"""The figures of reward against KL and of costs (notebooks 06 and 07), in the course's style.

A reward says little without the KL to the starting model: a policy that moves far enough can reach almost any reward.
Gao et al. 2023, "Scaling laws for reward model overoptimization", draw the same axes.
"""

from __future__ import annotations

from itertools import cycle

import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from labhelpers.errors import LabError
from labhelpers.plots.style import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, SKY, VERMILION, error_bars, styled

_COLOURS = (BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY, GREY)
_MARKERS = "osD^vPX"
# Places for a label: (right, up) from its dot, in points, and its alignment. The first free place is used.
_PLACES = [(8, 6, "left"), (8, -14, "left"), (-8, 6, "right"), (-8, -14, "right"), (8, 20, "left"), (-8, 20, "right")]


@styled
def reward_against_kl(
    table: pd.DataFrame,
    title: str = "What reward costs in distance",
    reward: str = "mean reward",
) -> Figure:
    """A dot per row of `table`: its reward over the square root of its KL, with one colour and marker per method.

    Columns: `method`, `kl` (nats per response, to the starting model), `reward`; optionally `low` and `high`, the
    interval of the reward, and `label`, the text beside a dot (such as "n = 4"). The dots of a method are joined in the
    order of their KL; every method is named at its dot with the largest KL. Raises LabError for a table
    without rows or without one of the first three columns.
    """
    missing = [name for name in ("method", "kl", "reward") if name not in table.columns]
    if missing or not len(table):
        raise LabError(f"nothing to draw: {'no column ' + repr(missing[0]) if missing else 'the table has no row'}.")
    table = table.assign(root=table["kl"].clip(lower=0) ** 0.5)  # as in notebook 06: what is near must not crowd
    fig = Figure(figsize=(7.0, 4.4))
    ax = fig.subplots()
    names = []
    styles = zip(cycle(_COLOURS), cycle(_MARKERS), strict=False)
    for (method, rows), (colour, marker) in zip(table.groupby("method", sort=False), styles, strict=False):
        rows = rows.sort_values("kl", kind="stable")
        labelled = rows["label"].notna() & (rows["label"] != "") if "label" in rows else pd.Series(False, rows.index)
        if len(rows) > 1:
            ax.plot(rows["root"], rows["reward"], color=colour, linewidth=1.2, alpha=0.6, zorder=2)
        if {"low", "high"} <= set(rows.columns):
            errors = error_bars(rows["reward"], rows["low"], rows["high"])
            ax.errorbar(rows["root"], rows["reward"], yerr=errors, fmt="none", ecolor=colour, capsize=4, linewidth=1.2)
        ax.scatter(rows["root"], rows["reward"], s=60, color=colour, marker=marker, zorder=3, label=method)
        for position, (_, row) in enumerate(rows.iterrows()):
            parts = [str(method)] if position == len(rows) - 1 else []
            parts += [str(row["label"])] if labelled.iloc[position] else []
            if parts:
                names.append((row["root"], row["reward"], ", ".join(parts), colour))
    ax.set(title=title, xlabel="square root of the KL to the starting model, nats per response", ylabel=reward)
    ax.margins(x=0.12, y=0.15)
    _label(fig, ax, names)
    return fig


def _label(fig: Figure, ax, names: list[tuple[float, float, str, str]]) -> None:
    """Writes each name beside its dot, if possible where it hides no other name and no dot."""
    renderer = FigureCanvasAgg(fig).get_renderer()
    fig.draw_without_rendering()
    points = [ax.transData.transform((x, y)) for x, y, _, _ in names]
    taken = [Bbox.from_bounds(x - 6, y - 6, 12, 12) for x, y in points]
    for x, y, text, colour in names:
        first = None
        for right, up, side in _PLACES:
            note = ax.annotate(
                text, (x, y), xytext=(right, up), textcoords="offset points", ha=side, fontsize=9, color=INK,
                bbox={"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": colour, "linewidth": 0.6},
            )  # fmt: skip
            box = note.get_window_extent(renderer)
            if (
                not any(box.overlaps(other) for other in taken)
                and ax.bbox.containsx(box.x0)
                and ax.bbox.containsx(box.x1)
            ):
                break
            note.remove()
            first = first or (right, up, side)
        else:
            right, up, side = first
            note = ax.annotate(
                text, (x, y), xytext=(right, up), textcoords="offset points", ha=side, fontsize=9, color=INK
            )
            box = note.get_window_extent(renderer)
        taken.append(box)


@styled
def costs(table: pd.DataFrame, title: str = "What each method costs on this machine") -> Figure:
    """A panel per column of `table`, with a bar per row.

    The index names the methods; a column's name says what was measured, and in which unit. NaN leaves a place empty.
    Raises LabError for an empty table.
    """
    if table.empty:
        raise LabError("nothing to draw: the table of costs is empty.")
    fig = Figure(figsize=(3.0 * table.shape[1] + 1.0, 1.4 + 0.4 * len(table)))
    axes = fig.subplots(1, table.shape[1], sharey=True, squeeze=False)[0]
    for ax, name, colour in zip(axes, table.columns, cycle(_COLOURS), strict=False):
        values = table[name].astype(float)
        bars = ax.barh(range(len(table)), values, color=colour, height=0.65)
        ax.bar_label(bars, ["" if pd.isna(v) else f"{v:.3g}" for v in values], padding=3, fontsize=9)
        ax.set(xlabel=str(name))
        ax.margins(x=0.18)
        ax.grid(axis="y", visible=False)
    axes[0].set_yticks(range(len(table)), [str(name) for name in table.index])
    axes[0].invert_yaxis()
    axes[0].set_ylabel("method")
    fig.suptitle(title, x=0.01, ha="left", weight="bold")
    return fig
