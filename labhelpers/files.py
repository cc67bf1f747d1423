"""Files and folders that are whole or not there, and folders that can be written.

What is new is made beside its final place under a hidden name that holds this process's number, and then renamed: a
rename is atomic within one file system. What a killed process has left behind is removed by the next one.
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
    """`folder` as an absolute path, made if it is missing.

    Raises LabError when files cannot be written there; `chosen_by` says in its message how another one is named.
    """
    folder = Path(folder).expanduser().absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:  # permission bits alone do not tell: root, quotas, read-only
            probe.write(b"0" * 4096)
    except OSError as error:
        advice = storage_advice(error) or f"{error.strerror or error}: choose another folder"
        how = f" ({chosen_by})" if chosen_by else ""
        raise LabError(f"output folder {folder} cannot be written: {advice}{how}") from error
    return folder


def may_write(folder: Path) -> bool:
    """Whether the system allows files in `folder`, or in the nearest folder above it that is there; leaves no trace.

    A full disk is no matter of being allowed: then the answer is True.
    """
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        return error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS)
    return True


def write_atomically(path: Path, content: str | bytes) -> None:
    """Replaces the file `path`, or makes it: readers see the old content or the new one, never a part.

    Raises the OSError of the failed write, and leaves the old file as it was.
    """
    write_all({path: content})


def write_all(contents: Mapping[Path, str | bytes]) -> None:
    """Replaces several files, after all of them have been written beside their places: a full disk is met before the
    first is replaced.

    Raises the OSError of the failed write, and leaves the old files as they were.
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
    """A new folder to write into; it takes the place of `final` when the `with` block ends well.

    When the block raises, nothing of it stays, and an older `final` is left as it was.
    """
    sweep(final)
    draft = _beside(final)
    try:
        draft.mkdir(parents=True)
        yield draft
        # A folder cannot be renamed over a full one, so the old one steps aside.
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
    """Removes what processes that were killed while making `final` have left beside it."""
    import psutil

    for leftover in final.parent.glob(f".{final.name}.*"):
        made_by = re.fullmatch(rf"\.{re.escape(final.name)}\.(\d+)\.[0-9a-f]{{8}}\.(partial|old)", leftover.name)
        if made_by and not psutil.pid_exists(int(made_by[1])):
            shutil.rmtree(leftover, ignore_errors=True)


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.{uuid.uuid4().hex[:8]}.partial")
