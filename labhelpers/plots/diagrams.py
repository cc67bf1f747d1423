"""The three pictures that RLHF is known by: agent and environment, reward-model training, and PPO's loop."""

from __future__ import annotations

from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from labhelpers.plots.style import BLUE, GREEN, GREY, INK, ORANGE, VERMILION, styled

_Place = tuple[float, float]
_WIDTH, _HEIGHT = 2.0, 0.8


def _canvas(width: float, height: float, title: str):
    fig = Figure(figsize=(width, height))
    ax = fig.subplots()
    ax.set(xlim=(0, width), ylim=(0, height - 0.5))
    ax.axis("off")
    ax.set_title(title)
    return fig, ax


def _box(ax, centre: _Place, text: str, colour: str = BLUE, frozen: bool = False) -> None:
    """A box with its text; a frozen model has a dashed edge."""
    x, y = centre[0] - _WIDTH / 2, centre[1] - _HEIGHT / 2
    style = {"boxstyle": "round,pad=0.02,rounding_size=0.1", "linewidth": 1.6, "linestyle": "--" if frozen else "-"}
    ax.add_patch(FancyBboxPatch((x, y), _WIDTH, _HEIGHT, edgecolor=colour, facecolor="white", **style))
    ax.text(*centre, text, ha="center", va="center", fontsize=9, color=INK)


def _arrow(ax, tail: _Place, head: _Place, label: str = "", at: _Place = (0, 0.1), bend=0.0, colour=GREY) -> None:
    """An arrow; its label stands `at` this offset from the middle."""
    style = {"arrowstyle": "-|>", "mutation_scale": 13, "color": colour, "linewidth": 1.4}
    ax.add_patch(FancyArrowPatch(tail, head, connectionstyle=f"arc3,rad={bend}", **style))
    middle = (tail[0] + head[0]) / 2 + at[0], (tail[1] + head[1]) / 2 + at[1]
    ax.text(*middle, label, ha="center", va="bottom", fontsize=8, color=INK)


@styled
def agent_and_environment(title: str = "Agent and environment, for a language model") -> Figure:
    """The loop of reinforcement learning: a state goes to the agent, an action comes back, and in the end a reward."""
    fig, ax = _canvas(7.6, 3.2, title)
    agent, world = (1.5, 1.3), (6.1, 1.3)
    _box(ax, agent, "agent\nthe language model, π", BLUE)
    _box(ax, world, "environment\nprompt, text so far, judge", ORANGE)
    _arrow(ax, (2.5, 1.55), (5.1, 1.55), "action: the next token", bend=-0.25, at=(0, 0.36))
    _arrow(ax, (5.1, 1.05), (2.5, 1.05), "state: the prompt and what has been written", bend=-0.25, at=(0, -0.62))
    _arrow(ax, (5.1, 1.3), (2.5, 1.3), "reward, after the last token", at=(0, 0.04), colour=VERMILION)
    return fig


@styled
def reward_model_training(title: str = "How a reward model is trained") -> Figure:
    """A prompt with two responses, one model for both, two rewards, and the loss that pulls them apart."""
    fig, ax = _canvas(9.4, 3.4, title)
    for y, side, colour in ((2.2, "chosen", GREEN), (0.7, "rejected", VERMILION)):
        _box(ax, (1.2, y), f"prompt +\n{side} response", colour)
        _box(ax, (4.2, y), "reward model\n(the same weights)", BLUE)
        _arrow(ax, (2.2, y), (3.2, y))
    _arrow(ax, (5.2, 2.2), (6.9, 1.63), "reward of the chosen", at=(0.45, 0.08))
    _arrow(ax, (5.2, 0.7), (6.9, 1.27), "reward of the rejected", at=(-0.4, 0.17))
    _box(ax, (7.9, 1.45), "loss\n−log σ(chosen − rejected)", ORANGE)
    _arrow(ax, (7.9, 1.0), (5.25, 0.45), "gradient", bend=-0.3, at=(0.75, -0.45), colour=ORANGE)
    return fig


@styled
def ppo_loop(title: str = "One PPO step") -> Figure:
    """Prompt, policy, response, reward and the frozen reference's KL, and the update that closes the loop."""
    fig, ax = _canvas(9.4, 4.3, title)
    _box(ax, (1.2, 2.9), "prompts", GREY)
    _box(ax, (4.0, 2.9), "policy, value head\ntrained", BLUE)
    _box(ax, (4.0, 1.1), "reference\nfrozen", GREY, frozen=True)
    _box(ax, (7.9, 2.9), "reward model\nfrozen", ORANGE, frozen=True)
    _box(ax, (7.9, 1.1), "token rewards:\nscore − β · KL", VERMILION)
    _arrow(ax, (2.2, 3.05), (3.0, 3.05))
    _arrow(ax, (5.0, 2.95), (6.9, 2.95), "response")
    _arrow(ax, (4.0, 2.5), (4.0, 1.5), "the same\nresponse", at=(0.5, -0.2))
    _arrow(ax, (7.9, 2.5), (7.9, 1.5), "score", at=(0.35, -0.08))
    _arrow(ax, (5.0, 1.1), (6.9, 1.1), "log π − log π of the reference", at=(0, 0.06))
    ax.plot([7.9, 7.9, 2.6, 2.6], [0.66, 0.3, 0.3, 2.7], color=BLUE, linewidth=1.4)
    _arrow(ax, (2.6, 2.7), (3.0, 2.7), colour=BLUE)
    ax.text(5.25, 0.36, "advantages and returns, then clipped updates", ha="center", fontsize=8, color=INK)
    return fig
