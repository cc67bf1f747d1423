"""Experiments: a table belongs to its plan, has all its rows, says what the course says of it, and can be repeated."""

import json
import math

import numpy as np
import pytest

from data.generator.experiments import rows
from labhelpers.batch.outcome import RunOutcome
from labhelpers.batch.plans import expand, load_plan
from labhelpers.course import load_experiment, own_rows
from labhelpers.course.execution import run_notebooks
from labhelpers.course.experiments import has_table_of, plan_hash, table_text
from labhelpers.errors import UsageError
from labhelpers.evaluation import mean_over_seeds
from labhelpers.sources.locations import data_dir

HOME = data_dir() / "experiments"
PLANS = sorted(HOME.glob("*.yaml"))


@pytest.fixture
def plan(tmp_path):
    file = tmp_path / "sweep.yaml"
    file.write_text("notebooks: [00]\ngrid: {seed: [0, 1]}\n")
    return file


def test_a_table_is_read_back_with_numbers_and_lists(plan):
    plan.with_suffix(".csv").write_text(
        table_text(plan, [{"seed": 0, "00.x": 0.25, "00.ci": [0.1, None]}, {"seed": 1}])
    )
    table = load_experiment("sweep", plan.parent)
    assert table["seed"].tolist() == [0, 1] and table["00.x"][0] == 0.25 and table["00.ci"][0] == [0.1, None]
    assert own_rows(table, seed=1)["00.x"].isna().all() and own_rows(table, seed=7).empty
    with pytest.raises(UsageError, match="does not vary 'sed'.*seed"):
        own_rows(table, sed=1)


def test_the_hash_is_of_what_a_plan_asks_for(plan, tmp_path):
    other = tmp_path / "other.yaml"
    other.write_text("# a remark\ngrid:\n  seed: [0, 1]\nnotebooks: [00]\n")
    assert plan_hash(other) == plan_hash(plan)
    other.write_text("notebooks: [00]\ngrid: {seed: [0, 2]}\n")
    assert plan_hash(other) != plan_hash(plan)


def test_a_table_of_another_plan_is_refused_with_what_to_do(plan):
    plan.with_suffix(".csv").write_text(table_text(plan, [{"seed": 0}]))
    plan.write_text("notebooks: [00]\ngrid: {seed: [0, 1, 2]}\n")
    with pytest.raises(UsageError, match="is not the table of .*make experiments"):
        load_experiment("sweep", plan.parent)
    with pytest.raises(UsageError, match="no experiment 'swep'.*sweep"):
        load_experiment("swep", plan.parent)
    plan.with_suffix(".csv").unlink()
    with pytest.raises(UsageError, match="has no table yet"):
        load_experiment("sweep", plan.parent)


def test_a_damaged_table_is_said_to_be_damaged(plan):
    plan.with_suffix(".csv").write_text(table_text(plan, []) + "seed,x\n0,[1\n")
    with pytest.raises(UsageError, match="is damaged"):
        load_experiment("sweep", plan.parent)


def test_a_table_without_rows_is_one_that_is_being_made(plan):
    plan.with_suffix(".csv").write_text(table_text(plan, []))
    assert has_table_of(plan)
    table = load_experiment("sweep", plan.parent)
    assert table.empty and own_rows(table, seed=0).empty


def test_a_row_has_what_varies_and_what_repeats():
    run = RunOutcome(
        "a", parameters={"seed": 3, "lam": 1.0}, results={"04_ppo": {"x": 0.123456789, "seconds_per_step": 1.0}}
    )
    assert rows([run], ["seed"]) == [{"seed": 3, "04.x": 0.123457}]


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.stem)
def test_every_plan_of_the_course_has_its_whole_table(plan):
    table, grid = load_experiment(plan.stem), load_plan(plan).grid
    wanted = [tuple(run.point.values()) for run in expand(load_plan(plan))]
    assert list(table[list(grid)].itertuples(index=False, name=None)) == wanted


def test_what_the_course_says_of_its_seeds_holds_for_each():
    table = load_experiment("seeds")
    assert len(table) >= 8 and (table["04.kl_before_first_update"] <= 1e-9).all()
    for prefix in ("", "sampled_"):
        for measure in ("toxicity", "judge_toxicity", "insult_rate"):
            before, after, ends = (
                table[f"05.{prefix}{measure}_{end}"] for end in ("before", "after", "difference_ci95")
            )
            assert (after <= before / 2).all() and all(high < 0 for _, high in ends), (prefix, measure)

    def change(name):
        return (table[f"05.{name}_after"] - table[f"05.{name}_before"]).mean()

    assert table["05.toxicity_before"].mean() >= 0.25 and table["05.toxicity_after"].mean() <= 0.05
    assert change("rouge_l_clean") >= -0.02 and change("sampled_rouge_l_clean") >= -0.03 and change("coverage") >= -0.03
    assert (table["01.insult_rate_before"] <= 0.02).all() and (table["01.insult_rate_after"] >= 0.25).all()
    assert (table["04.explained_variance_first_steps"] >= 0.15).all()
    assert (table["03.accuracy_fact"] > table["03.roberta_quarter_accuracy_fact"]).all()


def test_the_fitted_value_head_costs_no_reward_and_lowers_the_variance_of_advantages():
    ours, lab = load_experiment("seeds"), load_experiment("lab_value_head")
    assert ours["seed"].tolist() == lab["seed"].tolist()
    assert mean_over_seeds(ours["04.reward_last_steps"] - lab["04.reward_last_steps"]).estimate >= -0.03
    assert all(fitted < trusted < none for none, trusted, fitted in ours["04.advantage_variance"])


@pytest.mark.slow
@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.stem)
def test_a_row_can_be_repeated(plan, tmp_path):
    planned = load_plan(plan)
    run = expand(planned)[-1]
    run_notebooks([str(path) for path in planned.notebooks], planned.profile, run.parameters, tmp_path)
    results = json.loads((tmp_path / "results.json").read_text())
    (again,) = rows([RunOutcome("again", parameters=run.parameters, results=results)], planned.grid)
    kept = load_experiment(plan.stem).iloc[-1]
    for name, value in kept.items():
        if isinstance(value, (list, float)) and not (isinstance(value, float) and math.isnan(value)):
            np.testing.assert_allclose(np.array(again[name], float), np.array(value, float), atol=1e-5, err_msg=name)
