"""Tests and nbval write into runs/nbval, never into the learner's own runs; nbval's kernels are this interpreter."""

import contextlib
import os
from pathlib import Path

import pytest

_kernels = contextlib.ExitStack()


def pytest_configure(config):
    run_dir = os.environ.setdefault("LABHELPERS_RUN_DIR", str(Path(__file__).parent / "runs" / "nbval"))
    if config.getoption("--nbval", default=False):
        from labhelpers.course import own_kernel

        _kernels.enter_context(own_kernel(LABHELPERS_RUN_DIR=run_dir))


def pytest_unconfigure(config):
    _kernels.close()


@pytest.fixture
def write_notebook(tmp_path, monkeypatch):
    """A function that writes a throwaway notebook: write_notebook("01_first", *sources, parameters="seed = 0").

    The folder it goes to is where the course's notebooks are looked for during the test.
    """
    folder = tmp_path / "notebooks"
    folder.mkdir()
    monkeypatch.setenv("LABHELPERS_NOTEBOOKS", str(folder))

    def write(name, *sources, parameters="profile = 'tiny'\nseed = 0\nrun_dir = None"):
        import nbformat
        from nbformat.v4 import new_code_cell, new_notebook

        cells = [new_code_cell(parameters, metadata={"tags": ["parameters"]}, id="parameters")]
        cells += [new_code_cell(source, id=f"cell-{number}") for number, source in enumerate(sources)]
        kernel = {"name": "python3", "display_name": "elsewhere", "language": "python"}
        path = folder / f"{name}.ipynb"
        nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)
        return path

    return write
