"""The course in one picture: what each notebook makes, and which of the others uses it."""

from __future__ import annotations

from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from labhelpers.errors import LabError
from labhelpers.plots.style import BLUE, GREY, INK, styled

# number -> (text, x, y), in boxes' widths and heights.
_BOXES = {
    "01": ("human rankings", 0, 2),
    "02": ("reward model", 1.2, 2),
    "03": ("supervised\nfine-tuning", 0, 1),
    "04": ("PPO", 1.55, 1),
    "05": ("before and\nafter", 2.75, 1),
    "06": ("reward\nhacking", 2.75, 2),
    "07": ("other\nmethods", 2.75, 0),
}
_ARROWS = [("01", "02"), ("02", "04"), ("03", "04"), ("04", "05"), ("04", "06"), ("04", "07")]
_NOTES = {
    "02": "what people prefer, as a number",
    "03": "a summariser, bad manners included",
    "04": "policy, reference, value",
}


@styled
def pipeline(
    here: str | None = None, title: str = "Reinforcement learning from human feedback, in eight notebooks"
) -> Figure:
    """The notebooks as boxes and what they hand to each other as arrows; the one whose number is `here` is filled.

    Raises LabError for a number that no notebook has.
    """
    if here not in (None, "00", *_BOXES):
        raise LabError(f"there is no notebook {here!r} in the pipeline: it has 00, {', '.join(_BOXES)}.")
    fig = Figure(figsize=(8.6, 3.5))
    ax = fig.subplots()
    ax.axis("off")
    width, height = 0.86, 0.5
    for number, (text, x, y) in _BOXES.items():
        filled = number == here
        box = FancyBboxPatch(
            (x, y), width, height, boxstyle="round,pad=0.02,rounding_size=0.08", linewidth=1.4,
            edgecolor=BLUE, facecolor=BLUE if filled else "white",
        )  # fmt: skip
        ax.add_patch(box)
        ink = "white" if filled else INK
        ax.text(x + 0.07, y + height / 2, number, va="center", fontsize=9, color=ink)
        middle = x + width / 2 + 0.1
        ax.text(middle, y + height / 2, text, ha="center", va="center", weight="bold", fontsize=9, color=ink)
        if number in _NOTES:
            ax.text(x + width / 2, y - 0.06, _NOTES[number], ha="center", va="top", fontsize=8, color=GREY)
    for start, end in _ARROWS:
        (_, x0, y0), (_, x1, y1) = _BOXES[start], _BOXES[end]
        down = y1 != y0 and x1 - x0 < 1
        tail = (x0 + width / 2, y0 - 0.22) if down else (x0 + width + 0.03, y0 + height / 2)
        head = (x1 + width / 2, y1 + height + 0.03) if down else (x1 - 0.03, y1 + height / 2)
        ax.add_patch(FancyArrowPatch(tail, head, arrowstyle="-|>", mutation_scale=14, color=GREY, linewidth=1.4))
    ax.set_xlim(-0.1, 3.75)
    ax.set_ylim(-0.35, 2.7)
    ax.set_title(title)
    return fig
