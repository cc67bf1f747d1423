"""Warm processes (Linux): the runs of a batch and their kernels start with the large libraries already imported.

The imports take a third of a short run. So each worker keeps a warm process, which has imported the libraries and does
nothing else. A run is forked from it. The run then forks its own warm process, and its kernels are forked from that:

    worker ── warm process ── run (papermill) ── kernel
                   │               └──────────── warm process of this run ── kernel
                   └── the next run …

Only the imported modules are shared: every run and every kernel is a process with its own variables, environment and
files, and no other process sees its changes. Submissions of a cohort are not started this way. Some libraries are not
imported here, because they read the environment when they are imported, and the first cell of a notebook sets it.

Two ready-made ways were tried. The forkserver of `multiprocessing` with preload fails, because Dask's workers are
daemons and may not start one; and a run that it forks starts a second forkserver without preload for its kernels, so
that a short run took six times as long. A kernel provisioner replaces only the start of a kernel: we would still have
to fork, and it must be an entry point of the installed package.
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
    """A forked run, with the methods of `subprocess.Popen` that its caller needs."""

    def __init__(self, connection: socket.socket, pid: int, stdin: int):
        self.connection, self.pid = connection, pid
        self.stdin = os.fdopen(stdin, "wb")
        self.returncode: int | None = None

    def wait(self, timeout: float | None = None) -> int:
        """Waits for the end and returns the exit status. Raises subprocess.TimeoutExpired after `timeout` seconds."""
        if self.returncode is None:
            if not select.select([self.connection], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("a run", timeout)
            status = self.connection.recv(1)
            self.returncode = status[0] if status else -signal.SIGKILL
            self.connection.close()
        return self.returncode

    def kill(self) -> None:
        """Ends the process at once, if it still runs."""
        if self.returncode is None:
            with contextlib.suppress(OSError):
                self.connection.send(bytes([signal.SIGKILL]))


def available() -> bool:
    """Whether warm processes work on this system."""
    return sys.platform == "linux"


def start(folder: Path, environment: dict[str, str], log, threads: int) -> Process:
    """Starts `run_process.main(folder)` in a forked process; its output goes to the open file `log`.

    Raises OSError when that is not possible, for example because the path of a socket would be too long.
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
    """Forks a child for every connection, which calls `become(order)`.

    The other side sends signals for the child and gets its exit status at the end; a closed connection kills the child.
    The server ends when the file `parent` is closed.
    """
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
    """The work of a forked process: it takes its own session, files, environment and folder, and calls `become`."""
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
    """Becomes a run. First it forks the warm process for its kernels, before anything else is loaded or changed."""
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
    """The warm process itself: imports the libraries, then serves until its standard input is closed."""
    import importlib

    for name in _LIBRARIES:
        importlib.import_module(name)
    try:
        _serve(socket.socket(fileno=int(sys.argv[1])), _become_run, answer_pid=True, parent=0)
    finally:
        shutil.rmtree(sys.argv[2], ignore_errors=True)


if __name__ == "__main__":
    main()
