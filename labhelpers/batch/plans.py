"""A batch plan: which notebooks, over which grid of parameters, or over whose submissions.

Everything in a plan is checked before anything runs; a message names the file and the field. A run is known by the hash
of what decides its outcome: the sources of its notebooks, its parameters and the version of the package.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from dataclasses import dataclass, field
from pathlib import Path

import labhelpers
from labhelpers.course import profiles
from labhelpers.course.notebooks import find_notebooks
from labhelpers.course.parameters import check_parameters, declared_parameters, parse_value
from labhelpers.errors import NotebookError, ProfileError, UsageError, close_matches

FIELDS = ("notebooks", "profile", "parameters", "grid", "timeout_minutes", "memory_gb", "threads", "submissions")
FIELDS += ("weak_isolation",)
MOST_RUNS = 10_000


@dataclass(frozen=True)
class Plan:
    """A plan as written, checked. ``timeout_minutes`` and ``memory_gb`` bound one run, None means no bound."""

    file: Path
    notebooks: tuple[Path, ...]
    profile: str = "tiny"
    parameters: dict = field(default_factory=dict)
    grid: dict[str, list] = field(default_factory=dict)
    timeout_minutes: float | None = None
    memory_gb: float | None = None
    threads: int | None = None
    submissions: Path | None = None
    weak_isolation: bool = False


@dataclass(frozen=True)
class Run:
    """One run of a plan: its notebooks with these parameters, or those of one student."""

    id: str
    parameters: dict
    notebooks: tuple[Path, ...]
    student: str | None = None
    folder: Path | None = None
    missing: tuple[str, ...] = ()
    point: dict = field(default_factory=dict)

    @property
    def label(self) -> str:
        """What tells this run from the others, for a person."""
        if self.student is not None:
            return self.student
        return ", ".join(f"{name} = {value}" for name, value in self.point.items()) or "the one run"


def load_plan(file: str | Path) -> Plan:
    """The plan in a YAML file. Raises :class:`UsageError` that names the field and what it wants."""
    file = Path(file)
    asked = _read(file)

    def wrong(name: str, message: str) -> UsageError:
        return UsageError(f"{file}, field '{name}': {message}")

    for name in asked:
        if name not in FIELDS:
            raise wrong(name, f"there is no such field: {close_matches(name, FIELDS)}")
    notebooks = _notebooks(asked, file.parent, wrong)
    profile = asked.get("profile", "tiny")
    if profile not in profiles.PROFILES:
        raise wrong("profile", f"unknown profile {profile!r}: {close_matches(profile, profiles.PROFILES)}")
    parameters = asked.get("parameters", {})
    grid = asked.get("grid", {})
    for name, table in (("parameters", parameters), ("grid", grid)):
        if not isinstance(table, dict) or not all(isinstance(key, str) for key in table):
            raise wrong(name, f"must be a table of names, such as {{seed: {'[0, 1, 2]' if name == 'grid' else 0}}}")
    if "grid" in asked and not grid:
        raise wrong("grid", "is empty: name a parameter with a list of values, or leave the field out")
    for name, values in grid.items():
        if not isinstance(values, list) or not values:
            raise wrong(f"grid.{name}", f"must be a list of one value or more, not {values!r}")
        if name in parameters:
            raise wrong(f"grid.{name}", "is also in 'parameters': give it once")
    check = _checker(notebooks, profile, wrong)
    parameters = {name: check(f"parameters.{name}", name, value) for name, value in parameters.items()}
    grid = {name: [check(f"grid.{name}", name, value) for value in values] for name, values in grid.items()}
    for name, values in grid.items():
        if twice := [value for number, value in enumerate(values) if value in values[:number]]:
            raise wrong(f"grid.{name}", f"lists {twice[0]!r} twice")
    if math.prod(map(len, grid.values())) > MOST_RUNS:
        raise wrong("grid", f"has {math.prod(map(len, grid.values()))} points, more than {MOST_RUNS}")
    submissions = asked.get("submissions")
    if submissions is not None:
        submissions = _submissions(submissions, file.parent, wrong)
        if grid:
            raise wrong("submissions", "cannot stand beside 'grid': make two plans")
    return Plan(
        file,
        tuple(notebooks),
        profile,
        parameters,
        grid,
        _positive(asked, "timeout_minutes", wrong, 30 if submissions else None),
        _positive(asked, "memory_gb", wrong, 4 if submissions else None),
        _positive(asked, "threads", wrong, None, whole=True),
        submissions,
        _yes_or_no(asked, "weak_isolation", wrong),
    )


def expand(plan: Plan) -> list[Run]:
    """The runs of a plan, in the grid's order (the last name varies fastest) or the students' alphabetical one."""
    if plan.submissions:
        return [_submission(plan, folder) for folder in _students(plan.submissions)]
    sources = [[path.stem, _source(path)] for path in plan.notebooks]
    runs = []
    for point in itertools.product(*plan.grid.values()):
        point = dict(zip(plan.grid, point, strict=True))
        parameters = plan.parameters | point
        runs.append(Run(_hash(plan.profile, parameters, sources), parameters, plan.notebooks, point=point))
    return runs


def _submission(plan: Plan, folder: Path) -> Run:
    names = [path.stem for path in plan.notebooks]
    present = tuple(folder / f"{name}.ipynb" for name in names if _plain_file(folder / f"{name}.ipynb"))
    missing = tuple(name for name in names if folder / f"{name}.ipynb" not in present)
    files = [[path.name, hashlib.sha256(path.read_bytes()).hexdigest()] for path in submitted_files(folder)]
    identity = _hash(plan.profile, plan.parameters, [folder.name, names, files])
    return Run(identity, plan.parameters, present, folder.name, folder, missing)


def submitted_files(folder: Path) -> list[Path]:
    """The files of a submission: those in its folder itself. Links are left out, since they may lead anywhere."""
    return sorted(path for path in folder.iterdir() if _plain_file(path))


def _plain_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _read(file: Path) -> dict:
    import yaml

    try:
        asked = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"plan {file} cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise UsageError(f"plan {file}{where}: not readable as YAML: {getattr(error, 'problem', error)}") from None
    if not isinstance(asked, dict):
        raise UsageError(f"plan {file}: must be a table of fields; known: {', '.join(FIELDS)}")
    return asked


def _notebooks(asked: dict, home: Path, wrong) -> list[Path]:
    names = asked.get("notebooks")
    if not isinstance(names, list) or not names:
        raise wrong("notebooks", "must be a list of one notebook or more, such as [01, 04, 05]")
    places = []
    for name in names:
        if isinstance(name, bool) or not isinstance(name, (int, str)):
            raise wrong("notebooks", f"must hold names of notebooks, not {name!r}")
        name = f"{name:02d}" if isinstance(name, int) else name  # YAML reads 04 as a number
        places.append(home / name if name.endswith(".ipynb") and (home / name).is_file() else name)
    try:
        return find_notebooks(places)
    except UsageError as error:
        raise wrong("notebooks", str(error)) from None


def _checker(notebooks: list[Path], profile: str, wrong):
    """A function that returns a parameter's value as the notebooks want it, or raises what is wrong with it."""
    try:
        for notebook in notebooks:
            declared_parameters(notebook)
    except NotebookError as error:
        raise wrong("notebooks", str(error)) from None

    def check(place: str, name: str, value):
        try:
            value = parse_value(name, value) if isinstance(value, str) else value
            check_parameters(notebooks, profile, {name: value})
        except ProfileError as error:
            hint = " (in a plan: the field 'profile')" if name == "profile" else ""
            raise wrong(place, f"{error}{hint}") from None
        return value

    return check


def _submissions(value, home: Path, wrong) -> Path:
    if not isinstance(value, str):
        raise wrong("submissions", f"must be a folder with a folder per student, not {value!r}")
    folder = (home / Path(value).expanduser()).resolve()
    if not folder.is_dir():
        raise wrong("submissions", f"{folder} is no folder")
    if not _students(folder):
        raise wrong("submissions", f"{folder} holds no folders: it must have one per student")
    return folder


def _students(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.is_dir() and not p.is_symlink() and not p.name.startswith("."))


def _positive(asked: dict, name: str, wrong, default, whole: bool = False):
    value = asked.get(name, default)
    if value is None:
        return None
    kinds = int if whole else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds) or not math.isfinite(value) or value <= 0:
        raise wrong(name, f"must be a {'whole ' if whole else ''}number above 0, not {value!r}")
    return value


def _yes_or_no(asked: dict, name: str, wrong) -> bool:
    if not isinstance(asked.get(name, False), bool):
        raise wrong(name, f"must be true or false, not {asked[name]!r}")
    return asked.get(name, False)


def _source(notebook: Path) -> list:
    """What a notebook does: the cells without their outputs, ids and the rest that an editor changes."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return [["".join(c["source"]), c.get("metadata", {}).get("tags", [])] for c in cells if c["cell_type"] == "code"]


def _hash(*parts) -> str:
    text = json.dumps([labhelpers.__version__, *parts], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
