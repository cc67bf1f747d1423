"""What is kept of a PPO run on disk, so that a run that was stopped goes on as if it had not been."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors.torch import load_file, save_file

from labhelpers.errors import ArtifactError

if TYPE_CHECKING:
    from labhelpers.ppo.trainer import PPOTrainer


def save(trainer: PPOTrainer, folder: str | Path) -> None:
    """Writes the policy (see `Policy.save`) and all that `resume` needs to `folder/step-N`.

    The folder appears whole, by a rename, and only then is the previous step's removed: a run killed at any moment
    leaves a state to resume from.
    """
    if trainer.processes.is_main:
        final = Path(folder) / f"step-{trainer.steps_done:06d}"
        draft = final.with_name(f".{final.name}.{os.getpid()}.partial")
        draft.mkdir(parents=True)
        try:
            _write(trainer, draft)
            if final.exists():
                shutil.rmtree(final)
            draft.rename(final)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        for other in [*Path(folder).glob("step-*"), *Path(folder).glob(".step-*.partial")]:
            if other != final:
                shutil.rmtree(other, ignore_errors=True)
    trainer.processes.wait()


def resume(trainer: PPOTrainer, folder: str | Path) -> None:
    """Continues where `save` left off: same parameters, same remaining batches and draws, same statistics.

    Raises ArtifactError when the folder holds no such state or one from other settings.
    """
    saved = sorted(Path(folder).glob("step-*/trainer_state.json"))
    if not saved:
        raise ArtifactError(f"{folder} holds no step-*/trainer_state.json: there is nothing to resume from.")
    state = json.loads(saved[-1].read_text(encoding="utf-8"))
    changed = sorted(k for k, v in asdict(trainer.config).items() if state["config"].get(k, v) != v)
    if changed:
        raise ArtifactError(
            f"{saved[-1].parent} was written with other settings ({', '.join(changed)}): start a new run."
        )
    tensors = load_file(saved[-1].with_name("trainer_state.safetensors"))
    with torch.no_grad():
        for i, parameter in enumerate(trainer.parameters):
            parameter.copy_(tensors[f"parameter.{i}"])
            prefix = f"optimizer.{i}."
            moments = {name[len(prefix) :]: t for name, t in tensors.items() if name.startswith(prefix)}
            if moments:
                # Adam keeps its step counter on the CPU, whatever the parameters' device.
                trainer.optimizer.state[parameter] = {
                    name: t if name == "step" else t.to(parameter.device) for name, t in moments.items()
                }
    torch.set_rng_state(tensors["torch_rng"])
    trainer.steps_done, trainer.history = state["steps_done"], state["history"]
    trainer.kl_controller.value = state["kl_coef"]
    trainer._score_moments = state["score_moments"]


def _write(trainer: PPOTrainer, folder: Path) -> None:
    tensors = {"torch_rng": torch.get_rng_state()}
    for i, parameter in enumerate(trainer.parameters):
        tensors[f"parameter.{i}"] = parameter.detach().cpu().contiguous()
        for name, value in trainer.optimizer.state.get(parameter, {}).items():
            tensors[f"optimizer.{i}.{name}"] = value.detach().cpu().contiguous()
    state = {
        "steps_done": trainer.steps_done,
        "kl_coef": trainer.kl_controller.value,
        "score_moments": trainer._score_moments,
        "history": trainer.history,
        "config": asdict(trainer.config),
    }
    trainer.policy.save(folder)
    save_file(tensors, folder / "trainer_state.safetensors")
    (folder / "trainer_state.json").write_text(json.dumps(state), encoding="utf-8")
