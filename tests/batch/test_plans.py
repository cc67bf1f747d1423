"""Plans: what is asked for is checked field by field, and a run keeps its name as long as nothing in it changes."""

import json
from pathlib import Path

import pytest

import labhelpers
from labhelpers.batch.plans import expand, load_plan
from labhelpers.errors import UsageError

PARAMETERS = "profile = 'tiny'\nseed = 0\nrun_dir = None\nkl_coef = None\nppo_steps = None"


@pytest.fixture
def plan_file(write_notebook, tmp_path):
    write_notebook("03_first", "print(seed)", parameters=PARAMETERS)
    write_notebook("08_second", parameters=PARAMETERS)

    def write(text):
        file = tmp_path / "plan.yaml"
        file.write_text(text)
        return file

    return write


def test_a_grid_is_expanded_in_its_order(plan_file):
    text = "notebooks: [03, 08]\nprofile: tiny\nparameters: {ppo_steps: 2}\n"
    plan = load_plan(plan_file(text + "grid: {kl_coef: [0.1, 1e-3], seed: [0, 1]}\ntimeout_minutes: 2"))
    assert [path.stem for path in plan.notebooks] == ["03_first", "08_second"]
    runs = expand(plan)
    assert [(run.parameters["kl_coef"], run.parameters["seed"]) for run in runs] == [
        (0.1, 0),
        (0.1, 1),
        (0.001, 0),
        (0.001, 1),
    ]
    assert all(run.parameters["ppo_steps"] == 2 for run in runs)
    assert len({run.id for run in runs}) == 4
    assert runs[0].label == "kl_coef = 0.1, seed = 0"


def test_a_plan_of_notebooks_alone_is_one_run(plan_file):
    (run,) = expand(load_plan(plan_file("notebooks: ['08_second']")))
    assert (run.parameters, run.label) == ({}, "the one run")


def test_notebooks_may_be_files_beside_the_plan(plan_file, tmp_path):
    (tmp_path / "mine.ipynb").write_bytes((tmp_path / "notebooks" / "03_first.ipynb").read_bytes())
    assert load_plan(plan_file("notebooks: [mine.ipynb]")).notebooks == (tmp_path / "mine.ipynb",)


def test_what_a_plan_says_of_files_is_relative_to_the_plan(plan_file, tmp_path, monkeypatch):
    """Also a glob, and wherever the command is given: a file of the same name in the current folder is not taken."""
    elsewhere = tmp_path / "elsewhere"
    for folder in (tmp_path, elsewhere):
        (folder / "cohort" / "ada").mkdir(parents=True)
        (folder / "rank_1.jsonl").write_text("{}")
    source = (tmp_path / "notebooks" / "03_first.ipynb").read_text()
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "mine.ipynb").write_text(source.replace("ppo_steps = None", "feedback = None"))
    (elsewhere / "hers.ipynb").write_text(source)
    monkeypatch.chdir(elsewhere)
    text = "notebooks: [own/mine.ipynb]\ngrid:\n"
    text += "  feedback: ['rank_*.jsonl', rank_1.jsonl, missing.jsonl, hub/name, data/x]"
    plan = load_plan(plan_file(text))
    assert plan.notebooks == (tmp_path / "own" / "mine.ipynb",)
    here = [str(tmp_path / name) for name in ("rank_*.jsonl", "rank_1.jsonl", "missing.jsonl")]
    assert plan.grid["feedback"] == [*here, "hub/name", "data/x"]
    assert load_plan(plan_file("notebooks: [03]\nsubmissions: cohort")).submissions == tmp_path / "cohort"
    with pytest.raises(UsageError, match="unknown notebook 'hers.ipynb'"):
        load_plan(plan_file("notebooks: [hers.ipynb]"))


def test_a_run_is_known_by_sources_parameters_and_version(plan_file, write_notebook, monkeypatch):
    file = plan_file("notebooks: [03]\ngrid: {seed: [1]}")

    def identity():
        return expand(load_plan(file))[0].id

    first = identity()
    notebook = load_plan(file).notebooks[0]
    content = json.loads(notebook.read_text())
    content["cells"][1]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "0"}]
    notebook.write_text(json.dumps(content))
    assert identity() == first  # outputs decide nothing
    monkeypatch.setattr(labhelpers, "__version__", "9.9")
    assert identity() != first
    monkeypatch.undo()
    content["cells"][1]["source"] = "print(1)"
    notebook.write_text(json.dumps(content))
    assert expand(load_plan(_with_notebooks(file, notebook)))[0].id != first


def _with_notebooks(file: Path, notebook: Path) -> Path:
    file.write_text(f"notebooks: [{notebook}]\ngrid: {{seed: [1]}}")
    return file


@pytest.mark.parametrize(
    "text, words",
    [
        ("", "must be a table of fields"),
        ("[", "line 1: not readable as YAML"),
        ("notebooks: 3", "field 'notebooks': must be a list"),
        ("notebooks: []", "field 'notebooks': must be a list"),
        ("profile: tiny", "field 'notebooks': must be a list"),
        ("notebooks: [09]", "field 'notebooks': unknown notebook '09'"),
        ("notebooks: [[3]]", r"field 'notebooks': must be a list of one notebook or more, .*, not \[\[3\]\]"),
        ("notebooks: [03]\ngird: {seed: [1]}", "field 'gird': there is no such field: did you mean 'grid'"),
        ("notebooks: [03]\nprofile: tinny", "field 'profile': unknown profile 'tinny': did you mean 'tiny'"),
        ("notebooks: [03]\n3: tiny", "field '3': there is no such field"),
        (
            "notebooks: [03]\ngrid:\n  kl_coef: [1]\n  seed: [1]\n  kl_coef: [2]",
            "line 5: .*'kl_coef' .* in line 3",
        ),
        ("notebooks: [03]\nprofile: tiny\nnotebooks: [08]", "line 3: .*'notebooks' is given here and in line 1"),
        ("notebooks: [03]\ngrid: {1: [1]}", "field 'grid': must be a table of names"),
        ("notebooks: [03]\nprofile: 3", "field 'profile': must be the name of a profile, not 3"),
        ("notebooks: [03]\nparameters: 3", "field 'parameters': must be a table"),
        ("notebooks: [03]\nparameters: {sede: 1}", "field 'parameters.sede': none of .* did you mean 'seed'"),
        ("notebooks: [03]\nparameters: {seed: x}", "field 'parameters.seed': parameter 'seed' must be like 0"),
        ("notebooks: [03]\nparameters: {profile: full}", "field 'parameters.profile': .*the field 'profile'"),
        ("notebooks: [03]\ngrid: {}", "field 'grid': is empty"),
        ("notebooks: [03]\ngrid: {seed: []}", "field 'grid.seed': must be a list of one value or more"),
        ("notebooks: [03]\ngrid: {seed: 3}", "field 'grid.seed': must be a list"),
        ("notebooks: [03]\ngrid: {seed: [1, 1]}", "field 'grid.seed': lists 1 twice"),
        ("notebooks: [03]\ngrid: {kl_coef: [0.1, many]}", "field 'grid.kl_coef': .*kl_coef is 'many', it must be"),
        ("notebooks: [03]\ngrid: {seed: [1]}\nparameters: {seed: 2}", "field 'grid.seed': is also in 'parameters'"),
        ("notebooks: [03]\ntimeout_minutes: -1", "field 'timeout_minutes': must be a number above 0"),
        ("notebooks: [03]\nthreads: 1.5", "field 'threads': must be a whole number above 0"),
        ("notebooks: [03]\nmemory_gb: yes", "field 'memory_gb': must be a number above 0"),
        ("notebooks: [03]\ntimeout_minutes: .inf", "field 'timeout_minutes': must be a number above 0"),
        ("notebooks: [03]\nweak_isolation: 1", "field 'weak_isolation': must be true or false, not 1"),
        ("notebooks: [03]\nsubmissions: nowhere", "field 'submissions': .*nowhere is not a folder"),
        ("notebooks: [03]\nsubmissions: 3", "field 'submissions': must be a folder"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_field(plan_file, text, words):
    with pytest.raises(UsageError, match=words):
        load_plan(plan_file(text))


def test_a_plan_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        load_plan(tmp_path / "plan.yaml")


def test_submissions_are_a_run_per_student(plan_file, tmp_path):
    for student in ("ada", "bob"):
        (tmp_path / "cohort" / student).mkdir(parents=True)
        source = (tmp_path / "notebooks" / "03_first.ipynb").read_bytes()
        (tmp_path / "cohort" / student / "03_first.ipynb").write_bytes(source)
    (tmp_path / "cohort" / "mallory").symlink_to(tmp_path)
    plan = load_plan(plan_file("notebooks: [03, 08]\nsubmissions: cohort"))
    ada, bob = expand(plan)
    assert (ada.student, bob.student) == ("ada", "bob") and ada.id != bob.id
    assert ada.notebooks == {"03_first": tmp_path / "cohort" / "ada" / "03_first.ipynb"}
    assert ada.submission.missing == ("08_second",)
    assert (plan.timeout_minutes, plan.memory_gb) == (30, 4)
    (tmp_path / "cohort" / "ada" / "notes.txt").write_text("changed")
    assert expand(plan)[0].id != ada.id


def test_submissions_stand_alone(plan_file, tmp_path):
    (tmp_path / "cohort").mkdir()
    file = plan_file("notebooks: [03]\nsubmissions: cohort")
    with pytest.raises(UsageError, match="holds no folders"):
        load_plan(file)
    (tmp_path / "cohort" / "ada").mkdir()
    with pytest.raises(UsageError, match="cannot be combined with 'grid'"):
        load_plan(plan_file("notebooks: [03]\nsubmissions: cohort\ngrid: {seed: [1]}"))


def test_a_merge_key_is_no_field(plan_file):
    text = "notebooks: [03]\nparameters:\n  <<: {ppo_steps: 1}\n  seed: 3\n"
    assert load_plan(plan_file(text)).parameters == {"ppo_steps": 1, "seed": 3}
