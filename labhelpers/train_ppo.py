"""Notebook 04's training without the notebook, on as many processes as `accelerate launch` starts.

    python -m labhelpers.train_ppo --profile full --output-dir runs/full
    accelerate launch --multi_gpu --num_processes 4 -m labhelpers.train_ppo --profile full --output-dir runs/full

It has the settings, artifacts (`ppo_toxicity`, `ppo_learned`, `before_toxicity`) and results of the notebook, and takes
its place in a run: in the same folder, run notebook 01 before it and notebook 05 after it. It saves a checkpoint every
`--save-every` steps; `--resume` continues from the last one, also on another number of processes.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import itertools
import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from labhelpers.course.options import add_profile_options, given_parameters
from labhelpers.course.outline import PPO, REWARD_MODEL
from labhelpers.course.profiles import Profile, load_profile
from labhelpers.errors import ArtifactError, LabError, UsageError

if TYPE_CHECKING:
    from labhelpers.ppo import PPOConfig

NOTEBOOK = PPO.name
_FETCHED = dict.fromkeys(("policy_model", "sft_adapter", "toxicity_model"))  # what start() fetches


def main(arguments: list[str] | None = None) -> int:
    """Runs one command line. Returns the exit status, as `labs`: 0, 1 for a failure, 2 for invalid arguments."""
    options = _parser().parse_args(arguments)
    try:
        parameters = given_parameters(options)
        main_process = os.environ.get("RANK", "0") == "0"
        train(
            options.profile,
            options.seed,
            options.output_dir,
            save_every=options.save_every,
            resume=options.resume,
            say=(lambda line: print(line, flush=True)) if main_process else (lambda line: None),
            **parameters,
        )
    except LabError as error:
        print(f"labhelpers.train_ppo: {' '.join(str(error).split())}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    return 0


def train(
    profile: str = "tiny",
    seed: int = 0,
    run_dir: str | Path | None = None,
    *,
    save_every: int = 10,
    resume: bool = False,
    say: Callable[[str], None] = print,
    **parameters,
) -> None:
    """Trains one policy per entry of the profile's `rewards`, and writes the artifacts and results of notebook 04.

    Every process of an `accelerate launch` calls this with the same arguments. They share every batch, and only the
    first process writes. Raises LabError for problems that the user can solve, if possible before any computation.
    """
    if save_every < 1:
        raise UsageError(f"--save-every must be at least 1, not {save_every}")
    from labhelpers.course.run import record, start

    asked = load_profile(profile, **parameters)
    run = start(NOTEBOOK, profile, seed, run_dir, **(_FETCHED | parameters))
    settings = run.profile
    adapter = settings.sft_adapter or run.artifacts.path("sft_adapter")
    checkpoints = run.run_dir / "checkpoints" / "ppo"

    import pandas
    from accelerate import Accelerator

    from labhelpers.evaluation.intervals import bootstrap_mean
    from labhelpers.policy.classifier import load_classifier
    from labhelpers.policy.loading import load_policy
    from labhelpers.ppo import PPOTrainer, starting_rollouts
    from labhelpers.reward.model import load_reward_model
    from labhelpers.reward.toxicity import Toxicity, ToxicityReward
    from labhelpers.sources.dialogues import build_dataset

    accelerator = Accelerator(cpu=settings.device == "cpu")
    device = str(accelerator.device) if settings.device == "auto" else settings.device
    is_main = accelerator.is_main_process
    if is_main:
        decisive = {"seed": seed} | dataclasses.asdict(asked)
        del decisive["tracker"]  # who watches changes nothing
        _open_checkpoints(checkpoints, decisive, resume)
    accelerator.wait_for_everyone()

    def new_policy():
        return load_policy(
            settings.policy_model, adapter, settings.dtype, device,
            lora_r=settings.lora_r, lora_alpha=settings.lora_alpha, lora_dropout=settings.lora_dropout, seed=seed,
            gradient_checkpointing=settings.gradient_checkpointing, quantization=settings.quantization,
            sees_prompt=settings.value_sees_prompt,
        )  # fmt: skip

    policy, tokenizer = new_policy()
    trainable, total = policy.trainable_parameters()
    say(f"{accelerator.num_processes} process(es) on {device}, {policy.dtype}; trained: {trainable:,} of {total:,}")
    rows, test = (
        build_dataset(settings.dialogues, split, tokenizer, settings.min_chars, settings.max_chars, limit)
        for split, limit in [("train", None), ("test", settings.eval_prompts)]
    )
    say(f"{len(rows)} prompts to learn from, {len(test)} held out")

    classifier = load_classifier(settings.toxicity_model, settings.dtype, device)
    rewards = {"toxicity": ToxicityReward(*classifier, settings.harmless_label)}
    if "learned" in settings.rewards and run.artifacts.exists("reward_model"):
        location = run.artifacts.path("reward_model")
        rewards["learned"] = load_reward_model(location, settings.dtype, device)
    names = [name for name in settings.rewards if name in rewards]
    if not names:
        raise UsageError(
            f"none of the rewards asked for ({', '.join(settings.rewards)}) is available: toxicity always is, learned "
            f"only after notebook {REWARD_MODEL.name}"
        )

    if not (resume and run.artifacts.exists("before_toxicity")):
        before = _greedy_texts(accelerator, policy, tokenizer, test["query"], settings)
        if is_main:
            table = pandas.DataFrame({"id": test["id"], "summary": before, "template": test["template"]})
            toxicity = Toxicity(*classifier, settings.harmless_label)
            table["toxicity"] = toxicity.compute(predictions=before)["toxicity"]
            run.artifacts.save_table("before_toxicity", table, run.notebook, {"seed": seed})
    start_of_all = None
    if settings.value_rollouts:
        first = rows.shuffle(seed=seed).select(range(min(settings.value_rollouts, len(rows))))["query"]
        start_of_all = starting_rollouts(policy, tokenizer, first, settings.max_new_tokens, seed=seed)
    del policy

    for name in names:
        say(f"reward: {name}")
        policy, tokenizer = new_policy()
        config = ppo_config(settings, seed, name)
        with run.tracking.open(name, dataclasses.asdict(config)) if is_main else contextlib.nullcontext() as tracker:
            trainer = PPOTrainer(config, policy, tokenizer, rows, accelerator, tracker)
            if start_of_all is not None:
                trainer.fit_value_head(start_of_all, rewards[name].score(start_of_all.queries, start_of_all.texts))
            if resume and any((checkpoints / name).glob("step-*")):
                trainer.resume(checkpoints / name)
                say(f"going on after step {trainer.steps_done}")
            _loop(trainer, rewards[name], settings, checkpoints / name, save_every, say)
        if is_main:
            kept = {"profile": profile, "seed": seed, "reward": name, "ppo_steps": settings.ppo_steps}
            with run.artifacts.writing(f"ppo_{name}", run.notebook, kept) as folder:
                policy.save(folder)
            for result, value in _results(trainer.history, "" if name == "toxicity" else f"{name}_").items():
                record(result, value)
        del policy, trainer

    if is_main:
        table = run.artifacts.load_table("before_toxicity")
        mean = bootstrap_mean(table["toxicity"], table["template"], settings.bootstrap_samples, seed)
        record("ppo_steps", settings.ppo_steps)
        record("toxicity_before", mean.estimate)
        record("toxicity_before_ci95", mean.ci95)
        shutil.rmtree(checkpoints)
    accelerator.wait_for_everyone()
    accelerator.end_training()
    say("done: " + ", ".join(f"ppo_{name}" for name in names))


def ppo_config(settings: Profile, seed: int, reward: str = "toxicity") -> PPOConfig:
    """The settings of notebook 04. The learned reward has no unit, so its scores are normalised in every profile."""
    from labhelpers.ppo import PPOConfig

    config = PPOConfig(
        batch_size=settings.batch_size,
        mini_batch_size=min(settings.mini_batch_size, settings.batch_size),
        ppo_epochs=settings.ppo_epochs,
        learning_rate=settings.learning_rate,
        value_learning_rate=settings.value_learning_rate,
        kl_coef=settings.kl_coef,
        lam=settings.lam,
        lr_schedule="linear",
        total_steps=max(settings.ppo_steps, 1),
        score_clip=settings.score_clip,
        center_scores=settings.normalise_scores,
        scale_scores=settings.normalise_scores,
        seed=seed,
    )
    if reward == "learned":
        config = dataclasses.replace(config, score_clip=None, center_scores=True, scale_scores=True)
    return config


def _loop(trainer, reward, settings: Profile, checkpoints: Path, save_every: int, say: Callable[[str], None]) -> None:
    """The notebook's loop: the policy writes, the reward model scores, PPO updates the policy."""
    for batch in itertools.islice(trainer.dataloader, settings.ppo_steps - trainer.steps_done):
        rollout = trainer.generate(batch["query"], settings.max_new_tokens)
        scores = reward.score(batch["query"], rollout.texts)
        stats = trainer.step(rollout, scores)
        trainer.log_stats(stats)
        say(
            f"step {trainer.steps_done:3d}   score {stats['ppo/mean_scores']:+.2f}   "
            f"objective/kl {stats['objective/kl']:z.2f}   {stats['time/total']:.1f} s"
        )
        if trainer.steps_done % save_every == 0 or trainer.steps_done == settings.ppo_steps:
            trainer.save(checkpoints)


def _greedy_texts(accelerator, policy, tokenizer, queries: list[str], settings: Profile) -> list[str]:
    """Greedy summaries of all queries, in order; every process generates its share of them."""
    from accelerate.utils import gather_object

    from labhelpers.policy.rollout import generate_texts
    from labhelpers.policy.sampling import GREEDY
    from labhelpers.ppo.distributed import Processes

    own = Processes(accelerator).share(len(queries))
    texts = generate_texts(
        policy, tokenizer, list(queries)[own.start : own.stop], settings.max_new_tokens, settings.eval_batch_size,
        sampling=GREEDY,
    )  # fmt: skip
    return gather_object(texts) if accelerator.num_processes > 1 else texts


def _results(history: list[dict], prefix: str) -> dict[str, float | list[float]]:
    """The results that the notebook records for one training; empty when it had no step."""
    if not history:
        return {}

    def mean(name: str, part: list[dict]) -> float:
        return sum(row[name] for row in part) / len(part)

    from labhelpers.ppo import pooled_explained_variance

    results = {
        "explained_variance_first_steps": pooled_explained_variance(history[:10]),
        "clipfrac": mean("ppo/policy/clipfrac", history),
        "reward_first_steps": mean("ppo/mean_scores", history[:5]),
        "reward_last_steps": mean("ppo/mean_scores", history[-5:]),
        "kl_last_steps": mean("objective/kl", history[-5:]),
        "seconds_per_step": mean("time/total", history),
        "reward_curve": [row["ppo/mean_scores"] for row in history],
        "kl_curve": [row["objective/kl"] for row in history],
    }
    results = {f"{prefix}{name}": value for name, value in results.items()}
    return results if prefix else results | {"kl_before_first_update": abs(history[0]["objective/kl"])}


def _open_checkpoints(folder: Path, settings: dict, resume: bool) -> None:
    """Prepares the folder of this training's checkpoints.

    Raises ArtifactError when it holds checkpoints of a training that is not continued here: they are never removed.
    """
    path = folder / "settings.json"
    ours = json.loads(json.dumps(settings))
    if any(folder.glob("*/step-*")):
        if not resume:
            raise ArtifactError(
                f"{folder} holds checkpoints of an unfinished training: continue it with --resume; to start again, "
                "delete that folder or choose another --output-dir"
            )
        with contextlib.suppress(OSError, ValueError):
            theirs = json.loads(path.read_text(encoding="utf-8"))
            changed = sorted(name for name in ours if theirs.get(name) != ours[name])
            if changed:
                raise ArtifactError(
                    f"{folder} holds checkpoints of a training with other settings ({', '.join(changed)}): give the "
                    "same ones, or choose another --output-dir"
                )
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(ours, indent=1) + "\n", encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m labhelpers.train_ppo",
        description="Notebook 04's PPO training, headless, on one or more processes.",
    )
    add_profile_options(parser)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output-dir", metavar="DIR", help="the run's folder, with 01's artifact (runs/PROFILE)")
    parser.add_argument("--save-every", type=int, default=10, metavar="K", help="steps between checkpoints (10)")
    parser.add_argument("--resume", action="store_true", help="continue from the last checkpoint, if there is one")
    return parser


if __name__ == "__main__":
    sys.exit(main())
