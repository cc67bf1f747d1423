"""`labs convert`: pickled weights become safetensors, and what a pickle would run is not run."""

import os
import pickle

import pytest
import torch
from safetensors.torch import load_file

from labhelpers import cli
from labhelpers.errors import ModelError
from labhelpers.machine.convert import convert
from labhelpers.policy import load_policy
from tests.support.models import save_model, save_sft_adapter


def test_the_labs_adapter_can_be_used_after_converting(tmp_path, capsys):
    base, adapter = save_model("t5", tmp_path / "base"), save_sft_adapter("t5", tmp_path / "adapter")
    tensors = load_file(adapter / "adapter_model.safetensors")
    (adapter / "adapter_model.safetensors").unlink()
    torch.save(tensors, adapter / "adapter_model.bin")  # as the PPO lab's bucket has it
    with pytest.raises(ModelError, match="labs convert"):
        load_policy(str(base), adapter)
    assert cli.main(["convert", str(adapter)]) in (0, None)
    assert "read as weights only" in capsys.readouterr().out
    written = load_file(adapter / "adapter_model.safetensors")
    assert written.keys() == tensors.keys() and all(torch.equal(written[name], tensors[name]) for name in tensors)
    load_policy(str(base), adapter)
    with pytest.raises(ModelError, match="is there already"):
        convert(adapter)


def test_tied_weights_become_tensors_of_their_own(tmp_path):
    shared = torch.arange(4.0)
    torch.save({"a": shared, "b": shared[:2]}, tmp_path / "pytorch_model.bin")
    (file,) = convert(tmp_path, say=lambda line: None)
    assert load_file(file)["b"].tolist() == [0, 1]


class Hostile:
    def __reduce__(self):
        return os.mkdir, (os.environ["HOSTILE"],)


def test_a_pickle_that_runs_code_is_not_run(tmp_path, monkeypatch):
    monkeypatch.setenv("HOSTILE", str(tmp_path / "ran"))
    (tmp_path / "adapter_model.bin").write_bytes(pickle.dumps({"a": Hostile()}))
    with pytest.raises(ModelError, match="was not read further"):
        convert(tmp_path)
    assert not (tmp_path / "ran").exists() and not (tmp_path / "adapter_model.safetensors").exists()


@pytest.mark.parametrize("content", [[torch.ones(2)], {"a": 3}])
def test_anything_but_named_tensors_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "adapter_model.bin")
    with pytest.raises(ModelError, match="something else than named tensors"):
        convert(tmp_path)


def test_nothing_to_convert(tmp_path):
    with pytest.raises(ModelError, match="nothing to convert"):
        convert(tmp_path)
    with pytest.raises(ModelError, match="is no folder"):
        convert(tmp_path / "nowhere")
