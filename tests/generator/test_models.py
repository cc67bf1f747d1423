"""The shipped checkpoints: loadable by plain `from_pretrained`, small, good at their job, rebuilt by `labs models`."""

import hashlib
import json
import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import (
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
)

from labhelpers.policy.classifier import class_logits, load_classifier
from labhelpers.sources.locations import data_dir

MODELS = {
    "t5-base-summariser": AutoModelForSeq2SeqLM,
    "roberta-hate": AutoModelForSequenceClassification,
    "roberta-hate-judge": AutoModelForSequenceClassification,
    "roberta-base": AutoModelForMaskedLM,
    "llama-summariser": AutoModelForCausalLM,
}
FOLDER = data_dir() / "models"
TOKENIZERS = {name: AutoTokenizer.from_pretrained(FOLDER / name) for name in MODELS}


@pytest.mark.parametrize("name", MODELS)
def test_it_loads_plainly_and_completely(name):
    model, info = MODELS[name].from_pretrained(FOLDER / name, output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"] and not info["mismatched_keys"]
    assert len(TOKENIZERS[name]) == model.config.vocab_size
    if "hate" in name:
        assert model.config.id2label == {0: "nothate", 1: "hate"}


def test_together_they_are_small_and_hold_no_pickle():
    files = [path for path in FOLDER.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 12e6
    assert {path.suffix for path in files} <= {".json", ".safetensors", ".txt", ".jinja", ".md"}


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(sorted(MODELS)), st.text(max_size=40))
def test_no_text_in_any_script_becomes_unknown(name, text):
    tokenizer = TOKENIZERS[name]
    ids = tokenizer(text, add_special_tokens=False).input_ids
    assert tokenizer.unk_token_id not in ids or "<unk>" in text
    if not any(special in text for special in tokenizer.all_special_tokens):
        assert tokenizer.decode(ids, skip_special_tokens=False) == text


def test_speakers_survive_skip_special_tokens():
    for tokenizer in TOKENIZERS.values():
        text = "#Person1# asks #Person2# for help."
        ids = tokenizer(text).input_ids
        assert tokenizer.decode(ids, skip_special_tokens=True).strip() == text


@pytest.mark.parametrize("name", ["roberta-hate", "roberta-hate-judge"])
def test_classifiers_generalise_to_unseen_phrasings(name):
    torch.set_num_threads(1)
    rows = [json.loads(line) for line in (data_dir() / "hate" / "test.jsonl").open(encoding="utf-8")]
    logits = class_logits(*load_classifier(FOLDER / name), [row["text"] for row in rows])
    right = [(row["label"] == "hate") == bool(logit[1] > logit[0]) for row, logit in zip(rows, logits, strict=True)]
    assert sum(right) / len(right) >= 0.90


def test_the_data_card_lists_every_file_with_its_hash():
    card = (data_dir() / "README.md").read_text(encoding="utf-8")
    for path in sorted([*FOLDER.rglob("*"), *(data_dir() / "adapters").rglob("*")]):
        if path.is_file():
            name = path.relative_to(data_dir()).as_posix()
            assert re.search(rf"`{re.escape(name)}`.*{hashlib.sha256(path.read_bytes()).hexdigest()}", card), name


@pytest.mark.slow
def test_labs_models_rebuilds_what_is_committed(tmp_path):
    """Configurations and tokenizers to the byte; weights to the bit on the machine that made them, else as good."""
    from labhelpers.tiny.models import build, quality

    build(tmp_path)
    for path in sorted(FOLDER.rglob("*.json")):
        assert (tmp_path / path.relative_to(FOLDER)).read_bytes() == path.read_bytes()
    weights = sorted(path.relative_to(FOLDER) for path in FOLDER.rglob("*.safetensors"))
    assert len(weights) == len(MODELS)
    if any((tmp_path / name).read_bytes() != (FOLDER / name).read_bytes() for name in weights):
        assert quality(tmp_path) == pytest.approx(quality(FOLDER), abs=0.04)
