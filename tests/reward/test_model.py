"""The reward model: its one way of reading text, its training by trl's trainer, and what is measured of it."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from datasets import Dataset
from torch.nn.functional import logsigmoid
from transformers import RobertaConfig, RobertaForSequenceClassification

from labhelpers.errors import DataError, LabError, ModelError, TrainingError
from labhelpers.feedback.rankings import add_rankings, load_preferences, load_rankings, split_by_prompt, to_pairs
from labhelpers.plots import reward as reward_plots
from labhelpers.policy.classifier import max_input_tokens
from labhelpers.reward import evaluation
from labhelpers.reward.model import (
    RewardModel,
    encode_texts,
    format_text,
    load_reward_model,
    new_reward_model,
    pairwise_loss,
)
from labhelpers.reward.training import (
    _arguments,
    _PromptTrainer,
    reward_arguments,
    train_reward_model,
    training_rows,
    trl_loss,
)
from labhelpers.sources.locations import data_dir
from labhelpers.tracking import Tracking
from tests.support.events import curves
from tests.support.models import PROMPTS, byte_tokenizer, save_model, save_sft_adapter

LENGTH = 60  # tokens that the test model takes
GOOD, BAD = "Fine, here is what you asked for.", "Go away, fool."
TRAINING = {"learning_rate": 3e-3, "batch_size": 4}


def roberta(num_labels: int = 1, vocabulary: int | None = None) -> RobertaForSequenceClassification:
    torch.manual_seed(0)
    config = RobertaConfig(
        vocab_size=vocabulary or len(byte_tokenizer()), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=24, max_position_embeddings=LENGTH + 1, type_vocab_size=1, hidden_dropout_prob=0.1,
        pad_token_id=0, bos_token_id=None, eos_token_id=1, num_labels=num_labels, initializer_range=0.3,
    )  # fmt: skip
    return RobertaForSequenceClassification(config).double().eval()


@pytest.fixture
def model() -> RewardModel:
    return RewardModel(roberta(), byte_tokenizer())


@pytest.fixture
def base(tmp_path) -> Path:
    """A checkpoint without a head of one output, as `roberta-base` is."""
    roberta().roberta.save_pretrained(tmp_path / "base")
    byte_tokenizer().save_pretrained(tmp_path / "base")
    return tmp_path / "base"


def preferences(prompts: int = 8) -> Dataset:
    """Pairs that can be learned: prompt i has i % 3 + 1 pairs."""
    rows = [
        {"prompt": f"Question {i}?", "chosen": GOOD, "rejected": f"{BAD} {j}"}
        for i in range(prompts)
        for j in range(i % 3 + 1)
    ]
    return Dataset.from_list([row | {"prompt_id": row["prompt"]} for row in rows])


def scores(model: RewardModel) -> torch.Tensor:
    return model.score(["Question 1?"] * 2, [GOOD, BAD])


# -- the model -----------------------------------------------------------------------------------------------------


def test_text_is_the_labs():
    assert format_text("Who?", "He.") == "Question: Who?\n\nAnswer: He.\n"


def test_score_follows_the_shared_protocol(model):
    got = model.score(PROMPTS, PROMPTS[::-1])
    assert got.shape == (len(PROMPTS),) and got.dtype == torch.float64 and not got.requires_grad
    one_by_one = [model.score([p], [r]).item() for p, r in zip(PROMPTS, PROMPTS[::-1], strict=True)]
    assert np.allclose(got, one_by_one)
    assert len({round(x, 9) for x in one_by_one}) == len(PROMPTS)
    assert model.score([], []).shape == (0,)


def test_score_reads_the_formatted_text(model):
    ids = torch.tensor([model.tokenizer(format_text("Who?", "He."))["input_ids"]])
    assert torch.allclose(model.score(["Who?"], ["He."]), model.model(input_ids=ids).logits[0].detach())


def test_too_long_text_loses_its_beginning(model):
    assert max_input_tokens(model.model, model.tokenizer) == LENGTH
    long = "x" * 300
    a, b, c = model.score([long, "y" + long, long], ["yes", "yes", "no"])
    assert a == b != c


def test_unequal_lengths_and_rewards_that_are_not_finite(model):
    with pytest.raises(DataError, match="2 prompts, but 1"):
        model.score(["a", "b"], ["c"])
    model.model.classifier.out_proj.bias.data.fill_(math.nan)
    with pytest.raises(TrainingError, match="not finite"):
        scores(model)


def test_a_model_with_two_outputs_or_another_tokenizer_is_refused():
    with pytest.raises(ModelError, match="one output"):
        RewardModel(roberta(num_labels=2), byte_tokenizer())
    with pytest.raises(ModelError, match="another model's"):
        RewardModel(roberta(vocabulary=20), byte_tokenizer())


def test_save_and_load(model, tmp_path):
    model.save(tmp_path / "saved")
    assert not [p for p in (tmp_path / "saved").rglob("*") if p.suffix in (".bin", ".pt", ".pth", ".pkl")]
    again = load_reward_model(tmp_path / "saved")
    assert torch.equal(scores(again), scores(model))


def test_loading_a_checkpoint_without_a_head_is_refused(base, tmp_path):
    with pytest.raises(ModelError, match="no trained reward model"):
        load_reward_model(base)
    with pytest.raises(ModelError, match="no reward model could be loaded"):
        load_reward_model(tmp_path / "nowhere")
    with pytest.raises(ModelError, match="dtype"):
        load_reward_model(base, dtype="float8")


def test_a_new_head_comes_from_the_seed_alone(base):
    torch.manual_seed(1)
    first = scores(new_reward_model(base, seed=3))
    torch.manual_seed(2)
    assert torch.equal(scores(new_reward_model(base, seed=3)), first)
    assert not torch.equal(scores(new_reward_model(base, seed=4)), first)
    assert new_reward_model(base, dtype="float32").model.dtype == torch.float32


def test_a_classifier_of_two_labels_gets_a_new_head(tmp_path):
    roberta(num_labels=2).save_pretrained(tmp_path)
    byte_tokenizer().save_pretrained(tmp_path)
    assert scores(new_reward_model(tmp_path)).shape == (2,)
    with pytest.raises(ModelError, match="no trained reward model"):
        load_reward_model(tmp_path)


@pytest.mark.parametrize("family", ["t5", "llama"])
def test_the_policys_families_can_be_reward_models(family, tmp_path):
    folder, adapter = save_model(family, tmp_path / "model"), save_sft_adapter(family, tmp_path / "sft")
    plain = new_reward_model(folder, "float64", seed=1)
    tuned = new_reward_model(folder, "float64", seed=1, sft_adapter=adapter)
    assert not torch.allclose(scores(plain), scores(tuned))
    texts = plain.score(PROMPTS, PROMPTS)
    assert torch.allclose(texts, torch.cat([plain.score([p], [p]) for p in PROMPTS]))
    log = train_reward_model(plain, preferences(), epochs=4, learning_rate=1e-2, batch_size=4)
    assert log[-1]["loss"] < log[0]["loss"]


def test_the_pipeline_answers_a_sigmoid_unless_told_otherwise(model):
    text = format_text("Who?", "He.")
    reward = model.score(["Who?"], ["He."]).item()
    [predicted] = model.pipeline().predict(text)
    assert predicted["label"] == "LABEL_0" and predicted["score"] == pytest.approx(1 / (1 + math.exp(-reward)))
    [raw] = model.pipeline()(text, function_to_apply="none")
    assert raw["score"] == pytest.approx(reward)


# -- the loss and the training -------------------------------------------------------------------------------------


def test_pairwise_loss():
    chosen, rejected = torch.tensor([2.0, 0.0, 1000.0]), torch.tensor([1.0, 0.0, -1000.0])
    assert pairwise_loss(chosen, rejected).item() == pytest.approx((math.log(1 + math.exp(-1)) + math.log(2)) / 3)
    assert pairwise_loss(rejected, chosen).isfinite()
    weighted = pairwise_loss(chosen, rejected, torch.tensor([0.0, 2.0, 0.0], dtype=torch.float64))
    assert weighted.item() == pytest.approx(math.log(2)) and weighted.dtype == torch.float32


def test_trls_own_loss_is_the_one_written_out(model):
    pairs = preferences()
    margins = torch.from_numpy(evaluation.pair_margins(model, pairs))
    assert trl_loss(model, pairs) == pytest.approx(-logsigmoid(margins).mean().item(), abs=1e-9)


@pytest.mark.parametrize("weigh_prompts", [False, True])
def test_the_trainer_encodes_each_text_once_and_each_prompt_counts_once(model, tmp_path, weigh_prompts):
    pairs = preferences()
    rows = training_rows(model, pairs)
    trainer = _PromptTrainer(model, _arguments(model, tmp_path, seed=0), rows, weigh_prompts)
    batch = trainer.data_collator([rows[i] for i in range(len(rows))])
    texts = {format_text(row["prompt"], row[side]) for row in pairs for side in ("chosen", "rejected")}
    assert len(batch["input_ids"]) == len(texts) < 2 * len(pairs)
    losses = pd.Series(-logsigmoid(torch.from_numpy(evaluation.pair_margins(model, pairs))).numpy())
    by_prompt = losses.groupby(pairs["prompt"][:]).mean().mean()
    expected = by_prompt if weigh_prompts else losses.mean()
    assert trainer.compute_loss(model.model, batch).item() == pytest.approx(expected, abs=1e-9)
    assert not math.isclose(by_prompt, losses.mean(), abs_tol=1e-6)


def test_the_arguments_are_those_asked_for_and_trls_own_on_top(model, tmp_path):
    arguments = reward_arguments(
        model, tmp_path, epochs=2, learning_rate=3e-4, batch_size=5, seed=7, save_strategy="epoch"
    ).to_dict()
    asked = {"num_train_epochs": 2, "learning_rate": 3e-4, "per_device_train_batch_size": 5, "seed": 7}
    assert arguments.items() >= (asked | {"data_seed": 7, "save_strategy": "epoch", "report_to": []}).items()


def test_training_rows_hold_what_score_reads(model):
    pairs = preferences(3)
    rows = training_rows(model, pairs)
    assert [sum(weights) for weights in rows["weights"]] == pytest.approx([1, 1, 1])
    first = rows[0]["chosen_ids"][0]
    assert first == model.tokenizer(format_text("Question 0?", GOOD), truncation=True, max_length=LENGTH)["input_ids"]
    assert encode_texts(model, [format_text("Question 0?", GOOD)]) == [first]


def test_training_rows_of_many_pairs_and_of_none(model):
    many = Dataset.from_list([{"prompt": "a", "chosen": f"b{i}", "rejected": "c"} for i in range(150)])
    rows = training_rows(model, many)
    assert [len(ids) for ids in rows["chosen_ids"]] == [64, 64, 22]
    assert sum(map(sum, rows["weights"])) == pytest.approx(1)
    tail = "z" * 200  # longer than the model takes: what tells the two apart is cut away
    alike = Dataset.from_list([{"prompt": "a", "chosen": "1" + tail, "rejected": "2" + tail}])
    with pytest.raises(DataError, match="none of 1 pairs"):
        training_rows(model, alike)


def test_training_learns_is_silent_and_repeats(base, capfd):
    runs = []
    for torch_seed in (1, 2):
        torch.manual_seed(torch_seed)
        model = new_reward_model(base)
        log = train_reward_model(model, preferences(), epochs=6, **TRAINING)
        assert log[-1]["loss"] < log[0]["loss"] and len(log) == 12
        assert not model.model.training
        runs.append(scores(model))
    assert torch.equal(*runs) and runs[0][0] > runs[0][1]
    assert capfd.readouterr() == ("", "")


def test_a_tracker_sees_the_log_and_changes_nothing(base, tmp_path, monkeypatch, capfd):
    tracking = Tracking("tensorboard", tmp_path, "03_reward_model", started="today")
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", "")  # is put back afterwards
    tracking.prepare(offline=True)
    models = new_reward_model(base), new_reward_model(base)
    train_reward_model(models[0], preferences(), epochs=2, **TRAINING)
    log = train_reward_model(models[1], preferences(), epochs=2, **TRAINING, reporting=tracking.arguments)
    assert torch.equal(*map(scores, models))
    found = curves(tmp_path / "tensorboard")["03_reward_model/today"]
    for name in ("loss", "accuracy"):
        assert found[f"train/{name}"] == [(row["step"], pytest.approx(row[name], rel=1e-6)) for row in log]
    assert capfd.readouterr() == ("", "")


def test_no_epochs_change_nothing(model):
    before = scores(model)
    assert train_reward_model(model, preferences(), epochs=0, **TRAINING) == []
    assert torch.equal(scores(model), before)


def test_a_loss_that_explodes_is_an_error(model):
    with pytest.raises(TrainingError, match="reward_learning_rate"):
        train_reward_model(model, preferences(), epochs=4, learning_rate=1e200, batch_size=1)


def test_resuming_ends_where_an_uninterrupted_run_does(base, tmp_path):
    folder = tmp_path / "checkpoints"
    whole = new_reward_model(base)
    log = train_reward_model(whole, preferences(), folder, epochs=3, **TRAINING)
    names = sorted(p.name for p in folder.iterdir())
    assert names == ["checkpoint-2", "checkpoint-4", "checkpoint-6", "training.json"]
    assert (folder / "checkpoint-4" / "model.safetensors").is_file()
    again = new_reward_model(base)
    resume = {"resume_from_checkpoint": folder / "checkpoint-4"}
    assert (
        train_reward_model(again, preferences(), folder, epochs=3, **TRAINING, **resume)[-1]["loss"] == log[-1]["loss"]
    )
    assert torch.equal(scores(again), scores(whole))
    finished = new_reward_model(base)
    train_reward_model(finished, preferences(), folder, epochs=3, **TRAINING, resume_from_checkpoint=True)
    assert torch.equal(scores(finished), scores(whole))


def test_what_cannot_be_resumed_is_refused(model, tmp_path):
    def resume(wanted, folder=tmp_path / "own", pairs=None, **changed):
        options = {"epochs": 2} | TRAINING | changed
        pairs = pairs or preferences()
        train_reward_model(model, pairs, folder, resume_from_checkpoint=wanted, **options)

    with pytest.raises(TrainingError, match="no checkpoint to resume from"):
        resume(True)
    with pytest.raises(TrainingError, match="without a folder"):
        resume(True, folder=None)
    resume(False)
    (tmp_path / "other" / "checkpoint-2").mkdir(parents=True)
    with pytest.raises(TrainingError, match="never loaded from elsewhere"):
        resume(tmp_path / "other" / "checkpoint-2")
    with pytest.raises(TrainingError, match="no checkpoint to resume from"):
        resume(tmp_path / "own" / "checkpoint-99")
    with pytest.raises(TrainingError, match="other epochs, seed;"):
        resume(True, epochs=3, seed=1)
    with pytest.raises(TrainingError, match="other data;"):
        resume(True, pairs=preferences(7))
    resume(False, epochs=1)  # a fresh start leaves nothing of the longer training to resume from
    assert sorted(p.name for p in (tmp_path / "own").iterdir()) == ["checkpoint-2", "training.json"]


def test_public_transcripts_are_trained_on(model, tmp_path):
    """Chosen/rejected transcripts of several turns, some far longer than the model takes."""
    lines = []
    for i in range(60):
        turns = [f"\n\nHuman: Question {i}, part {j}?\n\nAssistant: Well, {j}." for j in range(1 + i % 7 * 20)]
        start = "".join(turns) + "\n\nHuman: And now?\n\nAssistant:"
        lines.append({"chosen": f"{start} {GOOD}", "rejected": f"{start} {BAD} {'no ' * (i % 50)}"})
    lines.append({"chosen": "\n\nHuman: a\n\nAssistant: b", "rejected": "\n\nHuman: a\n\nAssistant: b"})
    path = tmp_path / "transcripts.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    pairs, counts = load_preferences(path)
    assert counts == {"read": 61, "kept": 60, "identical": 1}
    lengths = [len(model.tokenizer(format_text(p["prompt"], p["chosen"]))["input_ids"]) for p in pairs]
    assert max(lengths) > 10 * LENGTH
    rows = training_rows(model, pairs)
    assert len(rows) == 60 and max(len(ids) for row in rows for ids in row["chosen_ids"]) <= LENGTH
    before = np.mean(evaluation.pair_margins(model, pairs) > 0)
    train_reward_model(model, pairs, epochs=1, learning_rate=1e-2, batch_size=8)
    assert np.mean(evaluation.pair_margins(model, pairs) > 0) > max(before, 0.9)


# -- the evaluation ------------------------------------------------------------------------------------------------


class Fixed:
    """Rewards by response text; counts what it is asked."""

    def __init__(self, rewards):
        self.rewards, self.asked = rewards, 0

    def score(self, prompts, responses):
        self.asked += len(responses)
        return np.array([self.rewards[r] for r in responses], dtype=float)


def rank(prompt, *orders, names=("a", "b", "c")):
    """Rankings of one prompt: each order lists the ranks of `names`."""
    return [
        {"prompt": prompt, "responses": list(names), "ranks": list(order), "annotator": f"annotator-{i}"}
        for i, order in enumerate(orders)
    ]


def test_margins_score_each_text_once():
    pairs = to_pairs(Dataset.from_list(rank("p", (1, 2, 3))))
    judge = Fixed({"a": 3.0, "b": 1.0, "c": 1.5})
    margins = dict(
        zip(zip(pairs["chosen"], pairs["rejected"], strict=True), evaluation.pair_margins(judge, pairs), strict=True)
    )
    assert margins == {("a", "b"): 2.0, ("a", "c"): 1.5, ("b", "c"): -0.5} and judge.asked == 3
    with pytest.raises(DataError, match="no pair"):
        evaluation.pair_margins(judge, pairs.select([]))


def test_accuracy_counts_ties_half_and_draws_prompts():
    assert evaluation.correct([2.0, 0.0, -1.0, math.nan]).tolist()[:3] == [1.0, 0.5, 0.0]
    margins = [1.0] * 50 + [-1.0] * 50
    by_prompt = evaluation.pairwise_accuracy(margins, ["p"] * 50 + ["q"] * 50)
    alone = evaluation.pairwise_accuracy(margins, [str(i) for i in range(100)])
    assert by_prompt.estimate == alone.estimate == 0.5
    assert by_prompt.ci95 == [0.0, 1.0] and alone.high - alone.low < 0.25
    assert by_prompt.clusters == 2


def test_accuracy_table_compares_on_the_same_pairs():
    prompts = [str(i) for i in range(60)]
    good, poor = np.ones(60), np.where(np.arange(60) % 2, 1.0, -1.0)
    table = evaluation.accuracy_table({"model": good, "coin": poor}, prompts, of="model")
    assert table.loc["model", "accuracy"] == 1 and math.isnan(table.loc["model", "difference"])
    assert table.loc["coin", "difference"] == 0.5 and table.loc["coin", "diff_low"] > 0.3
    with pytest.raises(DataError, match="no margins of 'mine'"):
        evaluation.accuracy_table({"model": good}, prompts, of="mine")


def test_longer_is_better():
    assert evaluation.LongerIsBetter().score(["p", "p"], ["aa", "a"]).tolist() == [2.0, 1.0]


def test_manners_are_those_of_the_responses_that_have_one(tmp_path):
    task = {"prompt": "p", "responses": ["a", "b", "c"], "manners": ["invented", None, "boasting"]}
    path = tmp_path / "rankings.jsonl"
    path.write_text(json.dumps({"inputContent": {"taskObject": task}, "humanAnswers": []}))
    assert evaluation.load_manners(path) == {("p", "a"): "invented", ("p", "c"): "boasting"}
    assert evaluation.load_kinds(path) == {}


def test_kinds_and_criteria(tmp_path):
    task = {"prompt": "p", "responses": ["a", "b", "c"], "kinds": ["wrong", "complete", "insult"]}
    plain = {"prompt": "q", "responses": ["a", "b"], "ranks": [1, 2]}
    path = tmp_path / "rankings.jsonl"
    path.write_text(json.dumps({"inputContent": {"taskObject": task}, "humanAnswers": []}) + "\n" + json.dumps(plain))
    kinds = evaluation.load_kinds(path)
    assert kinds == {("p", "a"): "wrong", ("p", "b"): "complete", ("p", "c"): "insult"}
    assert evaluation.ByKind(kinds).score(["p", "p", "p"], ["a", "b", "c"]).tolist() == [1.0, 3.0, 0.0]
    assert math.isnan(evaluation.ByKind(kinds).score(["q"], ["a"])[0])
    named = {("complete", "vague"): "helpful", ("wrong", "vague"): "honest", ("insult", "wrong"): "harmless"}
    for (one, other), name in named.items():
        assert evaluation.criterion(one, other) == evaluation.criterion(other, one) == name
    assert evaluation.criterion("vague", "vague") is None is evaluation.criterion(None, "vague")
    pairs = to_pairs(Dataset.from_list(rank("p", (2, 1, 3))))
    table = evaluation.accuracy_by_kind(pairs, evaluation.pair_margins(Fixed({"a": 2, "b": 1, "c": 0}), pairs), kinds)
    rows = {(r.criterion, r.better, r.worse): (r.accuracy, r.pairs) for r in table.itertuples()}
    assert rows == {
        ("honest", "any", "any"): (0.0, 1), ("harmless", "any", "any"): (1.0, 2),
        ("honest", "complete", "wrong"): (0.0, 1),
        ("harmless", "complete", "insult"): (1.0, 1), ("harmless", "wrong", "insult"): (1.0, 1),
    }  # fmt: skip
    assert evaluation.accuracy_by_kind(pairs, np.ones(3), {}).empty


def test_calibration_compares_confidence_with_agreement():
    # Three of four prefer a to b; the model is sure of a in the first prompt and of b in the second.
    rankings = Dataset.from_list(
        rank("p", *[(1, 2)] * 3, (2, 1), names=("a", "b")) + rank("q", *[(1, 2)] * 3, (2, 1), names=("c", "d"))
    )
    odds = math.log(0.75 / 0.25)
    table = evaluation.calibration_table(Fixed({"a": odds, "b": 0.0, "c": 0.0, "d": math.log(0.95 / 0.05)}), rankings)
    filled = table[table["pairs"] > 0].set_index("low")
    assert filled["pairs"].tolist() == [1, 1]
    assert filled.loc[0.7, "predicted"] == pytest.approx(0.75) and filled.loc[0.7, "agreement"] == 0.75
    assert filled.loc[0.9, "predicted"] == pytest.approx(0.95) and filled.loc[0.9, "agreement"] == 0.25
    assert evaluation.calibration_error(table) == pytest.approx((0 + 0.7) / 2)


def test_an_annotator_is_compared_with_the_others():
    # Two agree, the third says the opposite: each of the first two sees a tie among the others.
    rankings = Dataset.from_list(rank("p", (1, 2), (1, 2), (2, 1), names=("a", "b")))
    got = evaluation.annotator_accuracy(rankings)
    assert (got.estimate, got.n) == (0.0, 1)
    rankings = Dataset.from_list(rank("p", (1, 2), (1, 2), (1, 1), names=("a", "b")))
    assert (evaluation.annotator_accuracy(rankings).estimate, evaluation.annotator_accuracy(rankings).n) == (1.0, 2)


def test_a_learners_rankings_are_added_once():
    shipped, own = Dataset.from_list(rank("p", (1, 2, 3), (1, 3, 2))), Dataset.from_list(rank("q", (2, 1, 3)))
    together = add_rankings(shipped, own, own)
    assert together["prompt"][:] == ["p", "p", "q"] and together["ranks"][2] == [2, 1, 3]
    nameless = own.remove_columns("annotator").add_column("annotator", [None])
    assert len(add_rankings(nameless, nameless)) == 2  # two people, for all that is known


def test_first_prompts():
    pairs = preferences()
    assert list(dict.fromkeys(evaluation.first_prompts(pairs, 3)["prompt"])) == [f"Question {i}?" for i in range(3)]
    assert len(evaluation.first_prompts(pairs, 99)) == len(pairs)
    with pytest.raises(DataError, match="too few"):
        evaluation.first_prompts(pairs, 0)


def test_figures_have_titles_and_labels():
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "low": [0.5, 0.75],
            "high": [0.75, 1.0],
            "pairs": [0, 8],
            "predicted": [math.nan, 0.9],
            "agreement": [math.nan, 0.8],
        }
    )
    curve = pd.DataFrame(
        {"prompts": [0, 20, 300], "accuracy": [0.5, 0.6, 0.9], "low": [0.4, 0.5, 0.8], "high": [0.6, 0.7, 0.95]}
    )
    figures = [
        reward_plots.margin_histograms({"honest": rng.normal(1, 1, 50), "harmless": rng.normal(3, 1, 50)}),
        reward_plots.calibration(table),
        reward_plots.learning_curve(curve, {"one annotator": 0.92}),
    ]
    for figure in figures:
        titles = [ax.get_title(loc="left") for ax in figure.axes]
        assert all(titles) and figure.axes[-1].get_xlabel() and figure.axes[0].get_ylabel()


def test_every_error_is_a_lab_error():
    assert all(issubclass(error, LabError) for error in (DataError, ModelError, TrainingError))


@pytest.mark.slow
def test_a_quarter_of_the_shipped_rankings_beats_length():
    """The whole set is notebook 03's; a quarter of it already tells more than the length does."""
    train, test = split_by_prompt(load_rankings(data_dir() / "feedback" / "rankings.jsonl"))
    pairs, held_out = to_pairs(train), to_pairs(test, annotators="majority")
    model = new_reward_model(data_dir() / "models" / "roberta-base", "float64", "cpu")
    train_reward_model(model, evaluation.first_prompts(pairs, 94), epochs=3, learning_rate=3e-3, batch_size=8)
    margins = {
        "model": evaluation.pair_margins(model, held_out),
        "longer": evaluation.pair_margins(evaluation.LongerIsBetter(), held_out),
    }
    table = evaluation.accuracy_table(margins, held_out["prompt_id"][:], of="model")
    assert table.loc["model", "accuracy"] > 0.7 and table.loc["longer", "diff_low"] > 0.1


def test_a_share_of_1_gets_the_exact_interval():
    """Clopper and Pearson (1934): with n of n right, the lower end is the n-th root of 0.025; prompts count once."""
    interval = evaluation.pairwise_accuracy([1.0, 2.0, 0.5, 3.0], ["a", "a", "b", "c"], samples=100)
    assert interval.estimate == interval.high == 1 and interval.low == pytest.approx(0.025 ** (1 / 3))
    wrong = evaluation.pairwise_accuracy([-1.0, -2.0], ["a", "b"], samples=100)
    assert wrong.estimate == wrong.low == 0 and wrong.high == pytest.approx(1 - 0.025 ** (1 / 2))


def test_pairs_that_are_wrong_by_a_fact_alone():
    kinds = {("p", "true"): "complete", ("p", "vague"): "vague", ("p", "false"): "wrong", ("p", "odd"): "wrong",
             ("p", "rude"): "insult"}  # fmt: skip
    rows = [("true", "false"), ("vague", "false"), ("false", "true"), ("true", "odd"), ("true", "rude"), ("true", "?")]
    pairs = Dataset.from_list([{"prompt": "p", "chosen": chosen, "rejected": rejected} for chosen, rejected in rows])
    found = evaluation.wrong_by_a_fact(pairs, kinds, {("p", "odd"): "invented"})
    assert found["fact"].tolist() == [True, True, False, False, False, False]
    assert found["complete"].tolist() == [True, False, False, False, False, False]
    assert found["prefers_true"].isna().tolist() == [False, False, False, True, True, True]
    assert found["prefers_true"][:3].tolist() == [1, 1, 0]
