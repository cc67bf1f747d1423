"""Errors say where and what to do, and survive the way from a worker process."""

import errno
import pickle
from pathlib import Path

import pytest

from labhelpers import errors
from labhelpers.errors import DataError, LabError, NotebookError, close_matches, disk_full, storage_advice


def test_every_error_of_ours_is_a_lab_error():
    for name in "DataError ArtifactError UsageError ProfileError ModelError NotebookError TrainingError".split():
        assert issubclass(getattr(errors, name), LabError)


@pytest.mark.parametrize(
    "place, message",
    [
        ({}, "it is empty"),
        ({"file": "a.jsonl"}, "a.jsonl: it is empty"),
        ({"file": "a.jsonl", "line": 3}, "a.jsonl, line 3: it is empty"),
        ({"file": "a.jsonl", "line": 3, "field": "dialogue"}, "a.jsonl, line 3, field 'dialogue': it is empty"),
    ],
)
def test_a_data_error_says_where(place, message):
    assert str(DataError("it is empty", **place)) == message


def test_a_data_error_can_be_sent_between_processes():
    error = pickle.loads(pickle.dumps(DataError("it is empty", file="a.jsonl", line=3)))
    assert str(error) == "a.jsonl, line 3: it is empty"
    assert error.line == 3


def test_a_notebook_error_is_made_from_its_facts_and_keeps_them_between_processes():
    facts = {"notebook": "01_first", "cell": 4, "kind": "raised", "kept": Path("out/01_first.ipynb")}
    error = pickle.loads(pickle.dumps(NotebookError("ValueError: x", **facts)))
    assert str(error) == (
        "notebook 01_first failed in cell In [4]: ValueError: x; executed up to there: out/01_first.ipynb"
    )
    assert {name: getattr(error, name) for name in facts} == facts and error.reason == "ValueError: x"


@pytest.mark.parametrize(
    "facts, message",
    [
        ({}, "no text"),
        ({"notebook": "01"}, "notebook 01: no text"),
        ({"notebook": "01", "cell": 3}, "notebook 01, cell 3: no text"),
        ({"notebook": "01", "kind": "raised"}, "notebook 01 failed: no text; nothing of it was saved"),
        (
            {"notebook": "01", "kind": "disk full"},
            "notebook 01 cannot be written: no text; nothing of it was saved",
        ),
        ({"notebook": "01", "kind": "interrupted"}, "interrupted in notebook 01; nothing of it was saved"),
    ],
)
def test_a_notebook_error_says_where(facts, message):
    assert str(NotebookError("no text", **facts)) == message


def test_a_full_disk_is_known_by_its_number_also_behind_another_error():
    try:
        try:
            raise OSError(errno.EDQUOT, "x")
        except OSError as error:
            raise LabError("no room") from error
    except LabError as error:
        assert disk_full(error)
    assert not disk_full(LabError("the disk is full")) and not disk_full(OSError(errno.EACCES, "x"))


def test_close_matches_hints_and_lists():
    assert close_matches("kl_cof", ["seed", "kl_coef"]) == "did you mean 'kl_coef'? Known: kl_coef, seed"
    assert close_matches("zzz", ["seed"]) == "Known: seed"
    assert close_matches("zzz", []) == "Known: none"


def test_storage_advice_reads_python_errors_and_those_of_rust_libraries():
    assert "disk is full" in storage_advice(OSError(errno.ENOSPC, "No space left on device"))
    assert "disk is full" in storage_advice(RuntimeError("I/O error: No space left on device (os error 28)"))
    assert storage_advice(ValueError("no")) is None
    assert storage_advice(OSError(errno.ENOENT, "No such file")) is None
