"""Checkpoints of a PPO run on disk: a run that was stopped continues as if it had never been stopped."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor

from labhelpers.errors import ArtifactError
from labhelpers.files import whole_folder
from labhelpers.policy.model import Policy


@dataclass(frozen=True)
class TrainerState:
    """Everything a PPO run needs to continue, except the frozen weights it began with. Tensors are on the CPU."""

    parameters: list[Tensor]  # the trained ones, in the trainer's order
    moments: dict[int, dict[str, Tensor]]  # Adam's moments, by the parameter's place in that order
    torch_generator: Tensor  # the state of the generator that draws dropout
    steps_done: int
    kl_coef: float
    score_moments: list[float]  # count, mean, sum of squared deviations of all scores so far
    history: list[dict[str, float]]
    settings: dict[str, Any]  # the fields of the PPOConfig


def save(folder: str | Path, state: TrainerState, policy: Policy) -> None:
    """Writes the policy (see `Policy.save`) and the state to `folder/step-N`.

    The folder is renamed into place when it is complete, and only then is the folder of the previous step removed.
    So a run that is killed at any moment leaves a state to resume from.
    """
    final = Path(folder) / f"step-{state.steps_done:06d}"
    with whole_folder(final) as draft:
        policy.save(draft)
        _write(draft, state)
    for other in [*Path(folder).glob("step-*"), *Path(folder).glob(".step-*")]:  # hidden: a killed process's
        if other != final:
            shutil.rmtree(other, ignore_errors=True)


def load(folder: str | Path, settings: dict[str, Any]) -> TrainerState:
    """The last state that `save` left in `folder`.

    Raises ArtifactError when there is none, or when it was written with settings that differ from `settings`.
    """
    saved = sorted(Path(folder).glob("step-*/trainer_state.json"))
    if not saved:
        raise ArtifactError(f"{folder} holds no step-*/trainer_state.json: there is nothing to resume from.")
    state = _read(saved[-1].parent)
    changed = sorted(name for name, value in settings.items() if state.settings.get(name, value) != value)
    if changed:
        raise ArtifactError(
            f"{saved[-1].parent} was written with other settings ({', '.join(changed)}): start a new run."
        )
    return state


_PLAIN = ("steps_done", "kl_coef", "score_moments", "history", "settings")  # these go into the JSON file


def _write(folder: Path, state: TrainerState) -> None:
    tensors = {"torch_generator": state.torch_generator}
    tensors |= {f"parameter.{i}": tensor for i, tensor in enumerate(state.parameters)}
    tensors |= {f"moment.{i}.{name}": t for i, moments in state.moments.items() for name, t in moments.items()}
    save_file(tensors, folder / "trainer_state.safetensors")
    plain = {name: getattr(state, name) for name in _PLAIN}
    (folder / "trainer_state.json").write_text(json.dumps(plain), encoding="utf-8")


def _read(folder: Path) -> TrainerState:
    plain = json.loads((folder / "trainer_state.json").read_text(encoding="utf-8"))
    tensors = load_file(folder / "trainer_state.safetensors")
    parameters, moments = {}, {}
    for key, tensor in tensors.items():
        kind, *place = key.split(".")
        if kind == "parameter":
            parameters[int(place[0])] = tensor
        elif kind == "moment":
            moments.setdefault(int(place[0]), {})[place[1]] = tensor
    return TrainerState(
        parameters=[parameters[i] for i in range(len(parameters))],
        moments=moments,
        torch_generator=tensors["torch_generator"],
        **{name: plain[name] for name in _PLAIN},
    )
