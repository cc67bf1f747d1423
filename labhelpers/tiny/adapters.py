"""`python -m labhelpers.tiny.adapters RUN_DIR`: keep for the tour the adapters that notebooks 01 and 04 made there.

RUN_DIR is that of `labs run 01 04` with the tiny profile as it is. Notebook 00 shows what they write.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from labhelpers.course.artifacts import Artifacts
from labhelpers.sources.locations import data_dir
from labhelpers.tiny.models import write_card

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
        (target / "adapter_config.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    keep(sys.argv[1], data_dir() / "adapters")
    write_card(data_dir())
