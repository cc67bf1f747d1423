"""Where records and models come from: a path, a glob, a folder, a Hub id, or an address such as `s3://bucket/key`.

Addresses are read through fsspec, so a bucket on a private S3-compatible server needs only the usual environment
variables (`AWS_ENDPOINT_URL`, `AWS_ACCESS_KEY_ID`, ...). Every record remembers its file and line, so that a message
about bad input can say where it is.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import Any

from labhelpers.errors import DataError, ModelError
from labhelpers.sources import hub
from labhelpers.sources.packaged import has_package, is_package, package_folder

RECORD_SUFFIXES = (".jsonl", ".csv")
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")


@dataclass(frozen=True)
class Record:
    """One line of a data file: `fields` as read, or None with the `problem` that made the line unreadable."""

    file: str
    line: int
    fields: dict[str, Any] | None
    problem: str | None = None


def is_address(location) -> bool:
    """True for `s3://…`, `memory://…` and the like; False for local paths."""
    return "://" in str(location)


def is_fetched(location) -> bool:
    """Whether what is at this location is read from a copy: of an address, of the Hub, or out of a package."""
    return is_address(location) or hub.hub_id(location) is not None or is_package(location)


def find_files(location, suffixes=RECORD_SUFFIXES) -> list[str]:
    """The files at a location, sorted.

    These are the file itself, the matches of a glob, or the files with one of `suffixes` in a folder or in a data set
    of the Hub (there in subfolders too). For a compressed file, such as `.jsonl.gz`, the suffix before `.gz` counts.
    Raises DataError when there are none.
    """
    import fsspec

    if hub.hub_id(location):
        folder = hub.hub_folder(location, "dataset")
        found = sorted(str(p) for p in Path(folder).rglob("*") if _suffix(p.name) in suffixes)
        if not found:
            raise DataError(f"this data set of the Hub has no {' or '.join(suffixes)} file.", file=str(location))
        return found
    address = str(location) if is_address(location) else str(Path(location).expanduser())
    try:
        fs, path = fsspec.core.url_to_fs(address)
        if any(c in path for c in "*?[") and not fs.exists(path):
            found = [p for p in fs.glob(path) if not fs.isdir(p)]
        elif fs.isdir(path):
            found = [p for p in fs.ls(path, detail=False) if _suffix(p) in suffixes]
        else:
            found = [path] if fs.exists(path) else []
    except Exception as error:  # each kind of storage has its own exceptions: no credentials, no bucket, no route
        raise DataError(
            f"cannot be reached: {type(error).__name__}: {error}. Check the address and the credentials.", file=address
        ) from error
    if not found:
        what = f"no {' or '.join(suffixes)} file there" if fs.exists(path) else "no such file or folder"
        raise DataError(f"{what}. Check the spelling of the location.", file=address)
    if found == [path]:
        return [address]  # as it was given, so that messages show the same path
    return [fs.unstrip_protocol(p) if is_address(address) else p for p in sorted(found)]


def read_records(file) -> Iterator[Record]:
    """The records of one `.jsonl` or `.csv` file (also `.gz`) in order, without blank lines.

    A line that is not UTF-8 or not a JSON object, or a CSV row that does not fit the header, gives a Record with
    `problem`; the caller decides what to do about it. Raises DataError when the whole file cannot be read.
    """
    name, suffix = str(file), _suffix(str(file))
    if suffix not in RECORD_SUFFIXES:
        raise DataError(f"cannot tell the format of a '{suffix}' file; use .jsonl or .csv.", file=name)
    content = read_bytes(name)
    return _json_records(name, content) if suffix == ".jsonl" else _csv_records(name, content)


def whole_records(file) -> Iterator[Record]:
    """Like `read_records`, but the first bad line raises DataError with file and line."""
    for record in read_records(file):
        if record.problem:
            raise DataError(f"{record.problem}. Correct or remove this line.", file=record.file, line=record.line)
        yield record


def parse_json(text: str) -> Any:
    """`json.loads` for text that people write. An object that has a key twice is refused: to take either value would
    be a guess. Raises json.JSONDecodeError with the line and column of the second key.
    """
    try:
        return json.loads(text, object_pairs_hook=_without_repeats)
    except _RepeatedKey:
        key, position = _first_repeat(text)
        raise json.JSONDecodeError(f"the key {key!r} stands twice in one object: keep one", text, position) from None


def read_json(file) -> Any:
    """The content of a JSON file that people write, such as a lexicon, from a path or an address (see `parse_json`).

    Raises DataError, naming file and line, when it cannot be read.
    """
    content = read_bytes(str(file))
    try:
        return parse_json(content.decode("utf-8-sig"))
    except json.JSONDecodeError as error:
        problem, line = f"{error.msg}, column {error.colno}", error.lineno
    except UnicodeDecodeError as error:
        problem, line = "not UTF-8", content.count(b"\n", 0, error.start) + 1
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, or nested too deeply
        problem, line = str(error), None
    raise DataError(f"not valid JSON ({problem}). Correct this file.", file=file, line=line)


class _RepeatedKey(Exception):
    """An object has a key twice."""


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise _RepeatedKey
    return fields


def _first_repeat(text: str) -> tuple[str, int]:
    """The first repeated key in a text, which must have one, and its position, which `json` does not tell."""
    open_objects: list[set[str]] = []
    for token in re.finditer(r'(?P<string>"(?:[^"\\]|\\.)*")(?P<colon>\s*:)?|[{}]', text):
        if token["colon"]:
            key = json.loads(token["string"])
            if key in open_objects[-1]:
                return key, token.start()
            open_objects[-1].add(key)
        elif token.group() == "{":
            open_objects.append(set())
        elif token.group() == "}":
            open_objects.pop()
    raise ValueError("no key is repeated")


def text_problem(value, *, may_be_empty: bool = False) -> str | None:
    """What is wrong with `value` as a text, or None. It must be a string of valid characters, not only spaces."""
    if value is None:
        return "is missing"
    if not isinstance(value, str):
        return f"must be a text, but is {type(value).__name__} {value!r:.40}"
    if not may_be_empty and not value.strip():
        return "is empty"
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        # JSON can hold half a surrogate pair ("\ud83d"), which Arrow and tokenizers refuse.
        return "holds half of a surrogate pair, which is not a valid character"
    return None


def unix_lines(text: str) -> str:
    """The text with LF at the end of its lines instead of CRLF or CR.

    Texts are compared and hashed character by character. With two kinds of line ends, one prompt would count as two,
    and might be both in train and in test.
    """
    return text.replace("\r\n", "\n").replace("\r", "\n")


def model_folder(location) -> str:
    """A local folder with the model at `location`, for `from_pretrained`.

    It is the local folder itself, the folder in the cache for a Hub location (fetched if needed) or for a packaged
    model (which `labs download` fetches), or a temporary copy for an fsspec address. Raises ModelError when the
    location cannot be read, and for a folder that has pickled weights but no safetensors.
    """
    if is_address(location):
        folder = _copied_folder(str(location))
    elif is_package(location):
        if not has_package(location):
            raise ModelError(f"{location} is not on this machine yet: `labs download --profile smol` fetches it.")
        folder = str(package_folder(location))
    elif hub.hub_id(location):
        folder = hub.hub_folder(location)
    else:
        folder = str(Path(location).expanduser())
    if Path(folder).is_dir():
        names = sorted(path.name for path in Path(folder).iterdir())
        pickled = [name for name in names if name.endswith(PICKLES)]
        if pickled and not any(name.endswith(".safetensors") for name in names):
            raise ModelError(
                f"{location} holds no safetensors. Pickled weights ({pickled[0]}) can run code and are not loaded: "
                "`labs convert DIR` writes those of a local folder again as safetensors, without running what they "
                "hold; or name a revision that has safetensors (owner/name@refs/pr/1)."
            )
    return folder


def _copied_folder(address: str) -> str:
    """A temporary copy of a model's files at an address: those that match `hub.PATTERNS`."""
    import atexit

    import fsspec

    folder = tempfile.TemporaryDirectory(prefix="labhelpers-model-")
    atexit.register(folder.cleanup)
    copied = 0
    try:
        fs, path = fsspec.core.url_to_fs(address)
        for source in fs.find(path):
            name = PurePosixPath(source).relative_to(PurePosixPath(path))
            if source.endswith("/"):  # the placeholder of an empty folder in a bucket
                continue
            if ".." in name.parts or name.is_absolute() or "\\" in str(name):
                raise ModelError(f"{address}: the file name {str(name)!r} leads out of the folder: not used.")
            target = Path(folder.name, *name.parts)
            target.parent.mkdir(parents=True, exist_ok=True)
            if any(fnmatch(name.name, pattern) for pattern in hub.PATTERNS["model"]):
                fs.get_file(source, str(target))
            elif target.suffix in PICKLES:
                target.touch()  # its name is enough to refuse it
            copied += 1
    except ModelError:
        raise
    except Exception as error:  # each kind of storage has its own exceptions
        reason = f"{type(error).__name__}: {error}"
        raise ModelError(f"{address}: cannot be reached: {reason}. Check the address and the credentials.") from error
    if not copied:
        raise ModelError(f"{address}: there is no file there. Check the address.")
    return folder.name


def _suffix(name: str) -> str:
    path = Path(name)
    return Path(path.stem).suffix if path.suffix == ".gz" else path.suffix


def read_bytes(name: str) -> bytes:
    """A file's content, decompressed, from a path or an address. Raises DataError when it cannot be read."""
    import fsspec

    try:
        with fsspec.open(name, "rb", compression="infer") as stream:
            return stream.read()
    except Exception as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else f"{type(error).__name__}: {error}"
        raise DataError(f"cannot be read ({reason}). Check the location.", file=name) from error


def _json_records(name: str, content: bytes) -> Iterator[Record]:
    # Split at newlines alone: str.splitlines() would also break at U+2028, which JSON allows inside a text.
    for number, raw in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        if not raw.strip():
            continue
        try:
            fields = parse_json(raw.decode("utf-8"))
        except UnicodeDecodeError as error:
            yield Record(name, number, None, f"not UTF-8 (byte {error.start + 1} of the line)")
        except json.JSONDecodeError as error:  # its own line number is always 1 here; the record names the file's line
            yield Record(name, number, None, f"not valid JSON ({error.msg}, column {error.colno})")
        except ValueError as error:  # a number of thousands of digits
            yield Record(name, number, None, f"not valid JSON ({error})")
        except RecursionError:
            yield Record(name, number, None, "not valid JSON (nested too deeply)")
        else:
            if isinstance(fields, dict):
                yield Record(name, number, fields)
            else:
                yield Record(name, number, None, f"a JSON object was expected, not {type(fields).__name__}")


def _csv_records(name: str, content: bytes) -> Iterator[Record]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError("not UTF-8. Save the table again as UTF-8.", file=name, line=line) from error
    # A dialogue or a list of responses in one cell may be longer than 131,072 characters, the default limit of csv.
    # The limit is that of the whole process, so it is never lowered, and raised no further than this file needs.
    csv.field_size_limit(max(csv.field_size_limit(), len(text)))
    rows = csv.reader(io.StringIO(text, newline=""))
    header = next(rows, None)
    if header is None:
        raise DataError("the file is empty; the first line of a .csv names its columns.", file=name)
    header = [column.strip() for column in header]
    doubled = sorted({column for column in header if header.count(column) > 1})
    if doubled:
        raise DataError(f"the column {doubled[0]!r} stands twice in the header.", file=name, line=1)
    while True:
        line = rows.line_num + 1  # the line where the row begins; a quoted text may hold line breaks
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            yield Record(name, line, None, f"not valid CSV ({error})")
            continue
        if not row:
            continue
        if len(row) != len(header):
            yield Record(name, line, None, f"{len(row)} columns where the header has {len(header)}")
        else:
            yield Record(name, line, dict(zip(header, row, strict=True)))


def data_dir(explicit: str | Path | None = None) -> Path:
    """The folder of the data that ships with the course: `explicit`, else the environment variable LABHELPERS_DATA,
    else `data/` beside the package (a clone), else `labhelpers/_data` (an installed wheel).

    Raises DataError when there is none; the message names these places.
    """
    package = Path(__file__).resolve().parent.parent
    chosen = explicit or os.environ.get("LABHELPERS_DATA")
    if chosen:  # if this place is missing, that is a mistake: look nowhere else
        if Path(chosen).is_dir():
            return Path(chosen).resolve()
        asked = "the folder given" if explicit else "LABHELPERS_DATA"
        raise DataError(
            f"{asked} is not a folder: correct it, or leave it out to use the data of the course", file=chosen
        )
    # Only the course's data/ has these subfolders; another data/ may lie beside an installed package.
    for place in (package.parent / "data", package / "_data"):
        if (place / "dialogues").is_dir() or (place / "models").is_dir():
            return place
    raise DataError(
        "the data of the course is in none of three places: LABHELPERS_DATA (not set), "
        f"{package.parent / 'data'}, {package / '_data'}; set LABHELPERS_DATA to the data folder of a clone"
    )
