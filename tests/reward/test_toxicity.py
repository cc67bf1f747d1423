"""Toxicity: the classifier's classes are found by name, and no result depends on how texts were batched."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import Dataset
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast, RobertaConfig, RobertaForSequenceClassification

from labhelpers.errors import DataError, ModelError, TrainingError
from labhelpers.evaluation.lexicon import Lexicon
from labhelpers.policy import GREEDY, generate_texts, load_policy
from labhelpers.policy.classifier import class_logits, label_index, load_classifier, max_input_tokens
from labhelpers.reward.toxicity import Toxicity, ToxicityReward, evaluate_toxicity, load_toxicity
from tests.support.models import save_model, save_sft_adapter
from tests.support.paths import ROOT

TEXTS = ["You are kind.", "", "You pathetic fool!", "x" * 200, "Grüße, 你好 👋", "a b c d e f g"]


def save_classifier(folder, labels):
    """A random RoBERTa with byte tokens; 34 positions and padding id 1 make 32 tokens."""
    specials = ["<s>", "<pad>", "</s>", "<unk>"]
    vocabulary = {token: i for i, token in enumerate(specials + sorted(pre_tokenizers.ByteLevel.alphabet()))}
    tokens = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token="<unk>"))
    tokens.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokens.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    names = {"bos_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    PreTrainedTokenizerFast(tokenizer_object=tokens, **names).save_pretrained(folder)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    config = RobertaConfig(
        vocab_size=len(vocabulary), max_position_embeddings=34, id2label=dict(enumerate(labels)), **sizes
    )
    config.label2id = {label: i for i, label in enumerate(labels)}
    torch.manual_seed(0)
    RobertaForSequenceClassification(config).double().save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def location(tmp_path_factory):
    return save_classifier(tmp_path_factory.mktemp("hate"), ["nothate", "hate"])


@pytest.fixture(scope="session")
def classifier(location):
    return load_classifier(location, dtype="float64", device="cpu")


def plain_logits(classifier, text):
    """One text through the model, as by hand: no batch, no padding."""
    model, tokenizer = classifier
    with torch.no_grad():
        return model(**tokenizer(text, return_tensors="pt", truncation=True, max_length=32)).logits[0]


def test_the_model_is_loaded_ready_for_use(classifier, location):
    model, tokenizer = classifier
    assert not model.training and model.dtype == torch.float64
    assert max_input_tokens(model, tokenizer) == 32
    assert load_classifier(location)[0].dtype == torch.float64  # "auto" keeps what is stored
    assert load_classifier(location, dtype="float32")[0].dtype == torch.float32


def test_neither_batch_size_nor_order_nor_padding_change_a_result(classifier):
    expected = torch.stack([plain_logits(classifier, text) for text in TEXTS])
    for size in (1, 2, 4, 64):
        torch.testing.assert_close(class_logits(*classifier, TEXTS, size), expected, rtol=0, atol=1e-9)
    torch.testing.assert_close(class_logits(*classifier, TEXTS[::-1], 3), expected.flip(0), rtol=0, atol=1e-9)


def test_a_text_longer_than_the_model_takes_keeps_the_end_that_is_asked_for(classifier):
    long = "beginning " + "x" * 100 + " end"
    start, end = class_logits(*classifier, [long]), class_logits(*classifier, [long], keep="end")
    torch.testing.assert_close(start[0], plain_logits(classifier, long[:30]), rtol=0, atol=1e-9)
    torch.testing.assert_close(end[0], plain_logits(classifier, long[-30:]), rtol=0, atol=1e-9)
    assert classifier[1].truncation_side == "right"  # the tokenizer is handed back as it came


def test_no_texts_give_no_rows_and_a_wrong_one_is_named(classifier):
    assert class_logits(*classifier, []).shape == (0, 2)
    with pytest.raises(DataError, match="text 1 of 2 must be a string, but is NoneType"):
        class_logits(*classifier, ["fine", None])


def test_the_measurement_is_the_probability_of_the_toxic_class(classifier):
    scores = Toxicity(*classifier).compute(predictions=TEXTS)["toxicity"]
    expected = [plain_logits(classifier, text).softmax(0)[1].item() for text in TEXTS]
    assert scores == pytest.approx(expected, abs=1e-9)
    assert Toxicity(*classifier, harmless_label="hate").compute(predictions=TEXTS)["toxicity"] == pytest.approx(
        [1 - s for s in scores]
    )


def test_aggregations_are_those_of_the_public_measurement(classifier):
    toxicity = Toxicity(*classifier)
    scores = toxicity.compute(predictions=TEXTS)["toxicity"]
    assert toxicity.compute(predictions=TEXTS, aggregation="maximum") == {"max_toxicity": max(scores)}
    ratio = sum(s >= 0.5 for s in scores) / len(scores)
    assert toxicity.compute(predictions=TEXTS, aggregation="ratio") == {"toxicity_ratio": ratio}
    assert toxicity.compute(predictions=[]) == {"toxicity": []}
    for aggregation in ("maximum", "ratio"):
        with pytest.raises(DataError, match=f"no text .* aggregation=.{aggregation}"):
            toxicity.compute(predictions=[], aggregation=aggregation)
    with pytest.raises(DataError, match="choose 'all', 'maximum' or 'ratio'"):
        toxicity.compute(predictions=TEXTS, aggregation="mean")


def test_the_reward_is_the_nothate_logit_whatever_its_place(tmp_path, classifier):
    """The lab takes the larger logit: what is paid must be the class of that name, wherever it stands."""
    swapped = load_classifier(save_classifier(tmp_path, ["hate", "nothate"]), device="cpu")
    prompts = ["p"] * len(TEXTS)
    for model, column in ((classifier, 0), (swapped, 1)):
        rewards = ToxicityReward(*model).score(prompts, TEXTS)
        assert rewards.shape == (len(TEXTS),)
        torch.testing.assert_close(rewards, class_logits(*model, TEXTS)[:, column], rtol=0, atol=0)


def test_the_prompt_counts_only_when_asked_for(classifier):
    prompts = ["one " * 3, "two "]
    alone = ToxicityReward(*classifier).score(prompts, ["fine", "fool"])
    torch.testing.assert_close(alone, class_logits(*classifier, ["fine", "fool"])[:, 0])
    both = ToxicityReward(*classifier, score_prompt=True).score(prompts, ["fine", "fool"])
    torch.testing.assert_close(both, class_logits(*classifier, ["one one one fine", "two fool"])[:, 0])
    assert not torch.allclose(alone, both)


def test_a_long_prompt_does_not_push_the_response_out(classifier):
    reward = ToxicityReward(*classifier, score_prompt=True)
    scores = reward.score(["x" * 300] * 2, ["kind", "fool"])
    assert scores[0] != scores[1]


def test_rewards_refuse_unequal_lengths_and_what_is_no_number(location):
    model, tokenizer = load_classifier(location, device="cpu")
    reward = ToxicityReward(model, tokenizer)
    with pytest.raises(DataError, match="2 prompts, but 1 responses"):
        reward.score(["a", "b"], ["c"])
    with torch.no_grad():
        model.classifier.out_proj.bias[0] = float("nan")
    with pytest.raises(TrainingError, match="the reward of response 0 is nan.*2 of 2 are not finite"):
        reward.score(["a", "b"], ["c", "d"])


def test_an_unknown_label_names_those_there_are(classifier):
    for make in (lambda: Toxicity(*classifier, harmless_label="ok"), lambda: ToxicityReward(*classifier, "ok")):
        with pytest.raises(ModelError, match="no label 'ok'; its labels are 'nothate', 'hate'. Give the name"):
            make()
    assert label_index(classifier[0], "hate") == 1


@pytest.mark.parametrize("labels", [["LABEL_0", "LABEL_1"], ["toxic", "neutral"], ["hate", "offensive", "normal"]])
def test_a_parameter_names_the_harmless_label(tmp_path, labels):
    """Whatever a classifier calls its classes: the reward is the harmless one's logit, toxic are all others."""
    harmless = {"LABEL_0": "LABEL_0", "toxic": "neutral", "hate": "normal"}[labels[0]]
    model = load_classifier(save_classifier(tmp_path, labels), device="cpu")
    with pytest.raises(ModelError, match="no label 'nothate'; its labels are .*harmless_label"):
        ToxicityReward(*model)
    column, logits = labels.index(harmless), class_logits(*model, TEXTS)
    rewards = ToxicityReward(*model, harmless).score([""] * len(TEXTS), TEXTS)
    torch.testing.assert_close(rewards, logits[:, column], rtol=0, atol=0)
    scores = load_toxicity(tmp_path, harmless, device="cpu").compute(predictions=TEXTS)["toxicity"]
    assert scores == pytest.approx((1 - logits.softmax(-1)[:, column]).tolist(), abs=1e-12)


@pytest.mark.parametrize("labels, kind", [(["toxic"], None), (["toxic", "threat"], "multi_label_classification")])
def test_classifiers_without_a_harmless_class_are_refused(tmp_path, labels, kind):
    save_classifier(tmp_path, labels)
    config = json.loads((tmp_path / "config.json").read_text()) | {"problem_type": kind}
    (tmp_path / "config.json").write_text(json.dumps(config))
    model = load_classifier(tmp_path, device="cpu")
    for make in (Toxicity, ToxicityReward):
        with pytest.raises(ModelError, match=f"classes of which one is harmless .*its labels are 'toxic'.* is {kind}"):
            make(*model, "toxic")


def test_no_texts_have_no_maximum_and_no_share(classifier):
    toxicity = Toxicity(*classifier)
    assert toxicity.compute(predictions=[]) == {"toxicity": []}
    for aggregation in ("maximum", "ratio"):
        with pytest.raises(DataError, match=f"there is no text .*aggregation='{aggregation}'"):
            toxicity.compute(predictions=[], aggregation=aggregation)


def test_a_location_without_a_classifier_says_what_is_wanted(tmp_path):
    with pytest.raises(ModelError, match="no classifier could be loaded from .*safetensors"):
        load_classifier(tmp_path / "nowhere")
    with pytest.raises(ModelError, match="dtype 'float65' is unknown"):
        load_classifier(tmp_path, dtype="float65")


def test_a_pickled_checkpoint_is_not_read(location, tmp_path):
    """Loading a pickle runs whatever code its maker put in."""
    for file in Path(location).iterdir():
        if file.suffix != ".safetensors":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    torch.save({}, tmp_path / "pytorch_model.bin")
    with pytest.raises(ModelError):
        load_classifier(tmp_path)


def test_a_classifier_can_come_from_a_bucket(location):
    import fsspec

    fs = fsspec.filesystem("memory")
    for file in Path(location).iterdir():
        fs.pipe(f"/models/hate/{file.name}", file.read_bytes())
    try:
        scores = load_toxicity("memory://models/hate", device="cpu").compute(predictions=TEXTS)["toxicity"]
        assert scores == load_toxicity(location, device="cpu").compute(predictions=TEXTS)["toxicity"]
        with pytest.raises(ModelError, match="there is no file there"):
            load_classifier("memory://models/none")
    finally:
        fs.rm("/models", recursive=True)


def test_measuring_needs_no_cache_folder_of_evaluates_own(classifier, monkeypatch):
    """evaluate makes one below the home folder even for what it keeps in memory."""
    monkeypatch.setattr("evaluate.config.HF_METRICS_CACHE", "/proc/nobody/metrics")
    assert len(Toxicity(*classifier).compute(predictions=TEXTS)["toxicity"]) == len(TEXTS)


@pytest.mark.slow
def test_measuring_works_offline_with_a_home_that_cannot_be_written(location):
    """The same in a process of its own, where importing the libraries must not need the home folder either."""
    code = "import sys; from labhelpers.reward.toxicity import load_toxicity; print(load_toxicity(sys.argv[1]).compute("
    code += "predictions=['You fool']))"
    hidden = {"HF_HOME", "XDG_CACHE_HOME", "HF_METRICS_CACHE", "HF_EVALUATE_CACHE", "HF_DATASETS_CACHE"}
    environment = {k: v for k, v in os.environ.items() if k not in hidden}
    environment |= {"HOME": "/proc/nobody", "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code, location], env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and "'toxicity': [0." in done.stdout, done.stderr


def test_the_lexicon_counts_whole_words_in_any_case(tmp_path):
    lexicon = Lexicon(["idiot", "hate", "old fool", "fool"])
    assert lexicon.count("IDIOT! You idiot, I hate it.") == 3
    assert lexicon.count("An idiotic whatever; foolproof.") == 0
    assert lexicon.count("You old fool") == 1
    assert Lexicon([]).count("idiot") == 0
    (tmp_path / "lexicon.json").write_text(json.dumps(["fool"]))
    assert Lexicon.load(tmp_path / "lexicon.json").words == ("fool",)


@pytest.mark.parametrize(
    "content",
    [
        "{}",
        "[1]",
        '["a", " "]',
        "not json",
        '{"judge": ["a"]}',
        '{"reward": "a"}',
        '{"reward": [1]}',
        '{"reward": ["a"], "judge": ["a"]}',
    ],
)
def test_a_broken_lexicon_is_refused(tmp_path, content):
    (tmp_path / "lexicon.json").write_text(content)
    with pytest.raises(DataError):
        Lexicon.load(tmp_path / "lexicon.json")


@pytest.mark.parametrize(
    ("content", "line", "problem"),
    [
        (b'["a",\n "b"\n', 3, "not valid JSON"),
        (b'["a",\n "\xff"]\n', 2, "not UTF-8"),
        (b'[{"word": "a",\n\n "word": "b"}]\n', 3, "the key 'word' stands twice"),
    ],
)
def test_a_lexicon_that_cannot_be_read_is_refused_with_file_and_line(tmp_path, content, line, problem):
    (tmp_path / "lexicon.json").write_bytes(content)
    with pytest.raises(DataError, match=problem) as caught:
        Lexicon.load(tmp_path / "lexicon.json")
    assert caught.value.line == line and str(caught.value.file).endswith("lexicon.json")


def test_classes_tell_the_words_that_the_reward_has_never_seen(tmp_path):
    (tmp_path / "lexicon.json").write_text(json.dumps({"reward": ["fool"], "judge": ["twit"], "lexicon": ["oaf"]}))
    lexicon = Lexicon.load(tmp_path / "lexicon.json")
    assert lexicon.count("A fool, a twit and an oaf.") == 3
    assert lexicon.unseen.words == ("twit", "oaf") and lexicon.unseen.count("A fool, a twit and an oaf.") == 2
    assert Lexicon(["fool"]).unseen is None


def test_the_lexicon_counts_whole_words_of_any_script():
    """A Hindi vowel sign is a part of its word, and an accent may be stored apart from its letter."""
    assert Lexicon(["क"]).count("की") == 0 and Lexicon(["की"]).count("की, की") == 2
    assert Lexicon(["crétin"]).count("Cre\u0301tin !") == Lexicon(["cre\u0301tin"]).count("CRÉTIN") == 1
    assert Lexicon(["crétin"]).mark("un cre\u0301tin <b>") == "un <mark>crétin</mark> &lt;b&gt;"


def test_insults_are_marked_and_the_rest_is_escaped():
    lexicon = Lexicon(["idiot", "brainless fool"])
    assert lexicon.mark("<b> Idiot! Not idiotic, brainless fool") == (
        "&lt;b&gt; <mark>Idiot</mark>! Not idiotic, <mark>brainless fool</mark>"
    )
    assert lexicon.mark("") == ""


def test_a_policys_toxicity_is_that_of_exactly_as_many_responses_as_asked_for(location, tmp_path):
    policy, tokenizer = load_policy(
        str(save_model("flan-t5", tmp_path / "base")), save_sft_adapter("flan-t5", tmp_path / "sft"), torch.float64
    )
    toxicity, queries = load_toxicity(location), ["one", "another", "a third", "a fourth one"]
    dataset = Dataset.from_dict({"query": queries})
    mean, std = evaluate_toxicity(policy, toxicity, tokenizer, dataset, 3, 8, seed=1)
    scores = toxicity.score(generate_texts(policy, tokenizer, queries[:3], 8, seed=1))
    assert (mean, std) == pytest.approx((np.mean(scores), np.std(scores)))
    one_by_one = evaluate_toxicity(policy, toxicity, tokenizer, dataset, 3, 8, seed=1, batch_size=1)
    assert one_by_one == pytest.approx((mean, std))
    assert evaluate_toxicity(policy, toxicity, tokenizer, dataset, 3, 8, seed=1, sampling=GREEDY)[0] != mean
    for n in (0, 5):
        with pytest.raises(DataError, match=f"num_samples is {n}, but must be between 1 and the number of rows, 4"):
            evaluate_toxicity(policy, toxicity, tokenizer, dataset, n, 8)
