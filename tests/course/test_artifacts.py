"""Artifacts are there whole or not at all, and what was altered is noticed."""

import errno
import json
import os
import signal
import subprocess
import sys
import textwrap

import numpy
import pandas
import pytest

import labhelpers
from labhelpers.course.artifacts import Artifacts
from labhelpers.errors import ArtifactError
from labhelpers.files import write_atomically

NUMBERS = pandas.DataFrame({"n": [1]})


@pytest.fixture
def artifacts(tmp_path):
    return Artifacts(tmp_path)


def save(artifacts, name="sft_adapter", text="weights"):
    with artifacts.writing(name, producer="01_supervised_finetuning", parameters={"rank": 8}) as folder:
        (folder / "deep").mkdir()
        (folder / "deep" / "weights.bin").write_text(text)


def everything(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_what_is_written_is_found_with_its_manifest(artifacts):
    assert not artifacts.exists("sft_adapter")
    save(artifacts)
    assert artifacts.exists("sft_adapter") and artifacts.names() == ["sft_adapter"]
    assert (artifacts.path("sft_adapter") / "deep" / "weights.bin").read_text() == "weights"
    manifest = artifacts.manifest("sft_adapter")
    assert manifest["producer"] == "01_supervised_finetuning" and manifest["parameters"] == {"rank": 8}
    assert manifest["package_version"] == labhelpers.__version__
    assert list(manifest["files"]) == ["deep/weights.bin"] and len(manifest["files"]["deep/weights.bin"]) == 64


def test_an_exception_while_writing_leaves_nothing(artifacts, tmp_path):
    with pytest.raises(ZeroDivisionError), artifacts.writing("sft_adapter") as folder:
        (folder / "half").write_text("x")
        raise ZeroDivisionError
    assert everything(tmp_path) == ["artifacts"]


def test_an_exception_while_writing_leaves_the_older_version(artifacts, tmp_path):
    save(artifacts, text="old")
    before = everything(tmp_path)
    with pytest.raises(KeyboardInterrupt), artifacts.writing("sft_adapter") as folder:
        (folder / "half").write_text("new")
        raise KeyboardInterrupt
    assert everything(tmp_path) == before
    assert (artifacts.path("sft_adapter") / "deep" / "weights.bin").read_text() == "old"


def test_a_newer_version_replaces_the_older_one(artifacts, tmp_path):
    save(artifacts, text="old")
    before = everything(tmp_path)
    save(artifacts, text="new")
    assert everything(tmp_path) == before
    assert (artifacts.path("sft_adapter") / "deep" / "weights.bin").read_text() == "new"


@pytest.mark.skipif(os.name != "posix", reason="sends SIGKILL")
def test_a_killed_process_leaves_no_artifact_and_the_next_one_clears_up(artifacts, tmp_path):
    script = """
        import sys, time
        from labhelpers.course.artifacts import Artifacts
        with Artifacts(sys.argv[1]).writing("sft_adapter") as folder:
            (folder / "half").write_text("x")
            print("writing", flush=True)
            time.sleep(60)
    """
    command = [sys.executable, "-c", textwrap.dedent(script), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "writing\n"
        process.send_signal(signal.SIGKILL)
    assert not artifacts.exists("sft_adapter")
    with pytest.raises(ArtifactError, match="not there"):
        artifacts.path("sft_adapter")
    save(artifacts)
    assert os.listdir(tmp_path / "artifacts") == ["sft_adapter"]


def test_a_missing_artifact_names_the_notebook_to_run(artifacts):
    for name, notebook in [
        ("reward_model", "03_reward_model"),
        ("sft_adapter", "01_supervised_finetuning"),
        ("ppo_toxicity", "04_ppo_detoxification"),
        ("ppo_learned", "04_ppo_detoxification"),
        ("before_toxicity", "04_ppo_detoxification"),
    ]:
        with pytest.raises(ArtifactError, match=f"'{name}' is not there: run notebook {notebook} first"):
            artifacts.path(name)


@pytest.mark.parametrize(
    "alter, words",
    [
        (lambda folder: (folder / "deep" / "weights.bin").write_text("weightz"), "altered .* deep/weights.bin"),
        (lambda folder: (folder / "deep" / "weights.bin").unlink(), "lost its file deep/weights.bin"),
        (lambda folder: (folder / "other.bin").write_text("x"), "added later, other.bin"),
        (lambda folder: (folder / "manifest.json").unlink(), "no readable manifest.json"),
        (lambda folder: (folder / "manifest.json").write_text("{"), "no readable manifest.json"),
        (lambda folder: (folder / "manifest.json").write_text("[]"), "no readable manifest.json"),
    ],
)
def test_an_altered_artifact_is_noticed_and_names_the_notebook(artifacts, alter, words):
    save(artifacts)
    alter(artifacts.folder / "sft_adapter")
    with pytest.raises(
        ArtifactError, match=f"(?s)'sft_adapter' .*{words}: run notebook 01_supervised_finetuning again"
    ):
        artifacts.path("sft_adapter")


def test_an_artifact_of_another_notebook_names_its_producer_when_altered(artifacts):
    artifacts.save_table("my_numbers", NUMBERS, producer="my_notebook")
    (artifacts.folder / "my_numbers" / "my_numbers.jsonl").write_text('{"n": 2}\n')
    with pytest.raises(ArtifactError, match="run notebook my_notebook again"):
        artifacts.load_table("my_numbers")


def test_tables_come_back_as_they_were(artifacts):
    table = pandas.DataFrame({"a": [{"third": numpy.float64(1 / 3), "b": numpy.arange(3)}], "c": ["größer ≤"]})
    artifacts.save_table("numbers", table)
    assert artifacts.load_table("numbers").to_dict("records") == [
        {"a": {"third": 1 / 3, "b": [0, 1, 2]}, "c": "größer ≤"}
    ]
    table = pandas.DataFrame({"text": ["a\nb", "c"], "score": [0.1 + 0.2, float("nan")], "n": [1, 2], "l": [[1], []]})
    artifacts.save_table("before_toxicity", table)
    pandas.testing.assert_frame_equal(artifacts.load_table("before_toxicity"), table)
    lines = (artifacts.folder / "before_toxicity" / "before_toxicity.jsonl").read_text().splitlines()
    assert json.loads(lines[1])["score"] is None


def test_what_json_cannot_hold_is_refused_and_leaves_nothing(artifacts, tmp_path):
    with pytest.raises(TypeError, match="object has no place in an artifact"):
        artifacts.save_table("numbers", pandas.DataFrame({"n": [object()]}))
    assert everything(tmp_path) == ["artifacts"]


@pytest.mark.parametrize("name", ["", "..", "a/b", "A", "a-b", ".hidden"])
def test_a_name_is_small_letters_digits_and_underscores(artifacts, name):
    with pytest.raises(ArtifactError, match="not a name for an artifact"):
        artifacts.exists(name)


def test_an_empty_artifact_is_refused(artifacts):
    with pytest.raises(ArtifactError, match="would be empty"), artifacts.writing("numbers"):
        pass


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), RuntimeError("I/O error (os error 28)")]
)
def test_a_full_disk_is_said_plainly_and_leaves_nothing(artifacts, tmp_path, error):
    with pytest.raises(ArtifactError, match="cannot be written .* the disk is full: free some space"):
        with artifacts.writing("numbers") as folder:
            (folder / "half").write_text("x")
            raise error
    assert everything(tmp_path) == ["artifacts"]


def test_a_run_folder_below_a_file_is_said_plainly(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ArtifactError, match="a part of the path is a file"):
        Artifacts(tmp_path / "file").save_table("numbers", NUMBERS)


def test_write_atomically_keeps_the_old_text_when_writing_fails(tmp_path, monkeypatch):
    path = tmp_path / "results.json"
    write_atomically(path, "old")

    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["results.json"]
