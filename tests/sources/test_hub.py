"""Models from the Hub, a bucket, a folder: what is fetched, what is refused, what is said when it cannot be had."""

import json

import fsspec
import pytest
import torch
from huggingface_hub import constants

from labhelpers.course import run as run_module
from labhelpers.errors import DataError, LabError, ModelError
from labhelpers.evaluation.lexicon import Lexicon
from labhelpers.feedback.rankings import load_rankings
from labhelpers.policy.loading import load_base, load_policy, load_tokenizer
from labhelpers.sources.dialogues import load_dialogues
from labhelpers.sources.hub import hub_id
from labhelpers.sources.locations import data_dir, model_folder
from tests.support.models import put_into_cache, save_model, save_sft_adapter, tiny_model


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache of the Hub's, and no network."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path / "hub"


def same_weights(ours, theirs):
    theirs = theirs.state_dict()
    return all(torch.equal(tensor, theirs[name]) for name, tensor in ours.state_dict().items())


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("roberta-base", ("roberta-base", None)),
        ("google/flan-t5-base", ("google/flan-t5-base", None)),
        ("google/flan-t5-base@refs/pr/3", ("google/flan-t5-base", "refs/pr/3")),
        ("owner/name@v1.0", ("owner/name", "v1.0")),
        ("owner/name@v1.0#train", ("owner/name", "v1.0")),
        ("s3://bucket/adapter", None),
        ("/models/flan", None),
        ("./flan", None),
        ("~/flan", None),
        ("a/b/c", None),
        ("data/models", None),
        ("dialogues/all.jsonl", None),
        ("../flan", None),
    ],
)
def test_what_a_location_means(location, expected):
    assert hub_id(location) == expected


def test_a_folder_that_is_there_wins_over_the_hub(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert hub_id("owner/name") == ("owner/name", None)
    (tmp_path / "owner" / "name").mkdir(parents=True)
    assert hub_id("owner/name") is None


def test_a_model_that_cannot_be_had_says_what_where_and_what_to_do(cache):
    for load in (load_base, load_tokenizer, model_folder):
        with pytest.raises(ModelError) as caught:
            load("google/flan-t5-base")
        message = str(caught.value)
        assert "model 'google/flan-t5-base' is not available" in message and str(cache) in message
        assert "switched off (HF_HUB_OFFLINE" in message
        assert "labs download --profile full" in message and "the tiny profile needs none of it" in message


def test_an_unreachable_hub_is_named_and_no_token_is(cache, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with pytest.raises(ModelError, match="the Hub at http://127.0.0.1:9 could not be reached") as caught:
        model_folder("google/flan-t5-base")
    assert "hf_secret" not in str(caught.value)


def test_a_notebook_says_so_in_its_first_cell(cache, tmp_path, monkeypatch):
    monkeypatch.setattr(run_module, "_current", None)
    monkeypatch.setattr(run_module, "_prepare_environment", lambda run: None)
    monkeypatch.setattr(run_module, "_prepare_libraries", lambda run: None)
    with pytest.raises(LabError, match="google/flan-t5-base"):
        run_module.start("04_ppo", "full", run_dir=tmp_path / "run", policy_model=None)
    run_module.start("03", "full", run_dir=tmp_path / "run", dialogues=None)  # models that it does not name


def test_the_cache_is_read_by_name_and_revision(cache, tmp_path):
    for revision, seed in (("main", 0), ("v2", 1)):
        put_into_cache(cache, "owner/flan", save_model("flan-t5", tmp_path / revision, seed), revision=revision)
    assert same_weights(load_base("owner/flan", device="cpu"), tiny_model("flan-t5", 0))
    assert same_weights(load_base("owner/flan@v2", device="cpu"), tiny_model("flan-t5", 1))
    with pytest.raises(ModelError, match="'owner/flan@v3' is not available"):
        load_base("owner/flan@v3")


def test_one_split_of_a_data_set_is_cut_as_in_the_ppo_lab(cache, tmp_path):
    rows = [{"id": f"train_{i}", "dialogue": f"#Person1#: I count to {i}.", "summary": f"{i}."} for i in range(11)]
    (tmp_path / "talks").mkdir()
    for split, some in {"train": rows, "test": rows[:1]}.items():
        lines = "\n".join(json.dumps(row) for row in some)
        (tmp_path / "talks" / f"{split}.jsonl").write_text(lines, encoding="utf-8")
    put_into_cache(cache, "owner/talks", tmp_path / "talks", "dataset")
    train, test = (load_dialogues("owner/talks#train", split) for split in ("train", "test"))
    assert [*train["id"], *test["id"]] == [row["id"] for row in rows]
    assert len(test) == 3  # scikit-learn and datasets round the test part up
    assert list(load_dialogues("owner/talks", "test")["id"]) == ["train_0"]
    with pytest.raises(DataError, match="split into train and test only"):
        load_dialogues("owner/talks#train", "validation")


def test_feedback_and_a_lexicon_come_from_the_hub_too(cache, tmp_path):
    rankings = (data_dir() / "feedback" / "rankings.jsonl").read_text(encoding="utf-8").splitlines()
    (tmp_path / "feedback" / "data").mkdir(parents=True)
    for part, lines in {"first.jsonl": rankings[:3], "data/second.jsonl": rankings[3:5]}.items():
        (tmp_path / "feedback" / part).write_text("\n".join(lines), encoding="utf-8")
    (tmp_path / "feedback" / "README.md").write_text("# Feedback")
    put_into_cache(cache, "owner/feedback", tmp_path / "feedback", "dataset", revision="v1")
    (tmp_path / "words").mkdir()
    (tmp_path / "words" / "lexicon.json").write_text('["idiot"]')
    put_into_cache(cache, "owner/words", tmp_path / "words", "dataset")
    (tmp_path / "words" / "more.json").write_text('["fool"]')
    put_into_cache(cache, "owner/more", tmp_path / "words", "dataset")
    (tmp_path / "all.jsonl").write_text("\n".join(rankings[:5]), encoding="utf-8")
    local = load_rankings(tmp_path / "all.jsonl").to_list()
    assert sorted(load_rankings("owner/feedback@v1").to_list(), key=repr) == sorted(local, key=repr) != []
    assert Lexicon.load("owner/words").words == ("idiot",)
    with pytest.raises(DataError, match="data set of the Hub has no .jsonl or .csv file"):
        load_rankings("owner/words")
    with pytest.raises(DataError, match="this is 2: name one"):
        Lexicon.load("owner/more")
    with pytest.raises(DataError, match="'owner/feedback' is not available"):
        load_rankings("owner/feedback")


def test_flan_t5_in_shards_keeps_its_own_output_layer(tmp_path):
    save_model("flan-t5", tmp_path, max_shard_size="20KB")
    assert len(list(tmp_path.glob("model-*.safetensors"))) > 2
    model = load_base(str(tmp_path), device="cpu")
    assert same_weights(model, tiny_model("flan-t5"))
    assert not torch.equal(model.lm_head.weight, model.get_input_embeddings().weight)


def test_pickled_weights_are_refused_with_the_reason(tmp_path):
    save_model("flan-t5", tmp_path)
    torch.save(tiny_model("flan-t5").state_dict(), tmp_path / "pytorch_model.bin")
    load_base(str(tmp_path), device="cpu")  # safetensors beside it: the pickle is left alone
    (tmp_path / "model.safetensors").unlink()
    fs = fsspec.filesystem("memory")
    for file in tmp_path.iterdir():
        fs.pipe(f"/pickled/{file.name}", file.read_bytes())
    try:
        for location in (str(tmp_path), "memory://pickled"):
            with pytest.raises(ModelError, match=r"Pickled weights \(pytorch_model.bin\) can run code"):
                load_base(location)
    finally:
        fs.rm("/pickled", recursive=True)


def test_a_name_that_leads_out_of_the_folder_is_refused(monkeypatch, tmp_path):
    class Bucket:
        def find(self, path):
            return ["bucket/adapter/adapter_config.json", "bucket/adapter/../../config.json"]

        def get_file(self, source, target):
            (tmp_path / "written").write_text(target)

    monkeypatch.setattr(fsspec.core, "url_to_fs", lambda address: (Bucket(), "bucket/adapter"))
    with pytest.raises(ModelError, match="leads out of the folder"):
        model_folder("s3://bucket/adapter")
    assert ".." not in (tmp_path / "written").read_text()


def test_the_sft_adapter_comes_from_a_bucket(bucket, tmp_path, monkeypatch):
    """As the original lab downloads it."""
    base, adapter = save_model("flan-t5", tmp_path / "base"), save_sft_adapter("flan-t5", tmp_path / "sft")
    bucket.mkdir("models")
    for file in adapter.iterdir():
        bucket.pipe(f"models/peft/{file.name}", file.read_bytes())
    policy, _ = load_policy(str(base), "s3://models/peft", torch.float32, "cpu")
    local, _ = load_policy(str(base), adapter, torch.float32, "cpu")
    assert same_weights(policy, local)

    monkeypatch.setattr(run_module, "_current", None)
    monkeypatch.setattr(run_module, "_prepare_environment", lambda run: None)
    monkeypatch.setattr(run_module, "_prepare_libraries", lambda run: None)
    run = run_module.start("05", run_dir=tmp_path / "run", sft_adapter="s3://models/peft")
    assert "://" not in run.profile.sft_adapter, "notebooks find a folder"
    with pytest.raises(ModelError, match="s3://models/nothing: there is no file there"):
        model_folder("s3://models/nothing")
