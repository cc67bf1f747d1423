"""Warm processes: a batch's runs and their kernels begin with the large libraries imported (Linux).

Importing them takes a third of a short run. So each worker keeps one process that has done it and does nothing else;
a run is forked from that, and so is a second one, from which the run's kernels are forked in turn:

    worker ── warm process ── run (papermill) ── kernel
                   │               └──────────── warm process of this run ── kernel
                   └── the next run …

Nothing is shared but what was imported: every run and every kernel is a process of its own, with its own variables,
environment and files, and what one changes no other sees. Submissions of a cohort are not started this way. Left out
are libraries that read the environment when they are imported, which a notebook's first cell sets.

`multiprocessing`'s forkserver with preload was tried instead: Dask's workers are daemons and may start no such process,
and a run that it forked starts a second forkserver for its kernels, which knows of no preload, so that a short run took
six times as long. A kernel provisioner says how a kernel is started, not where a warm one comes from, and must be an
entry point of the installed package: the forking would still be ours.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

_LIBRARIES = "numpy pandas pyarrow scipy.stats torch IPython ipykernel.kernelapp nbclient papermill psutil".split()
_LIBRARIES += ["pydantic", "yaml"]
_ORDER_BYTES = 1 << 20
_servers: dict[int, _Server] = {}
_lock = threading.Lock()


class Process:
    """A run that was forked: as much of `subprocess.Popen` as its caller needs."""

    def __init__(self, connection: socket.socket, pid: int, stdin: int):
        self.connection, self.pid = connection, pid
        self.stdin = os.fdopen(stdin, "wb")
        self.returncode: int | None = None

    def wait(self, timeout: float | None = None) -> int:
        """Its exit status; raises subprocess.TimeoutExpired like Popen's."""
        if self.returncode is None:
            if not select.select([self.connection], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("a run", timeout)
            status = self.connection.recv(1)
            self.returncode = status[0] if status else -signal.SIGKILL
            self.connection.close()
        return self.returncode

    def kill(self) -> None:
        """Ends it at once, if it is still there."""
        if self.returncode is None:
            with contextlib.suppress(OSError):
                self.connection.send(bytes([signal.SIGKILL]))


def available() -> bool:
    """Whether processes can be kept warm here."""
    return sys.platform == "linux"


def start(folder: Path, environment: dict[str, str], log, threads: int) -> Process:
    """Begins `run_process.main(folder)` in a forked process; its output goes to the open file `log`.

    Raises OSError where that cannot be, as when a socket's path would be too long.
    """
    with _lock:
        server = _servers.get(threads)
        if server is None or server.process.poll() is not None:
            server = _servers[threads] = _Server(environment)
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(server.address)
    reading, writing = os.pipe()
    order = {"folder": str(folder), "environment": environment}
    socket.send_fds(connection, [json.dumps(order).encode()], [reading, log.fileno(), log.fileno()])
    os.close(reading)
    pid = connection.recv(32)
    if not pid:
        os.close(writing)
        raise OSError("the warm process has ended")
    return Process(connection, int(pid), writing)


class _Server:
    """This worker's warm process; it ends when the worker does."""

    def __init__(self, environment: dict[str, str]):
        self.folder = tempfile.mkdtemp(prefix="labs-warm-")
        self.address = str(Path(self.folder, "runs"))
        listener = _listen(self.address)
        command = [sys.executable, "-P", "-m", "labhelpers.batch.warm", str(listener.fileno()), self.folder]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env=environment, pass_fds=[listener.fileno()],
            start_new_session=True,
        )  # fmt: skip
        listener.close()


def _listen(address: str) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen()
    return listener


def _serve(listener: socket.socket, become: Callable[[dict], int], answer_pid: bool, parent: int | None = None) -> None:
    """Forks a child for every connection, `become(order)` in it; signals from the other side go to the child, a closed
    connection kills it, its exit status is the last answer. Ends when the file `parent` does."""
    children: dict[socket.socket, int] = {}
    while True:
        watched = [listener, *children, *([] if parent is None else [parent])]
        for ready in select.select(watched, [], [], 0.02 if children else None)[0]:
            if ready is listener:
                connection, _ = listener.accept()
                order, files, _, _ = socket.recv_fds(connection, _ORDER_BYTES, 3)
                pid = os.fork()
                if pid == 0:
                    _child(json.loads(order), files, become)
                for file in files:
                    os.close(file)
                if answer_pid:
                    connection.send(str(pid).encode())
                children[connection] = pid
            elif ready == parent:
                return
            else:
                numbers = ready.recv(16)
                for number in numbers or [signal.SIGKILL]:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(children[ready], number)
                if not numbers:
                    os.waitpid(children.pop(ready), 0)
                    ready.close()
        for connection, pid in list(children.items()):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                code = os.waitstatus_to_exitcode(status)
                with contextlib.suppress(OSError):
                    connection.send(bytes([code if code >= 0 else 128 - code]))
                connection.close()
                del children[connection]


def _child(order: dict, files: list[int], become: Callable[[dict], int]) -> None:
    """What a forked process does: another session, its own files, environment and folder, and then its work."""
    status = 1
    try:
        os.setsid()
        for target, file in enumerate(files):
            os.dup2(file, target)
        os.closerange(3, 4096)
        os.environ.clear()
        os.environ.update(order["environment"])
        os.chdir(order["folder"])
        status = become(order)
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush(), sys.stderr.flush()
        os._exit(status or 0)


def _become_run(order: dict) -> int:
    """A run: first forks the process that its kernels will come from, while it is still as clean as it was."""
    from labhelpers.batch import run_process

    folder = tempfile.mkdtemp(dir=sys.argv[2])
    kernels = str(Path(folder, "kernels"))
    listener = _listen(kernels)
    if os.fork() == 0:
        _die_with_parent()
        try:
            _serve(listener, _become_kernel, answer_pid=False)
        finally:
            os._exit(1)
    listener.close()
    try:
        stand_in = str(Path(__file__).with_name("warm_kernel.py"))
        return run_process.main(Path(order["folder"]), kernel=[sys.executable, "-I", "-S", stand_in, kernels])
    finally:
        run_process.end_children()
        shutil.rmtree(folder, ignore_errors=True)


def _become_kernel(order: dict) -> int:
    from ipykernel.kernelapp import IPKernelApp

    _die_with_parent()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = ["ipykernel_launcher", *order["arguments"]]
    IPKernelApp.launch_instance(argv=order["arguments"])
    return 0


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG


def main() -> None:
    """The warm process itself: imports, then serves until its standard input ends."""
    import importlib

    for name in _LIBRARIES:
        importlib.import_module(name)
    try:
        _serve(socket.socket(fileno=int(sys.argv[1])), _become_run, answer_pid=True, parent=0)
    finally:
        shutil.rmtree(sys.argv[2], ignore_errors=True)


if __name__ == "__main__":
    main()
