"""The adapters that ship with the course: those that notebooks 01 and 04 make with the tiny profile."""

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


def _run(data: Path, notebook: str, parameters: dict, artifact: str, name: str) -> None:
    """Runs a notebook on what is in `data` and copies an adapter that it makes to `data/adapters/NAME`."""
    with mock.patch.dict(os.environ, LABHELPERS_DATA=str(data)), tempfile.TemporaryDirectory() as run_dir:
        run_notebooks([notebook], "tiny", parameters, run_dir)
        keep(Artifacts(Path(run_dir)).path(artifact), data / "adapters" / name)


def keep(source: str | Path, target: str | Path) -> None:
    """Copies an adapter, without a value head, and without what a config says of the machine that made it."""
    source, target = Path(source), Path(target)
    target.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source / "adapter_model.safetensors", target / "adapter_model.safetensors")
    config = json.loads((source / "adapter_config.json").read_text(encoding="utf-8"))
    config |= {"base_model_name_or_path": None, "target_modules": sorted(config["target_modules"])}
    text = json.dumps(config, indent=2, sort_keys=True) + "\n"
    (target / "adapter_config.json").write_bytes(text.encode())


def build_sft(data: Path) -> None:
    """`sft` and `llama-sft`: what notebook 01 makes of the two base summarisers."""
    _run(data, FINETUNING.name, {}, "sft_adapter", "sft")
    _run(data, FINETUNING.name, {"policy_model": str(data / "models" / "llama-summariser")}, "sft_adapter", "llama-sft")


def build_ppo(data: Path) -> None:
    """`ppo`: what notebook 04 makes with the toxicity reward, from `sft`; both folded into one adapter."""
    parameters = {"rewards": "toxicity", "sft_adapter": str(data / "adapters" / "sft")}
    _run(data, PPO.name, parameters, "ppo_toxicity", "ppo")
