"""The adapters that notebook 00 uses: those that notebooks 01 and 04 make with the tiny profile."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path
from unittest import mock

from labhelpers.course.artifacts import Artifacts
from labhelpers.course.execution import run_notebooks
from labhelpers.course.outline import FINETUNING, PPO

NOTEBOOKS = (FINETUNING.name, PPO.name)
ARTIFACTS = {"sft": "sft_adapter", "ppo": "ppo_toxicity"}


def keep(run_dir: str | Path, folder: str | Path) -> None:
    """Copies the adapters of a run into `folder/sft` and `folder/ppo`, without the value head."""
    for name, artifact in ARTIFACTS.items():
        source, target = Artifacts(Path(run_dir)).path(artifact), Path(folder) / name
        target.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / "adapter_model.safetensors", target / "adapter_model.safetensors")
        config = json.loads((source / "adapter_config.json").read_text(encoding="utf-8"))
        config |= {"base_model_name_or_path": None, "target_modules": sorted(config["target_modules"])}
        text = json.dumps(config, indent=2, sort_keys=True) + "\n"
        (target / "adapter_config.json").write_bytes(text.encode())


def build(data: Path) -> None:
    """Runs the two notebooks on the texts and models in `data` and copies their adapters to `data/adapters`."""
    with mock.patch.dict(os.environ, LABHELPERS_DATA=str(data)), tempfile.TemporaryDirectory() as run_dir:
        run_notebooks(NOTEBOOKS, "tiny", {"rewards": "toxicity"}, run_dir)
        keep(run_dir, data / "adapters")
