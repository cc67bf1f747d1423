"""What is read of a notebook file: its cells, whichever format and line ends it has, and the names that it declares."""

import json

import nbformat
import pytest

from labhelpers.course.exercises import learner_copy
from labhelpers.course.notebooks import parse_code, read_notebook
from labhelpers.course.parameters import declared_parameters
from labhelpers.errors import NotebookError

OLD = {
    "metadata": {"name": ""}, "nbformat": 3, "nbformat_minor": 0,
    "worksheets": [{"metadata": {}, "cells": [
        {"cell_type": "code", "input": ["seed = 7\n", "x = 1"], "language": "python", "outputs": [],
         "metadata": {"tags": ["parameters"]}, "collapsed": False},
        {"cell_type": "heading", "level": 1, "source": "Title", "metadata": {}},
    ]}],
}  # fmt: skip


def test_ipythons_commands_declare_no_parameter(write_notebook):
    parameters = "%matplotlib inline\nseed = 3\n!ls\nrun_dir = None\nfiles = !ls\nseed?"
    assert declared_parameters(write_notebook("01_first", parameters=parameters)) == {
        "seed": 3,
        "run_dir": None,
        "files": None,
    }


def test_parameters_that_are_no_python_are_named(write_notebook):
    with pytest.raises(NotebookError, match="01_first.ipynb cannot .*: the cell tagged `parameters` is not Python: "):
        declared_parameters(write_notebook("01_first", parameters="seed = = 3"))


def test_a_notebook_of_an_old_format_is_read_as_one_of_today(tmp_path):
    path = tmp_path / "old.ipynb"
    path.write_text(json.dumps(OLD))
    assert [cell["source"] for cell in read_notebook(path)["cells"]] == ["seed = 7\nx = 1", "# Title"]
    assert declared_parameters(path) == {"seed": 7, "x": 1}
    assert nbformat.reads(learner_copy(path), 4).cells[0].source == "seed = 7\nx = 1"


@pytest.mark.parametrize(
    "content, reason",
    [
        ("{}", "it holds no list of cells: open it in Jupyter, save it there, and use that file"),
        ("[1]", "it holds no list of cells"),
        ('{"nbformat": 4, "cells": [1]}', "it holds no list of cells"),
        ('{"nbformat": 3, "worksheets": 1}', "an old notebook format that cannot be converted: open it in Jupyter"),
        ("no JSON", "Expecting value"),
        (b"\xff\xfe", "can't decode byte"),
    ],
)
def test_a_file_that_is_no_notebook_is_refused_in_words(tmp_path, content, reason):
    path = tmp_path / "x.ipynb"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(NotebookError) as caught:
        read_notebook(path)
    assert str(caught.value).startswith(f"{path} cannot be read as a notebook: ") and reason in str(caught.value)


def test_lines_end_alike_whatever_wrote_the_file(tmp_path):
    cells = [{"cell_type": "code", "source": ["a\r\n", "b\r", "c\n"], "metadata": {}}]
    (tmp_path / "x.ipynb").write_bytes(b"\xef\xbb\xbf" + json.dumps({"cells": cells}).encode())
    assert read_notebook(tmp_path / "x.ipynb")["cells"][0]["source"] == "a\nb\nc\n"


def test_code_that_is_neither_python_nor_ipythons_is_a_syntax_error():
    with pytest.raises(SyntaxError):
        parse_code("x = = 5")
