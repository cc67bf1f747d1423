"""labs exercises --release: one archive for students, from which they can work, and which shows no solution."""

import io
import re
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import nbformat
import pytest

from labhelpers import cli
from labhelpers.course import release
from labhelpers.course.exercises import learner_copy
from labhelpers.course.release import build_wheel, refuse_secrets, write_release
from labhelpers.course.solutions import split_at_marks
from labhelpers.errors import LabError, UsageError
from tests.support.paths import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))


@pytest.fixture
def no_build(monkeypatch):
    """No wheel is built: what is packed stands for one."""
    monkeypatch.setattr(release, "build_wheel", lambda root: ("labhelpers-1-py3-none-any.whl", b"wheel"))


def test_an_archive_holds_the_copies_the_wheel_the_pins_and_three_lines_to_read(no_build, tmp_path):
    packed = zipfile.ZipFile(write_release(tmp_path / "out" / "autumn.zip", ["02", "00_rlhf_tour"]))
    wheel = "labhelpers-1-py3-none-any.whl"
    names = ["00_rlhf_tour.ipynb", "02_human_feedback.ipynb", "README.md", "constraints.txt", wheel]
    assert packed.namelist() == [f"autumn/{name}" for name in names]
    beside = [NOTEBOOKS[0].name, NOTEBOOKS[2].name]
    assert packed.read("autumn/00_rlhf_tour.ipynb").decode() == learner_copy(NOTEBOOKS[0], beside)
    assert packed.read("autumn/constraints.txt") == (ROOT / "constraints.txt").read_bytes()
    assert packed.read(f"autumn/{wheel}") == b"wheel"
    lines = packed.read("autumn/README.md").decode().splitlines()
    assert len(lines) == 3 and f'"./{wheel}[course]"' in lines[0]


def test_the_command_packs_and_writes_the_folder_too(no_build, write_notebook, tmp_path, capsys):
    write_notebook("01_first", "1 + 1")
    assert cli.main(["exercises", str(tmp_path / "mine"), "--release", str(tmp_path / "mine.zip")]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"packed {tmp_path / 'mine.zip'}",
        f"wrote 1 notebook to {tmp_path / 'mine'}",
    ]
    assert (tmp_path / "mine" / "01_first.ipynb").is_file()


def test_an_archive_needs_a_name_and_a_clone(no_build, tmp_path):
    with pytest.raises(UsageError, match="must end with .zip"):
        write_release(tmp_path / "autumn")
    with pytest.raises(UsageError, match="from a clone of the course.* has no pyproject.toml"):
        write_release(tmp_path / "autumn.zip", root=tmp_path)
    assert not list(tmp_path.iterdir())


def test_an_older_archive_stays_when_the_wheel_cannot_be_built(tmp_path, monkeypatch):
    for name in ("pyproject.toml", "setup.py", "constraints.txt"):
        (tmp_path / "clone" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "clone" / name).write_text("no package")
    for name in ("data", "labhelpers"):
        (tmp_path / "clone" / name).mkdir()
    old = tmp_path / "autumn.zip"
    old.write_bytes(b"old")
    with pytest.raises(LabError, match="the wheel cannot be built .*setuptools 77"):
        write_release(old, root=tmp_path / "clone")
    assert old.read_bytes() == b"old"


@pytest.mark.parametrize(
    "name",
    ["notebooks/00_rlhf_tour.ipynb", "tests/test_cli.py", "labhelpers/_data/generator/texts/facts.txt",
     "labhelpers/_data/mine.ipynb"],
)  # fmt: skip
def test_a_wheel_that_holds_more_than_the_package_is_not_handed_out(name):
    fine = ["labhelpers/cli.py", "labhelpers/_data/README.md", "labhelpers-0.1.dist-info/RECORD"]
    refuse_secrets(fine)
    with pytest.raises(LabError, match=f"would hold {name}"):
        refuse_secrets([*fine, name])


@pytest.mark.slow
def test_the_wheel_shows_no_solution_and_the_clone_stays_clean(tmp_path):
    before = {path.name for path in ROOT.iterdir()}
    _, wheel = build_wheel(ROOT)
    assert {path.name for path in ROOT.iterdir()} == before
    packed = zipfile.ZipFile(io.BytesIO(wheel))
    texts = "\n".join(packed.read(name).decode(errors="replace") for name in packed.namelist())
    for path in NOTEBOOKS:
        for cell in nbformat.read(path, 4).cells:
            for solved, text in split_at_marks(cell.source) if cell.cell_type == "code" else ():
                assert not (solved and re.search(r"def \w+", text)) or text not in texts


@pytest.mark.slow
def test_a_student_unpacks_installs_and_works(tmp_path):
    """In an environment of their own, which borrows the other packages from this one; without network."""
    archive = write_release(tmp_path / "autumn.zip", ["02"])
    zipfile.ZipFile(archive).extractall(tmp_path / "home")
    place = tmp_path / "home" / "autumn"
    subprocess.run([sys.executable, "-m", "venv", place / ".venv"], check=True)
    python = place / ".venv" / "bin" / "python"
    own = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], capture_output=True, text=True
    ).stdout.strip()
    Path(own, "borrowed.pth").write_text(sysconfig.get_path("purelib"))
    install = re.search(r"`\.venv/bin/python (-m pip install .*?)`", (place / "README.md").read_text())[1]
    wheel = next(place.glob("*.whl"))
    assert f"./{wheel.name}[course]" in install
    no_network = ["--no-index", "--no-deps", "-q", "--force-reinstall", f"./{wheel.name}[course]"]
    subprocess.run([python, "-m", "pip", "install", "-c", "constraints.txt", *no_network], cwd=place, check=True)
    clean = {"PATH": f"{python.parent}:/usr/bin:/bin", "HOME": str(tmp_path), "OMP_NUM_THREADS": "1"}
    notebook = place / "02_human_feedback.ipynb"
    run = [python, "-m", "labhelpers.cli", "run", notebook.name, "--output-dir", tmp_path / "run"]
    done = subprocess.run(run, cwd=place, capture_output=True, text=True, env=clean)
    assert done.returncode == 0, done.stderr
    where = "import labhelpers; print(labhelpers.__file__)"
    found = subprocess.run([python, "-c", where], cwd=place, env=clean, capture_output=True, text=True).stdout
    assert found.startswith(str(place))
    executed = (tmp_path / "run" / "notebooks" / notebook.name).read_text()
    assert executed.count("nothing there yet") == 3
