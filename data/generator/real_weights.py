"""`python -m data.generator.real_weights`, in the folder of a clone: runs 01, 03, 04 and 05 with real pretrained
weights (the smol profile), and writes what came out to docs/real_weights.md.

With `--dialogues FILE` it then runs 01, 04 and 05 on the dialogues of that file too, DialogSum's for example; of these
the page has numbers, and no texts. It takes about an hour for each; stopped and started again, it goes on where it was.
Runs lie in runs/real/.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
from pathlib import Path

import pandas as pd
import yaml

from labhelpers.batch.outcome import RunOutcome
from labhelpers.batch.workers import run_batch
from labhelpers.course.artifacts import Artifacts
from labhelpers.course.experiments import load_experiment
from labhelpers.course.profiles import load_profile
from labhelpers.files import write_atomically
from labhelpers.machine.download import download
from labhelpers.sources.dialogues import load_dialogues

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "real_weights.md"
RUNS = Path("runs", "real")
PROFILE, SEED = "smol", 0
NAMES = {
    "insult_rate": "insults (lexicon)",
    "unseen_insult_rate": "insults that the reward has not seen",
    "toxicity": "toxicity (the reward's classifier)",
    "judge_toxicity": "toxicity (the judge)",
    "rouge_l": "ROUGE-L",
    "rouge_l_clean": "ROUGE-L on prompts that were clean before",
    "honesty": "honesty",
    "coverage": "coverage",
}


@dataclasses.dataclass(frozen=True)
class Part:
    """A finished run: its outcome, and the tables of summaries that notebooks 01 and 05 keep."""

    outcome: RunOutcome
    base: pd.DataFrame
    summaries: pd.DataFrame

    def result(self, number: str, name: str):
        """What the notebook with that number recorded as `name`; None for what it has not."""
        found = (results for notebook, results in self.outcome.results.items() if notebook.startswith(number))
        return next(found, {}).get(name)


def carry_out(name: str, notebooks: list[str], parameters: dict) -> Part:
    """Runs `notebooks` with the profile, in runs/real/NAME, unless that is done. Raises SystemExit where it failed."""
    RUNS.mkdir(parents=True, exist_ok=True)
    plan = RUNS / f"{name}.yaml"
    asked = {"notebooks": notebooks, "profile": PROFILE, "parameters": parameters, "grid": {"seed": [SEED]}}
    write_atomically(plan, yaml.safe_dump(asked, sort_keys=False))
    [outcome], place = run_batch(
        plan, str(RUNS / name), workers=1, retry_failed=True, say=lambda line: print(line, flush=True)
    )
    if outcome.status != "finished":
        raise SystemExit(f"{name}: {outcome.notebook or 'the run'} {outcome.status}: {outcome.reason} (see {place})")
    kept = Artifacts(RUNS / name / outcome.id)
    return Part(outcome, kept.load_table("base_summaries"), kept.load_table("summaries"))


def number(value, digits: int = 3, sign: bool = False) -> str:
    """A number as the page shows it; a dash for None."""
    return "–" if value is None or value != value else f"{value:{'+' if sign else ''}.{digits}f}".replace("-", "−")


def interval(ends) -> str:
    return "–" if ends is None else f"[{number(ends[0], sign=True)}, {number(ends[1], sign=True)}]"


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table; its columns after the first are numbers, and aligned right."""
    lines = [head, ["---", *["--:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def changes(part: Part, number_of_notebook: str, prefix: str = "", beside: pd.DataFrame | None = None) -> str:
    """Before, after and the interval of every measure; `beside` is the tiny profile's table, for its means."""
    rows = []
    for name, label in NAMES.items():
        before, after, ends = (
            part.result(number_of_notebook, f"{prefix}{name}_{end}") for end in ("before", "after", "difference_ci95")
        )
        if before is None:
            continue
        row = [label, number(before), number(after), interval(ends)]
        if beside is not None:
            columns = [f"{number_of_notebook}.{prefix}{name}_{end}" for end in ("before", "after")]
            known = set(columns) <= set(beside)
            row.append(" → ".join(number(beside[column].mean()) for column in columns) if known else "–")
        rows.append(row)
    head = ["measure", "before", "after", "difference, 95 %"] + ([] if beside is None else ["tiny, mean over seeds"])
    return table(head, rows)


def false_alarms(part: Part) -> str:
    """How often the classifiers see hate where the lexicon finds no insult, and none where it finds one."""
    sets = [("base, greedy", part.base)]
    sets += [(f"{policy}, {way}", rows) for (policy, way), rows in part.summaries.groupby(["policy", "decoding"])]
    rows = []
    for label, texts in sets:
        row = [label]
        for insulting in (False, True):
            some = texts[texts["insult"] == float(insulting)]
            row.append(str(len(some)))
            for judge in ("toxicity", "judge_toxicity"):
                scores = some[judge].dropna().astype(float)
                wrong = (scores > 0.5) != insulting
                row.append(f"{int(wrong.sum())}" if len(scores) else "–")
        rows.append(row)
    wrongly = ["without insult", "reward: hate", "judge: hate", "with insult", "reward: harmless", "judge: harmless"]
    return table(["texts", *wrongly], rows)


def samples(part: Part, dialogues: str, count: int = 3) -> str:
    """The first dialogues whose greedy summary insulted before PPO, and one that did not, each with every summary."""
    settings = load_profile(PROFILE)
    by_id = {row["id"]: row for row in load_dialogues(dialogues, "test", min_chars=settings.min_chars)}
    greedy = part.summaries[part.summaries["decoding"] == "greedy"]
    before = greedy[greedy["policy"] == "SFT"]
    chosen = [*before[before["insult"] == 1]["id"].head(count), *before[before["insult"] == 0]["id"].head(1)]
    shown = []
    for name in chosen:
        said = "\n".join(f"> {line}  " for line in by_id[name]["dialogue"].splitlines())
        texts = [("base", part.base[part.base["id"] == name]["summary"].iloc[0])]
        texts += [(row.policy, row.summary) for row in greedy[greedy["id"] == name].itertuples()]
        shown.append(said + "\n\n" + "\n".join(f"- **{who}**: {' '.join(text.split())}" for who, text in texts))
    return "\n\n".join(shown) + "\n"


def costs(part: Part) -> str:
    seconds = part.outcome.notebook_seconds
    rows = [[name[:2], f"{value / 60:.1f}"] for name, value in seconds.items()]
    rows.append(["together", f"{sum(seconds.values()) / 60:.1f}"])
    return table(["notebook", "minutes"], rows)


def numbers_of_training(part: Part) -> str:
    curve = part.result("04", "kl_curve") or []
    kl = part.result("04", "kl_before_first_update")
    return (
        f"PPO: {part.result('04', 'ppo_steps')} steps of {load_profile(PROFILE).batch_size} responses, "
        f"{number(part.result('04', 'seconds_per_step'), 1)} seconds a step. KL before the first update: "
        f"{'–' if kl is None else f'{kl:.1e}'} nats a response; largest batch's KL "
        f"{number(max(curve, default=None), 2)}, mean of the last five steps "
        f"{number(part.result('04', 'kl_last_steps'), 2)}. "
        f"Peak memory: {number(part.outcome.peak_memory_gb, 1)} GB.\n"
    )


def verdicts(part: Part) -> str:
    """Sentences about what the intervals show, computed."""
    said = []
    for notebook, prefix, what in (
        ("01", "", "Fine-tuning, greedy"), ("05", "", "PPO, greedy"), ("05", "sampled_", "PPO, sampled"),
    ):  # fmt: skip
        moved = {"rose": [], "fell": [], "open": []}
        for name in ("insult_rate", "toxicity", "judge_toxicity", "rouge_l_clean", "rouge_l", "honesty", "coverage"):
            ends = part.result(notebook, f"{prefix}{name}_difference_ci95")
            if ends is not None:
                moved["rose" if ends[0] > 0 else "fell" if ends[1] < 0 else "open"].append(NAMES[name])
        for kind, names in moved.items():
            verb = {"rose": "rose", "fell": "fell", "open": "did not clearly change (the interval contains 0)"}[kind]
            if names:
                said.append(f"- {what}: {', '.join(names)} {verb}.")
    return "\n".join(said) + "\n"


def reward_models(part: Part) -> str:
    rows = [
        ["all-MiniLM-L6-v2, a quarter of the prompts", "roberta_quarter_pairwise_accuracy",
         "roberta_quarter_accuracy_fact"],
        ["the course's T5 after fine-tuning, all prompts", "pairwise_accuracy", "accuracy_fact"],
    ]  # fmt: skip
    shown = [[label, *(number(part.result("03", name)) for name in names)] for label, *names in rows]
    ends = {name: part.result("03", f"baseline_{name}_difference_ci95") for name in ("longer", "nothate")}
    curve = [number(value) for value in part.result("03", "learning_curve") or []]
    return table(["starts from", "accuracy, held out", "pairs wrong by a fact alone"], shown) + (
        f"\nMiniLM minus *longer is better*: {interval(ends['longer'])}; minus the `nothate` logit: "
        f"{interval(ends['nothate'])} (95 %). One annotator agrees with the majority of the others on "
        f"{number(part.result('03', 'one_annotator_accuracy'))}. MiniLM before any training, after a sixteenth of its "
        f"prompts, and after all of them: {', '.join(curve)}.\n"
    )


def page(course: Part, other: Part | None, dialogues: str, name: str = "") -> str:
    """The text of docs/real_weights.md; `name` is that of the file that `other` ran on."""
    cores, tiny = os.cpu_count(), load_experiment("seeds")
    parts = [
        "# Real weights, measured\n",
        f"Made by `make real`, which ran notebooks 01, 03, 04 and 05 once (seed {SEED}) with `--profile {PROFILE}` on "
        f"{cores} cores without a GPU. The policy is SmolLM2-135M-Instruct **rounded to 4 bits**; dialogues, "
        "classifiers and rankings are the course's own; the encoder of the reward model is all-MiniLM-L6-v2. "
        "[Full size](full_size.md) says how to run it. One training is one training: the intervals say how the "
        "numbers would vary with other dialogues, not with another seed.\n",
        "## What changed\n", verdicts(course),
        f"\n## Fine-tuning (notebook 01)\n\n{course.result('01', 'prompts')} held-out prompts, greedy:\n",
        changes(course, "01", beside=tiny),
        f"\n## PPO (notebooks 04 and 05)\n\n{numbers_of_training(course)}\n"
        f"{course.result('05', 'prompts')} held-out prompts, greedy:\n",
        changes(course, "05", beside=tiny), "\nThe same prompts, sampled from the full distribution:\n",
        changes(course, "05", "sampled_", beside=tiny),
        "\n## The reward model (notebook 03)\n", reward_models(course),
        "\n## False alarms\n\nThe tiny classifiers were made for the tiny world's summaries. By the lexicon, of the "
        "texts without an insult how many do they call hate (probability above .5), and of those with one, how many "
        "harmless?\n",
        false_alarms(course),
        f"\n## Time and memory\n\n{costs(course)}",
        "\n## Samples, greedy\n\nThe first three dialogues of the test data whose summary insulted before PPO, and the "
        "first whose summary did not.\n",
        samples(course, dialogues),
    ]  # fmt: skip
    if other is not None:
        parts += [
            f"\n## Other dialogues: {name}\n\n`make real DIALOGUES=FILE` ran 01, 04 and 05 on this file as well, the "
            "last fifth of it held out. A measure that needs more than a summary, as honesty and coverage need facts, "
            "is left out where the file has none. (Its texts are not shown: they may not be ours to give away.)\n",
            verdicts(other), "\nFine-tuning, greedy:\n", changes(other, "01"), f"\n{numbers_of_training(other)}",
            "\nPPO, greedy:\n", changes(other, "05"), "\nPPO, sampled:\n", changes(other, "05", "sampled_"),
            "\nFalse alarms:\n", false_alarms(other), f"\n{costs(other)}",
        ]  # fmt: skip
    return "\n".join(parts)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m data.generator.real_weights", description=__doc__)
    parser.add_argument("--dialogues", metavar="FILE", help="dialogues to repeat 01, 04 and 05 with")
    options = parser.parse_args(arguments)
    settings = load_profile(PROFILE)
    download(settings)
    course = carry_out("course", ["01", "03", "04", "05"], {})
    other = None
    if options.dialogues:
        other = carry_out("dialogues", ["01", "04", "05"], {"dialogues": str(Path(options.dialogues).resolve())})
    write_atomically(PAGE, page(course, other, settings.dialogues, Path(options.dialogues or "").name))
    print(f"wrote {PAGE}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
