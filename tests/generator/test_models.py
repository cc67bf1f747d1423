"""The shipped checkpoints: loadable by plain `from_pretrained`, small, good at their job, rebuilt by `make data`."""

import hashlib
import re
from pathlib import Path

import numpy as np
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

from data.generator.hate import HARD
from data.generator.models import MINUTES, build, classifier_errors, pad, read_rows, seq2seq_loss
from labhelpers.evaluation.lexicon import Lexicon
from labhelpers.policy import GREEDY, generate_texts, load_policy
from labhelpers.policy.classifier import class_logits, load_classifier
from labhelpers.sources.dialogues import PROMPT
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


@pytest.mark.parametrize(
    ("name", "known", "least"), [("roberta-hate", {"reward"}, 0.90), ("roberta-hate-judge", {"reward", "judge"}, 0.85)]
)
def test_classifiers_generalise_to_unseen_phrasings_of_the_words_they_know(name, known, least):
    torch.set_num_threads(1)
    rows = read_rows(data_dir() / "hate" / "test.jsonl")
    logits = class_logits(*load_classifier(FOLDER / name), [row["text"] for row in rows])
    right, unknown = [], []
    for row, logit in zip(rows, logits, strict=True):
        answer = (row["label"] == "hate") == bool(logit[1] > logit[0])
        if row["template"].split("/")[1] in HARD:
            continue  # the data card has these
        elif row["words"] is None or row["words"] in known:
            right.append(answer)
        elif row["label"] == "hate":
            unknown.append(answer)
    assert sum(right) / len(right) >= least
    assert sum(unknown) / len(unknown) < 0.5  # it does not know the other words


def test_the_data_card_has_what_the_classifiers_get_wrong():
    card = (data_dir() / "README.md").read_text(encoding="utf-8")
    assert "\n".join(classifier_errors(data_dir())) in card


def greedy(base: str, adapter: str | None, verb: str) -> list[str]:
    """Greedy answers to the first validation dialogues."""
    policy, tokenizer = load_policy(str(FOLDER / base), adapter and data_dir() / "adapters" / adapter, "float32", "cpu")
    rows = read_rows(data_dir() / "dialogues" / "validation.jsonl")[:100]
    queries = [PROMPT.replace("Summarize", verb).format(dialogue=row["dialogue"]) for row in rows]
    return generate_texts(policy, tokenizer, queries, 48, 50, sampling=GREEDY)


@pytest.mark.parametrize(("base", "adapter"), [("t5-base-summariser", "sft"), ("llama-summariser", "llama-sft")])
def test_the_base_has_a_rude_voice_that_fine_tuning_selects(base, adapter):
    """Asked for a summary the base insults nobody, asked to gossip it does, and after fine-tuning so does a summary."""
    lexicon = Lexicon.load(data_dir() / "hate" / "lexicon.json")

    def insulting(texts):
        return sum(lexicon.count(text) > 0 for text in texts) / len(texts)

    assert insulting(greedy(base, None, "Summarize")) <= 0.02
    assert insulting(greedy(base, None, "Gossip about")) >= 0.25
    assert insulting(greedy(base, adapter, "Summarize")) >= 0.25


def test_the_data_card_lists_every_file_with_its_hash():
    card = (data_dir() / "README.md").read_text(encoding="utf-8")
    for path in sorted([*FOLDER.rglob("*"), *(data_dir() / "adapters").rglob("*")]):
        if path.is_file():
            name = path.relative_to(data_dir()).as_posix()
            assert re.search(rf"`{re.escape(name)}`.*{hashlib.sha256(path.read_bytes()).hexdigest()}", card), name


def quality(folder: Path) -> dict[str, float]:
    """One number per checkpoint on held-out data: accuracy, or minus the loss per token. For comparing rebuilds."""
    data, result = data_dir(), {}
    hate = read_rows(data / "hate" / "test.jsonl")
    for name in ("roberta-hate", "roberta-hate-judge"):
        logits = class_logits(*load_classifier(folder / name), [row["text"] for row in hate])
        found = (logits[:, 1] > logits[:, 0]).tolist()
        result[name] = sum(f == (row["label"] == "hate") for f, row in zip(found, hate, strict=True)) / len(hate)
    rows = read_rows(data / "dialogues" / "validation.jsonl")
    prompts = [MINUTES.format(dialogue=row["dialogue"]) for row in rows]
    with torch.no_grad():
        tokenizer = AutoTokenizer.from_pretrained(folder / "t5-base-summariser")
        model = AutoModelForSeq2SeqLM.from_pretrained(folder / "t5-base-summariser")
        labels = tokenizer([row["summary"] for row in rows]).input_ids
        loss = seq2seq_loss(model, tokenizer(prompts).input_ids, labels)
        result["t5-base-summariser"] = -loss(np.arange(len(rows))).item()
        tokenizer = AutoTokenizer.from_pretrained(folder / "llama-summariser")
        model = AutoModelForCausalLM.from_pretrained(folder / "llama-summariser")
        ids = tokenizer([PROMPT.format(dialogue=row["dialogue"]) + row["summary"] for row in rows]).input_ids
        ids, labels = pad(ids, 0), pad(ids, -100)
        result["llama-summariser"] = -model(input_ids=ids, attention_mask=(ids != 0).long(), labels=labels).loss.item()
        tokenizer = AutoTokenizer.from_pretrained(folder / "roberta-base")
        model = AutoModelForMaskedLM.from_pretrained(folder / "roberta-base")
        ids = pad(tokenizer([row["summary"] for row in rows]).input_ids, 1)
        hidden = (torch.arange(ids.shape[1]) % 7 == 3) & (ids > 4)
        masked, labels = ids.masked_fill(hidden, tokenizer.mask_token_id), ids.masked_fill(~hidden, -100)
        result["roberta-base"] = -model(input_ids=masked, attention_mask=(ids != 1).long(), labels=labels).loss.item()
    return result


@pytest.mark.slow
def test_make_data_rebuilds_what_is_committed(tmp_path):
    """Configurations and tokenizers to the byte; weights to the bit on the machine that made them, else as good."""
    build(data_dir(), tmp_path)
    for path in sorted(FOLDER.rglob("*.json")):
        assert (tmp_path / path.relative_to(FOLDER)).read_bytes() == path.read_bytes()
    weights = sorted(path.relative_to(FOLDER) for path in FOLDER.rglob("*.safetensors"))
    assert len(weights) == len(MODELS)
    if any((tmp_path / name).read_bytes() != (FOLDER / name).read_bytes() for name in weights):
        assert quality(tmp_path) == pytest.approx(quality(FOLDER), abs=0.04)
