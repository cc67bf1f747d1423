"""The start of every notebook (its settings, folders, seeds and threads), and the results that it records.

`start` must come before any import of transformers or datasets, because these libraries read environment variables when
they are imported. `record` writes a result to `run_dir/results.json`, `{notebook: {name: value}}`; a value is a number,
text, null, or a list of these.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import random
import sys
import warnings
from collections.abc import Iterable
from pathlib import Path

from labhelpers.course import outline
from labhelpers.course.artifacts import Artifacts, missing_artifact, plain_number
from labhelpers.course.profiles import LOCATIONS, MODEL_LOCATIONS, Profile, load_profile
from labhelpers.errors import ArtifactError, DataError, LabError, ModelError, ProfileError, storage_advice
from labhelpers.files import may_write, writable_folder, write_atomically
from labhelpers.packages import how_to_install, misfits, missing_packages, pins_file
from labhelpers.sources.locations import is_fetched, model_folder
from labhelpers.tracking import Tracking, check_tracker

RESULTS = "results.json"
HOW_CHOSEN = "labs: --output-dir; a notebook: the parameter run_dir or the environment variable LABHELPERS_RUN_DIR"

# In another major version of these, something that the notebooks call may be missing.
_CENTRAL = ("accelerate", "datasets", "numpy", "pandas", "peft", "torch", "transformers", "trl")

# tiny needs no network: a request would only make it slow, or change its results next year.
_OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_EVALUATE_OFFLINE": "1"}
_QUIET = {
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "TRL_EXPERIMENTAL_SILENCE": "1",
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",  # without it, deterministic algorithms warn on a GPU
}


@dataclasses.dataclass(frozen=True, repr=False)
class Run:
    """What a notebook works with: its profile, its seed, the folders for its artifacts and figures, and its tracker."""

    notebook: str
    profile: Profile
    seed: int
    run_dir: Path
    tracking: Tracking  # where the trainings report to, if anywhere

    @property
    def artifacts(self) -> Artifacts:
        """The artifacts of this run, which its notebooks hand to each other."""
        return Artifacts(self.run_dir)

    @property
    def figures(self) -> Path:
        """The folder for figures."""
        return self.run_dir / "figures"

    def __repr__(self) -> str:  # without the path: stored outputs must not hold one
        return f"Run({self.notebook}, profile={self.profile.name}, seed={self.seed})"


_current: Run | None = None


def start(notebook: str, profile: str = "tiny", seed: int = 0, run_dir: str | Path | None = None, **overrides) -> Run:
    """Begins a notebook: loads its profile, makes its folder, seeds every generator, and deletes its earlier results.

    `run_dir` None means the environment variable LABHELPERS_RUN_DIR, or else `default_run_dir`. `overrides` go to
    `load_profile`. Those that are locations of models are fetched here; None stands for the profile's own location.

    Raises ProfileError for an unusable profile, seed or override, ArtifactError for a missing artifact, UsageError for
    a tracker that is not installed, LabError when a package is missing or the folder cannot be written. Raises
    ModelError or DataError when a model or local data at a location in `overrides` is missing or cannot be fetched.
    Prints a line on stderr when a library has another major version than the course uses, and when the course's own
    folder is read-only, so that this run writes into the user's folder.
    """
    global _current
    _check_packages()
    settings = load_profile(profile, **overrides)
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise ProfileError(f"parameter 'seed' must be a whole number from 0 to {2**32 - 1}, not {seed!r}")
    _check_locations(settings, overrides)
    check_tracker(settings.tracker)
    given = run_dir or os.environ.get("LABHELPERS_RUN_DIR")
    folder = writable_folder(Path(given or default_run_dir(profile)), HOW_CHOSEN)
    if not given and folder != _beside_the_course(profile):
        kept = f"{_beside_the_course(profile)} cannot be written: the files of this run go to {folder}"
        print(f"{kept} (to choose another folder: {HOW_CHOSEN})", file=sys.stderr)
    run = Run(notebook, settings, seed, folder, Tracking(settings.tracker, folder, notebook))
    _check_needs(run)
    _prepare_environment(run)
    _prepare_libraries(run)
    run = dataclasses.replace(run, profile=_fetch_models(settings, overrides))
    forget_results(folder, [notebook])
    run.figures.mkdir(exist_ok=True)
    _current = run
    return run


def record(name: str, value) -> None:
    """Records a result of the current notebook: a number, text, None, or a list of these.

    numpy and torch scalars become Python numbers. Numbers that are not finite become None, because JSON has no NaN.
    Raises LabError for any other value, and when no notebook was started.
    """
    if _current is None:
        raise LabError(f"result '{name}' belongs to no notebook: call labhelpers.start(...) first, in the first cell")
    results = read_results(_current.run_dir)
    results.setdefault(_current.notebook, {})[name] = _recordable(name, value)
    _write_results(_current.run_dir, results)


def read_results(run_dir: str | Path) -> dict[str, dict]:
    """The results recorded in `run_dir` so far, `{notebook: {name: value}}`. Raises LabError for an unreadable file."""
    path = Path(run_dir) / RESULTS
    if not path.exists():
        return {}
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"not readable as JSON ({error}): delete it and run the notebooks again", file=path) from None
    if not isinstance(results, dict) or not all(isinstance(entry, dict) for entry in results.values()):
        raise DataError("not of the form {notebook: {name: value}}: delete it and run the notebooks again", file=path)
    return results


def forget_results(run_dir: str | Path, notebooks: list[str]) -> None:
    """Deletes what earlier executions of `notebooks` recorded, so that no old number is taken for a new one."""
    results = read_results(run_dir)
    kept = {notebook: entry for notebook, entry in results.items() if notebook not in notebooks}
    if kept != results:
        _write_results(Path(run_dir), kept)


def default_run_dir(profile: str) -> Path:
    """`runs/PROFILE` in the repository that contains the package, or else in the current folder.

    If this process may not write there, as in an installation that several people share, it is `runs/PROFILE` in the
    user's own folder for data.
    """
    import platformdirs

    folder = _beside_the_course(profile)
    return folder if may_write(folder) else platformdirs.user_data_path("labhelpers") / "runs" / profile


def _beside_the_course(profile: str) -> Path:
    repository = Path(__file__).resolve().parents[2]
    home = repository if (repository / "pyproject.toml").is_file() else Path.cwd()
    return home / "runs" / profile


def _write_results(run_dir: Path, results: dict) -> None:
    try:
        write_atomically(run_dir / RESULTS, json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    except OSError as error:
        advice = storage_advice(error) or f"{error.strerror or error}"
        raise LabError(f"results cannot be written to {run_dir / RESULTS}: {advice}") from error


def _recordable(name: str, value):
    value = plain_number(value)
    if isinstance(value, (list, tuple)) or getattr(value, "ndim", 0) == 1:
        return [_recordable(name, item) for item in (value.tolist() if hasattr(value, "tolist") else value)]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise LabError(
        f"result '{name}' is {type(value).__name__}: record a number, text, None or a list of these "
        "(tables and models are artifacts)"
    )


def _prepare_environment(run: Run) -> None:
    """Sets environment variables that libraries read when they are imported.

    A variable that the user has set is kept, with one exception: tiny is always offline.
    """
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    run.tracking.prepare(offline=run.profile.name == "tiny")
    if run.profile.name != "tiny":
        return
    os.environ.update(_OFFLINE)
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    # A cache in the run's folder: old files in a home folder cannot change the results, and no home
    # folder is needed. All other caches of the Hub's libraries lie below HF_HOME.
    cache = run.run_dir / "cache"
    os.environ.setdefault("HF_HOME", str(cache / "huggingface"))
    if not os.access(Path.home(), os.W_OK):
        os.environ.setdefault("MPLCONFIGDIR", str(cache / "matplotlib"))


def _prepare_libraries(run: Run) -> None:
    """Sets seeds, threads and deterministic algorithms, and silences progress bars and advice of libraries."""
    import datasets
    import numpy
    import torch
    import transformers

    from labhelpers.sources.devices import keep_freed_memory

    random.seed(run.seed)
    numpy.random.seed(run.seed)
    torch.manual_seed(run.seed)
    # For tiny this costs nothing; it would slow down a large run on a GPU.
    torch.use_deterministic_algorithms(run.profile.name == "tiny", warn_only=True)
    # Filling new memory with NaN only helps to find bugs, and takes 7 % of the time.
    torch.utils.deterministic.fill_uninitialized_memory = False
    keep_freed_memory()
    if run.profile.threads:
        torch.set_num_threads(run.profile.threads)
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    datasets.utils.logging.set_verbosity_error()
    datasets.disable_progress_bars()
    warnings.filterwarnings("ignore", message=".*does not have a deterministic implementation.*")
    warnings.filterwarnings(
        "ignore", category=FutureWarning, module="(transformers|datasets|peft|trl|evaluate|torch).*"
    )
    if run.profile.name == "tiny":
        _insist_on_offline()


def _check_packages() -> None:
    """Raises LabError in the first cell when a package is missing, so that no later cell fails with an ImportError.

    Prints a line for packages of another major version.
    """
    if sentence := missing_packages():
        raise LabError(sentence)
    if other := [one for one in misfits(pins_file()) if one.other_major and one.name in _CENTRAL]:
        found = ", ".join(f"{one.name} {one.found} instead of {one.pinned}" for one in other)
        advice = how_to_install([one.name for one in other])
        print(f"{sys.executable} has {found}; if a cell fails for that reason, {advice}", file=sys.stderr)


def _check_locations(settings: Profile, declared: Iterable[str]) -> None:
    """Raises ModelError or DataError in the first cell when a local file or folder is missing.

    Patterns, addresses and names of the Hub are not checked here but where they are used.
    """
    for field in declared:
        place = getattr(settings, field) if field in LOCATIONS else None
        if not place or is_fetched(place) or any(c in place for c in "*?["):
            continue
        path = Path(place).expanduser().absolute()
        if field in MODEL_LOCATIONS and not path.is_dir():
            raise ModelError(f"parameter '{field}': no such folder: {path}. Check the spelling of the location.")
        if not path.exists():
            raise DataError(f"no such file or folder: {path}. Check the spelling of the location.", field=field)


def _check_needs(run: Run) -> None:
    """Raises ArtifactError or ProfileError in the first cell; without this check a cell minutes later would fail."""
    chapter = outline.chapter(run.notebook)
    for name in chapter.needs if chapter else ():
        parameter, _ = outline.GIVEN_BY.get(name, (None, None))
        if not (parameter and getattr(run.profile, parameter)) and not run.artifacts.exists(name):
            raise ArtifactError(missing_artifact(name))
    for parameter, number in chapter.multiples if chapter else ():
        value = getattr(run.profile, parameter)
        if value % number:
            raise ProfileError(
                f"parameter {parameter} is {value}, it must be a multiple of {number} in notebook {run.notebook}."
            )


def _fetch_models(settings: Profile, declared: Iterable[str]) -> Profile:
    """Fetches the models that the notebook declares, and returns settings with their local folders.

    A model on the Hub or in a bucket that cannot be fetched, or in a package that has not been, is an error in the
    first cell, before any computation.
    """
    locations = {field: getattr(settings, field) for field in declared if field in MODEL_LOCATIONS}
    remote = {field: place for field, place in locations.items() if place and is_fetched(place)}
    return dataclasses.replace(settings, **{field: model_folder(place) for field, place in remote.items()})


def _insist_on_offline() -> None:
    """Switches the Hub's libraries offline if they were imported, and read their variables, before `start`."""
    for module, attribute in (
        ("huggingface_hub.constants", "HF_HUB_OFFLINE"),
        ("datasets.config", "HF_HUB_OFFLINE"),
        ("evaluate.config", "HF_EVALUATE_OFFLINE"),
    ):
        if hasattr(sys.modules.get(module), attribute):
            setattr(sys.modules[module], attribute, True)
