"""Artifacts: what one notebook hands to another, as named folders of files that are written completely or not at all.

`run_dir/artifacts/NAME/` holds the files and `manifest.json`, which says which notebook wrote them, with which
parameters, and the sha256 of each file. Reading checks these hashes: a later notebook never uses files that were
changed in between. Nothing is pickled: the formats are safetensors, JSON, JSONL and Arrow.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import labhelpers
from labhelpers.course import outline
from labhelpers.errors import ArtifactError, storage_advice
from labhelpers.files import whole_folder

if TYPE_CHECKING:
    import pandas

MANIFEST = "manifest.json"


class Artifacts:
    """The artifacts of one run, in `run_dir/artifacts`."""

    def __init__(self, run_dir: str | Path):
        self.folder = Path(run_dir) / "artifacts"

    def __repr__(self) -> str:
        return f"Artifacts({', '.join(self.names()) or 'none yet'})"

    def names(self) -> list[str]:
        """The names of the existing artifacts, in alphabetical order."""
        return sorted(path.parent.name for path in self.folder.glob(f"[!.]*/{MANIFEST}"))

    def exists(self, name: str) -> bool:
        """Whether an artifact of that name exists. Its files are not checked; `path` checks them."""
        return (self.folder / _checked_name(name) / MANIFEST).is_file()

    @contextlib.contextmanager
    def writing(self, name: str, producer: str = "", parameters: dict | None = None) -> Iterator[Path]:
        """A new folder for the artifact's files. It becomes the artifact when the `with` block ends without an error.

        When the block raises, the folder is removed and an older version stays unchanged. `parameters` is a dictionary
        that JSON can hold. Raises ArtifactError when the folder is empty or cannot be written, as on a full disk.
        """
        _checked_name(name)
        try:
            with whole_folder(self.folder / name) as draft:
                yield draft
                manifest = {
                    "name": name,
                    "producer": producer,
                    "parameters": parameters or {},
                    "package_version": labhelpers.__version__,
                    "files": {relative: _sha256(draft / relative) for relative in _files(draft)},
                }
                if not manifest["files"]:
                    raise ArtifactError(
                        f"artifact '{name}' would be empty: write at least one file into the folder given"
                    )
                (draft / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
        except Exception as error:
            if advice := storage_advice(error):
                raise ArtifactError(f"artifact '{name}' cannot be written to {self.folder}: {advice}") from error
            raise

    def path(self, name: str) -> Path:
        """The folder of an artifact, after a check of the hash of every file.

        Raises ArtifactError when the artifact is missing or was altered; the message names the notebook to run.
        """
        folder = self.folder / _checked_name(name)
        if not folder.is_dir():
            raise ArtifactError(missing_artifact(name))
        manifest = self.manifest(name)
        again = f"run notebook {_notebook(name, manifest)} again"
        present = set(_files(folder))
        for relative, expected in sorted(manifest["files"].items()):
            if relative not in present:
                raise ArtifactError(f"artifact '{name}' has lost its file {relative}: {again}")
            if _sha256(folder / relative) != expected:
                raise ArtifactError(f"artifact '{name}' was altered after it was written, in file {relative}: {again}")
        for relative in sorted(present - set(manifest["files"])):
            raise ArtifactError(f"artifact '{name}' holds a file that was added later, {relative}: {again}")
        return folder

    def manifest(self, name: str) -> dict:
        """The manifest: name, producer, parameters, package_version, files {relative path: sha256}."""
        path = self.folder / _checked_name(name) / MANIFEST
        try:
            manifest = json.loads(path.read_text(encoding="utf-8"))
            if isinstance(manifest["files"], dict):
                return manifest
        except (OSError, ValueError, KeyError, TypeError):
            pass
        raise ArtifactError(f"artifact '{name}' has no readable {MANIFEST}: run notebook {_notebook(name)} again")

    def save_table(
        self, name: str, table: pandas.DataFrame, producer: str = "", parameters: dict | None = None
    ) -> None:
        """Writes a data frame as artifact `name`: one JSON object per row, floats with all digits, no index."""
        with (
            self.writing(name, producer, parameters) as folder,
            (folder / f"{name}.jsonl").open("w", encoding="utf-8") as lines,
        ):
            for row in table.to_dict(orient="records"):
                row = {column: _null_for_nan(value) for column, value in row.items()}
                lines.write(json.dumps(row, ensure_ascii=False, default=_plain) + "\n")

    def load_table(self, name: str) -> pandas.DataFrame:
        """The data frame that `save_table` wrote, its rows numbered from 0. NaN was written as null."""
        import pandas

        with (self.path(name) / f"{name}.jsonl").open(encoding="utf-8") as lines:
            return pandas.DataFrame([json.loads(line) for line in lines])


def plain_number(value):
    """A numpy or torch scalar as a Python number; any other value unchanged."""
    if hasattr(value, "item") and getattr(value, "ndim", 0) == 0:
        return value.item()
    return value


def _plain(value):
    """For json.dumps: numpy and torch values as Python's. Raises TypeError for a value without a JSON form."""
    number = plain_number(value)
    if number is not value:
        return number
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} has no place in an artifact: use numbers, text, lists and dictionaries")


def _null_for_nan(value):
    value = plain_number(value)
    return None if isinstance(value, float) and math.isnan(value) else value


def _checked_name(name: str) -> str:
    if not re.fullmatch(r"[a-z0-9_]+", name):
        raise ArtifactError(f"{name!r} is not a name for an artifact: use small letters, digits and underscores")
    return name


def _files(folder: Path) -> list[str]:
    """The relative paths of an artifact's files, with '/' between parts, without hidden files (the system's)."""
    found = (path for path in folder.rglob("*") if path.is_file())
    names = (path.relative_to(folder).as_posix() for path in found)
    return sorted(name for name in names if name != MANIFEST and not name.rsplit("/", 1)[-1].startswith("."))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def missing_artifact(name: str) -> str:
    """The message for a missing artifact: which notebook makes it, or what can be given instead."""
    advice = f"artifact '{name}' is not there: run notebook {_notebook(name)} first"
    if name in outline.GIVEN_BY:
        parameter, shipped = outline.GIVEN_BY[name]
        advice += f", or give one by a parameter: -p {parameter} {shipped} takes the one that ships with the course"
    return advice


def _notebook(name: str, manifest: dict | None = None) -> str:
    """The notebook that makes an artifact, by the course map or else by the manifest."""
    if made_by := outline.producer(name):
        return made_by.name
    return (manifest or {}).get("producer") or f"that writes '{name}'"
