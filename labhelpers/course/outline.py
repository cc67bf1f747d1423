"""The course map: the notebooks in their order, and the artifacts that each one needs and makes.

This is the only place that says so. The check in a notebook's first cell, the message about a missing artifact, the
picture of the course, the tests, and the reports all read it.
"""

from __future__ import annotations

from dataclasses import dataclass

from labhelpers.errors import UsageError


@dataclass(frozen=True)
class Chapter:
    """One notebook of the course. `name` is its file name without `.ipynb`, `title` a few words.

    It cannot run without the artifacts in `needs`, takes those in `uses` if they exist, and makes those in `makes` for
    other notebooks, or for whoever reads the run. `multiples` are (parameter, number): in this notebook the parameter
    must be a multiple of the number, whatever the profile allows.
    """

    name: str
    title: str
    needs: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()
    makes: tuple[str, ...] = ()
    multiples: tuple[tuple[str, int], ...] = ()

    @property
    def number(self) -> str:
        """The two digits at the beginning of the name."""
        return self.name[:2]


TOUR = Chapter("00_rlhf_tour", "a tour")
FINETUNING = Chapter("01_supervised_finetuning", "supervised fine-tuning", makes=("sft_adapter", "base_summaries"))
FEEDBACK = Chapter("02_human_feedback", "human feedback", makes=("rankings",))
REWARD_MODEL = Chapter(
    "03_reward_model",
    "reward model",
    needs=("sft_adapter",),
    uses=("rankings",),
    makes=("reward_model", "reward_model_encoder"),
)
PPO = Chapter(
    "04_ppo_detoxification", "PPO", needs=("sft_adapter",), uses=("reward_model",),
    makes=("before_toxicity", "ppo_toxicity", "ppo_learned"),
)  # fmt: skip
BEFORE_AFTER = Chapter(
    "05_before_after", "before and after", needs=("sft_adapter",),
    uses=("ppo_toxicity", "ppo_learned", "before_toxicity"), makes=("summaries",),
)  # fmt: skip
REWARD_HACKING = Chapter(
    "06_reward_hacking", "reward hacking", needs=("sft_adapter", "reward_model", "reward_model_encoder")
)
OTHER_METHODS = Chapter(
    "07_other_methods",
    "other methods",
    multiples=(("batch_size", 4),),  # 4: the responses that GRPO compares
)

CHAPTERS = (TOUR, FINETUNING, FEEDBACK, REWARD_MODEL, PPO, BEFORE_AFTER, REWARD_HACKING, OTHER_METHODS)

# Artifacts that a parameter can replace: (the name of the parameter, the artifact that ships with the course).
GIVEN_BY = {"sft_adapter": ("sft_adapter", "data/adapters/sft")}


def chapter(name: str) -> Chapter | None:
    """The chapter with that file name, or None for a notebook that is not part of the course."""
    return next((one for one in CHAPTERS if one.name == name), None)


def numbered(number: str) -> Chapter:
    """The chapter with that number, such as "04". Raises UsageError when there is none."""
    found = next((one for one in CHAPTERS if one.number == number), None)
    if found is None:
        known = ", ".join(one.number for one in CHAPTERS)
        raise UsageError(f"there is no notebook {number!r} in the course: it has {known}.")
    return found


def producer(artifact: str) -> Chapter | None:
    """The chapter that makes an artifact, or None when no chapter makes it."""
    return next((one for one in CHAPTERS if artifact in one.makes), None)


def arrows() -> list[tuple[Chapter, Chapter]]:
    """(from, to) for every two chapters where the second uses an artifact of the first; each pair once."""
    return [
        (source, target)
        for target in CHAPTERS
        for source in CHAPTERS
        if set(source.makes) & {*target.needs, *target.uses}
    ]
