"""What every committed notebook promises a reader, and that its stored outputs can be compared."""

import ast
import re
import statistics
import subprocess
import sys

import nbformat
import pytest

from labhelpers.course.parameters import declared_parameters
from labhelpers.course.profiles import FIELDS
from labhelpers.course.recording import code_hash
from tests.support.paths import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
UNCOMPARED = {"nbval-ignore-output", "nbval-skip", "nbval-raises-exception"}


@pytest.fixture(scope="module", params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request):
    notebook = nbformat.read(request.param, as_version=4)
    nbformat.validate(notebook)
    return request.param, notebook, [cell for cell in notebook.cells if cell.cell_type == "code"]


def prose(notebook):
    return "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def test_the_core_labs_are_there():
    assert {"02", "03", "04", "05"} <= {path.stem[:2] for path in NOTEBOOKS}


def test_cells_are_short(notebook):
    _, _, code = notebook
    lengths = [len(cell.source.splitlines()) for cell in code]
    assert statistics.median(lengths) <= 10 and max(lengths) <= 35


def test_parameters_are_settings_of_the_profile_and_default_to_it(notebook):
    path, _, code = notebook
    assert "parameters" in code[0].metadata.get("tags", [])
    declared = declared_parameters(path)
    assert list(declared)[:3] == ["profile", "seed", "run_dir"]
    switches = {"resume", "staleness"}  # how a notebook proceeds, not a setting of the run
    switches |= {"runs", "beta_scale"}  # what its experiment varies
    assert set(declared) - {"profile", "seed", "run_dir"} - switches <= set(FIELDS)
    values = {node.targets[0].id: node.value.value for node in ast.parse(code[0].source).body}
    assert values.pop("profile") == "tiny" and values.pop("seed") == 0
    usual = {"resume": False, "staleness": 0, "runs": "encoder 0", "beta_scale": 1.0}
    assert all(values.pop(name, usual[name]) == usual[name] for name in switches)
    assert set(values.values()) == {None}
    handed_over = [name for name in declared if name not in switches]
    missing = [name for name in handed_over if f"{name}={name}" not in code[1].source and name not in code[1].source]
    assert not missing, "declared, but never handed to start()"


def test_the_website_folds_what_no_reader_looks_at_first(notebook):
    """Parameters, start and imports: myst-nb reads the tags, JupyterLab shows the cells as they are."""
    _, _, code = notebook
    tags = [[tag for tag in cell.metadata.get("tags", []) if tag.startswith("hide-")] for cell in code]
    assert tags == [["hide-cell"], ["hide-input"], ["hide-input"]] + [[]] * (len(code) - 3)


def test_the_first_cell_says_which_python_lacks_the_course(notebook, tmp_path):
    """Run by a Python with no packages at all, as in a kernel of another environment."""
    first = notebook[2][1].source
    done = subprocess.run([sys.executable, "-I", "-S", "-c", first], capture_output=True, text=True, cwd=tmp_path)
    assert done.stderr.strip().splitlines()[-1] == (
        f"AssertionError: {sys.executable} has no labhelpers: choose the course's kernel (docs/install.md)"
    )


def test_it_opens_and_closes_as_all_do(notebook):
    _, document, _ = notebook
    opening, closing = document.cells[0].source, document.cells[-1].source
    for phrase in ("After this notebook you can", "Where we are", "Running time", "Needs"):
        assert phrase in opening
    assert "What to remember" in closing and "**Next:**" in closing


def test_two_exercises_or_more_with_checks_and_hints(notebook):
    path, document, code = notebook
    solved = [place for place, cell in enumerate(code) if "# solution" in cell.source]
    assert len(solved) >= 2
    for place, following in zip(solved, [*solved[1:], len(code)], strict=True):
        assert re.search(r"^# solution\n(.|\n)+^# end solution$", code[place].source, re.MULTILINE)
        # A prediction is checked once the experiment has been made.
        until = "\n".join(cell.source for cell in code[place:following])
        assert re.search(r"^check_\w+\(", until, re.MULTILINE), "every exercise has its check before the next one"
    assert prose(document).count("<summary>Hint</summary>") >= len(solved)
    if "01" <= path.stem[:2] <= "05":
        assert "In the original lab" in prose(document)


def test_stored_outputs_are_complete_clean_and_comparable(notebook):
    _, _, code = notebook
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1)), "recorded top to bottom, in one go"
    with_output = [cell for cell in code if cell.outputs]
    loose = [cell for cell in with_output if UNCOMPARED & set(cell.metadata.get("tags", []))]
    assert len(loose) <= 0.15 * len(with_output)
    assert not any("nbval-skip" in cell.metadata.get("tags", []) or "NBVAL_SKIP" in cell.source for cell in code)
    for cell in with_output:
        for output in cell.outputs:
            assert output.output_type != "error"
            assert output.get("name") != "stderr"
            text = str(output.get("text") or output.get("data", {}).get("text/plain"))
            assert not re.search(r"(/home/|/root/|/tmp/|/work/|/Users/| at 0x[0-9a-f]+)", text)
            assert not re.search(r"\d%\s*\|", text), "a progress bar that does not move any more"


def test_figures_have_alt_text(notebook):
    _, _, code = notebook
    outputs = [output for cell in code for output in cell.outputs if "image/png" in output.get("data", {})]
    assert outputs or notebook[0].stem.startswith("00")
    for output in outputs:
        assert len(output.metadata["image/png"]["alt"]) > 20


def test_nothing_is_imported_twice_or_installed(notebook):
    _, _, code = notebook
    imported = []
    for cell in code:
        assert not re.search(r"^\s*[!%]", cell.source, re.MULTILINE)
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                module = getattr(node, "module", None)
                imported += [(module, alias.name) for alias in node.names]
    assert len(imported) == len(set(imported))


def test_stored_outputs_belong_to_the_code_beside_them(notebook):
    _, document, _ = notebook
    assert document.metadata["labhelpers"]["recorded"] == code_hash(document), "the code has changed: `labs record`"
