"""What import-linter cannot see of the architecture: names in text, and what an import brings along."""

import ast
import importlib
import subprocess
import sys

import pytest

from tests.support.paths import ROOT

FOLDERS = sorted(path.parent.name for path in ROOT.glob("labhelpers/*/__init__.py"))


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_name_that_a_folder_offers_is_there(folder):
    """The names are text in `__init__`, loaded on first use: a stale one would fail in a learner's hands."""
    package = importlib.import_module(f"labhelpers.{folder}")
    assert all(hasattr(package, name) for name in getattr(package, "__all__", ()))


def test_no_module_is_imported_by_a_text():
    """import-linter sees import statements, also inside functions, and nothing else."""
    for path in (ROOT / "labhelpers").rglob("*.py"):
        if path == ROOT / "labhelpers" / "__init__.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = getattr(node.func, "attr", getattr(node.func, "id", "")) if isinstance(node, ast.Call) else ""
            if name in ("import_module", "__import__"):
                assert not any("labhelpers" in ast.unparse(argument) for argument in node.args), path


def test_no_training_code_names_the_gold_reward():
    """`evaluation` offers it by name, loaded on first use: import-linter does not see who asks for it there."""
    training = [ROOT / "labhelpers" / "methods.py", ROOT / "labhelpers" / "train_ppo.py"]
    training += [
        path for folder in ("reward", "ppo", "policy") for path in (ROOT / "labhelpers" / folder).rglob("*.py")
    ]
    for path in training:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [getattr(node, "attr", None), getattr(node, "id", None)]
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
            assert not {"gold", "GoldReward"} & {name for name in names if name}, path


@pytest.mark.parametrize("module", ["labhelpers", "labhelpers.cli", *(f"labhelpers.{name}" for name in FOLDERS)])
def test_importing_a_folder_is_cheap(module):
    """torch, transformers and pandas are imported by what needs them, when it is used."""
    heavy = "{'torch', 'transformers', 'pandas', 'datasets', 'matplotlib'}"
    code = f"import sys, {module}; print(*sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert not done.stdout.strip()


def test_the_readme_shows_every_folder_and_module_of_the_package():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    tree = readme[readme.index("labhelpers/  ") : readme.index("\ndata/  ")]
    modules = [path.name for path in ROOT.glob("labhelpers/*.py") if path.name != "__init__.py"]
    assert all(f"{folder}/" in tree for folder in [*FOLDERS, "fast"]) and all(name in tree for name in modules)
