"""Figures in one style: colours that colour-blind readers can tell apart, sizes that survive printing.

Every function returns a matplotlib Figure with a title and axis labels; `show` puts it into the notebook with a
description for those who cannot see it, and saves it. The colours are Okabe and Ito's (2008).
"""

from __future__ import annotations

import base64
import contextlib
import functools
import io
import itertools
import os
import sys
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from labhelpers.comparison import Interval
from labhelpers.errors import LabError, storage_advice

INK, GREY, LIGHT = "#222222", "#767676", "#E3E3E3"
BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9"
BEFORE, AFTER = ORANGE, BLUE
DPI = 110

STYLE = {
    "axes.axisbelow": True,
    "axes.edgecolor": GREY,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.prop_cycle": mpl.cycler(color=[BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY]),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "figure.constrained_layout.use": True,
    "figure.dpi": DPI,
    "figure.facecolor": "white",
    "font.family": "DejaVu Sans",  # ships with matplotlib: the same figure on every machine
    "font.size": 10,
    "grid.color": LIGHT,
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "lines.linewidth": 2,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}

# What the trainer calls it -> (title, axis label).
NAMES = {
    "ppo/mean_scores": ("Reward", "mean score of a batch"),
    "objective/kl": ("Distance from the reference", "KL, nats per response"),
    "objective/kl_coef": ("KL coefficient", "coefficient"),
    "objective/entropy": ("Entropy of the policy", "nats per response"),
    "ppo/returns/mean": ("Returns", "mean return"),
    "ppo/policy/advantages_mean": ("Advantages (whitened)", "mean advantage"),
    "ppo/policy/clipfrac": ("Clipped updates", "share of tokens"),
    "ppo/policy/approxkl": ("Step size of the policy", "approximate KL"),
    "ppo/val/error": ("Error of the value head", "mean squared error"),
    "ppo/val/var_explained": ("What the value head explains", "explained variance"),
    "ppo/loss/total": ("PPO loss", "loss"),
    "toxicity": ("Toxicity", "P(hate)"),
    "judge_toxicity": ("Toxicity, independent judge", "P(hate)"),
    "insult_rate": ("Insults, word list", "share of summaries"),
    "insult": ("Insults, word list", "share of summaries"),
    "rouge_l": ("ROUGE-L", "F-measure"),
    "rouge_l_clean": ("ROUGE-L, clean before", "F-measure"),
    "honesty": ("Honesty", "share of stated facts that hold"),
    "coverage": ("Coverage", "share of facts stated"),
    "reward": ("Reward", "nothate logit"),
}


def use_style() -> None:
    """Makes the course's style the default for the learner's own figures too."""
    mpl.rcParams.update(STYLE)


def show(fig: Figure, name: str, alt: str, figures: str | Path | None = None) -> None:
    """Displays a figure with `alt` as its description and saves it as `figures/name.png` when a folder is given.

    The notebook gets a PNG and the description, nothing that changes from run to run; the return value is None so that
    a cell may end with this call. The file is written whole or not at all. Raises LabError for an empty description
    or an unwritable folder.
    """
    from IPython.display import display

    if not alt.strip():
        raise LabError(f"the figure {name!r} needs an alt text: say in a sentence what a reader would see.")
    buffer = io.BytesIO()
    fig.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None, "Title": name, "Description": alt})
    png = buffer.getvalue()
    if figures is not None:
        _write(Path(figures), f"{name}.png", png)
    bundle = {"image/png": base64.b64encode(png).decode("ascii"), "text/plain": alt}
    display(bundle, raw=True, metadata={"image/png": {"alt": alt}})
    if "matplotlib.pyplot" in sys.modules:  # a pyplot figure would be shown once more when the cell ends
        sys.modules["matplotlib.pyplot"].close(fig)


def _styled(draw):
    """Lets a figure function draw in the course's style whatever the reader has set."""

    @functools.wraps(draw)
    def styled(*args, **kwargs):
        with mpl.rc_context(STYLE):
            return draw(*args, **kwargs)

    return styled


@_styled
def training_curves(
    history: pd.DataFrame | Sequence[Mapping[str, float]],
    keys: Sequence[str] = ("ppo/mean_scores", "objective/kl"),
    window: int = 5,
    title: str = "Training",
) -> Figure:
    """A panel per statistic over PPO steps: a point per batch, and the mean of the last `window` batches as a line.

    `history` holds the statistics of every step, in order. Raises LabError for a key that it does not have.
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
        ax.plot(steps, values.rolling(window, min_periods=1).mean(), color=colour, label=f"mean of {window}")
        label_title, label = NAMES.get(key, (key, key))
        ax.set(title=label_title, xlabel="PPO step", ylabel=label)
        ax.xaxis.get_major_locator().set_params(integer=True)
        if key == "ppo/val/var_explained":  # a share of 1: what is near 0 should look near 0
            ax.set_ylim(min(-1.0, values.min()), 1.0)
    axes[0].legend(loc="best")
    fig.suptitle(title, x=0.01, ha="left", weight="bold")
    return fig


class LiveCurves:
    """`training_curves` that grow while a cell runs, in JupyterLab; where nobody watches, nothing is drawn.

    A Jupyter server tells a kernel which notebook it belongs to (JPY_SESSION_NAME); papermill, nbval and `labs` do not.
    """

    def __init__(self, keys: Sequence[str] = ("ppo/mean_scores", "objective/kl"), every: int = 4, title: str = "Live"):
        self.keys, self.every, self.title = list(keys), every, title
        self.watched = bool(os.environ.get("JPY_SESSION_NAME"))
        self._display = None

    def update(self, history: Sequence[Mapping[str, float]]) -> None:
        """Draws `history` again if it has grown by `every` steps."""
        if not self.watched or not history or len(history) % self.every:
            return
        from IPython.display import Image, display

        buffer = io.BytesIO()
        training_curves(history, self.keys, title=self.title).savefig(buffer, format="png", dpi=DPI)
        image = Image(buffer.getvalue())
        if self._display is None:
            self._display = display(image, display_id=True)
        else:
            self._display.update(image)


@_styled
def run_curves(
    runs: Mapping[str, pd.DataFrame],
    keys: Sequence[str] = ("ppo/mean_scores", "objective/kl"),
    window: int = 5,
    title: str = "Runs side by side",
) -> Figure:
    """A panel per statistic, a line per run (name -> history indexed by PPO step), each the mean of `window` steps.

    A statistic that was taken at a few steps only is drawn as it is, with a dot at each. Raises LabError for a key
    that a run does not have.
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
            smooth = values if rare else values.rolling(window, min_periods=1).mean()
            ax.plot(smooth.index, smooth, color=colour, marker="o" if rare else None, label=name)
        label_title, label = NAMES.get(key, (key, key))
        ax.set(title=label_title, xlabel="PPO step", ylabel=label)
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(runs))
    fig.suptitle(title, x=0.01, ha="left", weight="bold")
    return fig


@_styled
def score_distributions(
    before: Sequence[float], after: Sequence[float], label: str = "P(hate)", title: str = "Toxicity before and after"
) -> Figure:
    """Two histograms over the same bins, one above the other, each with its mean as a line; NaN left out.

    Stacked rather than overlaid: where one distribution hides the other there is nothing to compare.
    """
    both = [np.asarray(v, dtype=float) for v in (before, after)]
    both = [v[~np.isnan(v)] for v in both]
    bins = np.histogram_bin_edges(np.concatenate(both), bins=25)
    fig = Figure(figsize=(6.2, 4.0))
    axes = fig.subplots(2, 1, sharex=True, sharey=True)
    for ax, values, name, colour in zip(axes, both, ("before", "after"), (BEFORE, AFTER), strict=True):
        ax.hist(values, bins=bins, color=colour, alpha=0.85, edgecolor="white", linewidth=0.6)
        ax.axvline(values.mean(), color=INK, linewidth=1.4, linestyle=(0, (4, 2)))
        text = f"{name}: mean {values.mean():.3f}, n = {len(values)}"
        ax.set_title(text, fontsize=10, weight="normal")
        ax.set_ylabel("summaries")
        ax.grid(axis="x", visible=False)
    axes[1].set_xlabel(f"{label}   (dashed: mean)")
    fig.suptitle(title, x=0.01, ha="left", weight="bold")
    return fig


@_styled
def paired_differences(
    differences: Sequence[float],
    interval: Interval,
    label: str = "difference in P(hate), after − before",
    title: str = "What changed, prompt by prompt",
) -> Figure:
    """Every prompt's difference, sorted, beside the mean with its 95 % interval; NaN left out.

    The left panel shows how many prompts improved, stayed and got worse; the right one what that says on average.
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
    errors = [[interval.estimate - interval.low], [interval.high - interval.estimate]]
    right.errorbar([0], [interval.estimate], yerr=errors, fmt="o", color=BLUE, capsize=6, markersize=7)
    mean, rest = format(interval, "+.2f").replace("-", "−").split(" ", 1)
    right.set(title="Mean, 95 % CI", xlabel=f"{mean}\n{rest}", xlim=(-1, 1), xticks=[])
    return fig


@_styled
def intervals(table: pd.DataFrame, title: str = "After − before, 95 % confidence intervals") -> Figure:
    """A forest plot of `comparison.compare`: a row per measure, a dot and its interval, 0 marked.

    The colour says whether less or more is better and which came out: blue better, vermilion worse, grey undecided.
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


@_styled
def policies(table: pd.DataFrame, title: str = "Policies side by side, mean and 95 % interval") -> Figure:
    """A panel per measure, a dot with its interval per policy.

    `table` has one row per (measure, policy) with the columns measure, policy, mean, low, high; order is kept.
    """
    measures, names = list(dict.fromkeys(table["measure"])), list(dict.fromkeys(table["policy"]))
    fig = Figure(figsize=(2.5 * len(measures) + 0.4, 3.4))
    axes = fig.subplots(1, len(measures), squeeze=False)[0]
    colours = [ORANGE, BLUE, GREEN, PURPLE, VERMILION, SKY]
    for ax, measure in zip(axes, measures, strict=True):
        for _, row in table[table["measure"] == measure].iterrows():
            place = names.index(row["policy"])
            errors = [[row["mean"] - row["low"]], [row["high"] - row["mean"]]]
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


@_styled
def token_view(
    tokens: Sequence[str],
    log_ratio: Sequence[float],
    values: Sequence[float],
    advantages: Sequence[float],
    title: str = "One response, token by token",
) -> Figure:
    """Three rows of bars over a response's T tokens: log π/π_ref, the value head's estimate, the advantage.

    The sum of the first row is this response's contribution to the KL. Raises LabError for unequal lengths.
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


@_styled
def repetitions(table: pd.DataFrame, label: str, title: str) -> Figure:
    """One strip of points per column of `table` (a row per repetition), with the median and the middle 95 %."""
    fig = Figure(figsize=(6.6, 1.4 + 0.7 * table.shape[1]))
    ax = fig.subplots()
    for place, name in enumerate(table.columns):
        values = np.sort(table[name].to_numpy(float))
        # Points are spread by their rank, not at random: the figure is the same every time.
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


def _write(folder: Path, name: str, content: bytes) -> None:
    """Writes a file whole or not at all."""
    draft = folder / f".{name}.{uuid.uuid4().hex[:8]}.partial"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        draft.write_bytes(content)
        os.replace(draft, folder / name)
    except OSError as error:
        with contextlib.suppress(OSError):
            draft.unlink()
        advice = storage_advice(error) or "choose another folder"
        raise LabError(f"the figure {name} could not be written to {folder}: {advice}.") from error
