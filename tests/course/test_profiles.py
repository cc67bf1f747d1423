"""Profiles: complete tables, checked overrides, and data that is found in the places promised."""

import dataclasses

import pytest

from labhelpers.course.profiles import FIELDS, PROFILES, Profile, load_profile
from labhelpers.errors import DataError, ProfileError
from labhelpers.sources import locations
from labhelpers.sources.locations import data_dir
from tests.support.paths import DATA


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_sets_every_field(name):
    assert {field.name for field in dataclasses.fields(Profile)} == {"name", *FIELDS}
    assert PROFILES[name].keys() == set(FIELDS)
    assert load_profile(name).name == name  # its own checks accept it


def test_a_profile_is_frozen_and_overrides_replace_single_fields():
    profile = load_profile("tiny", ppo_steps=3, kl_coef=None, learning_rate=1)
    assert (profile.ppo_steps, profile.kl_coef) == (3, load_profile("tiny").kl_coef)
    assert profile.learning_rate == 1.0 and isinstance(profile.learning_rate, float)
    with pytest.raises(dataclasses.FrozenInstanceError):
        profile.ppo_steps = 4


@pytest.mark.parametrize("given", ["toxicity,learned", "toxicity, learned", ["toxicity", "learned"]])
def test_rewards_may_be_a_list_or_text_with_commas(given):
    assert load_profile("tiny", rewards=given).rewards == ("toxicity", "learned")


@pytest.mark.parametrize(
    "name, overrides, words",
    [
        ("tinny", {}, ["tinny", "did you mean 'tiny'", "full"]),
        (None, {}, ["None", "tiny"]),
        ("tiny", {"kl_cof": 0.1}, ["kl_cof", "did you mean 'kl_coef'"]),
        ("tiny", {"ppo_steps": "ten"}, ["parameter ppo_steps is 'ten', it must be a whole number"]),
        ("tiny", {"ppo_steps": "ten", "batch_size": 0}, ["ppo_steps is 'ten'", "batch_size is 0"]),
        ("tiny", {"ppo_steps": 2.5}, ["ppo_steps", "whole number"]),
        ("tiny", {"ppo_steps": True}, ["ppo_steps", "whole number"]),
        ("tiny", {"ppo_steps": -1}, ["ppo_steps", "at least 0"]),
        ("tiny", {"batch_size": 0}, ["batch_size", "at least 1"]),
        ("tiny", {"learning_rate": 0}, ["learning_rate", "greater than 0"]),
        ("tiny", {"kl_coef": -0.1}, ["kl_coef", "at least 0"]),
        ("tiny", {"kl_coef": float("nan")}, ["kl_coef", "finite"]),
        ("tiny", {"lora_dropout": 1.0}, ["lora_dropout", "less than 1"]),
        ("tiny", {"dtype": "float46"}, ["dtype", "float64"]),
        ("tiny", {"tracker": "tensorbord"}, ["tracker", "'tensorboard', 'wandb', 'mlflow' or 'trackio'"]),
        ("tiny", {"policy_model": 3}, ["policy_model", "text"]),
        ("tiny", {"rewards": []}, ["rewards", "at least one"]),
        ("tiny", {"rewards": 3}, ["rewards", "list"]),
        ("tiny", {"rewards": "toxicity,gold"}, ["'gold'", "'toxicity' or 'learned'"]),
        ("tiny", {"bootstrap_samples": 99}, ["bootstrap_samples is 99", "at least 100"]),
        ("tiny", {"batch_size": 24}, ["batch_size (24)", "multiple of mini_batch_size (16), or smaller"]),
        ("tiny", {"min_chars": 1000}, ["min_chars", "max_chars"]),
    ],
)
def test_what_cannot_be_used_is_refused_with_a_reason(name, overrides, words):
    with pytest.raises(ProfileError) as refused:
        load_profile(name, **overrides)
    assert all(word in str(refused.value) for word in words), refused.value


def test_steps_and_the_kl_coefficient_may_be_zero():
    assert load_profile("tiny", ppo_steps=0, kl_coef=0).kl_coef == 0.0


def test_a_batch_may_be_smaller_than_a_mini_batch():
    assert load_profile("tiny", batch_size=1).batch_size == 1


def test_bundled_locations_become_absolute_and_others_stay(tmp_path, monkeypatch):
    monkeypatch.setenv("LABHELPERS_DATA", str(tmp_path))
    profile = load_profile("tiny", toxicity_model="someone/model", dialogues="s3://bucket/d")
    assert profile.policy_model == str(tmp_path / "models" / "t5-base-summariser")
    assert (profile.toxicity_model, profile.dialogues) == ("someone/model", "s3://bucket/d")


def test_data_is_found_explicitly_then_by_the_environment_then_in_the_repository(tmp_path, monkeypatch):
    monkeypatch.delenv("LABHELPERS_DATA", raising=False)
    assert data_dir() == DATA
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    monkeypatch.setenv("LABHELPERS_DATA", str(tmp_path / "a"))
    assert data_dir() == tmp_path / "a"
    assert data_dir(tmp_path / "b") == tmp_path / "b"


def test_data_that_is_nowhere_names_the_places(tmp_path, monkeypatch):
    monkeypatch.delenv("LABHELPERS_DATA", raising=False)
    monkeypatch.setattr(locations, "__file__", str(tmp_path / "site" / "labhelpers" / "sources" / "locations.py"))
    with pytest.raises(DataError) as missing:
        data_dir()
    for place in ("LABHELPERS_DATA", str(tmp_path / "site" / "data"), str(tmp_path / "site" / "labhelpers" / "_data")):
        assert place in str(missing.value)
    (tmp_path / "site" / "labhelpers" / "_data" / "dialogues").mkdir(parents=True)
    assert data_dir() == tmp_path / "site" / "labhelpers" / "_data"


def test_a_place_that_was_asked_for_and_is_not_there_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setenv("LABHELPERS_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match="LABHELPERS_DATA"):
        data_dir()
    with pytest.raises(DataError, match="the folder given"):
        data_dir(tmp_path / "neither")


def test_the_profiles_decoder_adapter_belongs_to_its_own_decoder_only():
    """On another model it would not fit; whoever has one of their own names both."""
    assert load_profile("tiny").decoder_adapter.endswith("llama-sft")
    assert load_profile("tiny", decoder_model="my/model").decoder_adapter is None
    assert load_profile("tiny", decoder_model="my/model", decoder_adapter="my/adapter").decoder_adapter == "my/adapter"
