"""Files that are whole or not there, and folders that can be written."""

from __future__ import annotations

import os
import tempfile
import uuid
from pathlib import Path

from labhelpers.errors import LabError, storage_advice


def writable_folder(folder: Path) -> Path:
    """``folder`` as an absolute path, made if it is missing; a :class:`LabError` when files cannot be written there."""
    folder = Path(folder).expanduser().absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:  # permission bits alone do not tell: root, quotas, read-only
            probe.write(b"0" * 4096)
    except OSError as error:
        advice = storage_advice(error) or f"{error.strerror or error}: choose another folder"
        raise LabError(f"output folder {folder} cannot be written: {advice}") from error
    return folder


def write_atomically(path: Path, text: str) -> None:
    """Replace the file ``path`` by ``text``: readers see the old text or the new one, never a part.

    Raises the OSError of the failed write, and leaves the old file as it was.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.{uuid.uuid4().hex[:8]}.partial")
    try:
        draft.write_text(text, encoding="utf-8")
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
