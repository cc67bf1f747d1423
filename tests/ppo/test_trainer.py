"""The PPO trainer: the same update however it is computed, nothing lost by stopping, unusable input refused in time."""

import itertools
import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from accelerate.tracking import GeneralTracker
from datasets import Dataset
from transformers.modeling_layers import GradientCheckpointingLayer

from labhelpers.errors import ArtifactError, TrainingError
from labhelpers.policy import Rollout
from labhelpers.policy.loading import load_policy
from labhelpers.ppo import PPOConfig, PPOTrainer
from tests.support.models import PROMPTS, save_model, save_sft_adapter
from tests.support.paths import ROOT

QUERIES = [f"{p} {word}" for p in PROMPTS for word in ("Thanks.", "Why?", "Yes, of course!")]
DATASET = Dataset.from_dict({"query": QUERIES, "id": [str(i) for i in range(len(QUERIES))]})
SMALL = {"batch_size": 6, "mini_batch_size": 3, "ppo_epochs": 2, "learning_rate": 1e-3, "value_learning_rate": 1e-2}


@pytest.fixture(scope="module", params=["flan-t5", "llama"])
def folders(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    return save_model(request.param, folder / "base"), save_sft_adapter(request.param, folder / "sft")


def make_trainer(folders, dtype=torch.float64, dataset=DATASET, policy_options=None, **config):
    policy, tokenizer = load_policy(str(folders[0]), folders[1], dtype, **(policy_options or {}))
    return PPOTrainer(PPOConfig(**(SMALL | config)), policy, tokenizer, dataset)


def score(texts):
    """A reward that can be learned: many vowels, few words."""
    return torch.tensor([sum(t.count(v) for v in "aeiou") / 5 - t.count(" ") / 10 for t in texts], dtype=torch.float64)


def run(trainer, steps, max_new_tokens=14):
    """`steps` steps; returns the texts of every rollout and the statistics without times."""
    texts, history = [], []
    for batch in itertools.islice(trainer.dataloader, steps):
        rollout = trainer.generate(batch["query"], max_new_tokens)
        stats = trainer.step(rollout, score(rollout.texts))
        trainer.log_stats(stats)
        texts.append(rollout.texts)
        history.append({k: v for k, v in stats.items() if not k.startswith("time/")})
    return texts, history


def parameters(trainer):
    return [p.detach().clone() for p in trainer.parameters]


def assert_same(ours, theirs, **tolerance):
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, **({"rtol": 0, "atol": 0} | tolerance))


def test_kl_and_ratio_at_the_start(folders):
    for dtype, tolerance in [(torch.float64, 1e-9), (torch.float32, 1e-5)]:
        trainer = make_trainer(folders, dtype, ppo_epochs=1, mini_batch_size=6)
        _, (stats,) = run(trainer, 1)
        assert abs(stats["objective/kl"]) <= tolerance
        assert abs(stats["ppo/policy/approxkl"]) <= tolerance, "the first update starts at ratio 1"
        assert abs(stats["ppo/policy/advantages_mean"]) < 1e-5
        assert stats["ppo/updates"] == 1


@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-10), (torch.float32, 1e-4)])
def test_policy_and_reference_each_read_the_prompts_themselves(folders, dtype, tolerance):
    """Their adapters differ in the encoder too, once the policy has been trained."""
    trainer = make_trainer(folders, dtype)
    run(trainer, 2)
    rollout = trainer.generate(QUERIES[:6], 10)
    tensors = rollout.queries, rollout.query_mask, rollout.responses, rollout.mask
    with torch.no_grad():
        expected_old, expected_values = trainer.policy(*tensors)
        with trainer.policy.reference():
            expected_reference, _ = trainer.policy(*tensors)
    assert (expected_old - expected_reference).abs().max() > 100 * tolerance
    found = trainer._with_reference(rollout, torch.zeros(6))
    torch.testing.assert_close(found.logprobs, expected_old, rtol=0, atol=tolerance)
    torch.testing.assert_close(found.values, expected_values, rtol=0, atol=tolerance)
    torch.testing.assert_close(found.ref_logprobs, expected_reference, rtol=0, atol=tolerance)


def test_kl_starts_at_zero_in_a_half_precision_too(folders):
    """The rollout's prompts are encoded by the same passes as the reference's, while writing and by the step itself."""
    trainer = make_trainer(folders, torch.bfloat16)
    rollout = trainer.generate(QUERIES[:6], 8)
    for given in (rollout, replace(rollout)):  # a copy is not the rollout whose states the trainer has
        found = trainer._with_reference(given, torch.zeros(6))
        assert torch.equal(found.logprobs, found.ref_logprobs)


def test_a_step_leaves_its_rollout_as_it_is_and_takes_it_again(folders):
    """The second time by the policy as it is then, not by what its encoder said before the first update."""
    trainer = make_trainer(folders, torch.float32)
    rollout = trainer.generate(QUERIES[:6], 10)
    before = {name: value.clone() for name, value in vars(rollout).items() if isinstance(value, torch.Tensor)}
    trainer.step(rollout, score(rollout.texts))
    for name, value in before.items():
        assert torch.equal(getattr(rollout, name), value), name
    tensors = rollout.queries, rollout.query_mask, rollout.responses, rollout.mask
    with torch.no_grad():
        new = trainer.policy(*tensors)[0]
        with trainer.policy.reference():
            reference = trainer.policy(*tensors)[0]
    expected = (new - reference).sum(-1).mean().item()
    assert abs(expected) > 1e-2
    stats = trainer.step(rollout, score(rollout.texts))
    assert stats["objective/kl"] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    "field, change, message",
    [
        ("mask", lambda x: x[:, :-1], "mask has shape"),
        ("logprobs", lambda x: x[:5], "logprobs has shape"),
        ("values", lambda x: x[..., None], "values has shape"),
        ("query_mask", lambda x: x[:, 1:], "query_mask has shape"),
        ("finished", lambda x: x[:2], "finished has shape"),
        ("texts", lambda x: x[:3], "texts has shape"),
        ("mask", lambda x: x * (torch.arange(6) != 2)[:, None], "response 2 of the rollout has no token"),
        ("query_mask", lambda x: x * (torch.arange(6) != 4)[:, None], "query 4 of the rollout has no token"),
    ],
)
def test_a_rollout_that_does_not_fit_together_is_refused(folders, field, change, message):
    trainer = make_trainer(folders)
    start = parameters(trainer)
    rollout = trainer.generate(QUERIES[:6], 8)
    rollout.check()
    with pytest.raises(TrainingError, match=message):
        trainer.step(replace(rollout, **{field: change(getattr(rollout, field))}), torch.zeros(6))
    assert_same(parameters(trainer), start)


def test_encoder_states_of_other_queries_are_refused():
    fields = {name: torch.ones(2, 3, dtype=torch.int64) for name in ("queries", "query_mask", "responses", "mask")}
    fields |= {name: torch.zeros(2, 3) for name in ("logprobs", "values")}
    rollout = Rollout(**fields, finished=torch.ones(2, dtype=torch.bool), texts=["", ""], query_texts=["", ""])
    rollout.check()
    with pytest.raises(TrainingError, match="encoded has shape"):
        replace(rollout, encoded=torch.zeros(2, 4, 8)).check()


def test_training_raises_the_reward(folders):
    """The reward: how many of a response's tokens come from the vocabulary's first half, in tens of percent over 50."""
    options = {"batch_size": 24, "mini_batch_size": 12, "learning_rate": 1e-2, "kl_coef": 0.0, "lam": 1.0}
    queries = Dataset.from_dict({"query": QUERIES * 4})
    trainer = make_trainer(folders, dataset=queries, policy_options={"lora_r": 8}, **options)
    half = trainer.policy.base.config.vocab_size // 2
    scores = []
    for batch in itertools.islice(trainer.dataloader, 12):
        rollout = trainer.generate(batch["query"], 14)
        share = ((rollout.responses < half) * rollout.mask).sum(-1) / rollout.lengths
        stats = trainer.step(rollout, 10 * (share - 0.5))
        scores.append(stats["ppo/mean_scores"])
    assert sum(scores[-3:]) / 3 > sum(scores[:3]) / 3 + 0.5
    assert stats["objective/kl"] > 0.01


def test_micro_batches_of_any_size_give_the_same_update(folders):
    def after(micro):
        trainer = make_trainer(folders, micro_batch_size=micro, max_grad_norm=0.5)
        _, history = run(trainer, 2)
        return parameters(trainer), history

    expected, history = after(None)
    for micro in (1, 2):
        ours, other = after(micro)
        assert_same(ours, expected, atol=1e-8)  # Adam's square root makes 1e-12 in a gradient more
        for a, b in zip(history, other, strict=True):
            assert a == pytest.approx(b, abs=1e-6)


def test_gradient_checkpointing_computes_again_and_changes_nothing(folders):
    def after(**options):
        trainer = make_trainer(folders, policy_options=options)
        blocks = [m for m in trainer.policy.base.modules() if isinstance(m, GradientCheckpointingLayer)]
        passes = []
        for block in blocks:
            block.register_forward_pre_hook(lambda module, _: passes.append(module))
            norm = next(m for name, m in block.named_modules() if name.endswith("norm"))
            norm.register_forward_pre_hook(lambda module, _: passes.append(module))
        _, history = run(trainer, 1)
        return parameters(trainer), history, len(passes)

    expected, history, kept = after()
    ours, other, again = after(gradient_checkpointing=True)
    assert_same(ours, expected, atol=1e-12)
    assert history[0] == pytest.approx(other[0], abs=1e-9)
    assert again > kept, "the layers in backward, once more"


def test_rows_with_their_own_limits_and_the_penalty_for_not_ending(folders):
    trainer = make_trainer(folders, missing_eos_penalty=100.0)
    rollout = trainer.generate(QUERIES[:6], [1, 2, 3, 4, 5, 6])
    assert (rollout.lengths <= torch.arange(1, 7)).all()
    raw = torch.zeros(6, dtype=torch.float64)
    adjusted = trainer._adjusted_scores(raw, rollout.finished)
    assert torch.equal(adjusted, torch.where(rollout.finished, 0.0, -100.0).double())
    stats = trainer.step(rollout, raw)
    assert stats["ppo/mean_scores"] == 0, "the score reported is the reward model's"
    assert stats["tokens/unfinished_share"] == pytest.approx(1 - rollout.finished.double().mean().item())


def test_score_scaling_and_clipping(folders):
    trainer = make_trainer(folders, scale_scores=True, center_scores=True, score_clip=1.0)
    finished = torch.ones(6, dtype=torch.bool)
    batches = [torch.arange(6, dtype=torch.float64) * 10 + shift for shift in (0, 100, 50)]
    for scores in batches:
        adjusted = trainer._adjusted_scores(scores, finished)
    seen = torch.cat(batches)
    expected = ((batches[-1] - seen.mean()) / seen.std()).clamp(-1, 1)
    torch.testing.assert_close(adjusted, expected)


def test_scores_that_clipping_makes_constant_are_reported_once(folders, caplog):
    trainer = make_trainer(folders, score_clip=1.0)
    caplog.clear()  # of what loading had to say
    finished = torch.ones(3, dtype=torch.bool)
    trainer._adjusted_scores(torch.tensor([1.2, 2.9, 0.5], dtype=torch.float64), finished)
    assert not caplog.records
    for _ in range(2):  # the rewards in the PPO lab's own table, section 3.4, all lie between 1.20 and 2.85
        trainer._adjusted_scores(torch.tensor([1.2, 2.9, 1.5], dtype=torch.float64), finished)
    (record,) = caplog.records
    assert "all 3 scores are 1 after clipping to ± 1" in record.getMessage() and "score_clip" in record.getMessage()


def test_a_rollout_written_ahead_has_the_random_numbers_of_the_step_that_uses_it(folders):
    trainer = make_trainer(folders, learning_rate=0.0, value_learning_rate=0.0)
    queries = next(iter(trainer.dataloader))["query"]
    ahead = trainer.generate(queries, 14, ahead=1).texts
    first = trainer.generate(queries, 14)
    trainer.step(first, score(first.texts))
    assert trainer.generate(queries, 14).texts == ahead != first.texts


def test_target_kl_stops_the_steps_updates(folders):
    trainer = make_trainer(folders, target_kl=1e-12, learning_rate=1e-2)
    _, (stats,) = run(trainer, 1)
    assert stats["ppo/early_stopped"] == 1 and 1 <= stats["ppo/updates"] < 4


def test_learning_rate_schedules(folders):
    for schedule, expected in [("linear", [1.0, 0.5, 0.0]), ("cosine", [1.0, 0.5, 0.0]), ("constant", [1.0] * 3)]:
        trainer = make_trainer(folders, lr_schedule=schedule, total_steps=2)
        rates = []
        for trainer.steps_done in range(3):
            trainer._set_learning_rates()
            rates.append(trainer.optimizer.param_groups[0]["lr"] / 1e-3)
            ratio = trainer.optimizer.param_groups[1]["lr"] / max(trainer.optimizer.param_groups[0]["lr"], 1e-30)
            assert ratio == pytest.approx(10.0) or rates[-1] < 1e-9
        assert rates == pytest.approx(expected, abs=1e-12)


def test_adaptive_kl_moves_the_coefficient(folders):
    trainer = make_trainer(folders, adaptive_kl=True, target=1e9, horizon=60)
    _, history = run(trainer, 2)
    assert history[0]["objective/kl_coef"] == 0.2
    assert history[1]["objective/kl_coef"] == pytest.approx(0.2 * (1 - 0.2 * 6 / 60))


def test_an_update_that_is_not_finite_is_skipped_and_counted(folders, caplog):
    trainer = make_trainer(folders)
    start = parameters(trainer)
    rollout = trainer.generate(QUERIES[:6], 10)
    rollout.values[0, 0] = float("inf")
    stats = trainer.step(rollout, score(rollout.texts))
    assert stats["ppo/skipped_updates"] == 4 and stats["ppo/updates"] == 0
    assert "update skipped" in caplog.text
    assert_same(parameters(trainer), start)
    _, (healthy,) = run(trainer, 1)
    assert healthy["ppo/updates"] == 4, "the next step goes on"


def test_a_ratio_explosion_is_skipped(folders):
    trainer = make_trainer(folders, ratio_threshold=1.5, keep_logprobs=True)
    start = parameters(trainer)
    rollout = trainer.generate(QUERIES[:6], 10)
    rollout = replace(rollout, logprobs=rollout.logprobs - 3.0 * rollout.mask)
    assert trainer.step(rollout, score(rollout.texts))["ppo/skipped_updates"] == 4
    assert_same(parameters(trainer), start)


def test_dropout_is_off_in_rollouts_and_on_in_updates_where_configured(folders):
    def final(**options):
        torch.manual_seed(0)
        trainer = make_trainer(folders, policy_options={"lora_dropout": 0.5}, **options)
        seen = []
        trainer.policy.register_forward_pre_hook(lambda module, _: seen.append(module.training))
        texts, _ = run(trainer, 1)
        assert not trainer.policy.training
        return texts, parameters(trainer), seen

    texts, without, modes = final()
    assert not any(modes)
    texts_with, with_dropout, modes = final(dropout=True)
    assert texts == texts_with and any(modes)
    assert not all(torch.equal(a, b) for a, b in zip(without, with_dropout, strict=True))


def test_batches_are_shuffled_complete_and_never_end(folders):
    trainer = make_trainer(folders, dataset=DATASET.select(range(13)))
    ids = [batch["id"] for batch in itertools.islice(trainer.dataloader, 4)]
    assert len(trainer.dataloader) == 2
    assert len(set(ids[0] + ids[1])) == 12 and ids[0] + ids[1] != ids[2] + ids[3]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_a_resumed_run_is_identical(folders, tmp_path, dtype):
    options = {"adaptive_kl": True, "scale_scores": True, "lr_schedule": "linear", "total_steps": 5, "dropout": True}
    policy_options = {"lora_dropout": 0.1}
    torch.manual_seed(3)
    whole = make_trainer(folders, dtype, policy_options=policy_options, **options)
    run(whole, 2)
    whole.save(tmp_path)
    texts, history = run(whole, 3)

    torch.manual_seed(4)
    resumed = make_trainer(folders, dtype, policy_options=policy_options, **options)
    resumed.resume(tmp_path)
    assert resumed.steps_done == 2 and len(resumed.history) == 2
    assert run(resumed, 3) == (texts, history)
    assert_same(parameters(resumed), parameters(whole))


def test_a_state_is_a_copy_that_another_trainer_can_take_on(folders):
    ours, theirs = make_trainer(folders), make_trainer(folders)
    run(ours, 1)
    state = ours.state_dict()
    at_the_time = parameters(ours)
    expected = run(ours, 1), parameters(ours)
    for _ in range(2):  # the state has not moved with the trainer that took it on
        theirs.load_state_dict(state)
        assert theirs.steps_done == 1
        assert_same(parameters(theirs), at_the_time)
        assert run(theirs, 1) == expected[0]
        assert_same(parameters(theirs), expected[1])


def test_resuming_from_nothing_or_other_settings_is_refused(folders, tmp_path):
    trainer = make_trainer(folders)
    with pytest.raises(ArtifactError, match="nothing to resume"):
        trainer.resume(tmp_path)
    trainer.save(tmp_path)
    with pytest.raises(ArtifactError, match="kl_coef"):
        make_trainer(folders, kl_coef=0.7).resume(tmp_path)


def test_unusable_input_is_refused_before_anything_changes(folders):
    trainer = make_trainer(folders)
    start = parameters(trainer)
    rollout = trainer.generate(QUERIES[:6], 8)
    good = score(rollout.texts)
    for scores, message in [
        (good[:5], "6 scores"),
        (torch.where(torch.arange(6) == 2, float("nan"), good), "response 2 is nan"),
        (good[:, None], "6 scores"),
    ]:
        with pytest.raises(TrainingError, match=message):
            trainer.step(rollout, scores)
    with pytest.raises(TrainingError, match="batch has 6"):
        trainer.step(rollout.rows(torch.arange(4)), good[:4])
    empty = trainer.generate(QUERIES[:6], 8)
    empty.mask[1] = 0
    with pytest.raises(TrainingError, match="no token"):
        trainer.step(empty, good)
    assert_same(parameters(trainer), start)
    assert trainer.steps_done == 0
    with pytest.raises(TrainingError, match="fewer than one batch"):
        make_trainer(folders, dataset=DATASET.select(range(3)))
    tokenizer = trainer.tokenizer
    tokenizer.eos_token = None
    with pytest.raises(TrainingError, match="end-of-sequence"):
        PPOTrainer(trainer.config, trainer.policy, tokenizer)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"batch_size": 7}, "mini_batch_size is 3, batch_size 7 is not a multiple of it"),
        ({"mini_batch_size": 0}, "mini_batch_size is 0, it must be at least 1"),
        ({"micro_batch_size": 2.5}, "micro_batch_size is 2.5, it must be a whole number"),
        ({"learning_rate": -1e-3}, "learning_rate is -0.001, it must be at least 0"),
        ({"lr_schedule": "step"}, "lr_schedule is 'step', it must be 'constant', 'linear' or 'cosine'"),
        ({"lr_schedule": "linear"}, "total_steps is None, lr_schedule 'linear' needs a number of steps"),
        ({"kl_penalty": "x"}, "kl_penalty is 'x', it must be 'kl', 'abs' or 'mse'"),
        ({"kl_coef": float("nan")}, "kl_coef is nan, it must be a finite number"),
        ({"gamma": 1.1}, "gamma is 1.1, it must be at most 1"),
        ({"lam": -0.1}, "lam is -0.1, it must be at least 0"),
        ({"cliprange": 0}, "cliprange is 0, it must be greater than 0"),
        ({"target": "six"}, "target is 'six', it must be a number"),
        ({"target": 0}, "target is 0, it must be greater than 0"),
        ({"horizon": 0}, "horizon is 0, it must be at least 1"),
        ({"score_clip": 0.0}, "score_clip is 0.0, it must be greater than 0"),
        ({"score_clip": -1.0}, "score_clip is -1.0, it must be greater than 0"),
        ({"dropout": 1}, "dropout is 1, it must be True or False"),
        ({"seed": 2**63}, "seed is 9223372036854775808, it must be"),
        ({"kl_cof": 0.1}, "unknown setting 'kl_cof': did you mean 'kl_coef'"),
    ],
)
def test_unusable_settings_are_refused(options, message):
    with pytest.raises(TrainingError, match=re.escape(message)):
        PPOConfig(**(SMALL | options))
    with pytest.raises(TrainingError, match="PPOConfig"):
        replace(PPOConfig(**SMALL), horizon=0)


def test_all_that_is_wrong_with_the_settings_is_said_at_once():
    with pytest.raises(TrainingError) as caught:
        PPOConfig(batch_size=0, lam=2, horizon=True, kl_cof=1)
    assert all(word in str(caught.value) for word in ("batch_size", "lam", "horizon", "kl_cof"))


def test_a_learning_rate_of_zero_moves_the_value_head_alone_or_nothing(folders):
    for rates, moved in [({"learning_rate": 0.0}, (False, True)), ({"value_learning_rate": 0.0}, (True, False))]:
        trainer = make_trainer(folders, **rates)
        head = len(list(trainer.policy.value_head.parameters()))
        start = parameters(trainer)
        run(trainer, 1)
        changed = [not torch.equal(a, b) for a, b in zip(parameters(trainer), start, strict=True)]
        assert (any(changed[:-head]), any(changed[-head:])) == moved


WORKER = ROOT / "tests" / "support" / "ppo_worker.py"


def worker(*arguments, launcher=(), **kwargs):
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, *launcher, str(WORKER), *map(str, arguments)],
        stdout=subprocess.PIPE, text=True, env=environment, **kwargs,
    )  # fmt: skip


def test_a_killed_run_resumes_where_it_was(folders, tmp_path):
    """kill -9 at any moment, also while saving: what is on disk is whole, and the rest of the run is the same."""
    straight = worker(*folders, tmp_path / "straight", 4)
    expected = json.loads(straight.communicate(timeout=300)[0].splitlines()[-1])
    killed = worker(*folders, tmp_path / "killed", 4, "--slow-save")
    for line in killed.stdout:
        if line.startswith("saving 3"):
            os.kill(killed.pid, signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    again = worker(*folders, tmp_path / "killed", 4)
    assert json.loads(again.communicate(timeout=300)[0].splitlines()[-1]) == expected


def test_two_processes_make_the_same_update_as_one(folders, tmp_path):
    one = worker(*folders, tmp_path / "one", 2)
    expected = json.loads(one.communicate(timeout=300)[0].splitlines()[-1])
    # accelerate starts several CPU processes only under this flag's name; Accelerator(cpu=True) keeps them on the CPU.
    options = "--multi_gpu --num_processes 2 --num_machines 1 --mixed_precision no --dynamo_backend no"
    launcher = ("-m", "accelerate.commands.launch", *options.split(), "--main_process_port", "0")
    two = worker(*folders, tmp_path / "two", 2, launcher=launcher)
    ours = json.loads(two.communicate(timeout=300)[0].splitlines()[-1])
    assert two.returncode == 0
    assert ours["processes"] == 2 and expected["processes"] == 1
    assert ours["texts"] == expected["texts"]
    assert ours["stats"] == pytest.approx(expected["stats"], abs=1e-6)
    assert ours["parameters"] == pytest.approx(expected["parameters"], abs=1e-6)


class Recorder(GeneralTracker):
    """A tracker that keeps what it is told."""

    name, requires_logging_directory = "recorder", False

    def __init__(self):
        super().__init__()
        self.told = []

    @property
    def tracker(self):
        return self.told

    def log(self, values, step=None, **_):
        self.told.append((step, values))


def test_a_tracker_gets_every_step_and_changes_none(folders, tmp_path):
    """Also the steps before a resumption: its curves begin at the first step."""
    plain, watched = make_trainer(folders), make_trainer(folders)
    watched.tracker = Recorder()
    run(plain, 2)
    run(watched, 2)
    assert_same(parameters(watched), parameters(plain))
    history = [(row["step"], {name: row[name] for name in row if name != "step"}) for row in watched.history]
    assert watched.tracker.told == history and [step for step, _ in history] == [1, 2]
    watched.save(tmp_path)
    resumed = make_trainer(folders)
    resumed.tracker = Recorder()
    resumed.resume(tmp_path)
    run(resumed, 1)
    assert resumed.tracker.told[:2] == history and [step for step, _ in resumed.tracker.told] == [1, 2, 3]
