"""The course in one picture: what each notebook makes, and which notebooks use it."""

from __future__ import annotations

from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from labhelpers.course import outline
from labhelpers.plots.style import BLUE, GREY, INK, styled

# The place (x, y) of a notebook's box, and the text below it. Titles and arrows come from the course map.
_PLACES = {
    outline.FINETUNING: (0, 1.5, "bad manners included"),
    outline.FEEDBACK: (0, 0, "people rank responses"),
    outline.REWARD_MODEL: (1.3, 0, "what people prefer, as a number"),
    outline.PPO: (2.6, 1.5, "policy, reference, value"),
    outline.BEFORE_AFTER: (3.9, 1.5, "what changed, how sure"),
    outline.REWARD_HACKING: (1.3, 2.8, "a reward taken literally"),
    outline.OTHER_METHODS: (3.9, 0, "runs by itself"),
}
_WIDTH, _HEIGHT = 0.92, 0.55


@styled
def pipeline(
    here: str | None = None, title: str = "Reinforcement learning from human feedback, in eight notebooks"
) -> Figure:
    """The notebooks as boxes, with an arrow from the notebook that makes an artifact to every notebook that uses it.

    The box of the notebook with the number `here` is filled. Raises UsageError when there is no such notebook.
    """
    filled = None if here is None else outline.numbered(here)
    fig = Figure(figsize=(8.6, 3.9))
    ax = fig.subplots()
    ax.axis("off")
    for chapter, (x, y, note) in _PLACES.items():
        box = FancyBboxPatch(
            (x, y), _WIDTH, _HEIGHT, boxstyle="round,pad=0.02,rounding_size=0.08", linewidth=1.4,
            edgecolor=BLUE, facecolor=BLUE if chapter is filled else "white",
        )  # fmt: skip
        ax.add_patch(box)
        ink = "white" if chapter is filled else INK
        ax.text(x + 0.06, y + _HEIGHT / 2, chapter.number, va="center", fontsize=9, color=ink)
        name = chapter.title.replace(" ", "\n", 1)
        middle = x + _WIDTH / 2 + 0.1
        ax.text(middle, y + _HEIGHT / 2, name, ha="center", va="center", weight="bold", fontsize=9, color=ink)
        ax.text(x + _WIDTH / 2, y - 0.07, note, ha="center", va="top", fontsize=8, color=GREY)
    for source, target in outline.arrows():
        ax.add_patch(_arrow(_PLACES[source][:2], _PLACES[target][:2]))
    ax.set_xlim(-0.15, 4.97)
    ax.set_ylim(-0.35, 3.45)
    ax.set_title(title)
    return fig


def _arrow(source: tuple[float, float], target: tuple[float, float]) -> FancyArrowPatch:
    """An arrow from the edge of one box to the edge of another; it bends over boxes that lie between them."""
    (x0, y0), (x1, y1) = source, target
    style = {"arrowstyle": "-|>", "mutation_scale": 14, "color": GREY, "linewidth": 1.4}
    if y0 == y1 and x1 - x0 > 3:
        tail, head = (x0 + _WIDTH * 0.8, y0 + _HEIGHT + 0.03), (x1 + _WIDTH / 2, y1 + _HEIGHT + 0.03)
        return FancyArrowPatch(tail, head, connectionstyle="arc3,rad=-0.1", **style)
    head = (x1 - 0.03, y1 + _HEIGHT / 2)
    return FancyArrowPatch((x0 + _WIDTH + 0.03, y0 + _HEIGHT / 2), head, **style)
