"""The output of a batch: a folder, or an fsspec address with a temporary local copy while the batch works.

It holds `plan.json`, `summary.csv`, `index.html` and a folder per run. The file `status.json` of a run is written last:
a run without it has to be done again.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
import socket
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

from labhelpers.batch.outcome import RunOutcome
from labhelpers.errors import LabError, UsageError, storage_advice
from labhelpers.files import writable_folder, write_atomically
from labhelpers.sources.locations import is_address

STATUS, PLAN, LOCK = "status.json", "plan.json", ".batch.lock"
# The files that the report is made from. Artifacts are not copied.
_MIRRORED = (STATUS, PLAN, ".html")


class Output:
    """The place of a batch's results. `folder` is on this machine; `address` is None unless the output is remote."""

    def __init__(self, location: str | Path, stack: contextlib.ExitStack):
        self.address = str(location).rstrip("/") if is_address(location) else None
        if self.address is None:
            self.folder = writable_folder(Path(location))
            return
        self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="labs-batch-")))
        with self._remote():
            import fsspec

            self._fs, self._root = fsspec.core.url_to_fs(self.address)
            self._fs.makedirs(self._root, exist_ok=True)
            for path in self._fs.find(self._root):
                relative = path.removeprefix(self._root).lstrip("/")
                if relative.endswith(_MIRRORED):
                    (self.folder / relative).parent.mkdir(parents=True, exist_ok=True)
                    self._fs.get_file(path, str(self.folder / relative))

    @property
    def place(self) -> str:
        """The name of the place in messages."""
        return self.address or str(self.folder)

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Keeps other batches out inside the `with` block. Raises UsageError when another batch is working there."""
        if self.address:
            with self._remote_lock():
                yield
            return
        from filelock import FileLock, Timeout

        try:
            with FileLock(self.folder / LOCK, timeout=0):
                yield
        except Timeout:
            raise UsageError(f"another batch is working in {self.folder}: wait for it, or choose another") from None

    def outcomes(self) -> dict[str, RunOutcome]:
        """The outcomes of the runs that have ended, `{run id: outcome}`."""
        outcomes = {}
        for path in self.folder.glob(f"*/{STATUS}"):
            with contextlib.suppress(OSError, ValueError):
                outcomes[path.parent.name] = RunOutcome.from_json(path.read_text(encoding="utf-8"))
        return outcomes

    def begin(self, run: str) -> None:
        """Deletes the record of a run that will be done again."""
        (self.folder / run / STATUS).unlink(missing_ok=True)

    def keep(self, outcome: RunOutcome) -> RunOutcome:
        """Stores the outcome of a run, unpacks its archive if there is one, and returns the outcome without it."""
        folder = self.folder / outcome.id
        folder.mkdir(exist_ok=True)
        if outcome.archive:
            with tarfile.open(fileobj=io.BytesIO(outcome.archive)) as packed:
                packed.extractall(folder, filter="data")
        write_atomically(folder / STATUS, outcome.to_json())
        self.publish(f"{outcome.id}/{STATUS}")
        if self.address:  # the worker has written the pages there
            with self._remote():
                for page in self._fs.glob(f"{self._root}/{outcome.id}/notebooks/*.html"):
                    (folder / "notebooks").mkdir(exist_ok=True)
                    self._fs.get_file(page, str(folder / "notebooks" / page.rsplit("/", 1)[1]))
        return dataclasses.replace(outcome, archive=None)

    def publish(self, *names: str) -> None:
        """Copies files of the folder, and folders with all that is in them, to the remote address, if there is one."""
        for name in names if self.address else ():
            path = self.folder / name
            for file in [one for one in path.rglob("*") if one.is_file()] if path.is_dir() else [path]:
                target = f"{self._root}/{file.relative_to(self.folder).as_posix()}"
                with self._remote():
                    self._fs.makedirs(target.rsplit("/", 1)[0], exist_ok=True)
                    self._fs.put_file(str(file), target)

    @contextlib.contextmanager
    def _remote_lock(self) -> Iterator[None]:
        """A file that says which batch is working. Not a real lock: two that start within a second both get in."""
        place = f"{self._root}/{LOCK}"
        with self._remote():
            self._fs.invalidate_cache()
            if self._fs.exists(place):
                who = self._fs.cat_file(place).decode(errors="replace")
                raise UsageError(
                    f"another batch is working in {self.address} ({who}): wait for it; "
                    f"if it is dead, delete {self.address}/{LOCK}"
                )
            self._fs.pipe_file(place, f"process {os.getpid()} on {socket.gethostname()}".encode())
        try:
            yield
        finally:
            with contextlib.suppress(Exception):
                self._fs.rm_file(place)

    @contextlib.contextmanager
    def _remote(self) -> Iterator[None]:
        try:
            yield
        except LabError:
            raise
        except Exception as error:  # each kind of storage has its own exceptions
            advice = storage_advice(error) or f"{type(error).__name__}: {error}"
            raise LabError(f"output {self.address} cannot be used: {advice}; check address and credentials") from error
