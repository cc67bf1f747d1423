"""labs exercises: learner copies that hold the questions, not the answers, and run all the same."""

import ast
import re
import subprocess
import sys
from types import SimpleNamespace

import nbformat
import pytest

from labhelpers import checks, cli
from labhelpers.course.execution import own_kernel
from labhelpers.course.exercises import learner_copy, write_exercises
from labhelpers.course.notebooks import find_notebooks
from labhelpers.course.published import carry_links
from labhelpers.course.solutions import placeholder
from labhelpers.errors import LabError, NotebookError, UsageError
from tests.support.paths import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
SOLUTION = re.compile(r"^# solution\n((?:.|\n)*?)^# end solution$", re.MULTILINE)
CHECK_CALL = re.compile(r"^check_\w+\(.*$", re.MULTILINE)
NOTHING = "not yet. nothing there yet: replace the TODO by your code."


def lora_model():
    import torch

    layers = torch.nn.ModuleDict({"lora_A": torch.nn.Linear(8, 4), "lora_B": torch.nn.Linear(4, 6)})
    named = [(f"q.{name}.weight", layer.weight) for name, layer in layers.items()]
    return SimpleNamespace(named_parameters=lambda: named)


def learner_names(source):
    """What the placeholders of a cell's solutions define: name -> None or a function without a body."""
    names = {}
    for solution in SOLUTION.findall(source):
        exec(placeholder(solution), names)
    names.pop("__builtins__", None)
    return names


def checked(path):
    """The checks that a notebook calls, each with what the learner copy hands to it. The call may come later."""
    names = {}
    for cell in nbformat.read(path, 4).cells:
        if cell.cell_type == "code":
            names |= learner_names(cell.source)
            for call in CHECK_CALL.findall(cell.source):
                parsed = ast.parse(call).body[0].value
                yield parsed.func.id, names[parsed.args[0].id]


# What a check wants besides the learner's answer.
MORE = {
    "check_best_reward": lambda: ({"kind": 1.0, "rude": -2.0},),
    "check_lora_count": lambda: (lora_model(),),
    "check_toxic_share": lambda: (0.4,),
    "check_without_kl": lambda: (0.9, 0.5),
}


def test_line_ends_of_other_systems_hide_no_mark(write_notebook):
    path = write_notebook("01_first", "# solution\r\nx = 5\r\n# end solution\r\nprint(x)\r\n")
    copy = nbformat.reads(learner_copy(path), 4)
    assert copy.cells[1].source == "# TODO: your answer\nx = None\nprint(x)\n"


@pytest.mark.parametrize(
    "source, words",
    [
        ("# solution\nx = 5", "'# solution' is alone"),
        ("# solution\n# solution\nx = 5\n# end solution", "'# solution' is alone"),
        ("x = 5\n# end solution", "'# end solution' is alone"),
        ("if 1:\n    # solution\n    x = 5\n    # end solution", "neither indented"),
        ("# solution\nx = = 5\n# end solution", "no Python (its line 1)"),
    ],
)
def test_a_solution_that_cannot_be_cut_is_named(write_notebook, tmp_path, source, words):
    write_notebook("01_first", "1 + 1", source)
    with pytest.raises(NotebookError, match=re.escape(words)) as caught:
        write_exercises(tmp_path / "mine")
    assert str(caught.value).startswith("notebook 01_first, cell 3: ")
    assert not (tmp_path / "mine").exists()


def test_a_copy_has_no_outputs_and_keeps_ids_tags_and_metadata(write_notebook):
    path = write_notebook("01_first", "# solution\nx = 5\n# end solution\nprint(x)")
    notebook = nbformat.read(path, 4)
    notebook.cells[1].outputs = [nbformat.v4.new_output("stream", text="5\n")]
    notebook.cells[1].execution_count = 2
    notebook.cells[1].metadata = {"tags": ["nbval-ignore-output"]}
    notebook.cells.append(nbformat.v4.new_markdown_cell("# solution\nof a riddle\n# end solution", id="prose"))
    nbformat.write(notebook, path)
    copy = nbformat.reads(learner_copy(path), 4)
    nbformat.validate(copy)
    assert copy.metadata.pop("labhelpers")["notebook"] == "01_first" and copy.metadata == notebook.metadata
    assert [(cell.id, cell.metadata) for cell in copy.cells] == [(cell.id, cell.metadata) for cell in notebook.cells]
    assert copy.cells[1].source == "# TODO: your answer\nx = None\nprint(x)"
    assert copy.cells[1].outputs == [] and copy.cells[1].execution_count is None
    assert copy.cells[2].source == notebook.cells[2].source


def test_what_is_there_is_replaced_only_by_force(write_notebook, tmp_path, capsys):
    write_notebook("01_first", "1 + 1")
    write_notebook("02_second", "2 + 2")
    mine = tmp_path / "deep" / "mine"
    mine.mkdir(parents=True)
    (mine / "02_second.ipynb").write_text("my answers")
    assert cli.main(["exercises", str(mine)]) == 2
    said = capsys.readouterr().err
    assert re.fullmatch(r"labs: 02_second\.ipynb in .*mine would be overwritten.*: .*--force\n", said)
    assert [path.name for path in mine.iterdir()] == ["02_second.ipynb"]
    assert (mine / "02_second.ipynb").read_text() == "my answers"
    assert cli.main(["exercises", str(mine), "--force"]) == 0
    assert capsys.readouterr().out == f"wrote 2 notebooks to {mine}\n"
    assert sorted(path.name for path in mine.iterdir()) == ["01_first.ipynb", "02_second.ipynb"]
    assert nbformat.read(mine / "02_second.ipynb", 4).cells[1].source == "2 + 2"


def test_the_notebooks_themselves_are_never_replaced(write_notebook):
    path = write_notebook("01_first", "1 + 1")
    before = path.read_bytes()
    with pytest.raises(UsageError, match="choose another folder"):
        write_exercises(path.parent, force=True)
    assert path.read_bytes() == before


def test_a_folder_that_cannot_be_written_is_named(write_notebook, tmp_path):
    write_notebook("01_first", "1 + 1")
    (tmp_path / "file").write_text("")
    with pytest.raises(LabError, match="file.* cannot be written: .*choose another folder"):
        write_exercises(tmp_path / "file" / "mine")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_copy_of_every_notebook_compiles_and_keeps_its_checks(path):
    copy = nbformat.reads(learner_copy(path), 4)
    nbformat.validate(copy)
    for cell, original in zip(copy.cells, nbformat.read(path, 4).cells, strict=True):
        assert cell.id == original.id and cell.metadata == original.metadata
        if cell.cell_type != "code":
            assert cell.source == carry_links(original.source)
            continue
        compile(cell.source, f"{path.name}:{cell.id}", "exec")
        assert not re.search(r"^\s*# (end )?solution", cell.source, re.MULTILINE)
        assert CHECK_CALL.findall(cell.source) == CHECK_CALL.findall(original.source)
        assert ("# TODO" in cell.source) == ("# solution" in original.source)


@pytest.mark.parametrize("address", ["", "https://ada.example/rlhf"])
def test_every_link_of_the_copies_leads_to_a_file_beside_them_or_to_the_website(address, tmp_path, monkeypatch):
    monkeypatch.setenv("LABHELPERS_SITE", address)
    addresses = []
    for path in write_exercises(tmp_path / "mine"):
        prose = [cell.source for cell in nbformat.read(path, 4).cells if cell.cell_type == "markdown"]
        addresses += re.findall(r"\]\(([^)]*)\)|(?:href|src)=[\"']?([^\"'> ]*)", "\n".join(prose))
    addresses = {one or other for one, other in addresses}
    pages = {"data/README.html", "docs/batch.html", "docs/sources.html"} if address else set()
    quoted = {
        link for link in addresses if link.startswith(("https://medium.com/", "https://community.deeplearning.ai/"))
    }
    assert {link for link in addresses if "://" in link} - quoted == {f"{address}/{page}" for page in pages}
    beside = {link for link in addresses if "://" not in link}
    assert beside and all((tmp_path / "mine" / link).is_file() for link in beside)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_cell_but_the_check_needs_an_answer(path):
    answers = set()
    for cell in nbformat.read(path, 4).cells:
        if cell.cell_type == "code":
            answers |= set(learner_names(cell.source))
            tree = ast.parse(SOLUTION.sub("", cell.source))
            for call in [node for node in ast.walk(tree) if isinstance(node, ast.Call)]:
                if ast.unparse(call.func).startswith("check_"):
                    call.args = []
            used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
            assert not used & answers, cell.id


@pytest.mark.parametrize("check, answer", [pair for path in NOTEBOOKS for pair in checked(path)])
def test_every_check_says_that_nothing_is_there_yet(check, answer, capsys):
    """Given what the learner copy holds, and given None: no exception, and no guess taken for an answer."""
    more = MORE[check]() if check in MORE else ()
    for nothing in (answer, None):
        assert not getattr(checks, check)(nothing, *more)
        assert capsys.readouterr().out == f"{check}: {NOTHING}\n"


@pytest.mark.slow
def test_a_copy_runs_from_another_folder(tmp_path):
    """Headless, in a folder that holds nothing else, from a shell that stands elsewhere."""
    import nbclient

    mine = tmp_path / "mine"
    subprocess.run([sys.executable, "-m", "labhelpers.cli", "exercises", "mine"], cwd=tmp_path, check=True)
    assert {path.name for path in mine.iterdir()} == {path.name for path in find_notebooks()}
    notebook = nbformat.read(mine / "02_human_feedback.ipynb", 4)
    with own_kernel(LABHELPERS_RUN_DIR=str(tmp_path / "run")):
        nbclient.NotebookClient(notebook, kernel_name="python3", resources={"metadata": {"path": str(mine)}}).execute()
    said = [output.text for cell in notebook.cells for output in cell.get("outputs", ()) if "text" in output]
    asked = sum("# TODO" in cell.source for cell in notebook.cells)
    assert "".join(said).count(NOTHING) == asked == 3
    assert (tmp_path / "run" / "results.json").exists()


@pytest.mark.parametrize("text", ["[]", '{"cells": null, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}', "{"])
def test_a_file_that_is_no_notebook_is_said_to_be_none(tmp_path, text):
    (tmp_path / "09_x.ipynb").write_text(text)
    with pytest.raises(NotebookError, match="09_x.ipynb cannot be read as a notebook"):
        learner_copy(tmp_path / "09_x.ipynb")
