"""Executing notebooks: what is asked for is checked first, and what fails says where and leaves a trace."""

import errno
import json
import os
import sys

import pytest

from labhelpers.course import execution as course
from labhelpers.course.execution import run_notebooks
from labhelpers.course.notebooks import find_notebooks, notebooks_dir
from labhelpers.course.parameters import check_parameters, declared_parameters, parse_value
from labhelpers.errors import LabError, NotebookError, ProfileError, UsageError

PARAMETERS = "profile = 'tiny'\nseed = 0\nrun_dir = None\nppo_steps = None\nlearning_rate: float = None\nshown = 3"


def outputs(path):
    cells = json.loads(path.read_text())["cells"]
    return ["".join(output.get("text", [])) for cell in cells for output in cell.get("outputs", [])]


def kept(out):
    return sorted(os.listdir(out / "notebooks"))


# which notebooks


def test_notebooks_are_found_by_name_beginning_and_path(write_notebook):
    first, second = write_notebook("01_first"), write_notebook("02_second")
    assert find_notebooks() == [first, second]
    assert find_notebooks(["02", "01_first"]) == [second, first]
    assert find_notebooks([str(first), "02_second.ipynb"]) == [first, second]


@pytest.mark.parametrize(
    "names, words",
    [
        (["03"], "unknown notebook '03'.*01_first"),
        (["01_frist"], "did you mean '01_first'"),
        (["0"], "could be 01_first or 02_second"),
        (["01", "01_first"], "asked for twice: 01_first"),
        (["nowhere/x.ipynb"], "unknown notebook 'nowhere/x.ipynb'"),
        ([""], "unknown notebook ''"),
    ],
)
def test_a_notebook_that_is_not_there_is_refused(write_notebook, names, words):
    write_notebook("01_first")
    write_notebook("02_second")
    with pytest.raises(UsageError, match=words):
        find_notebooks(names)


def test_a_folder_without_notebooks_is_refused(tmp_path):
    with pytest.raises(UsageError, match="no notebooks in"):
        find_notebooks((), tmp_path)
    with pytest.raises(UsageError, match="LABHELPERS_NOTEBOOKS"):
        notebooks_dir(tmp_path / "nowhere")


# which parameters


def test_declared_parameters_are_read_from_the_tagged_cell(write_notebook):
    path = write_notebook("01_first", "other = 1", parameters=PARAMETERS)
    declared = declared_parameters(path)
    assert list(declared) == ["profile", "seed", "run_dir", "ppo_steps", "learning_rate", "shown"]
    assert (declared["profile"], declared["ppo_steps"], declared["shown"]) == ("tiny", None, 3)


def test_a_file_that_is_no_notebook_is_said_plainly(tmp_path):
    (tmp_path / "01_broken.ipynb").write_text("{}")
    with pytest.raises(NotebookError, match="01_broken.ipynb cannot be read as a notebook"):
        declared_parameters(tmp_path / "01_broken.ipynb")


@pytest.mark.parametrize(
    "name, text, value",
    [
        ("ppo_steps", "20", 20),
        ("learning_rate", "5e-4", 5e-4),
        ("learning_rate", "1E+1", 10.0),
        ("ppo_steps", "null", None),
        ("rewards", "[toxicity]", ["toxicity"]),
        ("rewards", "toxicity,learned", "toxicity,learned"),
        ("policy_model", "data/models/x", "data/models/x"),
        ("policy_model", "007", "007"),
        ("shown", "yes", True),
        ("shown", "2024-01-01", "2024-01-01"),
    ],
)
def test_values_are_yaml_scalars_and_lists(name, text, value):
    assert parse_value(name, text) == value


@pytest.mark.parametrize("text", ["{a: 1}", "[1", "a: b: c"])
def test_other_values_are_refused(text):
    with pytest.raises(ProfileError, match="'shown'"):
        parse_value("shown", text)


def test_local_paths_are_relative_to_where_one_stands(tmp_path, monkeypatch):
    """Notebooks work in a folder of their own; what is no local path stays as it is."""
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path)
    assert parse_value("policy_model", "mine") == str(tmp_path / "mine")
    assert parse_value("feedback", "rank_*.jsonl") == str(tmp_path / "rank_*.jsonl")
    assert parse_value("feedback", "../missing.jsonl") == str(tmp_path.parent / "missing.jsonl")
    assert parse_value("feedback", "rank_*.jsonl", tmp_path / "plans") == str(tmp_path / "plans" / "rank_*.jsonl")
    for other in ("not-mine", "google/flan-t5-base", "s3://bucket/rank_*.jsonl", "/else/where", "data/feedback"):
        assert parse_value("feedback", other) == other
    assert parse_value("sft_adapter", "null") is None


def test_a_parameter_reaches_every_notebook_that_declares_it(write_notebook):
    paths = [write_notebook("01_first"), write_notebook("02_second", parameters=PARAMETERS)]
    injected = check_parameters(paths, "tiny", {"ppo_steps": 3, "seed": 1})
    assert injected == {paths[0]: {"seed": 1}, paths[1]: {"ppo_steps": 3, "seed": 1}}


@pytest.mark.parametrize(
    "profile, parameters, words",
    [
        ("tiny", {"ppo_step": 3}, "declares parameter 'ppo_step': did you mean 'ppo_steps'"),
        ("tiny", {"kl_coef": 0.1}, "declares parameter 'kl_coef'"),  # a field, but of no notebook asked for
        ("tiny", {"ppo_steps": "many"}, "ppo_steps is 'many', it must be a whole number"),
        ("tiny", {"ppo_steps": -3}, "ppo_steps is -3, it must be at least 0"),
        ("tiny", {"seed": "a"}, "'seed' must be like 0, not 'a'"),
        ("tiny", {"seed": -1}, "'seed' must be from 0"),
        ("tiny", {"shown": True}, "'shown' must be like 3, not True"),
        ("tiny", {"profile": "full"}, "use --profile"),
        ("tiny", {"run_dir": "x"}, "use --output-dir"),
        ("tinny", {}, "unknown profile 'tinny'"),
    ],
)
def test_what_cannot_be_used_is_refused_before_anything_runs(write_notebook, tmp_path, profile, parameters, words):
    write_notebook("01_first", parameters=PARAMETERS)
    with pytest.raises(ProfileError, match=words):
        run_notebooks((), profile, parameters, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("inside", ["", "out", "deep/out"])
def test_an_output_folder_among_the_notebooks_is_refused(write_notebook, inside):
    folder = write_notebook("01_first").parent
    with pytest.raises(UsageError, match="in the folder of the notebooks"):
        run_notebooks(output_dir=folder / inside)
    assert os.listdir(folder) == ["01_first.ipynb"]


def test_an_output_folder_that_is_a_file_or_below_one_is_refused(write_notebook, tmp_path):
    write_notebook("01_first")
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="is a file"):
        run_notebooks(output_dir=tmp_path / "file")
    with pytest.raises(LabError, match="a part of the path is a file"):
        run_notebooks(output_dir=tmp_path / "file" / "out")


# executing


def test_notebooks_run_in_order_in_our_interpreter_with_their_parameters(write_notebook, tmp_path, monkeypatch):
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "kernels of others"))
    first = "import sys, os; print(sys.executable, os.getcwd(), os.environ['TQDM_DISABLE'])"
    hand_over = (
        "from labhelpers.course.artifacts import Artifacts\n"
        "with Artifacts(run_dir).writing('numbers') as folder:\n    (folder / 'shown').write_text(f'{[seed, shown]}')"
    )
    take = (
        "from labhelpers.course.artifacts import Artifacts\n"
        "print((Artifacts(run_dir).path('numbers') / 'shown').read_text())"
    )
    write_notebook("01_first", first, hand_over, parameters=PARAMETERS)
    write_notebook("02_second", take)
    said = []
    before = dict(os.environ)
    seconds = run_notebooks((), "tiny", {"seed": 5, "shown": 7}, tmp_path / "out", say=said.append)
    assert dict(os.environ) == before
    assert list(seconds) == ["01_first", "02_second"]
    assert [line.split()[0] for line in said] == ["01_first", "02_second"] and said[0].endswith(" s")
    here = tmp_path / "notebooks"
    assert outputs(tmp_path / "out" / "notebooks" / "01_first.ipynb") == [f"{sys.executable} {here} 1\n"]
    assert outputs(tmp_path / "out" / "notebooks" / "02_second.ipynb") == ["[5, 7]\n"]
    assert kept(tmp_path / "out") == ["01_first.ipynb", "02_second.ipynb"]


def test_a_failed_notebook_is_kept_up_to_the_failing_cell_and_nothing_of_an_older_run_beside_it(
    write_notebook, tmp_path
):
    out = tmp_path / "out"
    write_notebook("01_first", "print('reached')", "raise ValueError('first line\\nlast line')", "print('never')")
    write_notebook("02_second")
    (out / "notebooks").mkdir(parents=True)
    (out / "notebooks" / "02_second.ipynb").write_text("of an older run")
    (out / "results.json").write_text('{"01_first": {"old": 1}, "other": {"kept": 1}}')
    with pytest.raises(NotebookError) as failure:
        run_notebooks(output_dir=out)
    executed = out / "notebooks" / "01_first.ipynb"
    error = failure.value
    assert (error.notebook, error.cell, error.kind, error.kept) == ("01_first", 4, "raised", executed)
    assert error.reason == "ValueError: last line"
    assert str(error) == (
        f"notebook 01_first failed in cell In [4]: ValueError: last line; executed up to there: {executed}"
    )
    assert "reached\n" in outputs(executed) and "never\n" not in outputs(executed)
    assert kept(out) == ["01_first.ipynb"]
    assert json.loads((out / "results.json").read_text()) == {"other": {"kept": 1}}


def test_a_name_that_only_the_authors_kernel_knew_is_explained(write_notebook, tmp_path):
    write_notebook("01_first", "print(forgotten)")
    with pytest.raises(NotebookError, match="NameError: name 'forgotten' is not defined; .* run all cells"):
        run_notebooks(output_dir=tmp_path / "out")


def test_a_notebook_run_out_of_order_says_which_comes_first(write_notebook, tmp_path):
    write_notebook(
        "04_later", "from labhelpers.course.artifacts import Artifacts\nArtifacts(run_dir).path('sft_adapter')"
    )
    with pytest.raises(
        NotebookError,
        match=r"cell In \[3\]: artifact 'sft_adapter' is not there: run notebook 01_supervised_finetuning first, or ",
    ):
        run_notebooks(output_dir=tmp_path / "out")


def test_a_kernel_that_dies_is_a_failure_with_its_cell(write_notebook, tmp_path):
    write_notebook("01_first", "print('reached')", "import os; os._exit(9)")
    with pytest.raises(NotebookError, match=r"failed in cell In \[4\]: its kernel died") as failure:
        run_notebooks(output_dir=tmp_path / "out")
    assert (failure.value.kind, failure.value.cell) == ("kernel died", 4)
    assert "reached\n" in outputs(tmp_path / "out" / "notebooks" / "01_first.ipynb")


@pytest.mark.parametrize(
    "code, kind, words",
    [
        (errno.ENOSPC, "disk full", "the disk is full"),
        (errno.EDQUOT, "disk full", "the disk quota is used up"),
        (errno.EROFS, "not writable", "the file system is read-only"),
    ],
)
def test_a_disk_that_cannot_be_written_is_said_plainly(write_notebook, tmp_path, monkeypatch, code, kind, words):
    import papermill

    def fails(source, draft, *arguments, **options):
        draft.write_text('{"cells": [')
        raise OSError(code, os.strerror(code))

    write_notebook("01_first")
    monkeypatch.setattr(papermill, "execute_notebook", fails)
    with pytest.raises(NotebookError, match=f"01_first cannot be written: {words}.*nothing of it was saved") as failure:
        run_notebooks(output_dir=tmp_path / "out")
    assert (failure.value.kind, failure.value.kept) == (kind, None)
    assert kept(tmp_path / "out") == []


def test_a_full_disk_that_a_cell_met_is_told_from_other_errors(write_notebook, tmp_path):
    """Also where an error of ours was raised from it, which says it in other words."""
    ours = "from labhelpers.errors import LabError\ntry:\n    raise OSError(28, 'x')\n"
    write_notebook("01_first", ours + "except OSError as error:\n    raise LabError('no room') from error")
    with pytest.raises(NotebookError, match=r"failed in cell In \[3\]: no room") as failure:
        run_notebooks(output_dir=tmp_path / "out")
    assert (failure.value.kind, failure.value.cell) == ("disk full", 3)


def test_kernels_are_started_by_the_command_that_is_given(write_notebook, tmp_path):
    write_notebook("01_first", "import sys; print(sys.flags.isolated)")
    run_notebooks(output_dir=tmp_path / "out", kernel=[sys.executable, "-I", "-m", "ipykernel_launcher"])
    assert outputs(tmp_path / "out" / "notebooks" / "01_first.ipynb") == ["1\n"]


def test_our_kernels_do_not_outlive_us(tmp_path):
    import psutil
    from jupyter_client.manager import KernelManager

    with course.own_kernel():
        manager = KernelManager(kernel_name="python3")
        manager.start_kernel()
        process = psutil.Process(manager.provisioner.pid)
        assert process.is_running()
    manager.provisioner.process.wait(timeout=10)
    assert not psutil.pid_exists(process.pid)
