"""Trackers: TensorBoard reads back what was reported, a missing package is said at once, offline stays offline."""

import importlib.util
import os
from importlib.machinery import ModuleSpec

import pytest

from labhelpers.errors import UsageError
from labhelpers.tracking import PROJECT, Tracking, check_tracker
from tests.support.events import curves, text


@pytest.fixture(autouse=True)
def environment():
    """`prepare` sets variables; they are as they were when a test ends."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


def test_without_a_tracker_nothing_is_reported_or_written(tmp_path):
    tracking = Tracking("none", tmp_path, "04_ppo_detoxification")
    before = dict(os.environ)
    tracking.prepare(offline=True)
    with tracking.open("toxicity", {"kl_coef": 0.1}) as tracker:
        assert tracker is None
    assert tracking.arguments == {"report_to": "none"}
    assert dict(os.environ) == before and not list(tmp_path.iterdir())


def test_tensorboard_reads_what_was_reported(tmp_path):
    tracking = Tracking("tensorboard", tmp_path, "04_ppo_detoxification", started="today")
    settings = {"kl_coef": 0.25, "adaptive_kl": False, "score_clip": None, "parts": (1, 2)}
    with tracking.open("toxicity", settings) as tracker:
        for step in (1, 2):
            tracker.log({"ppo/mean_scores": step / 2, "ppo/updates": 3}, step=step)
    found = curves(tmp_path / "tensorboard")
    assert found == {
        "04_ppo_detoxification/today/toxicity": {
            "ppo/mean_scores": [(1, 0.5), (2, 1.0)],
            "ppo/updates": [(1, 3.0), (2, 3.0)],
        }
    }
    kept = text(tmp_path / "tensorboard", "04_ppo_detoxification/today/toxicity", "settings")
    assert "kl_coef: 0.25" in kept and "adaptive_kl: False" in kept and "parts" not in kept


def test_a_tracker_is_closed_when_its_training_fails(tmp_path, monkeypatch):
    """A run left open would swallow the next training's curves in MLflow and W&B."""
    from accelerate.tracking import TensorBoardTracker

    closed = []
    monkeypatch.setattr(TensorBoardTracker, "finish", lambda self: closed.append(self.run_name))
    with pytest.raises(KeyboardInterrupt), Tracking("tensorboard", tmp_path, "04").open("toxicity", {}):
        raise KeyboardInterrupt
    assert closed == ["toxicity"]


def test_every_start_is_a_run_of_its_own(tmp_path):
    one, two = (Tracking("tensorboard", tmp_path, "04", started=f"2026-01-01_00.00.0{i}") for i in (1, 2))
    assert one.events != two.events and one.arguments["run_name"] != two.arguments["run_name"]


@pytest.mark.parametrize("found", [None, ModuleSpec("a folder called like the package", None)])
@pytest.mark.parametrize("name", ["wandb", "mlflow", "trackio"])
def test_a_tracker_that_is_not_installed_is_refused_with_the_command_that_installs_it(name, found, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda wanted: found)
    with pytest.raises(UsageError, match=f"'{name}', but the package {name} is not installed: .*pip install {name}"):
        check_tracker(name)
    check_tracker("none")


SERVERS = {
    "wandb": {"WANDB_MODE": "online"},
    "mlflow": {"MLFLOW_TRACKING_URI": "https://elsewhere.example"},
    "trackio": {"TRACKIO_SPACE_ID": "someone/space", "TRACKIO_SERVER_URL": "https://elsewhere.example"},
}


@pytest.mark.parametrize("name", SERVERS)
def test_offline_no_variable_of_the_users_leads_to_a_server(name, tmp_path):
    os.environ.update(SERVERS[name])
    Tracking(name, tmp_path, "04").prepare(offline=False)
    assert {variable: os.environ[variable] for variable in SERVERS[name]} == SERVERS[name], "else they win"
    Tracking(name, tmp_path, "04").prepare(offline=True)
    left = {variable: os.environ.get(variable) for variable in SERVERS[name]}
    expected = {"wandb": ["offline"], "mlflow": [f"sqlite:///{(tmp_path / 'mlflow.db').as_posix()}"]}
    assert list(left.values()) == expected.get(name, [None, None])


@pytest.mark.parametrize("name", ["wandb", "mlflow", "trackio"])
def test_a_tracker_gets_a_place_in_the_runs_folder_and_the_courses_name(name, tmp_path):
    for variable in [v for v in os.environ if v.startswith(("WANDB_", "MLFLOW_", "TRACKIO_"))]:
        del os.environ[variable]
    tracking = Tracking(name, tmp_path, "04")
    tracking.prepare(offline=False)
    place = {"wandb": "WANDB_DIR", "mlflow": "MLFLOW_TRACKING_URI", "trackio": "TRACKIO_DIR"}[name]
    assert tmp_path.as_posix() in os.environ[place].replace("\\", "/")
    assert tracking.arguments == {"report_to": name, "run_name": tracking.run_name, "project": PROJECT}
