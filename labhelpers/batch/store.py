"""The output of a batch: a folder, or an fsspec address that is mirrored in a temporary folder while a batch works.

A folder per run, `status.json` in each (written last: a run without it has to be done again), `plan.json`,
`summary.csv`, `index.html`.
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
# What the report is made from; artifacts stay where they are.
_MIRRORED = (STATUS, PLAN, ".html")


class Output:
    """Where a batch's results are. `folder` is on this machine; `address` is set for a remote output."""

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
        """What to call it in a message."""
        return self.address or str(self.folder)

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other batches out while this lasts; UsageError when one is at work."""
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
        """The outcomes of the runs that have ended, by run."""
        outcomes = {}
        for path in self.folder.glob(f"*/{STATUS}"):
            with contextlib.suppress(OSError, ValueError):
                outcomes[path.parent.name] = RunOutcome.from_json(path.read_text(encoding="utf-8"))
        return outcomes

    def begin(self, run: str) -> None:
        """Forget how a run ended: it is about to be done again."""
        (self.folder / run / STATUS).unlink(missing_ok=True)

    def keep(self, outcome: RunOutcome) -> RunOutcome:
        """Keep the outcome of a run that has ended, and unpack what came with it; the outcome without that."""
        folder = self.folder / outcome.id
        folder.mkdir(exist_ok=True)
        if outcome.archive:
            with tarfile.open(fileobj=io.BytesIO(outcome.archive)) as packed:
                packed.extractall(folder, filter="data")
        write_atomically(folder / STATUS, outcome.to_json())
        self.publish(f"{outcome.id}/{STATUS}")
        if self.address:  # pages were put there by the worker
            with self._remote():
                for page in self._fs.glob(f"{self._root}/{outcome.id}/notebooks/*.html"):
                    (folder / "notebooks").mkdir(exist_ok=True)
                    self._fs.get_file(page, str(folder / "notebooks" / page.rsplit("/", 1)[1]))
        return dataclasses.replace(outcome, archive=None)

    def publish(self, *names: str) -> None:
        """Bring files of the folder to the remote address, where there is one."""
        for name in names if self.address else ():
            with self._remote():
                self._fs.makedirs(f"{self._root}/{name}".rsplit("/", 1)[0], exist_ok=True)
                self._fs.put_file(str(self.folder / name), f"{self._root}/{name}")

    @contextlib.contextmanager
    def _remote_lock(self) -> Iterator[None]:
        """A file that says who is at work. Storages have no locks: two batches within a second could both get in."""
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
        except Exception as error:  # each kind of storage has exceptions of its own
            advice = storage_advice(error) or f"{type(error).__name__}: {error}"
            raise LabError(f"output {self.address} cannot be used: {advice}; check address and credentials") from error
