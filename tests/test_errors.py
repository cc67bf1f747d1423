"""Errors say where and what to do, and survive the way from a worker process."""

import errno
import pickle

import pytest

from labhelpers import errors
from labhelpers.errors import DataError, LabError, close_matches, storage_advice


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


def test_close_matches_hints_and_lists():
    assert close_matches("kl_cof", ["seed", "kl_coef"]) == "did you mean 'kl_coef'? Known: kl_coef, seed"
    assert close_matches("zzz", ["seed"]) == "Known: seed"
    assert close_matches("zzz", []) == "Known: none"


def test_storage_advice_reads_python_errors_and_those_of_rust_libraries():
    assert "disk is full" in storage_advice(OSError(errno.ENOSPC, "No space left on device"))
    assert "disk is full" in storage_advice(RuntimeError("I/O error: No space left on device (os error 28)"))
    assert storage_advice(ValueError("no")) is None
    assert storage_advice(OSError(errno.ENOENT, "No such file")) is None
