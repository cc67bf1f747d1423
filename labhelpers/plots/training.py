"""Figures of a PPO training: statistics over the steps, and one response token by token."""

from __future__ import annotations

import io
import itertools
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from labhelpers.errors import LabError
from labhelpers.plots.style import BLUE, DPI, GREEN, GREY, INK, NAMES, ORANGE, PURPLE, SKY, VERMILION, styled

_WINDOW = 5  # batches in a running mean


@styled
def training_curves(
    history: pd.DataFrame | Sequence[Mapping[str, float]],
    keys: Sequence[str] = ("ppo/mean_scores", "objective/kl"),
    title: str = "Training",
) -> Figure:
    """A panel per statistic over PPO steps: a dot per batch, and a line at the mean of the last five batches.

    `history` holds the statistics of every step, in order. Raises LabError for a key that is missing from it.
    """
    table = pd.DataFrame(history).reset_index(drop=True)
    missing = [key for key in keys if key not in table.columns]
    if missing:
        raise LabError(f"the history has no {missing[0]!r}; it has {', '.join(map(str, table.columns))}.")
    fig = Figure(figsize=(3.7 * len(keys), 3.2))
    axes = fig.subplots(1, len(keys), squeeze=False)[0]
    steps = np.arange(1, len(table) + 1)
    colours = [BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY]
    for index, (ax, key) in enumerate(zip(axes, keys, strict=True)):
        values, colour = table[key].astype(float), colours[index % len(colours)]
        ax.scatter(steps, values, s=14, color=colour, alpha=0.4, linewidths=0, label="one batch")
        ax.plot(steps, values.rolling(_WINDOW, min_periods=1).mean(), color=colour, label=f"mean of {_WINDOW}")
        label_title, label = NAMES.get(key, (key, key))
        ax.set(title=label_title, xlabel="PPO step", ylabel=label)
        ax.xaxis.get_major_locator().set_params(integer=True)
        if key == "ppo/val/var_explained":  # on its full scale, so that a value near 0 looks near 0
            ax.set_ylim(min(-1.0, values.min()), 1.0)
    axes[0].legend(loc="best")
    fig.suptitle(title, x=0.01, ha="left", weight="bold")
    return fig


class LiveCurves:
    """`training_curves` that grow while a cell runs. Where nobody watches, nothing is drawn."""

    def __init__(self, every: int = 4):
        self.every = every
        self.watched = _somebody_watches()
        self._display = None

    def update(self, history: Sequence[Mapping[str, float]]) -> None:
        """Draws `history` at every `every`-th step."""
        if not self.watched or not history or len(history) % self.every:
            return
        from IPython.display import Image, display

        buffer = io.BytesIO()
        training_curves(history, title="Live").savefig(buffer, format="png", dpi=DPI)
        image = Image(buffer.getvalue())
        if self._display is None:
            self._display = display(image, display_id=True)
        else:
            self._display.update(image)


def _somebody_watches() -> bool:
    """Whether the running cell came from a front end with a person before it.

    JupyterLab, VS Code and the like say with every cell that `input()` may ask back; papermill, nbclient, nbconvert and
    nbval, which execute notebooks with nobody there, say that it may not.
    """
    from IPython import get_ipython

    kernel = getattr(get_ipython(), "kernel", None)
    return kernel is not None and bool(kernel.get_parent().get("content", {}).get("allow_stdin"))


@styled
def run_curves(
    runs: Mapping[str, pd.DataFrame],
    keys: Sequence[str] = ("ppo/mean_scores", "objective/kl"),
    title: str = "Runs side by side",
    levels: Mapping[str, float] = MappingProxyType({}),
) -> Figure:
    """A panel per statistic, with a line per run: the mean of the last five steps. `levels` are dashed lines, by key.

    `runs` maps a run's name to its history, a table indexed by PPO step. A statistic that was measured at a few steps
    only is drawn without averaging, with a dot at each of these steps. Raises LabError for a key that a run does not
    have.
    """
    fig = Figure(figsize=(3.7 * len(keys), 3.6))
    axes = fig.subplots(1, len(keys), squeeze=False)[0]
    colours = [BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY]
    for ax, key in zip(axes, keys, strict=True):
        for (name, history), colour in zip(runs.items(), itertools.cycle(colours), strict=False):
            if key not in history.columns:
                raise LabError(f"the run {name!r} has no {key!r}; it has {', '.join(map(str, history.columns))}.")
            values = history[key].dropna().astype(float)
            rare = len(values) < len(history) / 2
            smooth = values if rare else values.rolling(_WINDOW, min_periods=1).mean()
            ax.plot(smooth.index, smooth, color=colour, marker="o" if rare else None, label=name)
        if key in levels:
            ax.axhline(levels[key], color=GREY, linestyle="--", linewidth=1.2)
        label_title, label = NAMES.get(key, (key, key))
        ax.set(title=label_title, xlabel="PPO step", ylabel=label)
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(runs))
    fig.suptitle(title, x=0.01, ha="left", weight="bold")
    return fig


@styled
def token_view(
    tokens: Sequence[str],
    log_ratio: Sequence[float],
    values: Sequence[float],
    advantages: Sequence[float],
    title: str = "One response, token by token",
) -> Figure:
    """Three rows of bars over the T tokens of a response: log π/π_ref, the value head's estimate, the advantage.

    The sum of the first row is what this response adds to the KL. Raises LabError for unequal lengths.
    """
    rows = {
        "How far the policy has moved: log π(token) − log π_ref(token)": (log_ratio, "nats", PURPLE),
        "What the value head expects from here on": (values, "reward", GREEN),
        "Better or worse than expected: the advantage": (advantages, "advantage", BLUE),
    }
    for name, (numbers, _, _) in rows.items():
        if len(numbers) != len(tokens):
            raise LabError(f"{len(tokens)} tokens, but {len(numbers)} numbers for {name!r}.")
    fig = Figure(figsize=(max(5.0, 0.34 * len(tokens) + 1.6), 5.2))
    axes = fig.subplots(3, 1, sharex=True)
    for ax, (name, (numbers, unit, colour)) in zip(axes, rows.items(), strict=True):
        numbers = np.asarray(numbers, dtype=float)
        ax.bar(range(len(tokens)), numbers, color=np.where(numbers < 0, VERMILION, colour), width=0.75)
        ax.axhline(0, color=INK, linewidth=1)
        ax.set_title(name, fontsize=10, weight="normal")
        ax.set_ylabel(unit)
        ax.grid(axis="x", visible=False)
    axes[-1].set_xticks(range(len(tokens)), [repr(t)[1:-1] if t.strip() else "␣" for t in tokens], rotation=90)
    axes[-1].set_xlabel("token (vermilion: below 0)")
    axes[-1].set_xlim(-0.6, len(tokens) - 0.4)
    fig.suptitle(title, x=0.01, ha="left", weight="bold")
    return fig
