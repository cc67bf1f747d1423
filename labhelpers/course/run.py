"""The start of every notebook: where its files go, how it computes, and the numbers that it is known by.

`start` comes before any import of transformers or datasets, because those read their environment when they are
imported. `record` keeps a result in `run_dir/results.json`: `{notebook: {result: number | text | list | null}}`.
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
from labhelpers.course.profiles import MODEL_LOCATIONS, Profile, load_profile
from labhelpers.errors import ArtifactError, DataError, LabError, ProfileError, storage_advice
from labhelpers.files import writable_folder, write_atomically
from labhelpers.sources.hub import hub_id
from labhelpers.sources.locations import is_address, model_folder
from labhelpers.tracking import Tracking, check_tracker

RESULTS = "results.json"

# tiny is complete as shipped: a look at the network would only make it slow, or different next year.
_OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_EVALUATE_OFFLINE": "1"}
_QUIET = {
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "TRL_EXPERIMENTAL_SILENCE": "1",
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",  # else deterministic algorithms on a GPU warn
}


@dataclasses.dataclass(frozen=True, repr=False)
class Run:
    """What a notebook works with: its profile, its seed, and the places for artifacts, figures and a tracker."""

    notebook: str
    profile: Profile
    seed: int
    run_dir: Path
    tracking: Tracking  # where the trainings report to, if anywhere

    @property
    def artifacts(self) -> Artifacts:
        """What the notebooks of this run hand to each other."""
        return Artifacts(self.run_dir)

    @property
    def figures(self) -> Path:
        """The folder for figures."""
        return self.run_dir / "figures"

    def __repr__(self) -> str:  # no path: notebooks show it, and stored outputs hold none
        return f"Run({self.notebook}, profile={self.profile.name}, seed={self.seed})"


_current: Run | None = None


def start(notebook: str, profile: str = "tiny", seed: int = 0, run_dir: str | Path | None = None, **overrides) -> Run:
    """Begin a notebook: settle its profile and folder, seed every generator, and forget its earlier results.

    `run_dir`: None means the environment variable LABHELPERS_RUN_DIR, else `runs/PROFILE` in the repository (or
    in the current folder for an installed package). `overrides` go to `load_profile`.

    Raises ProfileError for an unusable profile, seed or override, UsageError for a tracker that is not installed,
    LabError when the folder cannot be written, ModelError when a model named in `overrides` (also as None) cannot be
    had.
    """
    global _current
    settings = load_profile(profile, **overrides)
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise ProfileError(f"parameter 'seed' must be a whole number from 0 to {2**32 - 1}, not {seed!r}")
    check_tracker(settings.tracker)
    folder = writable_folder(Path(run_dir or os.environ.get("LABHELPERS_RUN_DIR") or default_run_dir(profile)))
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
    """Keep a result of the notebook that was started: a number, text, None, or a list of these.

    numpy and torch scalars become Python's numbers; what is not finite becomes None, since JSON has no NaN. Raises
    `LabError` for anything else, and outside a started notebook.
    """
    if _current is None:
        raise LabError(f"result '{name}' belongs to no notebook: call labhelpers.start(...) first, in the first cell")
    results = read_results(_current.run_dir)
    results.setdefault(_current.notebook, {})[name] = _recordable(name, value)
    _write_results(_current.run_dir, results)


def read_results(run_dir: str | Path) -> dict[str, dict]:
    """The results kept in `run_dir` so far, `{notebook: {name: value}}`; empty when there are none."""
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
    """Remove what earlier executions of `notebooks` have recorded, so that no old number passes for a new one."""
    results = read_results(run_dir)
    kept = {notebook: entry for notebook, entry in results.items() if notebook not in notebooks}
    if kept != results:
        _write_results(Path(run_dir), kept)


def default_run_dir(profile: str) -> Path:
    """`runs/PROFILE` in the repository that the package is run from, or in the current folder."""
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
    """Environment variables that libraries read when they are imported. What the user has set wins, but for being
    offline: tiny never looks at the network."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    run.tracking.prepare(offline=run.profile.name == "tiny")
    if run.profile.name != "tiny":
        return
    os.environ.update(_OFFLINE)
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    # A cache of its own: nothing that an earlier year left in a home folder can change the outcome, and no home
    # folder is needed. Everything beneath it is found from HF_HOME.
    cache = run.run_dir / "cache"
    os.environ.setdefault("HF_HOME", str(cache / "huggingface"))
    if not os.access(Path.home(), os.W_OK):
        os.environ.setdefault("MPLCONFIGDIR", str(cache / "matplotlib"))


def _prepare_libraries(run: Run) -> None:
    """Seeds, threads and deterministic algorithms, and no bars or advice from libraries in the cells' outputs."""
    import datasets
    import numpy
    import torch
    import transformers

    from labhelpers.sources.devices import keep_freed_memory

    random.seed(run.seed)
    numpy.random.seed(run.seed)
    torch.manual_seed(run.seed)
    # Costs nothing at tiny's size; a large GPU run would pay for it in speed.
    torch.use_deterministic_algorithms(run.profile.name == "tiny", warn_only=True)
    # Filling fresh memory with NaN only shows up code that reads what it never wrote, and takes 7 % of the time.
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


def _check_needs(run: Run) -> None:
    """Says in the first cell what the notebook would miss later, after minutes perhaps."""
    chapter = outline.chapter(run.notebook)
    for name in chapter.needs if chapter else ():
        parameter, _ = outline.GIVEN_BY.get(name, (None, None))
        if not (parameter and getattr(run.profile, parameter)) and not run.artifacts.exists(name):
            raise ArtifactError(missing_artifact(name))


def _fetch_models(settings: Profile, declared: Iterable[str]) -> Profile:
    """The settings with every model that the notebook declares as a local folder: what comes from the Hub or a bucket
    is fetched before anything is computed, and what cannot be had is said in the first cell."""
    locations = {field: getattr(settings, field) for field in declared if field in MODEL_LOCATIONS}
    remote = {field: place for field, place in locations.items() if place and (is_address(place) or hub_id(place))}
    return dataclasses.replace(settings, **{field: model_folder(place) for field, place in remote.items()})


def _insist_on_offline() -> None:
    """The Hub's library reads HF_HUB_OFFLINE once, when it is imported; it may have been imported before start()."""
    for module, attribute in (
        ("huggingface_hub.constants", "HF_HUB_OFFLINE"),
        ("datasets.config", "HF_HUB_OFFLINE"),
        ("evaluate.config", "HF_EVALUATE_OFFLINE"),
    ):
        if hasattr(sys.modules.get(module), attribute):
            setattr(sys.modules[module], attribute, True)
