"""`labs convert`: pickled weights (`.bin`), such as the PPO lab's own adapter, as safetensors.

A pickle can run code when it is read. PyTorch's `weights_only` reader builds tensors and nothing else, and refuses
a file that wants more. That is why this is a command of its own: nothing else in the course reads a pickle.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from labhelpers.errors import ModelError
from labhelpers.files import write_atomically

NAMES = {"adapter_model.bin": "adapter_model.safetensors", "pytorch_model.bin": "model.safetensors"}


def convert(folder: str | Path, say: Callable[[str], None] = print) -> list[Path]:
    """Writes the weights in `folder` beside the pickles, in safetensors, and returns the new files.

    The pickles stay as they are. Raises ModelError for a folder without such a file, for one that is there in
    safetensors already, and for a pickle that holds anything but named tensors.
    """
    folder = Path(folder).expanduser()
    found = [folder / name for name in NAMES if (folder / name).is_file()]
    if not found:
        there = "is no folder" if not folder.is_dir() else f"holds neither {' nor '.join(NAMES)}"
        raise ModelError(f"{folder} {there}: there is nothing to convert.")
    return [_converted(pickle, folder / NAMES[pickle.name], say) for pickle in found]


def _converted(pickle: Path, target: Path, say: Callable[[str], None]) -> Path:
    import torch
    from safetensors.torch import save

    if target.exists():
        raise ModelError(f"{target} is there already, and is what the course reads; remove it to convert again.")
    try:
        weights = torch.load(pickle, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a damaged or a hostile pickle raises
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise ModelError(f"{pickle} is damaged, or no plain weights, and was not read further: {reason}") from None
    if not isinstance(weights, dict) or not all(
        isinstance(name, str) and isinstance(tensor, torch.Tensor) for name, tensor in weights.items()
    ):
        raise ModelError(f"{pickle} holds something else than named tensors: it is no adapter and no model's weights.")
    # Tensors that share memory (tied weights) become tensors of their own, as safetensors wants them.
    plain = {name: tensor.detach().clone().contiguous() for name, tensor in weights.items()}
    write_atomically(target, save(plain, metadata={"format": "pt"}))
    say(f"{pickle} -> {target.name}: {len(plain)} tensors, read as weights only; the pickle was left as it is")
    return target
