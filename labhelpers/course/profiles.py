"""Profiles: every location, size and step count of the course, in three sizes.

`tiny` runs offline on two CPU cores with the models and data that ship in `data/`. `smol` has a real pretrained model
as its policy, of 135 million parameters, which two CPU cores fine-tune in half an hour; the texts, the judges and the
start of the learned reward are those that ship. `full` has the two labs' models and the Hub's data. A notebook's
parameter that is `None` keeps the profile's value.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator
from pydantic.dataclasses import dataclass

from labhelpers.errors import ProfileError, close_matches
from labhelpers.sources.locations import data_dir
from labhelpers.tracking import TrackerName
from labhelpers.validation import STRICT, Count, CountOrZero, Fraction, Positive, Rate, Text, checked


def _names(value: Any) -> Any:
    """ "toxicity, learned" or ["toxicity", "learned"] as a tuple. Any other value stays, and is refused later."""
    if isinstance(value, str):
        value = value.split(",")
    if not isinstance(value, Sequence) or not all(isinstance(name, str) for name in value):
        return value
    return tuple(name.strip() for name in value if name.strip())


def _path(value: Any) -> Any:
    return os.fspath(value) if isinstance(value, Path) else value


Location = Annotated[Text, BeforeValidator(_path)]
Rewards = Annotated[tuple[Literal["toxicity", "learned"], ...], Field(min_length=1), BeforeValidator(_names)]
Dropout = Annotated[float, Field(ge=0, lt=1)]
Draws = Annotated[int, Field(ge=100)]  # of fewer, the ends of a 95 % interval would be the two or three outermost


@checked(ProfileError, "parameter")
@dataclass(frozen=True, kw_only=True, config=STRICT)
class Profile:
    """The settings of one run.

    A location is a local path, a Hub id (`owner/name`, `owner/name@revision`, `owner/name#split`), an address such as
    `s3://bucket/key`, or a model in a Python package (`packages/name`, see `labhelpers.sources.packaged`). Batch sizes
    count rows, `*_chars` characters and `*_tokens` tokens. Raises ProfileError for values that cannot be used; the
    message lists all problems.
    """

    name: Literal["tiny", "smol", "full"]
    # locations
    policy_model: Location
    sft_adapter: Location | None  # None: the artifact of notebook 01
    reward_model: Location
    toxicity_model: Location
    harmless_label: Text  # what toxicity_model calls a text that is not toxic; every other label counts as toxic
    judge_model: Location | None
    judge_harmless_label: Text
    decoder_model: Location | None
    decoder_adapter: Location | None  # what taught the profile's own decoder_model to summarise
    dialogues: Location
    feedback: Location
    lexicon: Location | None
    # device and precision
    dtype: Literal["auto", "float64", "float32", "bfloat16", "float16"]
    device: Text
    threads: Count | None
    gradient_checkpointing: bool
    quantization: Literal["8bit", "4bit"] | None  # needs bitsandbytes
    tracker: TrackerName  # where trainings report to (docs/watching.md)
    # which dialogues are kept: min_chars < length <= max_chars
    min_chars: CountOrZero
    max_chars: Count
    # supervised fine-tuning (notebook 01)
    sft_epochs: CountOrZero
    sft_learning_rate: Positive
    sft_batch_size: Count
    sft_micro_batch_size: Count | None  # rows that go through the model at a time; None: the whole batch
    sft_train_rows: Count | None  # None: all
    sft_lora_r: Count
    sft_lora_alpha: Count
    sft_lora_dropout: Dropout
    sft_lora_layers: Literal["query and value", "all linear"]  # the labs' choice, or every linear layer but the output
    # reward model (notebook 03)
    reward_epochs: CountOrZero
    reward_learning_rate: Positive
    reward_batch_size: Count
    # the reward model that starts from the SFT model (notebook 03), which notebook 04 takes
    reward_base: Location | None  # None: policy_model
    reward_base_adapter: Location | None  # None: the adapter of notebook 01, if reward_base is None too
    reward_base_epochs: CountOrZero
    reward_base_learning_rate: Positive
    reward_base_batch_size: Count
    # PPO (notebook 04)
    lora_r: Count
    lora_alpha: Count
    lora_dropout: Dropout
    ppo_steps: CountOrZero
    batch_size: Count
    mini_batch_size: Count
    ppo_epochs: Count
    learning_rate: Positive
    value_learning_rate: Positive
    kl_coef: Rate
    lam: Fraction
    value_sees_prompt: bool
    value_rollouts: CountOrZero  # responses that the value head is fitted on before the first step; 0: none
    score_clip: Positive | None  # the classifier's scores are clipped to ± this; None: as they are, as in the PPO lab
    normalise_scores: bool  # and centred and scaled first, by running moments
    log_every: Count  # steps between two printed lines
    max_new_tokens: Count
    rewards: Rewards
    # what is measured (notebooks 04 and 05)
    eval_prompts: Count
    eval_batch_size: Count
    bootstrap_samples: Draws

    @model_validator(mode="after")
    def _keeps_some_dialogues(self) -> Profile:
        if self.min_chars >= self.max_chars:
            raise ValueError(f"min_chars ({self.min_chars}) must be less than max_chars ({self.max_chars})")
        return self

    @model_validator(mode="after")
    def _parts_fill_their_batch(self) -> Profile:
        for whole, part in (("batch_size", "mini_batch_size"), ("sft_batch_size", "sft_micro_batch_size")):
            size, of = getattr(self, part), getattr(self, whole)
            if size and of > size and of % size:
                raise ValueError(f"{whole} ({of}) must be a multiple of {part} ({size}), or smaller than it")
        return self


# A location that begins with "data/" is in the data that ships with the course; `data_dir` finds its folder.
_TINY: dict[str, Any] = {
    "policy_model": "data/models/t5-base-summariser",
    "sft_adapter": None,
    "reward_model": "data/models/roberta-base",
    "toxicity_model": "data/models/roberta-hate",
    "harmless_label": "nothate",
    "judge_model": "data/models/roberta-hate-judge",
    "judge_harmless_label": "nothate",
    "decoder_model": "data/models/llama-summariser",
    "decoder_adapter": "data/adapters/llama-sft",
    "dialogues": "data/dialogues",
    "feedback": "data/feedback/rankings.jsonl",
    "lexicon": "data/hate/lexicon.json",
    "dtype": "float64",
    "device": "cpu",
    "threads": 1,
    "gradient_checkpointing": False,
    "quantization": None,
    "tracker": "none",
    "min_chars": 200,
    "max_chars": 1000,
    "sft_epochs": 1,
    "sft_learning_rate": 0.005,
    "sft_batch_size": 32,
    "sft_micro_batch_size": None,
    "sft_train_rows": 3000,
    "sft_lora_r": 8,
    "sft_lora_alpha": 16,
    "sft_lora_dropout": 0.0,
    "sft_lora_layers": "query and value",
    "reward_epochs": 3,
    "reward_learning_rate": 0.003,
    "reward_batch_size": 16,
    "reward_base": None,
    "reward_base_adapter": None,
    "reward_base_epochs": 4,
    "reward_base_learning_rate": 0.005,
    "reward_base_batch_size": 8,
    "lora_r": 8,
    "lora_alpha": 16,
    "lora_dropout": 0.0,
    "ppo_steps": 40,
    "batch_size": 32,
    "mini_batch_size": 16,
    "ppo_epochs": 1,
    "learning_rate": 0.0015,
    "value_learning_rate": 0.0005,
    "kl_coef": 0.1,
    "lam": 0.95,
    "value_sees_prompt": True,
    "value_rollouts": 512,
    "score_clip": 1.0,
    "normalise_scores": False,
    "log_every": 5,
    "max_new_tokens": 48,
    "rewards": ("toxicity", "learned"),
    "eval_prompts": 300,
    "eval_batch_size": 100,
    "bootstrap_samples": 2000,
}
# What differs from tiny. docs/real_weights.md says what was measured with it.
_SMOL: dict[str, Any] = _TINY | {
    "policy_model": "packages/smollm2-135m-instruct",
    "reward_model": "packages/all-minilm-l6-v2",
    "decoder_model": None,  # the policy is a decoder-only model itself
    "decoder_adapter": None,
    "dtype": "float32",
    "device": "auto",
    "threads": None,
    "sft_learning_rate": 0.001,
    "sft_batch_size": 4,
    "sft_micro_batch_size": 2,  # its vocabulary of 49,152 tokens makes a row's logits large
    "sft_train_rows": 640,
    "sft_lora_r": 16,
    "sft_lora_alpha": 32,
    "sft_lora_layers": "all linear",
    "reward_epochs": 1,
    "reward_learning_rate": 0.0001,
    "reward_base": "data/models/t5-base-summariser",
    "reward_base_adapter": "data/adapters/sft",
    "ppo_steps": 20,
    "batch_size": 16,
    "mini_batch_size": 4,
    "learning_rate": 0.002,
    "value_learning_rate": 0.001,
    "kl_coef": 0.05,
    "lam": 1.0,
    "value_sees_prompt": False,
    "value_rollouts": 0,  # the PPO lab's head and λ = 1: no rollouts are drawn before the training
    "log_every": 1,
    "max_new_tokens": 64,
    "rewards": ("toxicity",),
    "eval_prompts": 60,
    "eval_batch_size": 20,
}
_FULL: dict[str, Any] = {
    "policy_model": "google/flan-t5-base",
    "sft_adapter": None,
    "reward_model": "roberta-base",
    "toxicity_model": "facebook/roberta-hate-speech-dynabench-r4-target",
    "harmless_label": "nothate",
    "judge_model": None,
    "judge_harmless_label": "nothate",
    "decoder_model": None,
    "decoder_adapter": None,
    "dialogues": "knkarthick/dialogsum#train",  # of which the last fifth is held out, as in the PPO lab
    "feedback": "data/feedback/rankings.jsonl",
    "lexicon": None,
    "dtype": "auto",
    "device": "auto",
    "threads": None,
    "gradient_checkpointing": False,
    "quantization": None,
    "tracker": "none",
    "min_chars": 200,
    "max_chars": 1000,
    "sft_epochs": 5,
    "sft_learning_rate": 0.001,
    "sft_batch_size": 16,
    "sft_micro_batch_size": None,
    "sft_train_rows": None,
    "sft_lora_r": 32,
    "sft_lora_alpha": 32,
    "sft_lora_dropout": 0.05,
    "sft_lora_layers": "query and value",
    "reward_epochs": 1,
    "reward_learning_rate": 2e-05,
    "reward_batch_size": 16,
    "reward_base": None,
    "reward_base_adapter": None,
    "reward_base_epochs": 1,
    "reward_base_learning_rate": 1e-05,
    "reward_base_batch_size": 16,
    "lora_r": 32,
    "lora_alpha": 32,
    "lora_dropout": 0.05,
    "ppo_steps": 10,
    "batch_size": 16,
    "mini_batch_size": 4,
    "ppo_epochs": 1,
    "learning_rate": 1.41e-05,
    "value_learning_rate": 0.0001,
    "kl_coef": 0.2,
    "lam": 0.95,
    "value_sees_prompt": True,
    "value_rollouts": 512,
    "score_clip": None,
    "normalise_scores": False,
    "log_every": 1,
    "max_new_tokens": 200,
    "rewards": ("toxicity", "learned"),
    "eval_prompts": 100,
    "eval_batch_size": 50,
    "bootstrap_samples": 2000,
}
PROFILES = {"tiny": _TINY, "smol": _SMOL, "full": _FULL}
FIELDS = tuple(_TINY)
LOCATIONS = tuple(field.name for field in dataclasses.fields(Profile) if "Location" in field.type)
MODEL_LOCATIONS = tuple(field for field in LOCATIONS if field.endswith(("_model", "_adapter")))


def load_profile(name: str = "tiny", **overrides: Any) -> Profile:
    """The profile `name` ("tiny", "smol" or "full"). `overrides` replace single fields; None keeps the profile's value.

    A `decoder_model` of one's own comes without the profile's `decoder_adapter`, which would not fit it.

    Raises ProfileError for an unknown profile or field, a value of the wrong type, or one out of range.
    """
    if name not in PROFILES:
        raise ProfileError(f"unknown profile {name!r}: {close_matches(name, PROFILES)}")
    for field in overrides:
        if field not in FIELDS:
            raise ProfileError(f"unknown parameter {field!r}: {close_matches(field, FIELDS)}")
    given = {field: value for field, value in overrides.items() if value is not None}
    if "decoder_model" in given:
        given = {"decoder_adapter": None} | given
    settings = Profile(name=name, **(PROFILES[name] | given))
    places = {field: getattr(settings, field) for field in LOCATIONS}
    return dataclasses.replace(settings, **{field: _resolve(place) for field, place in places.items() if place})


def _resolve(location: str) -> str:
    """A location in the course's data as an absolute path; any other location unchanged."""
    if not location.startswith("data/") or Path(location).is_absolute():
        return location
    return str(data_dir() / location.removeprefix("data/"))
