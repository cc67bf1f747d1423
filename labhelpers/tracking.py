"""Watching a training: the statistics of every step also go to TensorBoard, Weights & Biases, MLflow or Trackio.

PPO reports through accelerate's trackers (`Tracking.open`), transformers' and trl's trainers through their own
callbacks (`Tracking.arguments`). Both write below the run's folder, and nothing is sent anywhere unless the profile
allows the network and the tracker is set up for it.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from labhelpers.errors import UsageError

if TYPE_CHECKING:
    from accelerate.tracking import GeneralTracker

TrackerName = Literal["none", "tensorboard", "wandb", "mlflow", "trackio"]  # also the packages' names, except "none"
PROJECT = "rlhf-labs"  # what W&B and Trackio call a project, MLflow an experiment


def check_tracker(name: TrackerName) -> None:
    """Raises UsageError for a tracker whose package is not installed."""
    if name == "none":
        return
    found = importlib.util.find_spec(name)
    if found is None or found.origin is None:  # without an origin it is a mere folder of that name, such as our output
        raise UsageError(
            f"parameter tracker is {name!r}, but the package {name} is not installed: "
            f"`{sys.executable} -m pip install {name}`, or leave the tracker out"
        )


@dataclass(frozen=True)
class Tracking:
    """The tracker of one notebook's run: which one it is, where it writes, and what it calls the run."""

    tracker: TrackerName
    folder: Path  # the run's folder
    notebook: str
    started: str = field(default_factory=lambda: time.strftime("%Y-%m-%d_%H.%M.%S"))

    @property
    def run_name(self) -> str:
        """The notebook and when it was started: every start is a run of its own, and earlier ones stay."""
        return f"{self.notebook}/{self.started}"

    @property
    def events(self) -> Path:
        """Where TensorBoard's event files go."""
        return self.folder / "tensorboard" / self.run_name

    @property
    def arguments(self) -> dict[str, str]:
        """What transformers' `TrainingArguments` need to know of the tracker."""
        if self.tracker == "none":
            return {"report_to": "none"}
        return {"report_to": self.tracker, "run_name": self.run_name, "project": PROJECT}

    @contextlib.contextmanager
    def open(self, training: str, settings: Mapping[str, Any]) -> Iterator[GeneralTracker | None]:
        """Accelerate's tracker for one training, `run_name/training`, closed at the end; None for "none".

        Those of `settings` that are numbers, texts or booleans are stored with the curves.
        """
        if self.tracker == "none":
            yield None
            return
        tracker = self._new_tracker(training)
        tracker.start()
        try:
            kept = {name: value for name, value in settings.items() if isinstance(value, (bool, int, float, str))}
            if self.tracker == "tensorboard":  # accelerate would list the settings as a second run, without curves
                tracker.log({"settings": "  \n".join(f"{name}: {value}" for name, value in kept.items())})
            else:
                tracker.store_init_configuration(kept)
            yield tracker
        finally:
            tracker.finish()

    def _new_tracker(self, training: str) -> GeneralTracker:
        from accelerate import tracking

        name = f"{self.run_name}/{training}"
        match self.tracker:
            case "tensorboard":
                return tracking.TensorBoardTracker(training, logging_dir=self.events)
            case "wandb":
                return tracking.WandBTracker(PROJECT, name=name)
            case "mlflow":
                return tracking.MLflowTracker(PROJECT, run_name=name)
            case "trackio":
                return tracking.TrackioTracker(PROJECT, name=name)

    def prepare(self, offline: bool) -> None:
        """Sets the environment variables that tell the tracker where to write. Call it before importing its package.

        Variables that the user has set are kept, except in an `offline` run: there everything stays on this machine.
        """
        for name, value in self._places().items():
            if offline or name not in os.environ:
                os.environ[name] = value
        if self.tracker == "tensorboard":
            os.environ["TENSORBOARD_LOGGING_DIR"] = str(self.events)  # the folder of this start, not of the one before
        if offline and self.tracker == "wandb":
            os.environ["WANDB_MODE"] = "offline"
        if offline and self.tracker == "trackio":
            for name in ("SPACE_ID", "SERVER_URL", "BUCKET_ID", "WEBHOOK_URL"):
                os.environ.pop(f"TRACKIO_{name}", None)

    def _places(self) -> dict[str, str]:
        """The tracker's own variables: a place below the run's folder, the project, and no usage reports."""
        folder = self.folder.absolute()
        match self.tracker:
            case "wandb":
                return {
                    "WANDB_DIR": str(folder),
                    "WANDB_CACHE_DIR": str(folder / "cache" / "wandb"),
                    "WANDB_PROJECT": PROJECT,
                    "WANDB_SILENT": "true",
                    "WANDB_ERROR_REPORTING": "false",
                }
            case "mlflow":
                return {
                    "MLFLOW_TRACKING_URI": f"sqlite:///{(folder / 'mlflow.db').as_posix()}",
                    "MLFLOW_EXPERIMENT_NAME": PROJECT,
                    "MLFLOW_DISABLE_TELEMETRY": "true",
                    "MLFLOW_LOGGING_LEVEL": "WARNING",
                }
            case "trackio":
                return {"TRACKIO_DIR": str(folder / "trackio"), "GRADIO_ANALYTICS_ENABLED": "False"}
        return {}
