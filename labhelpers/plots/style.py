"""The style of all figures: colours that colour-blind readers can tell apart, sizes that stay readable on paper.

Every function of this folder returns a matplotlib Figure with a title and axis labels. `show` displays it in the
notebook, with a description for readers who cannot see it, and saves it. The colours are from Okabe and Ito (2008).
"""

from __future__ import annotations

import base64
import functools
import io
import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from labhelpers.errors import LabError, storage_advice
from labhelpers.files import write_atomically

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

# Name of a statistic or measure -> (title, axis label).
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
    """Makes the course's style the default, so that the learner's own figures have it too."""
    mpl.rcParams.update(STYLE)


def show(fig: Figure, name: str, alt: str, figures: str | Path | None = None) -> None:
    """Displays a figure with `alt` as its description and saves it as `figures/name.png` when a folder is given.

    The notebook stores the PNG and the description only, which are the same in every run. A cell may end with this
    call, since it returns None. The file is written completely or not at all. Raises LabError for an empty description
    and for a folder that cannot be written.
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


def styled(draw):
    """Decorates a figure function: it draws in the course's style, whatever style the reader has set."""

    @functools.wraps(draw)
    def inside(*args, **kwargs):
        with mpl.rc_context(STYLE):
            return draw(*args, **kwargs)

    return inside


def error_bars(estimate, low, high) -> np.ndarray:
    """Lengths of the bars below and above `estimate` `[n]`, `[2, n]`, as `errorbar` wants them.

    None is negative: the interval of a mean over very few rows may lie wholly on one side of it.
    """
    estimate, low, high = (np.atleast_1d(np.asarray(x, dtype=float)) for x in (estimate, low, high))
    return np.maximum([estimate - low, high - estimate], 0)


def _write(folder: Path, name: str, content: bytes) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / name, content)
    except OSError as error:
        raise LabError(f"cannot write the figure {folder / name}: {storage_advice(error) or error.strerror}") from None
