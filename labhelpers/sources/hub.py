"""Models and data sets of the Hub: finds them in the local cache, and fetches what is missing there.

A location `owner/name` (or `name`) means the repository of that name on the Hub; `owner/name@revision` means a branch,
tag, commit or pull request of it (`@refs/pr/3`). Only safetensors, configurations, tokenizers and tables are fetched:
no pickles, no code.
"""

from __future__ import annotations

import re
from pathlib import Path

from labhelpers.errors import DataError, ModelError
from labhelpers.sources.packaged import PREFIX

# The files of a repository that are fetched. Weights in pickles or of other frameworks are not.
PATTERNS = {
    "model": [
        "*.safetensors", "*.safetensors.index.json", "config.json", "generation_config.json", "adapter_config.json",
        "tokenizer*.json", "special_tokens_map.json", "added_tokens.json", "vocab.json", "vocab.txt", "merges.txt",
        "*.model",
    ],
    "dataset": ["*.csv", "*.jsonl", "*.json", "*.parquet", "*.gz", "README.md"],
}  # fmt: skip
_HUB_ID = re.compile(r"(?P<name>[\w][\w.-]*(/[\w][\w.-]*)?)(@(?P<revision>[\w][\w./-]*))?(#(?P<split>\w+))?")
_FILE_SUFFIXES = (".jsonl", ".csv", ".json", ".gz", ".txt", ".safetensors", ".bin")


def hub_id(location) -> tuple[str, str | None] | None:
    """(`owner/name`, revision or None) of a location on the Hub, None for any other.

    An existing path, an address, a packaged model and everything that looks like a path are not on the Hub.
    """
    text = str(location)
    match = _HUB_ID.fullmatch(text)
    if not match or Path(text).exists() or text.startswith(("data/", PREFIX)) or text.endswith(_FILE_SUFFIXES):
        return None
    return match["name"], match["revision"]


def hub_split(location) -> str | None:
    """`train` of `owner/name#train`: the one split that is meant, where a location of the Hub names one."""
    return _HUB_ID.fullmatch(str(location))["split"] if hub_id(location) else None


def hub_folder(location, kind: str = "model") -> str:
    """The folder in the cache with the files of a Hub location; missing files are fetched.

    `kind` is "model" or "dataset". Raises ModelError (DataError for a data set) when it cannot be fetched; the message
    says what is missing, where it was searched, and what to do.
    """
    return _snapshot(location, kind)


def hub_files(location, kind: str = "model") -> list:
    """The files that `hub_folder` needs, with `filename`, `file_size` and `is_cached`. Raises the same errors."""
    return _snapshot(location, kind, dry_run=True)


def _snapshot(location, kind: str, **options):
    import huggingface_hub
    from huggingface_hub import constants

    name, revision = hub_id(location)
    try:
        return huggingface_hub.snapshot_download(
            name, revision=revision, repo_type=kind, allow_patterns=PATTERNS[kind], **options
        )
    except Exception as error:  # offline, unknown, gated, no such revision: each has its own exception
        what = f"the {'data set' if kind == 'dataset' else kind} {str(location)!r} is not available"
        where = f"no such folder is here, the cache {constants.HF_HUB_CACHE} does not hold all of it"
        raise (ModelError if kind == "model" else DataError)(
            f"{what}: {where}, and {_why(error)}. While online, `labs download --profile full` fetches everything that "
            "the full profile needs (or give a local folder); the tiny profile needs none of it."
        ) from error


def cached_folder(location, kind: str = "model") -> str | None:
    """The folder in the cache if it has all needed files of a Hub location, else None. Uses no network."""
    import huggingface_hub

    name, revision = hub_id(location)
    try:
        folder = huggingface_hub.snapshot_download(
            name, revision=revision, repo_type=kind, allow_patterns=PATTERNS[kind], local_files_only=True
        )
    except (OSError, ValueError):
        return None
    return folder if any(path.is_file() for path in Path(folder).rglob("*")) else None


def _why(error: Exception) -> str:
    """Why the Hub gave no files, in a few words, and without an address, which could hold a secret."""
    from huggingface_hub import constants, errors

    if isinstance(error, (errors.DryRunError, errors.LocalEntryNotFoundError)) and error.__cause__:
        error = error.__cause__
    if constants.is_offline_mode():
        return "looking at the Hub is switched off (HF_HUB_OFFLINE; the tiny profile always does that)"
    if isinstance(error, errors.GatedRepoError):
        return "the Hub wants an agreement or a login for it (`hf auth login`)"
    if isinstance(error, errors.RevisionNotFoundError):
        return "the Hub has no such revision of it"
    if isinstance(error, errors.RepositoryNotFoundError):
        return "the Hub has nothing of that name (or it is private: `hf auth login`)"
    if isinstance(error, errors.HFValidationError):
        return "that is not a valid name on the Hub"
    return f"the Hub at {constants.ENDPOINT} could not be reached ({type(error).__name__})"
