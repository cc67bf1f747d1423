"""labs record: outputs that are the same everywhere, stored for all notebooks asked for or for none."""

import json

import nbformat
import pytest

from labhelpers.course.recording import code_hash, record_outputs
from labhelpers.errors import NotebookError


def silent(line):
    pass


def test_outputs_are_stored_and_sources_ids_and_tags_kept(write_notebook):
    path = write_notebook(
        "01_first", "import sys\nprint('a'); sys.stdout.flush(); print('b')", "1 + 1", "%matplotlib inline"
    )
    notebook = nbformat.read(path, 4)
    notebook.cells[1].metadata = {"tags": ["nbval-ignore-output"], "execution": {"x": "time"}, "papermill": {}}
    notebook.metadata["papermill"] = {"duration": 3}
    nbformat.write(notebook, path)
    record_outputs(say=silent)
    stored = nbformat.read(path, 4)
    nbformat.validate(stored)
    assert [(cell.id, cell.source) for cell in stored.cells] == [(cell.id, cell.source) for cell in notebook.cells]
    assert stored.cells[0].metadata == {"tags": ["parameters"]}
    assert stored.cells[1].metadata == {"tags": ["nbval-ignore-output"]}
    assert stored.cells[1].outputs == [{"output_type": "stream", "name": "stdout", "text": "a\nb\n"}]
    assert stored.cells[2].outputs[0]["data"] == {"text/plain": "2"}
    assert [cell.execution_count for cell in stored.cells] == [1, 2, 3, 4]
    assert stored.metadata == {
        "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
        "labhelpers": {"recorded": code_hash(stored)},
    }
    once = path.read_bytes()
    record_outputs(say=silent)
    assert path.read_bytes() == once


def test_a_widgets_reference_is_not_stored_but_its_text_is(write_notebook):
    path = write_notebook("01_first", "import ipywidgets; ipywidgets.Label('hello')")
    record_outputs(say=silent)
    stored = json.loads(path.read_text())
    assert list(stored["cells"][1]["outputs"][0]["data"]) == ["text/plain"]
    assert "widgets" not in stored["metadata"]


def test_what_cannot_be_stored_is_named_with_its_cell(write_notebook):
    sources = {
        "import sys; print('careful', file=sys.stderr)": "a message on stderr (careful)",
        "object()": "an address in memory (at 0x",
        "import os; print(os.getcwd())": "a path of this machine (",
        "print('/home/someone/x')": "a path of this machine (/home/someone/x)",
        "print('in', os.environ['LABHELPERS_RUN_DIR'])": "a path of this machine (",
        "print('http://localhost:8888')": "an address of this machine (localhost:8888)",
        "print('and/or 3/4 https://example.org/home/x')": None,
    }
    paths = [write_notebook("01_first", "1"), write_notebook("02_second", *sources)]
    before = [path.read_bytes() for path in paths]
    with pytest.raises(NotebookError, match="notebook 02_second: cannot be stored: ") as refusal:
        record_outputs(say=silent)
    for number, words in enumerate(sources.values(), start=2):
        assert (
            f"cell {number} shows {words}" in str(refusal.value)
            if words
            else f"cell {number} " not in str(refusal.value)
        )
    assert [path.read_bytes() for path in paths] == before


@pytest.mark.parametrize(
    "source, words",
    [("raise ValueError('no')", "failed: ValueError: no"), ("import os; os._exit(1)", "its kernel died")],
)
def test_a_failure_stores_nothing(write_notebook, source, words):
    paths = [write_notebook("01_first", "1"), write_notebook("02_second", source)]
    before = [path.read_bytes() for path in paths]
    with pytest.raises(NotebookError, match=f"notebook 02_second {words}|notebook 02_second failed: {words}"):
        record_outputs(say=silent)
    assert [path.read_bytes() for path in paths] == before
    assert sorted(path.name for path in paths[0].parent.iterdir()) == ["01_first.ipynb", "02_second.ipynb"]


def test_with_names_only_those_are_stored_and_those_before_executed(write_notebook, tmp_path):
    hand_over = (
        "import os; from labhelpers.course.artifacts import Artifacts; a = Artifacts(os.environ['LABHELPERS_RUN_DIR'])"
    )
    first = write_notebook(
        "01_first", hand_over, "import pandas; a.save_table('numbers', pandas.DataFrame({'n': [7]})); 1"
    )
    second = write_notebook("02_second", hand_over, "a.load_table('numbers')['n'].tolist()")
    write_notebook("03_third", "1 / 0")
    before, said = first.read_bytes(), []
    assert record_outputs(["02"], say=said.append) == [second]
    assert [line.split(maxsplit=1)[1] for line in said] == ["executed for what it hands over", "executed"]
    assert first.read_bytes() == before
    assert nbformat.read(second, 4).cells[2].outputs[0]["data"] == {"text/plain": "[7]"}

    with pytest.raises(NotebookError, match="'numbers' is not there"):  # an empty run, and 01 is not asked for
        record_outputs(["02"], run_dir=tmp_path / "run", say=silent)
