"""How a run ended: one class, its JSON and its line in the summary."""

import csv
import dataclasses
import io
import json

import pytest

from labhelpers.batch.outcome import RunOutcome, summary_csv

FULL = RunOutcome(
    "a1", "seed = 3", "failed", "ValueError: a, b\nc", notebook="04_ppo", cell=4, last_lines=["ValueError"],
    executed="notebooks/04_ppo.ipynb", seconds=2.5, peak_memory_gb=0.5, parameters={"seed": 3, "rewards": ["toxicity"]},
    notebooks=["03_reward", "04_ppo"], notebook_seconds={"03_reward": 1.5}, results={"03_reward": {"accuracy": 0.75}},
    worker="node1", started=1.0, version="0.1.0",
)  # fmt: skip


def test_what_is_kept_comes_back_but_for_the_archive():
    assert RunOutcome.from_json(FULL.to_json()) == FULL
    assert RunOutcome.from_json(dataclasses.replace(FULL, archive=b"x").to_json()) == FULL
    assert set(json.loads(FULL.to_json())) == {field.name for field in dataclasses.fields(FULL)} - {"archive"}


@pytest.mark.parametrize("text", ["[", "[]", "{}", '{"id": "a1", "status": "well"}', '{"id": "a1", "seconds": "long"}'])
def test_a_record_of_another_form_is_refused(text):
    with pytest.raises(ValueError):
        RunOutcome.from_json(text)


def test_the_summary_is_a_line_a_run_with_all_that_any_recorded():
    first, second = csv.DictReader(io.StringIO(summary_csv([FULL, RunOutcome("b2", parameters={"seed": 4})])))
    assert first == {
        "run": "a1", "student": "", "status": "failed", "reason": "ValueError: a, b\nc", "notebook": "04_ppo",
        "cell": "In [4]", "executed": "a1/notebooks/04_ppo.ipynb", "seconds": "2.5", "peak_memory_gb": "0.5",
        "seed": "3", "rewards": '["toxicity"]', "03_reward.accuracy": "0.75",
    }  # fmt: skip
    assert (second["status"], second["seed"], second["rewards"], second["executed"]) == ("to do", "4", "", "")


def test_a_worker_that_was_killed_is_told_from_one_that_failed():
    class KilledWorker(Exception):  # as Dask calls it
        pass

    todo = RunOutcome("a1", "seed = 3", parameters={"seed": 3})
    for error in (KilledWorker("a1"), None):
        lost = todo.without_worker(error)
        assert (lost.id, lost.status, lost.parameters, lost.seconds) == ("a1", "worker lost", {"seed": 3}, 0.0)
        assert lost.reason.startswith("the worker was lost")
    failed = todo.without_worker(ZeroDivisionError("division by zero"))
    assert (failed.status, failed.reason) == ("failed", "the worker failed: ZeroDivisionError: division by zero")
