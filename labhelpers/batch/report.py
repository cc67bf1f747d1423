"""The report on a batch, `index.html` and `summary.csv`, made from the records in the output folder.

For a cohort also the grades and the students' feedback.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path

from labhelpers.batch.feedback import ARCHIVE, FEEDBACK, file_names, write_feedback
from labhelpers.batch.glance import mistakes, success
from labhelpers.batch.grades import GRADES, VERDICTS, answers, exercise_name, write_grades
from labhelpers.batch.outcome import RunOutcome, summary_csv
from labhelpers.batch.pages import write_pages
from labhelpers.batch.store import PLAN, STATUS
from labhelpers.course.outline import BEFORE_AFTER, PPO, REWARD_HACKING, REWARD_MODEL
from labhelpers.errors import UsageError
from labhelpers.evaluation import mean_over_seeds
from labhelpers.files import write_atomically

SUMMARY, PAGE = "summary.csv", "index.html"
# The results to show first, if the runs have recorded them; otherwise the first numbers they recorded.
KEY_RESULTS = (
    (REWARD_MODEL.name, "pairwise_accuracy"),
    (PPO.name, "reward_last_steps"),
    (PPO.name, "kl_last_steps"),
    (BEFORE_AFTER.name, "toxicity_after"),
    (BEFORE_AFTER.name, "judge_toxicity_after"),
    (BEFORE_AFTER.name, "rouge_l_after"),
    (BEFORE_AFTER.name, "honesty_after"),
    (BEFORE_AFTER.name, "coverage_after"),
    (REWARD_HACKING.name, "toxicity_no_kl"),
    (REWARD_HACKING.name, "gold_after"),
)
_MOST_KEYS, _MOST_PANELS, _MOST_FIGURES, _MOST_MISTAKES = 8, 24, 4, 12


@dataclass(frozen=True)
class Spread:
    """A result over the seeds of one grid point: mean, and half the width of its 95 % t-interval (None for one run)."""

    mean: float
    half: float | None

    def __str__(self) -> str:
        return f"{self.mean:.4g}" if self.half is None else f"{self.mean:.4g} ± {self.half:.2g}"


def write_report(folder: Path) -> list[str]:
    """Writes the report of the batch in `folder` from its records, and returns the names of the files written.

    Raises UsageError when the folder holds no batch.
    """
    plan = _plan(folder)
    runs = _outcomes(folder, plan)
    for run in runs:
        write_pages(folder / run.id, sanitize=run.student is not None, again=False)
    write_atomically(folder / SUMMARY, summary_csv(runs))
    written = [SUMMARY, PAGE]
    if plan["submissions"]:
        ended = _ended(runs)
        written.append(write_grades(folder, ended, plan["exercises"]))
        written += write_feedback(folder, ended, plan["exercises"])
    write_atomically(folder / PAGE, _page(folder, plan, runs))
    return written


def spread(values: list[float]) -> Spread:
    """Mean and 95 % interval of the results of several training seeds."""
    mean = mean_over_seeds(values)
    return Spread(mean.estimate, None if len(values) < 2 else mean.high - mean.estimate)


def by_grid_point(runs: list[RunOutcome], keys: list[tuple[str, str]]) -> list[tuple[dict, int, list[Spread | None]]]:
    """For every point of the grid: (its parameters without the seed, how many of its runs finished, spreads).

    There is a spread over the finished runs for each result in `keys` (notebook, name); None if no run recorded it.
    """
    points: dict[str, list[RunOutcome]] = {}
    for run in runs:
        if run.status == "finished":
            points.setdefault(json.dumps(_without_seed(run), sort_keys=True), []).append(run)
    table = []
    for same in points.values():
        numbers = [[value for run in same if (value := _number(run, key)) is not None] for key in keys]
        table.append((_without_seed(same[0]), len(same), [spread(some) if some else None for some in numbers]))
    return table


def _plan(folder: Path) -> dict:
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder: give the output folder of a batch")
    try:
        return json.loads((folder / PLAN).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise UsageError(f"{folder} holds no readable {PLAN}: give the output folder of a batch") from None


def _outcomes(folder: Path, plan: dict) -> list[RunOutcome]:
    """The outcome of every run of the plan, in the plan's order; a run that has not ended is "to do"."""
    outcomes = []
    for run in plan["runs"]:
        try:
            outcomes.append(RunOutcome.from_json((folder / run["id"] / STATUS).read_text(encoding="utf-8")))
        except (OSError, ValueError):
            outcomes.append(RunOutcome(**run))
    return outcomes


def _ended(runs: list[RunOutcome]) -> list[RunOutcome]:
    return [run for run in runs if run.status != "to do"]


def _page(folder: Path, plan: dict, runs: list[RunOutcome]) -> str:
    import jinja2

    keys = [] if plan["submissions"] else _keys(runs)
    points = by_grid_point(runs, keys) if keys else []
    counts: dict[str, int] = {}
    for run in runs:
        counts[run.status] = counts.get(run.status, 0) + 1
    asked = plan.get("exercises", {})
    ended = _ended(runs) if plan["submissions"] else []
    made = mistakes(ended, asked)
    names = file_names(run.student for run in ended if run.student is not None)
    varied = [name for name in plan["grid"] if name != "seed"]
    environment = jinja2.Environment(loader=jinja2.PackageLoader("labhelpers.batch", "."), autoescape=True)
    environment.filters |= {"number": _shown}
    return environment.get_template("report.html").render(
        plan=plan,
        runs=runs,
        counts=counts,
        failures=[run for run in runs if run.status not in ("finished", "to do")],
        keys=keys,
        key_names=[name.replace("_", " ") for _, name in keys],
        names=list(dict.fromkeys(name for run in runs for name in run.parameters)),
        points=points if any(count > 1 for _, count, _ in points) else [],
        point_names=varied,
        figures=[] if plan["submissions"] else _figures(runs, varied),
        grades=GRADES,
        archive=ARCHIVE,
        feedback={student: f"{FEEDBACK}/{name}.html" for student, name in names.items()},
        graded=len(ended),
        success=success(ended, asked),
        verdicts=VERDICTS,
        mistakes=made[:_MOST_MISTAKES],
        more_mistakes=len(made[_MOST_MISTAKES:]),
        exercises=[exercise_name(notebook, check) for notebook, checks in asked.items() for check in checks],
        answers={run.id: answers(run, asked) for run in runs},
        result=_number,
        pages={run.id: sorted(p.stem for p in (folder / run.id / "notebooks").glob("*.html")) for run in runs},
    )


def _keys(runs: list[RunOutcome]) -> list[tuple[str, str]]:
    recorded = dict.fromkeys((nb, name) for run in runs for nb, found in run.results.items() for name in found)
    numbers = [key for key in recorded if any(_number(run, key) is not None for run in runs)]
    return [key for key in KEY_RESULTS if key in numbers] or numbers[:_MOST_KEYS]


def _number(run: RunOutcome, key: tuple[str, str]) -> float | None:
    value = run.results.get(key[0], {}).get(key[1])
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _without_seed(run: RunOutcome) -> dict:
    return {name: value for name, value in run.parameters.items() if name != "seed"}


def _figures(runs: list[RunOutcome], varied: list[str]) -> list[tuple[str, str]]:
    """(title, SVG) for every curve that the finished runs have recorded, with a panel per grid point."""
    curves: dict[tuple[str, str], dict[str, list]] = {}
    for run in runs:
        point = ", ".join(f"{name} = {run.parameters.get(name)}" for name in varied) or "all runs"
        for notebook, recorded in run.results.items() if run.status == "finished" else ():
            for name, values in recorded.items():
                if _is_curve(name, values):
                    curves.setdefault((notebook, name), {}).setdefault(point, []).append(values)
    if not curves:
        return []
    # Curves of PPO come first, and only a few are shown: a report is a page, not an archive.
    chosen = sorted(curves, key=lambda key: not key[0].startswith("04"))[:_MOST_FIGURES]
    return [(f"{nb}: {name.replace('_', ' ')}", _small_multiples(curves[nb, name], name)) for nb, name in chosen]


def _is_curve(name: str, values) -> bool:
    numbers = isinstance(values, list) and all(isinstance(v, (int, float)) or v is None for v in values)
    return numbers and len(values) >= 3 and not name.endswith("ci95")


def _small_multiples(points: dict[str, list], name: str) -> str:
    import matplotlib as mpl
    from matplotlib.figure import Figure

    from labhelpers.plots.style import BLUE, STYLE

    shown = list(points.items())[:_MOST_PANELS]
    columns = min(3, len(shown))
    lines = -(-len(shown) // columns)
    with mpl.rc_context(STYLE | {"svg.fonttype": "none", "svg.hashsalt": "labs"}):
        figure = Figure(figsize=(3.2 * columns, 2.4 * lines + 0.2))
        axes = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
        for ax, (point, curves) in zip(axes.flat, shown, strict=False):
            for values in curves:
                values = [float("nan") if value is None else value for value in values]
                ax.plot(range(1, len(values) + 1), values, color=BLUE, alpha=0.6, linewidth=1.5)
            ax.set_title(point, fontsize=9, weight="normal", parse_math=False)
            ax.set(xlabel="step", ylabel=name.replace("_", " "))
            ax.xaxis.get_major_locator().set_params(integer=True)
            ax.label_outer()
        for ax in axes.flat[len(shown) :]:
            ax.set_visible(False)
        svg = io.StringIO()
        figure.savefig(svg, format="svg", metadata={"Date": None})
    return svg.getvalue()[svg.getvalue().index("<svg") :]


def _shown(value) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return "" if value is None else str(value)
