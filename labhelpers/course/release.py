"""What students get: one archive with the learner copies, and the package with its data as a wheel.

It is made from a clone, because that is where the data lies beside the package. Nothing that shows a solution goes in:
no solved notebook, no test, and not what the data is made by.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

from labhelpers.course.exercises import learner_copy
from labhelpers.course.notebooks import find_notebooks
from labhelpers.errors import LabError, UsageError, storage_advice
from labhelpers.files import writable_folder, write_atomically

README = """\
1. Install, with Python 3.11 or newer, in this folder: `python3 -m venv .venv`, then `.venv/bin/python -m pip install -c constraints.txt "./{wheel}[course]"` (on Windows: `py -3.11 -m venv .venv`, then `.venv\\Scripts\\python` for `.venv/bin/python`).
2. Open the notebooks with `.venv/bin/jupyter lab` (on Windows: `.venv\\Scripts\\jupyter lab`), and write your code where a cell says TODO: the check below it tells whether it is right.
3. Before you hand in a notebook, restart its kernel, run all cells, and save it under its own name.
"""  # noqa: E501
_CLONE = ("pyproject.toml", "setup.py", "constraints.txt", "data", "labhelpers")
_SOURCES = (*_CLONE, "MANIFEST.in", "README.md", "LICENSE")


def write_release(archive: str | Path, names: Iterable[str | Path] = (), root: Path | None = None) -> Path:
    """Write the zip file `archive` with the learner copies of the notebooks in `names` (none: all), the wheel, the pins
    and a README, all in one folder of the archive's name.

    `root` is the clone (default: the one that this package is in). Raises UsageError for a name that does not end with
    .zip and for a package that is in no clone; NotebookError for a notebook that cannot be cut; LabError when the wheel
    cannot be built or the file not written. An older archive is replaced; when something fails it stays.
    """
    target = Path(archive).expanduser().absolute()
    if target.suffix != ".zip":
        raise UsageError(f"{target.name} is no name of a release: it must end with .zip")
    root = root or Path(__file__).resolve().parents[2]
    if missing := [name for name in _CLONE if not (root / name).exists()]:
        raise UsageError(
            f"a release is made from a clone of the course, and {root} has no {missing[0]}: take a clone, and the labs "
            "command of the environment that is installed from it (pip install -e .)"
        )
    sources = find_notebooks(names)
    beside = [source.name for source in sources]
    copies = {source.name: learner_copy(source, beside).encode() for source in sources}
    writable_folder(target.parent)
    name, wheel = build_wheel(root)
    files = {name: wheel, "constraints.txt": (root / "constraints.txt").read_bytes()}
    files |= {"README.md": README.format(wheel=name).encode(), **copies}
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name in sorted(files):
            zipped.writestr(f"{target.stem}/{name}", files[name])
    try:
        write_atomically(target, packed.getvalue())
    except OSError as error:
        raise LabError(f"{target} cannot be written: {storage_advice(error) or error}") from error
    return target


def build_wheel(root: Path) -> tuple[str, bytes]:
    """The wheel of the clone `root`: its file name and content. Needs no network, and leaves nothing in the clone.

    Raises LabError when it cannot be built, or would hold what students should not get.
    """
    with tempfile.TemporaryDirectory(prefix="labs-") as folder:
        # In the clone itself an older build/ would be packed too, and this build would stay there.
        clean, out = Path(folder, "clone"), Path(folder, "wheel")
        clean.mkdir()
        for name in _SOURCES:
            copy_of = shutil.copytree if (root / name).is_dir() else shutil.copy2
            if (root / name).exists():
                options = {"ignore": _left_out} if copy_of is shutil.copytree else {}
                copy_of(root / name, clean / name, **options)
        command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
        done = subprocess.run([*command, "-w", str(out), str(clean)], capture_output=True, text=True)
        built = list(out.glob("*.whl"))
        if done.returncode or len(built) != 1:
            said = (done.stderr or done.stdout).strip().splitlines() or ["pip said nothing"]
            raise LabError(
                f"the wheel cannot be built ({said[-1].strip()}): it needs pip and setuptools 77 or newer in this "
                "environment, as `pip install -e '.[test]'` has them"
            )
        refuse_secrets(zipfile.ZipFile(built[0]).namelist())
        return built[0].name, built[0].read_bytes()


def refuse_secrets(names: Iterable[str]) -> None:
    """Raises LabError when files of a wheel (`names`) are more than the package, its data and its metadata."""
    for name in names:
        top, *below = name.split("/")
        ours = top == "labhelpers" or top.endswith(".dist-info")
        if not ours or name.endswith(".ipynb") or below[:2] == ["_data", "generator"]:
            raise LabError(
                f"the wheel would hold {name}, which students should not get: move it out of data/ and labhelpers/"
            )


def _left_out(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if name == "__pycache__" or name.startswith(".")]
