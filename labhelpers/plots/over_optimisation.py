"""The figure of over-optimisation: a proxy that goes on rising while gold falls (Gao et al. 2023, figure 1)."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from labhelpers.errors import LabError
from labhelpers.plots.style import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, VERMILION, styled

_COLOURS = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, GREY, INK)
_NEEDED = ("method", "kl", "proxy", "gold")


@styled
def over_optimisation(table: pd.DataFrame, title: str = "What the reward says, and what it stands for") -> Figure:
    """Two panels over the square root of the KL: the proxy and the gold reward, a line per method and `seed`.

    A line joins its rows in their order, as a training goes.

    Columns: `method`, `kl` (nats per response, to the starting policy), `proxy`, `gold`; optionally `seed`, and
    `proxy_low`, `proxy_high`, `gold_low`, `gold_high`, which are drawn as a band. Raises LabError for a table without
    rows or without one of the first four.
    """
    missing = [name for name in _NEEDED if name not in table.columns]
    if missing or not len(table):
        raise LabError(f"nothing to draw: {'no column ' + repr(missing[0]) if missing else 'the table has no row'}.")
    table = table.assign(root=table["kl"].clip(lower=0) ** 0.5, seed=table["seed"] if "seed" in table else 0)
    fig = Figure(figsize=(9.0, 3.8))
    axes = fig.subplots(1, 2, sharex=True)
    colours = dict(zip(table["method"].unique(), _COLOURS * len(table), strict=False))
    for ax, name in zip(axes, ("proxy", "gold"), strict=True):
        for (method, seed), rows in table.groupby(["method", "seed"], sort=False):
            first = seed == table.loc[table["method"] == method, "seed"].iloc[0]
            ax.plot(
                rows["root"], rows[name], color=colours[method], marker="o", markersize=4, linewidth=1.6,
                alpha=1.0 if first else 0.4, label=method if first else None,
            )  # fmt: skip
            if {f"{name}_low", f"{name}_high"} <= set(rows.columns):
                low, high = rows[f"{name}_low"], rows[f"{name}_high"]
                ax.fill_between(rows["root"], low, high, color=colours[method], alpha=0.15, linewidth=0)
        ax.set(title=f"{name} reward", xlabel="square root of the KL, nats per response", ylabel=name)
    axes[0].legend(frameon=False, fontsize=9)
    fig.suptitle(title, x=0.01, ha="left", weight="bold")
    return fig
