"""Every notebook runs to its end at the smallest values that its settings accept, and says "not measured" where there
is nothing to count. What a notebook cannot do with less is said in its first cell (tests/course/test_profiles.py)."""

import json
import re

import pytest
from pydantic import TypeAdapter

from labhelpers.course.execution import run_notebooks
from labhelpers.course.outline import CHAPTERS, numbered
from labhelpers.course.parameters import declared_parameters
from labhelpers.course.profiles import Profile
from tests.support.paths import DATA, ROOT

RANGES = TypeAdapter(Profile).json_schema()["properties"]
ADAPTER = {"sft_adapter": "data/adapters/sft"}
ALONE = [
    ("01", {"sft_train_rows": 100}),
    ("01", {"sft_epochs": 0}),
    ("02", {"feedback": 2}),
    ("03", ADAPTER | {"reward_epochs": 0, "reward_base_epochs": 0}),
    ("03", ADAPTER | {"feedback": 12}),
    ("04", ADAPTER | {"batch_size": 1, "ppo_steps": 1, "eval_prompts": 2, "rewards": "toxicity"}),
    ("05", ADAPTER | {"eval_prompts": 2}),
    ("07", {"ppo_steps": 7}),
    ("07", {"ppo_steps": 2, "batch_size": 4}),
    ("07", {"ppo_steps": 4, "max_new_tokens": 1}),
]


def smallest(name):
    """The smallest value of a profile's field; None for one that is no number."""
    (limits,) = [kind for kind in RANGES[name].get("anyOf", [RANGES[name]]) if kind.get("type") != "null"]
    if "exclusiveMinimum" in limits:
        return limits["exclusiveMinimum"] + 1e-9
    return limits.get("minimum")


def smallest_settings(chapter):
    declared = declared_parameters(ROOT / "notebooks" / f"{chapter.name}.ipynb")
    found = {name: smallest(name) for name in declared if name in RANGES}
    return {name: value for name, value in found.items() if value is not None} | dict(chapter.multiples)


def rankings(folder, lines):
    """The first so many lines of the shipped rankings as a file."""
    every = (DATA / "feedback" / "rankings.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    (folder / "rankings.jsonl").write_text("".join(every[:lines]), encoding="utf-8")
    return str(folder / "rankings.jsonl")


def run(number, settings, folder):
    """Executes a notebook; no sentence that it printed holds a NaN."""
    if isinstance(settings.get("feedback"), int):
        settings = settings | {"feedback": rankings(folder, settings["feedback"])}
    run_notebooks([number], "tiny", settings, folder)
    (executed,) = (folder / "notebooks").glob(f"{number}*.ipynb")
    for cell in json.loads(executed.read_text(encoding="utf-8"))["cells"]:
        for output in cell.get("outputs", []):
            assert not re.search(r"\bnan\b", "".join(output.get("text", []))), "".join(cell["source"])


def test_the_smallest_values_are_those_of_the_profile():
    found = {one.number: smallest_settings(one) for one in CHAPTERS}
    assert found["01"]["sft_epochs"] == 0 and found["01"]["sft_train_rows"] == 1
    assert found["03"]["bootstrap_samples"] == 100 and 0 < found["03"]["reward_learning_rate"] < 1e-6
    assert found["04"]["kl_coef"] == found["04"]["lam"] == 0 and found["04"]["batch_size"] == 1
    assert found["07"]["batch_size"] == 4, "GRPO compares four responses"


@pytest.mark.slow
def test_the_course_runs_with_everything_at_its_smallest(tmp_path):
    """The artifacts that one notebook leaves are as small, and the next one takes them."""
    for one in CHAPTERS:
        settings = smallest_settings(one)
        run(one.number, settings | ({"feedback": 2} if "reward_model" in one.makes else {}), tmp_path)


@pytest.mark.slow
def test_the_shortest_trainings_run_too(tmp_path):
    """One step instead of none, with everything else at its smallest."""
    for number in ("01", "03", "04", "05", "07"):
        settings = smallest_settings(numbered(number))
        steps = {name: 1 for name in settings if name.endswith(("_epochs", "_steps"))}
        run(number, settings | steps | ({"feedback": 2} if number == "03" else {}), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("number, settings", ALONE, ids=lambda value: str(value))
def test_one_small_value_alone(tmp_path, number, settings):
    run(number, settings, tmp_path)
