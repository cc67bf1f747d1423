"""Profiles: every location, size and step count of the course, once for a laptop and once for a large machine.

``tiny`` runs offline on two CPU cores with the models and data that ship in ``data/``. ``full`` has the models of the
original labs and the Hub's data. A notebook's parameter that is ``None`` keeps the profile's value.
"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from pathlib import Path

from labhelpers.errors import ProfileError, close_matches
from labhelpers.sources.locations import data_dir


@dataclasses.dataclass(frozen=True)
class Profile:
    """Settings of one run. Locations are a local path, a Hub id (``owner/name``, ``owner/name@revision``) or an
    address such as ``s3://bucket/key``; sizes count rows, rates are per optimiser step, ``*_chars`` and ``*_tokens``
    count characters and tokens."""

    name: str
    # where things are
    policy_model: str
    sft_adapter: str | None
    reward_model: str
    toxicity_model: str
    judge_model: str | None
    decoder_model: str | None
    dialogues: str
    feedback: str
    lexicon: str | None
    # how it computes
    dtype: str
    device: str
    threads: int | None
    gradient_checkpointing: bool
    quantization: str | None
    # which dialogues are kept: min_chars < length <= max_chars
    min_chars: int
    max_chars: int
    # supervised fine-tuning (notebook 01)
    sft_epochs: int
    sft_learning_rate: float
    sft_batch_size: int
    sft_train_rows: int | None
    sft_lora_r: int
    sft_lora_alpha: int
    sft_lora_dropout: float
    # reward model (notebook 03)
    reward_epochs: int
    reward_learning_rate: float
    reward_batch_size: int
    # PPO (notebook 04)
    lora_r: int
    lora_alpha: int
    lora_dropout: float
    ppo_steps: int
    batch_size: int
    mini_batch_size: int
    ppo_epochs: int
    learning_rate: float
    value_learning_rate: float
    kl_coef: float
    lam: float
    max_new_tokens: int
    rewards: tuple[str, ...]
    # what is measured (notebooks 04 and 05)
    eval_prompts: int
    eval_batch_size: int
    bootstrap_samples: int


# A location that begins with "data/" means the data that ships with the course, wherever that is (see data_dir).
_TABLE = {
    # field                tiny                              full
    "policy_model": ("data/models/t5-base-summariser", "google/flan-t5-base"),
    "sft_adapter": (None, None),  # None: the artifact of notebook 01
    "reward_model": ("data/models/roberta-base", "roberta-base"),
    "toxicity_model": ("data/models/roberta-hate", "facebook/roberta-hate-speech-dynabench-r4-target"),
    "judge_model": ("data/models/roberta-hate-judge", None),
    "decoder_model": ("data/models/llama-summariser", None),
    "dialogues": ("data/dialogues", "knkarthick/dialogsum"),
    "feedback": ("data/feedback/rankings.jsonl", "data/feedback/rankings.jsonl"),
    "lexicon": ("data/hate/lexicon.json", None),
    "dtype": ("float64", "auto"),
    "device": ("cpu", "auto"),
    "threads": (1, None),
    "gradient_checkpointing": (False, False),
    "quantization": (None, None),  # "8bit" or "4bit" needs bitsandbytes
    "min_chars": (200, 200),
    "max_chars": (1000, 1000),
    "sft_epochs": (1, 5),
    "sft_learning_rate": (5e-3, 1e-3),
    "sft_batch_size": (32, 16),
    "sft_train_rows": (3000, None),  # None: all
    "sft_lora_r": (8, 32),
    "sft_lora_alpha": (16, 32),
    "sft_lora_dropout": (0.0, 0.05),
    "reward_epochs": (3, 1),
    "reward_learning_rate": (3e-3, 2e-5),
    "reward_batch_size": (16, 16),
    "lora_r": (8, 32),
    "lora_alpha": (16, 32),
    "lora_dropout": (0.0, 0.05),
    "ppo_steps": (32, 10),
    "batch_size": (32, 16),
    "mini_batch_size": (16, 4),
    "ppo_epochs": (1, 1),
    "learning_rate": (1.5e-3, 1.41e-5),
    "value_learning_rate": (5e-4, 1e-4),
    "kl_coef": (0.15, 0.2),
    "lam": (1.0, 0.95),
    "max_new_tokens": (48, 200),
    "rewards": (("toxicity", "learned"), ("toxicity", "learned")),
    "eval_prompts": (300, 100),
    "eval_batch_size": (100, 50),
    "bootstrap_samples": (2000, 2000),
}
PROFILES = ("tiny", "full")
FIELDS = tuple(_TABLE)
LOCATIONS = (
    "policy_model sft_adapter reward_model toxicity_model judge_model decoder_model dialogues feedback lexicon"
).split()
MODEL_LOCATIONS = tuple(field for field in LOCATIONS if field.endswith(("_model", "_adapter")))

# The smallest value that makes sense; other numbers must be at least 1 (counts) or above 0 (rates).
_MINIMUM = {"min_chars": 0, "ppo_steps": 0, "kl_coef": 0.0, "sft_epochs": 0, "reward_epochs": 0}
_MINIMUM |= {"lora_dropout": 0.0, "sft_lora_dropout": 0.0, "lam": 0.0}
_CHOICES = {"dtype": ("auto", "float64", "float32", "bfloat16", "float16"), "quantization": ("8bit", "4bit")}
_KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text", tuple: "a list of names"}


def load_profile(name: str = "tiny", **overrides) -> Profile:
    """The profile called ``name`` ("tiny" or "full"), with ``overrides`` for single fields; None keeps the profile's.

    Raises :class:`ProfileError` for an unknown profile or field, a value of the wrong type, or one out of range.
    """
    if name not in PROFILES:
        raise ProfileError(f"unknown profile {name!r}: {close_matches(name, PROFILES)}")
    values = {field: row[PROFILES.index(name)] for field, row in _TABLE.items()}
    for field, value in overrides.items():
        if field not in values:
            raise ProfileError(f"unknown parameter {field!r}: {close_matches(field, values)}")
        if value is not None:
            values[field] = check_value(field, value)
    if values["min_chars"] >= values["max_chars"]:
        raise ProfileError(f"min_chars ({values['min_chars']}) must be less than max_chars ({values['max_chars']})")
    for field in LOCATIONS:
        if values[field] is not None:
            values[field] = _resolve(values[field])
    return Profile(name=name, **values)


def check_value(field: str, value):
    """``value`` as the type of the profile's ``field`` (an int where a float is wanted is converted, text with commas
    where a list is wanted is split), or a :class:`ProfileError` that names the field and what it wants."""
    kind = _kind(field)
    wrong = ProfileError(f"parameter {field!r} must be {_KINDS[kind]}, not {value!r}")
    if kind is tuple:
        parts = value.split(",") if isinstance(value, str) else value
        if not isinstance(parts, (list, tuple)) or not all(isinstance(part, str) for part in parts):
            raise wrong
        parts = tuple(part.strip() for part in parts if part.strip())
        if not parts:
            raise ProfileError(f"parameter {field!r} must name at least one entry")
        return parts
    if kind is bool:
        if not isinstance(value, bool):
            raise wrong
        return value
    if kind is str:
        if isinstance(value, Path):
            value = str(value)
        if not isinstance(value, str) or not value.strip():
            raise wrong
        if value not in _CHOICES.get(field, (value,)):
            raise ProfileError(f"parameter {field!r} is {value!r}: {close_matches(value, _CHOICES[field])}")
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float) if kind is float else int):
        raise wrong
    return _in_range(field, kind(value), kind)


def _kind(field: str) -> type:
    """The type of a field without "or None" and without a tuple's items."""
    hint = typing.get_type_hints(Profile)[field]
    if isinstance(hint, types.UnionType):
        hint = next(option for option in typing.get_args(hint) if option is not type(None))
    return typing.get_origin(hint) or hint


def _in_range(field: str, value, kind: type):
    if not math.isfinite(value):
        raise ProfileError(f"parameter {field!r} must be a finite number, not {value!r}")
    if field.endswith("dropout") and value >= 1:
        raise ProfileError(f"parameter {field!r} must be less than 1, not {value!r}")
    if field == "lam" and value > 1:
        raise ProfileError(f"parameter {field!r} must be at most 1, not {value!r}")
    if field in _MINIMUM or kind is int:
        lowest = _MINIMUM.get(field, 1)
        if value < lowest:
            raise ProfileError(f"parameter {field!r} must be at least {lowest}, not {value!r}")
    elif value <= 0:
        raise ProfileError(f"parameter {field!r} must be greater than 0, not {value!r}")
    return value


def _resolve(location: str) -> str:
    """An absolute path for a location in the course's data; any other location as it is."""
    if not location.startswith("data/") or Path(location).is_absolute():
        return location
    return str(data_dir() / location.removeprefix("data/"))
