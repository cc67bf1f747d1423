"""The parameters of notebooks: which ones a notebook declares, and the values given with `-p NAME VALUE`."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from labhelpers.course import profiles
from labhelpers.course.notebooks import parse_code, read_notebook
from labhelpers.errors import NotebookError, ProfileError, close_matches, last_line
from labhelpers.sources.hub import hub_id
from labhelpers.sources.locations import is_address

# Every notebook declares these, but an option of their own sets them, not -p: a value is given in one place only.
_OWN_OPTION = {"profile": "--profile", "run_dir": "--output-dir"}


def declared_parameters(notebook: Path) -> dict[str, object]:
    """The names that a notebook's cell tagged `parameters` assigns, with their values; None for all but literals.

    IPython's commands, such as `%matplotlib inline`, assign nothing. Raises NotebookError for a file that is not a
    notebook, and when that cell is not Python.
    """
    cells = read_notebook(notebook)["cells"]
    sources = [cell["source"] for cell in cells if "parameters" in cell["metadata"]["tags"]]
    try:
        statements = parse_code("\n".join(sources)).body
    except SyntaxError as error:
        reason = f"the cell tagged `parameters` is not Python: {last_line(error)}"
        raise NotebookError(f"{notebook} cannot be read as a notebook: {reason}") from None
    declared = {}
    for statement in statements:
        targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
        for target in targets:
            if isinstance(target, ast.Name):
                try:
                    declared[target.id] = ast.literal_eval(statement.value)
                except ValueError:
                    declared[target.id] = None
    return declared


def parse_value(name: str, text: str, home: Path | None = None):
    """The value of `-p NAME VALUE`: a YAML scalar or list, or the unchanged text for a parameter that is text.

    A local path or glob is made absolute, because a notebook runs in another folder. It is relative to `home`: the
    folder of the plan for a batch, the current folder (None) for a command. Raises ProfileError when `text` is not a
    YAML scalar or list.
    """
    import yaml

    if name in profiles.LOCATIONS:
        return None if text.lower() in ("", "~", "null") else _located(text, home or Path.cwd())
    if re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+", text):
        return float(text)  # YAML 1.1 reads 5e-4 as text
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        raise ProfileError(f"parameter {name!r}: {text!r} is not a YAML value; put quotes around text") from None
    if isinstance(value, dict):
        raise ProfileError(f"parameter {name!r} must be a single value or a list, not {text!r}")
    wants_text = name in ("dtype", "device", "rewards", "quantization")
    if value is not None and not isinstance(value, (str, list)) and wants_text:
        return text
    return value if isinstance(value, (int, float, str, list, type(None))) else text  # a YAML date stays text


def _located(text: str, home: Path) -> str:
    """A local path as an absolute path. Addresses, Hub ids and the course's `data/…` stay unchanged."""
    if is_address(text) or text.startswith("data/"):
        return text
    path = (home / Path(text).expanduser()).resolve()
    return text if hub_id(text) and not path.exists() else str(path)


def check_parameters(notebooks: list[Path], profile: str, parameters: dict) -> dict[Path, dict]:
    """The parameters for each notebook, `{notebook: {name: value}}`: those of `parameters` that it declares.

    Raises ProfileError for a name that no notebook declares, for a value of the wrong type or out of range, and for an
    unknown profile.
    """
    declared = {notebook: declared_parameters(notebook) for notebook in notebooks}
    known = set().union(*declared.values()) - set(_OWN_OPTION)
    for name in parameters:
        if name in _OWN_OPTION:
            raise ProfileError(f"parameter {name!r} has an option of its own: use {_OWN_OPTION[name]}")
        if name not in known:
            raise ProfileError(f"none of the notebooks declares parameter {name!r}: {close_matches(name, known)}")
    fields = {name: value for name, value in parameters.items() if name in profiles.FIELDS}
    profiles.load_profile(profile, **fields)
    for name in parameters.keys() - fields.keys():
        for default in (entry[name] for entry in declared.values() if name in entry):
            _check_like(name, parameters[name], default)
    return {
        notebook: {name: value for name, value in parameters.items() if name in names}
        for notebook, names in declared.items()
    }


def _check_like(name: str, value, default) -> None:
    """Checks a parameter that is not in the profile: it must have the type of its default. None is always accepted."""
    if value is None or default is None:
        return
    number = isinstance(default, (int, float)) and not isinstance(default, bool)
    fits = isinstance(value, (int, float) if isinstance(default, float) else type(default))
    if not fits or (number and isinstance(value, bool)):
        raise ProfileError(f"parameter {name!r} must be like {default!r}, not {value!r}")
    if name == "seed" and not 0 <= value < 2**32:
        raise ProfileError(f"parameter 'seed' must be from 0 to {2**32 - 1}, not {value!r}")
