"""`labs download`, from a Hub on this machine: what is listed, fetched, gone on with, and refused."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from labhelpers.course.profiles import load_profile
from labhelpers.machine.download import wanted
from tests.support.hub_server import hub_server
from tests.support.models import save_model

LABS = [sys.executable, "-m", "labhelpers.cli"]
OFFLINE = {"HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE", "HF_EVALUATE_OFFLINE"}


def labs(home, *arguments, **variables):
    environment = {name: value for name, value in os.environ.items() if name not in OFFLINE}
    environment |= {"HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1", "HF_TOKEN": "hf_secret"} | variables
    return subprocess.run([*LABS, *arguments], capture_output=True, text=True, env=environment, timeout=120)


@pytest.fixture(scope="module")
def repositories(tmp_path_factory):
    """The full profile's four repositories, small."""
    folder = tmp_path_factory.mktemp("hub")
    found = {}
    for name in ("google/flan-t5-base", "facebook/roberta-hate-speech-dynabench-r4-target", "roberta-base"):
        found["model", name] = save_model("flan-t5", folder / name.replace("/", "--"))
        (found["model", name] / "pytorch_model.bin").write_bytes(b"a pickle")
        (found["model", name] / "modeling.py").write_text("raise SystemExit('code from elsewhere was run')")
    found["dataset", "knkarthick/dialogsum"] = folder / "dialogsum"
    (folder / "dialogsum").mkdir()
    for split in ("train", "validation", "test"):
        (folder / "dialogsum" / f"{split}.csv").write_text("id,dialogue,summary,topic\na,Hi.,They greet.,x\n")
    return found


def test_what_a_profile_names_on_the_hub():
    assert wanted(load_profile("tiny")) == []
    full = {w.location: (w.kind, w.fields) for w in wanted(load_profile("full", policy_model="roberta-base"))}
    assert full == {
        "roberta-base": ("model", ("policy_model", "reward_model")),
        "facebook/roberta-hate-speech-dynabench-r4-target": ("model", ("toxicity_model",)),
        "knkarthick/dialogsum#train": ("dataset", ("dialogues",)),
    }
    assert wanted(load_profile("full", sft_adapter="s3://bucket/peft"))[0].fields == ("policy_model",)
    own = load_profile("full", feedback="owner/data@v1", lexicon="owner/data@v1")
    assert str(wanted(own)[-1]) == "owner/data@v1 (feedback, lexicon)" and wanted(own)[-1].kind == "dataset"


def test_everything_is_listed_then_fetched_then_there(repositories, tmp_path):
    with hub_server(repositories) as (address, requests):
        listed = labs(tmp_path, "download", "--profile", "full", "--dry-run", HF_ENDPOINT=address)
        assert listed.returncode == 0, listed.stderr
        assert "google/flan-t5-base (policy_model): 5 files, " in listed.stdout
        assert "knkarthick/dialogsum#train (dialogues): 3 files" in listed.stdout and "to fetch in all" in listed.stdout
        assert not list(tmp_path.rglob("*.safetensors"))

        fetched = labs(tmp_path, "download", "--profile", "full", HF_ENDPOINT=address)
        assert fetched.returncode == 0, fetched.stderr
        assert fetched.stdout.count("fetching ") == 4 and str(tmp_path) in fetched.stdout.splitlines()[-1]
        names = {path.name for path in tmp_path.rglob("snapshots/*/*")}
        assert {"model.safetensors", "tokenizer.json", "config.json", "train.csv", "test.csv"} <= names
        assert not names & {"pytorch_model.bin", "modeling.py"}

        again = labs(tmp_path, "download", "--profile", "full", HF_ENDPOINT=address)
        assert again.returncode == 0 and again.stdout.count("all in the cache") == 4 and "fetching" not in again.stdout
        assert "hf_secret" not in listed.stdout + fetched.stdout + fetched.stderr
    # And without any network, by the same names:
    script = """
        from labhelpers.sources.dialogues import load_dialogues
        from labhelpers.policy.loading import load_base
        print(load_base("google/flan-t5-base", device="cpu").config.model_type, len(load_dialogues("knkarthick/dialogsum", "test")))
    """  # noqa: E501
    environment = os.environ | {"HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    script = "\n".join(line.strip() for line in script.splitlines())
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, timeout=120)
    assert done.stdout.split() == ["t5", "1"], done.stderr


def test_a_connection_that_is_lost_goes_on_where_it_stopped(repositories, tmp_path):
    large = tmp_path / "large"
    large.mkdir()
    (large / "config.json").write_text("{}")
    (large / "model.safetensors").write_bytes(os.urandom(25_000_000))  # the Hub's library writes 10 MB at a time
    with hub_server(repositories | {("model", "google/flan-t5-base"): large}, break_after=12_000_000) as (
        address,
        requests,
    ):
        done = labs(tmp_path, "download", "--profile", "full", HF_ENDPOINT=address)
    assert done.returncode == 0, done.stderr
    (fetched,) = tmp_path.rglob("models--google--flan-t5-base/snapshots/*/model.safetensors")
    assert fetched.read_bytes() == (large / "model.safetensors").read_bytes()
    spans = [span for method, path, span in requests if method == "GET" and path.endswith("model.safetensors")]
    assert [span for span in spans if span and span != "bytes=0-"], "the second request asks for the rest alone"


def test_what_cannot_be_had_is_named(repositories, tmp_path):
    some = {key: folder for key, folder in repositories.items() if "dialogsum" not in key[1]}
    with hub_server(some) as (address, _):
        done = labs(tmp_path, "download", "--profile", "full", HF_ENDPOINT=address)
        assert done.returncode == 1 and "'knkarthick/dialogsum#train' is not available" in done.stderr
        assert "the Hub has nothing of that name" in done.stderr and "hf_secret" not in done.stderr
        done = labs(
            tmp_path, "download", "--profile", "full", "-p", "policy_model", "roberta-base@v9", HF_ENDPOINT=address
        )
        assert done.returncode == 1 and "no such revision" in done.stderr
    (tmp_path / "only pickles").mkdir()
    (tmp_path / "only pickles" / "pytorch_model.bin").write_bytes(b"a pickle")
    (tmp_path / "only pickles" / "config.json").write_text("{}")
    with hub_server(repositories | {("model", "roberta-base"): Path(tmp_path / "only pickles")}) as (address, _):
        done = labs(tmp_path, "download", "--profile", "full", HF_ENDPOINT=address)
        assert done.returncode == 1 and "roberta-base (reward_model) has no safetensors" in done.stderr
    done = labs(tmp_path, "download", "--profile", "full", HF_HUB_OFFLINE="1")
    assert done.returncode == 1 and "HF_HUB_OFFLINE" in done.stderr
    done = labs(tmp_path, "download", "--profile", "tiny", HF_HUB_OFFLINE="1")
    assert done.returncode == 0 and "nothing to download" in done.stdout
