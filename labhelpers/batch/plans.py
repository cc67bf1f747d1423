"""A batch plan: which notebooks to run, and for which grid of parameters or which submissions.

A plan is checked completely before anything runs; a message names the file and the field. The id of a run is a hash of
everything that determines its outcome: the sources of its notebooks, its parameters and the version of the package.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, Field, ValidationError

import labhelpers
from labhelpers.batch.outcome import RunOutcome
from labhelpers.batch.submissions import Submission, check_cells, read_submissions
from labhelpers.course import profiles
from labhelpers.course.notebooks import find_notebooks, read_notebook
from labhelpers.course.parameters import check_parameters, declared_parameters, parse_value
from labhelpers.errors import NotebookError, ProfileError, UsageError, close_matches
from labhelpers.validation import STRICT, Count, Positive

MOST_RUNS = 10_000


class PlanFile(BaseModel):
    """The fields of a plan file. Messages use the description of a field: it says which form the value must have."""

    model_config = STRICT

    notebooks: list[int | str] = Field(min_length=1, description="a list of one notebook or more, such as [01, 04, 05]")
    profile: str = Field("tiny", description="the name of a profile")
    parameters: dict[str, Any] = Field({}, description="a table of names, such as {seed: 0}")
    grid: dict[str, Annotated[list[Any], Field(min_length=1)]] = Field(
        {}, description="a table of names with a list of one value or more for each, such as {seed: [0, 1, 2]}"
    )
    timeout_minutes: Positive | None = Field(None, description="a number above 0")
    memory_gb: Positive | None = Field(None, description="a number above 0")
    threads: Count | None = Field(None, description="a whole number above 0")
    submissions: str | None = Field(None, description="a folder with a folder per student")
    weak_isolation: bool = Field(False, description="true or false")


@dataclass(frozen=True)
class Plan:
    """A checked plan. `timeout_minutes` and `memory_gb` are limits for one run; None means no limit."""

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
class PlannedRun:
    """One run of a plan: its parameters, and the files of its notebooks by name, the course's own or one student's.

    `point` holds the values that the grid gives to this run.
    """

    id: str
    parameters: dict
    notebooks: dict[str, Path]
    submission: Submission | None = None
    point: dict = field(default_factory=dict)

    @property
    def student(self) -> str | None:
        """The student who handed in the notebooks; None for the course's own."""
        return self.submission.student if self.submission else None

    @property
    def label(self) -> str:
        """A short text that distinguishes this run from the others."""
        if self.student is not None:
            return self.student
        return ", ".join(f"{name} = {value}" for name, value in self.point.items()) or "the one run"

    def todo(self) -> RunOutcome:
        """The outcome of this run before it has run: "to do"."""
        return RunOutcome(
            self.id,
            self.label,
            parameters=self.parameters,
            notebooks=list(self.notebooks),
            student=self.student,
            student_id=self.submission.student_id if self.submission else None,
            missing=list(self.submission.missing) if self.submission else [],
            remarks=list(self.submission.remarks) if self.submission else [],
        )


def load_plan(file: str | Path) -> Plan:
    """Reads a plan from a YAML file. Paths in it are relative to the folder of the file.

    Raises UsageError; the message names the file, the field, its value and what is wanted.
    """
    file = Path(file)
    home = file.absolute().parent

    def wrong(name: str, message: str) -> UsageError:
        return UsageError(f"{file}, field '{name}': {message}")

    asked = _read(file, wrong)
    try:
        notebooks = [
            f"{name:02d}" if isinstance(name, int) else name for name in asked.notebooks
        ]  # YAML reads 04 as the number 4
        notebooks = find_notebooks(notebooks, home=home)
    except UsageError as error:
        raise wrong("notebooks", str(error)) from None
    if asked.profile not in profiles.PROFILES:
        raise wrong("profile", f"unknown profile {asked.profile!r}: {close_matches(asked.profile, profiles.PROFILES)}")
    check = _checker(notebooks, asked.profile, home, wrong)
    parameters = {name: check(f"parameters.{name}", name, value) for name, value in asked.parameters.items()}
    grid = _grid(asked, check, wrong)
    limits = {"timeout_minutes": asked.timeout_minutes, "memory_gb": asked.memory_gb}
    submissions = None
    if asked.submissions is not None:
        submissions = _submissions(asked.submissions, home, notebooks, wrong)
        if grid:
            raise wrong("submissions", "cannot be combined with 'grid': make two plans")
        for name, usual in (("timeout_minutes", 30), ("memory_gb", 4)):
            if name not in asked.model_fields_set:
                limits[name] = usual
    return Plan(
        file,
        tuple(notebooks),
        asked.profile,
        parameters,
        grid,
        threads=asked.threads,
        submissions=submissions,
        weak_isolation=asked.weak_isolation,
        **limits,
    )


def expand(plan: Plan) -> list[PlannedRun]:
    """The runs of a plan, in the order of the grid (the last name varies fastest) or of the students' names."""
    if plan.submissions:
        graded = [[[cell.id, cell.source] for cell in check_cells(path)] for path in plan.notebooks]
        return [_submitted(plan, one, graded) for one in read_submissions(plan.submissions, plan.notebooks)]
    files = {path.stem: path for path in plan.notebooks}
    sources = [[path.stem, _source(path)] for path in plan.notebooks]
    runs = []
    for point in itertools.product(*plan.grid.values()):
        point = dict(zip(plan.grid, point, strict=True))
        parameters = plan.parameters | point
        runs.append(PlannedRun(_hash(plan.profile, parameters, sources), parameters, files, point=point))
    return runs


def _submitted(plan: Plan, submission: Submission, graded: list) -> PlannedRun:
    files = {f"{name}.ipynb": path for name, path in submission.notebooks.items()} | submission.others
    sums = [[name, hashlib.sha256(path.read_bytes()).hexdigest()] for name, path in sorted(files.items())]
    asked = [path.stem for path in plan.notebooks]
    identity = _hash(plan.profile, plan.parameters, [submission.student, asked, sums, submission.remarks, graded])
    return PlannedRun(identity, plan.parameters, submission.notebooks, submission)


class _Loader(yaml.SafeLoader):
    """A YAML loader that refuses a table with a repeated name, instead of guessing which value counts."""

    def construct_mapping(self, node, deep=False):
        lines = {}
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":  # `<<` may stand twice
                line = key.start_mark.line + 1
                name = self.construct_object(key)
                if name in lines:
                    problem = f"{name!r} is given here and in line {lines[name]} of the same table: keep one"
                    raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
                lines[name] = line
        return super().construct_mapping(node, deep)


def _read(file: Path, wrong: Callable[[str, str], UsageError]) -> PlanFile:
    try:
        asked = yaml.load(file.read_text(encoding="utf-8"), Loader=_Loader)
    except OSError as error:
        raise UsageError(f"plan {file} cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise UsageError(f"plan {file}{where}: not readable as YAML: {getattr(error, 'problem', error)}") from None
    if not isinstance(asked, dict):
        raise UsageError(f"plan {file}: must be a table of fields; known: {', '.join(PlanFile.model_fields)}")
    try:
        return PlanFile.model_validate(asked)
    except ValidationError as error:
        first = error.errors()[0]
    name, *inside = map(str, first["loc"])
    if name not in PlanFile.model_fields:
        raise wrong(name, f"there is no such field: {close_matches(name, PlanFile.model_fields)}")
    if name == "grid" and len(inside) == 1:
        raise wrong(f"grid.{inside[0]}", f"must be a list of one value or more, not {asked[name][inside[0]]!r}")
    found = "" if first["type"] == "missing" else f", not {asked[name]!r}"
    raise wrong(name, f"must be {PlanFile.model_fields[name].description}{found}")


def _grid(asked: PlanFile, check: Callable, wrong: Callable[[str, str], UsageError]) -> dict[str, list]:
    """The grid, with its values converted to those the notebooks expect."""
    if "grid" in asked.model_fields_set and not asked.grid:
        raise wrong("grid", "is empty: name a parameter with a list of values, or leave the field out")
    for name in asked.grid:
        if name in asked.parameters:
            raise wrong(f"grid.{name}", "is also in 'parameters': give it once")
    grid = {name: [check(f"grid.{name}", name, value) for value in values] for name, values in asked.grid.items()}
    for name, values in grid.items():
        if twice := [value for number, value in enumerate(values) if value in values[:number]]:
            raise wrong(f"grid.{name}", f"lists {twice[0]!r} twice")
    if (points := math.prod(map(len, grid.values()))) > MOST_RUNS:
        raise wrong("grid", f"has {points} points, more than {MOST_RUNS}")
    return grid


def _checker(notebooks: list[Path], profile: str, home: Path, wrong: Callable[[str, str], UsageError]) -> Callable:
    """A function that converts a parameter's value for the notebooks, or raises UsageError."""
    try:
        for notebook in notebooks:
            declared_parameters(notebook)
    except NotebookError as error:
        raise wrong("notebooks", str(error)) from None

    def check(place: str, name: str, value):
        try:
            value = parse_value(name, value, home) if isinstance(value, str) else value
            check_parameters(notebooks, profile, {name: value})
        except ProfileError as error:
            hint = " (in a plan: the field 'profile')" if name == "profile" else ""
            raise wrong(place, f"{error}{hint}") from None
        return value

    return check


def _submissions(value: str, home: Path, notebooks: list[Path], wrong: Callable[[str, str], UsageError]) -> Path:
    folder = (home / Path(value).expanduser()).resolve()
    if not folder.is_dir():
        raise wrong("submissions", f"{folder} is not a folder")
    try:
        read_submissions(folder, notebooks)
    except UsageError as error:
        raise wrong("submissions", str(error)) from None
    return folder


def _source(notebook: Path) -> list:
    """What a notebook computes: sources and tags of its code cells, without outputs, ids and what editors add."""
    cells = read_notebook(notebook)["cells"]
    return [[cell["source"], cell["metadata"]["tags"]] for cell in cells if cell["cell_type"] == "code"]


def _hash(*parts) -> str:
    text = json.dumps([labhelpers.__version__, *parts], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
