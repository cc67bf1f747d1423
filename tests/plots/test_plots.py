"""Figures: every one is labelled, described for those who cannot see it, and saved whole or not at all."""

import base64

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from labhelpers import plots
from labhelpers.errors import LabError
from labhelpers.evaluation.intervals import Interval

TABLE = pd.DataFrame(
    {"before": [0.3, 0.9], "after": [0.0, 0.8], "difference": [-0.3, -0.1], "low": [-0.4, -0.2], "high": [-0.2, 0.1]},
    index=["toxicity", "rouge_l"],
)
POLICIES = pd.DataFrame(
    [
        {"measure": m, "policy": p, "mean": 0.5, "low": 0.4, "high": 0.6}
        for m in ("toxicity", "honesty")
        for p in ("SFT", "PPO", "PPO, learned")
    ]
)
HISTORY = [{"ppo/mean_scores": float(i), "objective/kl": i / 2} for i in range(8)]

RUN = pd.DataFrame(HISTORY, index=range(1, 9)).assign(rouge_l=[0.8, None, None, 0.5, None, None, None, 0.2])

FIGURES = {
    "training_curves": lambda: plots.training_curves(HISTORY),
    "seeds": lambda: plots.seeds({"greedy": ([0.4, 0.5], [0.1, 0.0])}, "toxicity", "Two seeds"),
    "paired_differences": lambda: plots.paired_differences([-1, 0, np.nan, 0.5], Interval(-0.2, -0.4, 0.1, 3, 3)),
    "intervals": lambda: plots.intervals(TABLE),
    "policies": lambda: plots.policies(POLICIES),
    "ranking_to_pairs": lambda: plots.ranking_to_pairs({"A": 2, "B": 1, "C": 2}),
    "run_curves": lambda: plots.run_curves({"one": RUN, "two": RUN}, ["ppo/mean_scores", "rouge_l"]),
    "token_view": lambda: plots.token_view(["The", " ", "end"], [0.1, -0.2, 0], [0, 1, 2], [1, -1, 0]),
}


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_has_a_title_and_every_panel_its_labels(name):
    fig = FIGURES[name]()
    fig.draw_without_rendering()
    titles = [ax.get_title(loc) for ax in fig.axes for loc in ("left", "center")] + [fig.get_suptitle()]
    assert any(titles)
    for ax in fig.axes:
        assert ax.get_ylabel() or ax.get_shared_y_axes().get_siblings(ax) != [ax]
        assert ax.get_xlabel() or ax.get_shared_x_axes().get_siblings(ax) != [ax]


DIAGRAMS = {name: getattr(plots, name) for name in ("agent_and_environment", "ppo_loop", "reward_model_training")}


@pytest.mark.parametrize("name", FIGURES | DIAGRAMS)
def test_nothing_is_cut_off_at_the_edge(name):
    fig = (FIGURES | DIAGRAMS)[name]()
    fig.draw_without_rendering()
    box = fig.get_tightbbox()
    width, height = fig.get_size_inches()
    assert box.x0 >= -0.02 and box.y0 >= -0.02 and box.x1 <= width + 0.02 and box.y1 <= height + 0.02


def test_an_interval_beside_its_estimate_and_a_level_that_nobody_measured_are_drawn():
    """Of two rows, all draws may have been the same one."""
    aside = pd.DataFrame({"prompts": [0, 1], "accuracy": [0.67, 0.5], "low": [1.0, 0.0], "high": [1.0, 0.2]})
    fig = plots.learning_curve(aside, {"one annotator": float("nan"), "nothate logit": 0.7})
    fig.draw_without_rendering()
    assert [text.get_text() for text in fig.axes[0].texts] == ["nothate logit 0.700"]
    renamed = aside.assign(measure="toxicity", policy=["SFT", "PPO"], mean=aside["accuracy"])
    plots.policies(renamed).draw_without_rendering()
    plots.paired_differences([0.0, 0.1], Interval(0.05, 0.1, 0.1, 2, 2)).draw_without_rendering()
    points = aside.assign(method="PPO", kl=[0.0, 1.0], reward=aside["accuracy"])
    plots.reward_against_kl(points).draw_without_rendering()


@pytest.fixture
def displayed(monkeypatch):
    import IPython.display

    calls = []
    monkeypatch.setattr(IPython.display, "display", lambda *args, **kwargs: calls.append((args, kwargs)))
    return calls


def test_show_gives_the_notebook_a_png_with_its_description(displayed):
    alt = "Reward rises over 8 steps."
    assert plots.show(FIGURES["training_curves"](), "reward", alt) is None
    (bundle,), options = displayed[0]
    assert options == {"raw": True, "metadata": {"image/png": {"alt": alt}}}
    assert bundle["text/plain"] == alt and set(bundle) == {"image/png", "text/plain"}
    assert base64.b64decode(bundle["image/png"]).startswith(b"\x89PNG")


def test_the_same_figure_is_the_same_bytes(displayed):
    """Stored outputs must not change from run to run."""
    for _ in range(2):
        plots.show(FIGURES["intervals"](), "intervals", "alt")
    assert displayed[0] == displayed[1]


def test_the_file_is_what_the_notebook_shows(displayed, tmp_path):
    folder = tmp_path / "figures"
    plots.show(FIGURES["policies"](), "policies", "alt", figures=folder)
    (bundle,), _ = displayed[0]
    assert (folder / "policies.png").read_bytes() == base64.b64decode(bundle["image/png"])
    assert [p.name for p in folder.iterdir()] == ["policies.png"]


def test_an_unwritable_folder_is_a_clear_error_and_leaves_nothing(displayed, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(LabError, match="cannot write the figure .*kl.png: .*choose another folder"):
        plots.show(FIGURES["policies"](), "kl", "alt", figures=tmp_path / "file")
    assert displayed == []


def test_a_figure_without_a_description_is_refused():
    with pytest.raises(LabError, match="needs an alt text"):
        plots.show(Figure(), "kl", " ")


def test_a_pyplot_figure_is_closed_so_that_it_is_not_shown_twice(displayed):
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    fig, ax = plt.subplots()
    plots.show(fig, "own", "a learner's own figure")
    assert not plt.fignum_exists(fig.number)


def test_drawing_leaves_the_readers_settings_alone():
    import matplotlib as mpl

    with mpl.rc_context({"axes.grid": False, "font.size": 20}):
        fig = FIGURES["training_curves"]()
        assert mpl.rcParams["font.size"] == 20 and not mpl.rcParams["axes.grid"]
        assert fig.axes[0].xaxis.label.get_size() == 10
        plots.use_style()
        assert mpl.rcParams["font.size"] == 10


def test_a_missing_statistic_and_unequal_lengths_are_named():
    with pytest.raises(LabError, match="no 'ppo/nothing'; it has ppo/mean_scores, objective/kl"):
        plots.training_curves(HISTORY, ["ppo/nothing"])
    with pytest.raises(LabError, match="2 tokens, but 1 numbers"):
        plots.token_view(["a", "b"], [1], [1, 2], [1, 2])


def test_a_ranking_has_a_row_per_pair_and_none_for_a_tie():
    axes = plots.ranking_to_pairs({"A": 2, "B": 1, "C": 2, "D": 4}).axes[0]
    rows = [label.get_text() for label in axes.get_yticklabels()]
    assert rows == ["B before A", "B before C", "B before D", "A before D", "C before D"]
    with pytest.raises(LabError, match="equally good"):
        plots.ranking_to_pairs({"A": 1, "B": 1})


def test_runs_side_by_side_show_rare_measurements_as_they_are():
    axes = plots.run_curves({"one": RUN, "two": RUN}, ["ppo/mean_scores", "rouge_l"]).axes
    assert list(axes[1].lines[0].get_xdata()) == [1, 4, 8] and list(axes[1].lines[0].get_ydata()) == [0.8, 0.5, 0.2]
    assert len(axes[0].lines) == 2 and list(axes[0].lines[0].get_ydata())[:3] == [0, 0.5, 1]
    with pytest.raises(LabError, match="'one' has no 'nothing'"):
        plots.run_curves({"one": RUN}, ["nothing"])


def test_live_curves_are_drawn_only_where_somebody_watches(monkeypatch):
    shown = []

    class Handle:
        def update(self, image):
            shown.append(("again", image))

    def display(image, display_id):
        shown.append(("first", image))
        return Handle()

    monkeypatch.setattr("IPython.display.display", display)
    plots.LiveCurves(every=2).update(HISTORY)
    assert not shown, "no kernel, nobody there"
    live = plots.LiveCurves(every=2)
    live.watched = True
    for steps in range(1, 6):
        live.update(HISTORY[:steps])
    assert [how for how, _ in shown] == ["first", "again"], "at steps 2 and 4"
    assert all(image.data.startswith(b"\x89PNG") for _, image in shown)


def test_a_front_end_that_could_ask_its_user_is_watched_and_an_execution_is_not():
    """A real kernel: with every cell a front end says whether `input()` may ask; executors say that it may not."""
    from jupyter_client.manager import start_new_kernel

    from labhelpers.course.execution import own_kernel

    texts = []
    with own_kernel():
        manager, client = start_new_kernel(kernel_name="python3")
        try:
            for person in (True, False):
                client.execute_interactive(
                    "from labhelpers import plots; print(plots.LiveCurves().watched)", allow_stdin=person, timeout=60,
                    output_hook=lambda message: texts.append(message["content"].get("text", "")),
                )  # fmt: skip
        finally:
            client.stop_channels()
            manager.shutdown_kernel(now=True)
    assert "".join(texts).split() == ["True", "False"]


@pytest.mark.parametrize("margins", [[1.5], [1e6, 1e6 + 1e-9], [0.0], [-2.0, -2.0]])
def test_margins_that_are_all_alike_make_a_figure_at_once(margins):
    """Bins as narrow as their spread, from 0 on, would be millions."""
    assert len(plots.margin_histograms({"all pairs": margins}).axes[0].patches) < 100


def test_over_optimisation_joins_the_way_stations_of_each_run_in_their_order():
    stations = pd.DataFrame(
        {
            "method": ["PPO"] * 6,
            "seed": [0, 0, 0, 1, 1, 1],
            "kl": [0, 9, 4, 0, 1, 4],
            "proxy": [1, 2, 3, 1, 2, 4],
            "gold": [0.3, 0.5, 0.1, 0.3, 0.4, 0.2],
        }
    )
    fig = plots.over_optimisation(stations)
    proxy, gold = fig.axes
    assert [list(line.get_xdata()) for line in gold.lines] == [[0, 3, 2], [0, 1, 2]]
    assert list(proxy.lines[0].get_ydata()) == [1, 2, 3] and len(proxy.get_legend().get_texts()) == 1
    with pytest.raises(LabError, match="no column 'gold'"):
        plots.over_optimisation(stations.drop(columns="gold"))
