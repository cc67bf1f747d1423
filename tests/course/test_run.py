"""start and record: the first cell of every notebook, and the numbers it is known by."""

import errno
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
from importlib.machinery import ModuleSpec
from pathlib import Path

import numpy
import platformdirs
import pytest

import labhelpers
from labhelpers import packages
from labhelpers.course import run as run_module
from labhelpers.course.run import read_results, record, start
from labhelpers.errors import DataError, LabError, ModelError, ProfileError, UsageError
from tests.support.paths import ROOT


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder for a run; whatever start() changes in this process is changed back."""
    import torch

    before = dict(os.environ)
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    monkeypatch.setattr(run_module, "_current", None)
    yield tmp_path / "run"
    os.environ.clear()
    os.environ.update(before)
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(deterministic)


def test_start_gives_a_run_and_shows_no_path(folder):
    run = start("07_other_methods", seed=3, run_dir=folder, ppo_steps=2, kl_coef=None)
    assert repr(run) == "Run(07_other_methods, profile=tiny, seed=3)"
    assert (run.profile.ppo_steps, run.seed, run.run_dir) == (2, 3, folder)
    assert run.figures.is_dir() and run.artifacts.folder == folder / "artifacts"


def test_start_makes_the_tiny_profile_deterministic_and_offline(folder):
    import torch

    draws = []
    for _ in range(2):
        start("notebook", seed=7, run_dir=folder)
        draws.append((torch.rand(2).tolist(), numpy.random.rand()))
    assert draws[0] == draws[1]
    assert torch.are_deterministic_algorithms_enabled()
    assert os.environ["HF_HUB_OFFLINE"] == os.environ["HF_DATASETS_OFFLINE"] == "1"
    assert torch.get_num_threads() == labhelpers.load_profile("tiny").threads


def test_start_comes_before_the_libraries_and_silences_them(tmp_path):
    script = """
        import sys, labhelpers
        run = labhelpers.start("notebook", run_dir=sys.argv[1])
        import datasets, huggingface_hub, transformers
        assert huggingface_hub.constants.HF_HUB_OFFLINE and datasets.config.HF_HUB_OFFLINE
        assert huggingface_hub.constants.HF_HOME.startswith(sys.argv[1])
        assert str(datasets.config.HF_DATASETS_CACHE).startswith(sys.argv[1])
        assert str(datasets.config.HF_MODULES_CACHE).startswith(sys.argv[1])
        datasets.Dataset.from_dict({"n": [1, 2]}).map(lambda row: {"m": row["n"] + 1})
        config = transformers.T5Config(d_model=8, d_ff=8, d_kv=4, num_heads=2, num_layers=1, vocab_size=16)
        transformers.T5ForConditionalGeneration(config).save_pretrained(run.run_dir / "model")
        transformers.T5ForConditionalGeneration.from_pretrained(run.run_dir / "model")
        labhelpers.record("n", 1)
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    environment["HOME"] = "/proc"  # a home folder that nobody can write to, root included
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(tmp_path)], capture_output=True, text=True, env=environment
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert read_results(tmp_path) == {"notebook": {"n": 1}}


def test_the_folder_is_the_one_given_else_the_environments_else_in_the_repository(folder, monkeypatch):
    monkeypatch.setenv("LABHELPERS_RUN_DIR", str(folder / "by environment"))
    assert start("notebook").run_dir == folder / "by environment"
    assert start("notebook", run_dir=str(folder)).run_dir == folder
    assert run_module.default_run_dir("tiny") == ROOT / "runs" / "tiny"


@pytest.fixture
def read_only_course(tmp_path, folder, monkeypatch):
    """A course whose folder allows no new files, as the system says it (to root, permission bits would not)."""
    real = tempfile.TemporaryFile

    def refuse(*arguments, dir=None, **options):
        if tmp_path / "course" in (Path(dir), *Path(dir).parents):
            raise OSError(errno.EROFS, "Read-only file system")
        return real(*arguments, dir=dir, **options)

    (tmp_path / "course").mkdir()
    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    monkeypatch.delenv("LABHELPERS_RUN_DIR")
    monkeypatch.setattr(run_module, "_beside_the_course", lambda profile: tmp_path / "course" / "runs" / profile)
    monkeypatch.setattr(platformdirs, "user_data_path", lambda name: tmp_path / "home" / name)
    return tmp_path


def test_a_read_only_course_runs_into_a_folder_of_the_users_and_says_so(read_only_course, capsys):
    run = start("notebook")
    assert run.run_dir == read_only_course / "home" / "labhelpers" / "runs" / "tiny"
    said = capsys.readouterr().err
    assert str(run.run_dir) in said and "run_dir" in said and "LABHELPERS_RUN_DIR" in said and "--output-dir" in said
    assert not list((read_only_course / "course").iterdir())


def test_a_folder_that_was_asked_for_is_never_replaced_by_another(read_only_course):
    with pytest.raises(LabError, match="read-only.*--output-dir.*run_dir.*LABHELPERS_RUN_DIR"):
        start("notebook", run_dir=read_only_course / "course" / "mine")


def test_a_full_disk_is_no_reason_for_another_folder(read_only_course, monkeypatch):
    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    assert run_module.default_run_dir("tiny") == read_only_course / "course" / "runs" / "tiny"


def test_the_first_cell_names_the_python_that_lacks_a_package_and_what_to_do(folder, monkeypatch):
    monkeypatch.setattr(packages, "_installed", lambda name: None if name == "trl" else "1.0")
    with pytest.raises(
        LabError, match=r"python\S* has no trl: choose .*kernel.*%pip install -c .*constraints.txt.* -e .+` in a cell"
    ):
        start("notebook", run_dir=folder)
    assert not folder.exists()


def test_another_major_version_is_said_and_tried(folder, monkeypatch, capsys):
    real = packages._installed
    monkeypatch.setattr(packages, "_installed", lambda name: "0.9.1" if name == "trl" else real(name))
    start("notebook", run_dir=folder)
    said = capsys.readouterr().err
    assert sys.executable in said and "trl 0.9.1 instead of 1." in said and "%pip install" in said


def test_a_package_without_which_start_cannot_be_imported_is_named_too(tmp_path):
    """In an empty environment that finds the package and what `pip install` wrote about it, and nothing else."""
    shutil.copytree(ROOT / "labhelpers", tmp_path / "labhelpers", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "constraints.txt", tmp_path / "labhelpers")
    record = tmp_path / "labhelpers-0.1.0.dist-info"
    record.mkdir()
    (record / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: labhelpers\nVersion: 0.1.0\nRequires-Dist: pydantic\n"
    )
    script = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from labhelpers import record, start"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True, cwd=tmp_path)
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith(f"ModuleNotFoundError: {sys.executable} has no pydantic: choose the course's kernel")
    assert last.endswith('constraints.txt" pydantic` in a cell and restart the kernel')


@pytest.mark.parametrize("given", ["no/such/folder", "data/models/no-such"])
def test_a_model_that_is_not_there_is_said_in_the_first_cell(folder, tmp_path, given):
    place = given if given.startswith("data/") else str(tmp_path / given)
    with pytest.raises(ModelError, match="parameter 'policy_model': no such folder: .*no"):
        start("notebook", run_dir=folder, policy_model=place)
    assert not folder.exists()


def test_data_that_are_not_there_are_said_in_the_first_cell(folder, tmp_path):
    with pytest.raises(DataError, match="'dialogues': no such file or folder: .*nowhere"):
        start("notebook", run_dir=folder, dialogues=str(tmp_path / "nowhere"))
    assert not folder.exists()


def test_patterns_and_addresses_are_left_to_what_reads_them(folder, tmp_path):
    run = start("notebook", run_dir=folder, dialogues=str(tmp_path / "*.jsonl"), feedback="s3://bucket/key")
    assert run.profile.feedback == "s3://bucket/key"


@pytest.mark.parametrize("seed", [-1, 1.0, "1", True, None, 2**32])
def test_a_seed_is_a_whole_number(folder, seed):
    with pytest.raises(ProfileError, match="'seed'"):
        start("notebook", seed=seed, run_dir=folder)
    assert not folder.exists()


def test_a_mistyped_override_is_refused_before_anything_is_made(folder):
    with pytest.raises(ProfileError, match="did you mean 'ppo_steps'"):
        start("notebook", run_dir=folder, ppo_step=3)
    assert not folder.exists()


def test_a_tracker_that_is_not_installed_is_refused_before_anything_is_made(folder, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match="package wandb is not installed"):
        start("notebook", run_dir=folder, tracker="wandb")
    assert not folder.exists()


def test_a_tracker_writes_into_the_runs_folder_and_in_the_tiny_profile_stays_offline(folder, monkeypatch):
    assert start("notebook", run_dir=folder).tracking.arguments == {"report_to": "none"}
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: ModuleSpec(name, None, origin="installed"))
    run = start("notebook", run_dir=folder, tracker="wandb")
    assert (run.tracking.tracker, run.tracking.folder, run.tracking.notebook) == ("wandb", folder, "notebook")
    assert os.environ["WANDB_MODE"] == "offline"


def test_what_one_notebook_asks_of_a_parameter_is_said_in_its_first_cell(folder):
    with pytest.raises(ProfileError, match="batch_size is 6, it must be a multiple of 4 in notebook 07_other_methods"):
        start("07_other_methods", run_dir=folder, batch_size=6)
    assert start("04_ppo_detoxification", run_dir=folder, sft_adapter="data/adapters/sft", batch_size=6)


@pytest.mark.parametrize("below", ["file/run", "file"])
def test_a_folder_that_cannot_be_made_is_said_plainly(tmp_path, folder, below):
    (tmp_path / "file").write_text("")
    with pytest.raises(LabError, match="output folder .* cannot be written: .*choose another folder"):
        start("notebook", run_dir=tmp_path / below)


def test_a_full_disk_is_said_plainly(tmp_path, monkeypatch):
    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    with pytest.raises(LabError, match="the disk is full: free some space"):
        run_module.writable_folder(tmp_path)


def test_record_keeps_numbers_text_none_and_lists(folder):
    start("03_first", run_dir=folder)
    record("kept", 1)
    start("04_second", run_dir=folder)
    values = {
        "whole": 3,
        "real": 0.1 + 0.2,
        "text": "größer",
        "nothing": None,
        "scalar": numpy.float64(1 / 3),
        "interval": [numpy.float32(0.5), float("nan")],
        "array": numpy.array([1, 2]),
        "infinite": float("inf"),
    }
    for name, value in values.items():
        record(name, value)
    expected = {**values, "scalar": 1 / 3, "interval": [0.5, None], "array": [1, 2], "infinite": None}
    assert read_results(folder) == {"03_first": {"kept": 1}, "04_second": expected}
    assert "NaN" not in (folder / "results.json").read_text()


def test_record_takes_a_torch_scalar(folder):
    import torch

    start("notebook", run_dir=folder)
    record("loss", torch.tensor(0.25, dtype=torch.float64))
    assert read_results(folder)["notebook"] == {"loss": 0.25}


def test_starting_again_forgets_the_notebooks_own_results_only(folder):
    for notebook in ("03_first", "04_second"):
        start(notebook, run_dir=folder)
        record("n", 1)
    start("03_first", run_dir=folder)
    assert read_results(folder) == {"04_second": {"n": 1}}


@pytest.mark.parametrize("value", [{"a": 1}, object(), {1}, [[object()]]])
def test_record_refuses_what_is_no_result(folder, value):
    start("notebook", run_dir=folder)
    with pytest.raises(LabError, match="result 'x' is .*: record a number"):
        record("x", value)
    assert read_results(folder) == {}


def test_record_outside_a_started_notebook_is_refused(folder):
    with pytest.raises(LabError, match="call labhelpers.start"):
        record("x", 1)


def test_results_stay_whole_when_writing_fails(folder, monkeypatch):
    start("notebook", run_dir=folder)
    record("n", 1)

    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(LabError, match="results cannot be written .* the disk is full"):
        record("n", 2)
    assert read_results(folder) == {"notebook": {"n": 1}}
    assert not list(folder.glob(".*partial"))


@pytest.mark.parametrize("text", ["{", "[1]", '{"a": 1}'])
def test_results_that_someone_broke_are_not_guessed_at(folder, text):
    folder.mkdir()
    (folder / "results.json").write_text(text)
    with pytest.raises(DataError, match="results.json: not .*: delete it"):
        start("notebook", run_dir=folder)
    assert (folder / "results.json").read_text() == text


def test_importing_the_package_is_cheap_and_its_names_are_lazy():
    script = "import sys, labhelpers; assert not {'torch', 'pandas', 'numpy'} & set(sys.modules); labhelpers.Artifacts"
    subprocess.run([sys.executable, "-c", script], check=True)
    with pytest.raises(AttributeError, match="no attribute 'strat'"):
        labhelpers.strat  # noqa: B018
    assert json.dumps(sorted(set(labhelpers.__all__) - set(dir(labhelpers)))) == "[]"
