"""Atomic writing: files and folders appear completely or not at all. And the check whether a folder can be written.

A new file or folder is made beside its final place, under a hidden name that contains this process's number, and then
renamed: a rename is atomic within one file system. Leftovers of a killed process are removed by the next one.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

from labhelpers.errors import LabError, storage_advice


def writable_folder(folder: str | Path, chosen_by: str = "") -> Path:
    """`folder` as an absolute path; it is made if it is missing.

    Raises LabError when it cannot be written; `chosen_by` tells in the message how to name another folder.
    """
    folder = Path(folder).expanduser().absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:  # permission bits do not show quotas or read-only disks
            probe.write(b"0" * 4096)
    except OSError as error:
        advice = storage_advice(error) or f"{error.strerror or error}: choose another folder"
        how = f" ({chosen_by})" if chosen_by else ""
        raise LabError(f"output folder {folder} cannot be written: {advice}{how}") from error
    return folder


def may_write(folder: Path) -> bool:
    """Whether this process is allowed to write in `folder`, or in the nearest folder above it that exists.

    Nothing is left behind. On a full disk the answer is still True, because this is about permission only.
    """
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        return error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS)
    return True


def write_atomically(path: Path, content: str | bytes) -> None:
    """Writes the file `path`. Readers see the old content or the new content, never a part of it.

    Raises the OSError of a failed write; the old file is then unchanged.
    """
    write_all({path: content})


def write_all(contents: Mapping[Path, str | bytes]) -> None:
    """Writes several files. No old file is replaced before all new contents are on the disk.

    Raises the OSError of a failed write, as on a full disk; the old files are then unchanged.
    """
    drafts = {path: _beside(path) for path in contents}
    try:
        for path, draft in drafts.items():
            content = contents[path]
            draft.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
        for path, draft in drafts.items():
            os.replace(draft, path)
    finally:
        for draft in drafts.values():
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)


@contextlib.contextmanager
def whole_folder(final: Path) -> Iterator[Path]:
    """A new folder to write into. It replaces `final` when the `with` block ends without an error.

    When the block raises, the new folder is removed, and an older `final` stays unchanged.
    """
    sweep(final)
    draft = _beside(final)
    try:
        draft.mkdir(parents=True)
        yield draft
        # A folder cannot be renamed over one that has files, so the old one is renamed first.
        retired = draft.with_suffix(".old")
        if final.exists():
            final.rename(retired)
        try:
            draft.rename(final)
        except OSError:
            if retired.exists():
                retired.rename(final)
            raise
        shutil.rmtree(retired, ignore_errors=True)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def sweep(final: Path) -> None:
    """Removes the leftovers of processes that were killed while they wrote `final`."""
    import psutil

    for leftover in final.parent.glob(f".{final.name}.*"):
        made_by = re.fullmatch(rf"\.{re.escape(final.name)}\.(\d+)\.[0-9a-f]{{8}}\.(partial|old)", leftover.name)
        if made_by and not psutil.pid_exists(int(made_by[1])):
            shutil.rmtree(leftover, ignore_errors=True)


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.{uuid.uuid4().hex[:8]}.partial")
