"""Isolation of other people's code by Linux namespaces (`unshare` of util-linux), without privileges.

An isolated process sees the system's programs and libraries, this Python and the course's data, all read-only, and its
own folder, which it may write to. It sees no other files, no network and no other processes, and it cannot gain more
rights. docs/batch.md says what this protects against, and what it does not.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from labhelpers.sources.locations import data_dir

_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64")
_ETC = ("passwd", "group", "nsswitch.conf", "localtime", "ld.so.cache", "alternatives", "fonts", "mime.types")
_DEVICES = ("null", "zero", "full", "random", "urandom")
_UNSHARE = "unshare --user --map-root-user --mount --pid --net --ipc --uts --fork --kill-child".split()
# A kernel is reached on the loopback address: SIOCSIFFLAGS, IFF_UP | IFF_LOOPBACK | IFF_RUNNING.
_LOOPBACK_UP = "import fcntl, socket, struct; "
_LOOPBACK_UP += "fcntl.ioctl(socket.socket(), 0x8914, struct.pack('16sH14x', b'lo', 0x49))"


def isolated(command: list[str], folder: Path, root: Path) -> list[str]:
    """The command line that runs `command` in isolation; it may write to `folder`.

    `root` is an empty folder, on which the isolated file system is mounted. Outside of the isolation, it stays empty.
    """
    lines = ["set -e", f"{_quoted(sys.executable)} -c {shlex.quote(_LOOPBACK_UP)}"]
    lines += [f"mount -t tmpfs -o size=512m,mode=755,nosuid,nodev tmpfs {_quoted(root)}"]
    for place in _readable():
        lines += _link(place, root) if place.is_symlink() else _bind(place, root, "ro")
    lines += [f"mkdir -p {_quoted(root)}/proc {_quoted(root)}/dev/shm"]
    for device in (Path("/dev", name) for name in _DEVICES):
        lines += _bind(device, root, None)
    lines += [f"mkdir -p -m 1777 {_quoted(root)}/tmp", f"mount -t proc proc {_quoted(root)}/proc"]
    lines += _bind(folder, root, "rw")
    drop = "setpriv --bounding-set=-all --inh-caps=-all --no-new-privs"
    lines += [f"exec chroot {_quoted(root)} {drop} {shlex.join(map(str, command))}"]
    return [*_UNSHARE, "sh", "-c", "\n".join(lines)]


def why_not_isolated() -> str | None:
    """The reason why this machine cannot isolate, or None when an isolated test process succeeds."""
    if sys.platform != "linux":
        return f"{sys.platform} has no namespaces"
    with tempfile.TemporaryDirectory(prefix="labs-") as folder, tempfile.TemporaryDirectory(prefix="labs-") as root:
        command = isolated([sys.executable, "-c", "import labhelpers"], Path(folder).resolve(), Path(root).resolve())
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment())
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
    return None if done.returncode == 0 else (done.stderr.strip().splitlines() or ["unshare failed"])[-1]


def environment() -> dict[str, str]:
    """The environment variables of isolated code. Of the user's, it gets language and time zone only, so no keys."""
    kept = {name: os.environ[name] for name in ("LANG", "LC_ALL", "TZ") if name in os.environ}
    return kept | {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "HOME": "/tmp", "LABHELPERS_DATA": str(data_dir())}


def _readable() -> list[Path]:
    package = Path(__file__).resolve().parent.parent
    places = [Path(place) for place in _SYSTEM] + [Path("/etc", name) for name in _ETC]
    own = {Path(sys.prefix), Path(sys.base_prefix), Path(sys.executable).resolve().parent.parent, package, data_dir()}
    covered = Path("/usr")
    places += sorted(place for place in own if place != covered and covered not in place.parents)
    return [place for place in places if place.exists()]


def _bind(place: Path, root: Path, access: str | None) -> list[str]:
    target = _quoted(f"{root}{place}")
    if place.is_dir():
        lines = [f"mkdir -p {target}"]
    else:
        lines = [f"mkdir -p {_quoted(f'{root}{place.parent}')}", f"touch {target}"]
    lines += [f"mount --rbind {_quoted(place)} {target}"]
    if access:
        flags = ["nosuid", "nodev", *(["noexec"] if os.statvfs(place).f_flag & os.ST_NOEXEC else [])]
        lines += [f"mount -o remount,bind,{','.join([access, *flags])} {target}"]
    return lines


def _link(place: Path, root: Path) -> list[str]:
    if place.parent != Path("/"):  # such as /etc/localtime, a link into /usr
        return [f"mkdir -p {_quoted(f'{root}{place.parent}')}", f"cp -P {_quoted(place)} {_quoted(f'{root}{place}')}"]
    return [f"ln -s {_quoted(os.readlink(place))} {_quoted(f'{root}{place}')}"]


def _quoted(path) -> str:
    return shlex.quote(str(path))
