"""What Binder, Codespaces and docker build of this course.

None of them runs here, so their files are held to their schema and to what the tools themselves ask for. (By hand:
repo2docker takes .binder/ as it is meant, and hadolint passes the Dockerfile.)
"""

import json
import os
import re
import subprocess
import sys

import pytest
import yaml

from labhelpers.packages import pinned_versions
from tests.support.paths import ROOT

BINDER = ROOT / ".binder"
DEVCONTAINER = ROOT / ".devcontainer" / "devcontainer.json"
INSTALLING = BINDER / "postBuild"


def instructions():
    """The Dockerfile's instructions, (word, rest), continued lines joined."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    return [tuple(line.split(maxsplit=1)) for line in text.splitlines() if line and not line.startswith("#")]


def test_binder_gets_pytorch_without_cuda_in_the_version_that_is_pinned():
    environment = yaml.safe_load((BINDER / "environment.yml").read_text())
    torch = pinned_versions(ROOT / "constraints.txt")["torch"]
    conda = yaml.safe_load((ROOT / "environment.yml").read_text())
    assert environment["channels"] == ["conda-forge"]  # its pytorch-cpu has no CUDA
    assert f"pytorch-cpu={torch}" in environment["dependencies"]
    assert next(name for name in conda["dependencies"] if "python=" in name) in environment["dependencies"]


def test_binder_installs_the_rest_by_the_same_pins_and_no_tests():
    *_, command = INSTALLING.read_text().splitlines()
    assert command == "python -m pip install --no-cache-dir -c constraints.txt -e '.[course]'"
    assert INSTALLING.read_text().startswith("#!") and "set -e" in INSTALLING.read_text()


@pytest.mark.skipif(os.name != "posix", reason="Windows has no executable bit")
def test_the_script_that_docker_runs_is_executable():
    assert os.access(INSTALLING, os.X_OK)


def test_binder_finds_no_other_description_of_an_environment():
    """A Dockerfile, a Pipfile or the like in .binder/ would win over environment.yml."""
    assert sorted(path.name for path in BINDER.iterdir()) == ["environment.yml", "postBuild"]


def test_the_dockerfile_installs_what_binder_installs():
    words = [word for word, _ in instructions()]
    (image,) = [rest for word, rest in instructions() if word == "FROM"]
    assert re.fullmatch(r"[\w./-]+:\d[\w.]*", image), "an image without a version would be another one next year"
    (build,) = [rest for word, rest in instructions() if word == "RUN"]
    assert "-f .binder/environment.yml" in build and ".binder/postBuild" in build
    assert "pip" not in build and "torch" not in build, "versions and packages are said once, in .binder/"
    assert words.index("COPY") < words.index("RUN")
    assert "USER" not in words, "the image's own user is no administrator"
    assert words[-1] == "CMD" and json.loads(instructions()[-1][1])[:2] == ["jupyter", "lab"]


def test_what_stays_out_of_the_image_is_what_git_ignores_and_nothing_that_is_needed():
    left_out = set((ROOT / ".dockerignore").read_text().splitlines())
    made = {line.strip("/") for line in (ROOT / ".gitignore").read_text().splitlines() if line.endswith("/")}
    assert {name.split("/")[-1] for name in left_out} >= made | {".git"}
    assert not {"data", "labhelpers", "notebooks", "constraints.txt", ".binder", "setup.py"} & left_out


def _by_schema(file):
    schema = ROOT / "tests" / "support" / "devcontainer.schema.json"
    command = [sys.executable, "-m", "check_jsonschema", "--schemafile", str(schema), str(file)]
    return subprocess.run(command, capture_output=True, text=True)


def test_the_devcontainer_is_one_by_its_schema(tmp_path):
    assert _by_schema(DEVCONTAINER).returncode == 0
    misspelt = tmp_path / "devcontainer.json"
    misspelt.write_text(DEVCONTAINER.read_text().replace("postCreateCommand", "postCreatedCommand"))
    assert _by_schema(misspelt).returncode == 1


def test_the_devcontainer_builds_our_dockerfile_and_takes_the_package_from_the_open_folder():
    settings = json.loads(DEVCONTAINER.read_text())
    home = DEVCONTAINER.parent
    assert (home / settings["build"]["dockerfile"]).resolve() == ROOT / "Dockerfile"
    assert (home / settings["build"]["context"]).resolve() == ROOT
    assert settings["postCreateCommand"] == "pip install --no-deps -e ."
    python = settings["customizations"]["vscode"]["settings"]["python.defaultInterpreterPath"]
    assert f"{python.rsplit('/', 1)[0]}:$PATH" in dict(instructions())["ENV"]
