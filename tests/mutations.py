"""Small, wrong changes to labhelpers, one at a time, each of which the tests must catch: `python tests/mutations.py`.

Every entry is (what it breaks, file, text, wrong text, the tests that should notice). The change is made in a copy of
the package that the tests import instead of the real one. A mutation that those tests miss is a hole in them; a text
that is not found exactly once means that the code has moved on, and the entry has to follow.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent


class Mutation(NamedTuple):
    """One wrong change."""

    breaks: str
    file: str
    text: str
    wrong: str
    tests: str


LOSS, TRAINER = "ppo/loss.py", "ppo/trainer.py"
PPO = "ppo/test_loss.py ppo/test_trainer.py"
MUTATIONS = [
    Mutation("sign of the KL term", "ppo/kl_penalty.py", "rewards = -kl_coef * kl", "rewards = kl_coef * kl", PPO),
    Mutation("score on the first token", "ppo/kl_penalty.py", "positions, -1).amax(-1)", "positions, 10**9).amin(-1)", PPO),
    Mutation("mask of the last token", "ppo/kl_penalty.py", "last = torch.where(", "last = -1 + torch.where(", PPO),
    Mutation("GAE without the next value", "ppo/advantages.py", "+ gamma * next_value - values", "- values", PPO),
    Mutation("GAE with gamma for lambda", "ppo/advantages.py", "delta + gamma * lam * next", "delta + gamma * next", PPO),
    Mutation("padding in the whitening", "ppo/masked.py", "return torch.where(mask.bool(), white", "return torch.where(mask >= 0, white", PPO),
    Mutation("minimum for maximum in the clip", LOSS, "torch.maximum(unclipped, clipped)", "torch.minimum(unclipped, clipped)", PPO),
    Mutation("value loss not clipped", LOSS, "torch.maximum(error, error_clipped)", "error", PPO),
    Mutation("controller runs backwards", "ppo/kl_penalty.py", "min(max(kl / self.target - 1", "min(max(1 - kl / self.target", PPO),
    Mutation("losses per micro-batch", TRAINER, "config.vf_coef, n_tokens)", "config.vf_coef, None)", PPO),
    Mutation("the first rows in every micro-batch", TRAINER, "part = experience.rows(micro)", "part = experience.rows(mine[: len(micro)])", PPO),
    Mutation("reference with the adapter on", "policy/model.py", "with self.model.disable_adapter():", "if True:", "policy/test_model.py ppo/test_trainer.py"),
    Mutation("SFT adapter not merged", "policy/adapters.py", ".merge_and_unload()", ".unload()", "policy/test_model.py"),
    Mutation("hidden states off by one", "policy/model.py", "hidden[:, queries.shape[1] - 1 :]", "hidden[:, queries.shape[1] :]", "policy/test_model.py"),
    Mutation("positions count the padding", "policy/positions.py", "(attention_mask.cumsum(-1) - 1).clamp(min=0)", "torch.arange(attention_mask.shape[1]).expand_as(attention_mask)", "policy/test_model.py"),
    Mutation("moved rows lose their keys", "policy/fast/t5_decoding.py", "kept[gaps] = kept[moved]", "pass", "policy/test_decoding.py"),
    Mutation("adapter left out when decoding", "policy/fast/products.py", "if base is None or module.merged or module.disable_adapters:", "if True:", "policy/test_decoding.py"),
    Mutation("relative positions off by one", "policy/fast/t5_decoding.py", "torch.arange(1 - room, 1,", "torch.arange(-room, 0,", "policy/test_decoding.py"),
    Mutation("empty places are attended to", "policy/fast/t5_decoding.py", "value=lowest)", "value=0.0)", "policy/test_decoding.py"),
    Mutation("gradient of the norm without its second term", "policy/fast/operations.py", "value=-1).mul_(inverse)", "value=0).mul_(inverse)", "policy/fast/test_operations.py"),
    Mutation("norms replaced by their name", "policy/fast/operations.py", "if type(module) in KNOWN_NORMS:", "if type(module).__name__.endswith('RMSNorm'):", "policy/test_families.py"),
    Mutation("special heads not looked for", "policy/head.py", "bool(((own - alone).abs() <= rounding).all())):", "True):", "policy/test_families.py"),
    Mutation("policies not examined", "policy/loading.py", "    examine(policy)\n", "", "policy/test_families.py"),
    Mutation("padding on the other side", "policy/padding.py", 'if side == "right" else', 'if side != "right" else', "policy/test_padding.py"),
    Mutation("value head not brought back", "policy/loading.py", "policy.load_value_head(folder)", "pass", "policy/test_model.py"),
    Mutation("adapter's scaling left out", "policy/fast/low_rank.py", "alpha=module.scaling[name]", "alpha=1.0", "policy/test_model.py"),
    Mutation("encoder states of other rows", "policy/rollout.py", "value[index][:, columns[name]]", "(value[: len(index)] if name == \"encoded\" else value[index])[:, columns[name]]", "policy/test_model.py ppo/test_trainer.py"),
    Mutation("the policy's encoder for the reference", TRAINER, "ref_logprobs, _ = self._evaluated(rollout, states)", "ref_logprobs, _ = self._evaluated(rollout, generated.encoded if generated else states)", "ppo/test_trainer.py"),
    Mutation("encoder states of an older policy", TRAINER, "generated, self._generated = self._generated, None", "generated = self._generated", "ppo/test_trainer.py"),
    Mutation("gathered queries padded on the wrong side", "ppo/experience.py", "side = padding_side if name in self.QUERY_FIELDS else \"right\"", "side = \"right\"", "ppo/test_experience.py"),
    Mutation("a state that moves with its trainer", TRAINER, "tensor.detach().to(\"cpu\", copy=True)", "tensor.detach().to(\"cpu\")", "ppo/test_trainer.py"),
    Mutation("seeds ignored by the adapter's start", "policy/loading.py", "default_rng([seed, 0x10FA])", "default_rng([0x10FA])", "policy/test_model.py"),
    Mutation("draws depend on the place in the batch", "policy/sampling.py", "_mix(key ^ rows.to(", "_mix(key ^ torch.arange(len(rows)).to(", "policy/test_sampling.py policy/test_model.py"),
    Mutation("top_p drops the token that reaches p", "policy/sampling.py", "probabilities.cumsum(-1) - probabilities >= top_p", "probabilities.cumsum(-1) >= top_p", "policy/test_sampling.py"),
    Mutation("end-of-sequence not in the mask", "policy/rollout.py", "mask[active, t] = 1", "mask[active, t] = (~torch.isin(token, ends)).long()", "policy/test_model.py ppo/test_trainer.py"),
    Mutation("only the tokenizer's end ends a response", "policy/rollout.py", "in (*said, tokenizer.eos_token_id)", "in (tokenizer.eos_token_id,)", "policy/test_end_of_sequence.py"),
    Mutation("adapters of other models taken", "policy/adapters.py", "    _check_tensors(tensors, config, base, f\"the adapter in {folder}\")\n", "", "policy/test_adapters.py"),
    Mutation("saved adapters not compared", "policy/model.py", "        self._compare_with_saved(folder)\n", "", "policy/test_adapters.py"),
    Mutation("reward on the wrong label", "reward/toxicity.py", "HARMLESS_LABEL = \"nothate\"", "HARMLESS_LABEL = \"hate\"", "reward/test_toxicity.py"),
    Mutation("one sample more than was asked for", "reward/toxicity.py", 'dataset[:num_samples]["query"]', 'dataset[: num_samples + 1]["query"]', "reward/test_toxicity.py"),
    Mutation("limits of the first step at every step", "policy/sampling.py", "uniforms(self.seed, step, torch.arange(n)", "uniforms(self.seed, 0, torch.arange(n)", "policy/test_sampling.py"),
    Mutation("prompt scored with the response", "reward/toxicity.py", "score_prompt: bool = False", "score_prompt: bool = True", "reward/test_toxicity.py"),
    Mutation("insults inside words count", "evaluation/words.py", "(?:{either})(?![{_OF_WORDS}])", "(?:{either})", "reward/test_toxicity.py"),
    Mutation("unpaired evaluation", "evaluation/intervals.py", "pairs = np.stack([before, after], axis=1)", "pairs = np.stack([before, np.roll(after, 1)], axis=1)", "evaluation/test_before_after.py"),
    Mutation("clean prompts chosen after training", "evaluation/before_after.py", "kept &= was_clean(before)", "kept &= was_clean(after)", "evaluation/test_before_after.py"),
    Mutation("honesty rewards what is missing", "evaluation/facts.py", "len(stated & held) / len(stated) if stated", "len(stated & held) / len(held) if stated", "evaluation/test_before_after.py generator/test_data.py"),
    Mutation("chosen and rejected swapped", "feedback/rankings.py", "single.append((prompt, a, b) if sign < 0 else (prompt, b, a))", "single.append((prompt, b, a) if sign < 0 else (prompt, a, b))", "feedback/test_rankings.py"),
    Mutation("a tie gives a pair", "feedback/rankings.py", "            if sign:\n", "            if True:\n", "feedback/test_rankings.py"),
    Mutation("prompts on both sides of a split", "feedback/rankings.py", "sides[prompt in test]", "sides[index % 5 == 0]", "feedback/test_rankings.py"),
    Mutation("nameless answers replace each other", "feedback/formats.py", "annotator) if annotator else place", "annotator)", "feedback/test_rankings.py"),
    Mutation("a key that stands twice accepted", "sources/locations.py", ", object_pairs_hook=_without_repeats", "", "sources/test_dialogues.py"),
    Mutation("rows of one dialogue drawn one by one", "sources/dialogues.py", "[unit_of[dialogue] for dialogue in dialogues]", "[template or str(row) for row, template in enumerate(templates)]", "sources/test_dialogues.py"),
    Mutation("combining marks outside their words", "evaluation/words.py", 'r"\\w\\p{N}"', 'r"\\p{L}_\\p{N}"', "evaluation/test_before_after.py"),
    Mutation("stars read as ranks", "feedback/formats.py", "sorted(set(stars), reverse=True)", "sorted(set(stars))", "feedback/test_rankings.py"),
    Mutation("altered artifacts accepted", "course/artifacts.py", "if _sha256(folder / relative) != expected:", "if False:", "course/test_artifacts.py"),
    Mutation("a copy is not searched for its solution", "course/solutions.py", "    _prove_cut(cut, pieces)\n", "", "course/test_solutions.py"),
    Mutation("an update writes over what a student wrote", "course/handed_out.py", "if my_print == base:", "if ours is not None:", "course/test_handed_out.py"),
    Mutation("what nbgrader would release is not compared", "course/nbgrader.py", "if released(marked) != cut_solutions(own).strip(\"\\n\"):", "if False:", "course/test_nbgrader.py"),
    Mutation("a student may mark a cell as graded", "batch/submissions.py", "cell[\"metadata\"].pop(\"labhelpers\", None)", "pass", "batch/test_submissions.py"),
    Mutation("a sentence that begins like right is right", "batch/grades.py", 'if said == "right."', 'if said.startswith("right")', "batch/test_cohorts.py"),
    Mutation("a formula in the grades", "batch/grades.py", "value.startswith(_FORMULAS)", "False", "batch/test_cohorts.py"),
    Mutation("names that differ only in case", "batch/feedback.py", ".upper().casefold()", "", "batch/test_feedback.py"),
    Mutation("another student's notebook on a page", "batch/feedback.py", "folder / one.id /", "sorted(folder.glob('run*'))[0] /", "batch/test_feedback.py"),
    Mutation("any link is kept on a student's page", "batch/pages.py", "return bool(_LINK.match(value))", "return True", "batch/test_pages.py"),
    Mutation("a bar left in an executed notebook", "plots/progress.py", "shown.update({}, raw=True)", "pass", "plots/test_progress.py"),
    Mutation("a learner copy's link out of the clone", "course/exercises.py", "cell.source = carry_links(cell.source, beside, address)", "pass", "course/test_exercises.py"),
]  # fmt: skip


def survives(mutation: Mutation) -> str | None:
    """None if the tests catch the mutation, else why not."""
    source = (ROOT / "labhelpers" / mutation.file).read_text(encoding="utf-8")
    if source.count(mutation.text) != 1:
        return f"its text is in {mutation.file} {source.count(mutation.text)} times"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("labhelpers", "tests"):
            shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        for part in ("conftest.py", "pyproject.toml", "constraints.txt"):
            shutil.copy(ROOT / part, folder)
        for part in ("data", "notebooks"):
            (folder / part).symlink_to(ROOT / part)
        mutant = folder / "labhelpers" / mutation.file
        mutant.write_text(source.replace(mutation.text, mutation.wrong), encoding="utf-8")
        environment = os.environ | {"PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}
        where = [sys.executable, "-c", "import labhelpers; print(labhelpers.__file__)"]
        found = subprocess.run(where, cwd=folder, env=environment, capture_output=True, text=True, check=True).stdout
        if not Path(found.strip()).parent.samefile(folder / "labhelpers"):
            raise RuntimeError(f"the tests would import {found.strip()}, not the mutant")
        # Tests that start further processes notice nothing that the others do not.
        chosen = ["-m", "not slow and not browser", "-k", "not killed and not two_processes"]
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:nbval", "-p", "no:cacheprovider", *chosen]
        command += [f"tests/{name}" for name in mutation.tests.split()]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    return (
        None if done.returncode == 1 else f"{mutation.tests}: pytest ends with {done.returncode}\n{done.stdout[-500:]}"
    )


def main() -> int:
    """Tries all mutations (or those whose description holds a word given); 1 if one survives."""
    words = sys.argv[1:]
    chosen = [m for m in MUTATIONS if not words or any(word in m.breaks for word in words)]
    alive = 0
    for mutation in chosen:
        reason = survives(mutation)
        alive += reason is not None
        print(
            "caught  " if reason is None else "SURVIVES",
            mutation.breaks,
            "" if reason is None else f"({reason})",
            flush=True,
        )
    print(f"{len(chosen) - alive} of {len(chosen)} caught")
    return int(alive > 0)


if __name__ == "__main__":
    sys.exit(main())
