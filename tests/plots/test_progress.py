"""The progress bar of long work: it moves while somebody watches, and no executed notebook keeps it."""

import nbformat
import pytest
from nbclient import NotebookClient

from labhelpers.course.execution import own_kernel
from labhelpers.plots import progress

LOOP = """
import time
from labhelpers import plots

for item in plots.progress("abc", total=5, desc="PPO", initial=2):
    time.sleep(0.3)
    print(item)
"""


@pytest.mark.parametrize("watched", [True, False])
def test_an_executed_notebook_holds_no_bar(watched, monkeypatch):
    texts = []

    class Watching(NotebookClient):
        def process_message(self, message, cell, index):
            texts.append(message["content"].get("data", {}).get("text/plain", ""))
            return super().process_message(message, cell, index)

    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(LOOP)])
    with own_kernel(), monkeypatch.context() as patch:
        if watched:
            patch.delenv("TQDM_DISABLE")
        Watching(notebook, kernel_name="python3").execute()
    bars = [text for text in texts if "%|" in text]
    assert all(bar.startswith("PPO: ") for bar in bars)
    assert any("2/5" in bar for bar in bars) == any("4/5" in bar for bar in bars) == watched
    (cell,) = notebook.cells
    assert "".join(output.get("text", "") for output in cell.outputs) == "a\nb\nc\n"
    assert not [output for output in cell.outputs if output.get("data")]


def test_a_loop_that_is_left_early_takes_no_more_than_it_asked_for(monkeypatch):
    monkeypatch.setenv("TQDM_DISABLE", "1")
    items = iter(range(10))
    for item in progress(items, 10, "PPO"):
        if item == 3:
            break
    assert next(items) == 4
