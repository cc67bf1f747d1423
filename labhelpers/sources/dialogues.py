"""Dialogues, and the prompts made from them.

The schema is DialogSum's (Chen et al. 2021): `id`, `dialogue`, `summary`, `topic`, and beside it `references` (further
clean summaries), `facts` (who, what, when, where, how much the dialogue holds; None when unknown) and `template` (which
grammar rule made the dialogue; used for resampling, see `resampling_units`). Read from `.jsonl`, `.csv`, a bucket or
the Hub, and validated row by row.
"""

from __future__ import annotations

import hashlib
import math
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from labhelpers.errors import DataError
from labhelpers.sources.hub import hub_folder, hub_id, hub_split
from labhelpers.sources.locations import (
    RECORD_SUFFIXES,
    Record,
    find_files,
    is_address,
    parse_json,
    text_problem,
    unix_lines,
    whole_records,
)

if TYPE_CHECKING:
    from datasets import Dataset

PROMPT = "\nSummarize the following conversation.\n\n{dialogue}\n\nSummary:\n"
SPLITS = ("train", "validation", "test")
FACT_KEYS = ("who", "what", "when", "where", "how_much")
COLUMNS = ("id", "dialogue", "summary", "topic", "references", "facts", "template")
TEST_SHARE = 0.2  # of dialogues given as one file: the last fifth, unshuffled, as the PPO lab splits


def format_prompt(dialogue: str) -> str:
    """The PPO lab's instruction around one dialogue. (The dialogue itself may hold braces.)"""
    return PROMPT.replace("{dialogue}", dialogue)


def prompt_ids(tokenizer, prompts: Sequence[str]) -> list[list[int]]:
    """Token ids of prompts, as the model that the tokenizer belongs to expects a request: inside the chat template, as
    the message of a user that the model is about to answer, if the tokenizer has one; as plain text otherwise."""
    prompts = list(prompts)
    if not getattr(tokenizer, "chat_template", None):
        return tokenizer(prompts)["input_ids"]
    chats = [[{"role": "user", "content": prompt}] for prompt in prompts]
    texts = tokenizer.apply_chat_template(chats, tokenize=False, add_generation_prompt=True)
    return tokenizer(texts, add_special_tokens=False)["input_ids"]  # the template has them


def load_dialogues(location, split: str, *, min_chars: int | None = None, max_chars: int | None = None) -> Dataset:
    """The dialogues of one split, columns `COLUMNS`, in file order.

    `location` is a folder with `train`, `validation` and `test` as `.jsonl` or `.csv`, one such file, an fsspec address
    of either, or a Hub id (`owner/name`, `owner/name@revision`). `owner/name#train` is the Hub's train split alone, as
    one file. Dialogues of `min_chars < len <= max_chars` characters
    are kept. One file is first filtered, then split 80/20 unshuffled into `train` and `test`, in the PPO lab's order
    (12,460 rows -> 10,022 -> 8,017 and 2,005); therefore ask for both parts with the same limits. (Neighbouring
    rows of one dialogue stay together: if the cut would fall between them, all of them are in `train`.)

    Accepted besides the schema: `fname` for `id`; `summary1`, `summary2`, ... (and `topic1`, ...), as DialogSum's test
    file has them. Missing `references` become `[summary]`, missing `facts` None, and `template` is filled in by
    `resampling_units`. Rows may share a dialogue, as in the Hub's copy of DialogSum's test file, where each dialogue
    has three rows with a summary and a topic each. Each of these rows then has the references of all three. From a file
    for validation or test, only the first row of each dialogue is kept, so that a prompt is measured and counted once.

    Raises DataError, naming file, line and field, at the first row that does not fit the schema.
    """
    if split not in SPLITS:
        raise DataError(f"there is no split {split!r}; choose one of {', '.join(SPLITS)}.", file=str(location))
    file, is_whole = _locate(location, split)
    records = whole_records(file) if file else _hub_records(str(location), hub_split(location) or split)
    rows = _joined([_row(record) for record in records])
    if split != "train" and not is_whole:
        rows = _first_of_each_dialogue(rows)
    source = file or str(location)
    if not rows:
        raise DataError("holds no dialogue.", file=source)
    shortest, longest = min_chars or 0, math.inf if max_chars is None else max_chars
    kept = [row for row in rows if shortest < len(row["dialogue"]) <= longest]
    if is_whole:
        if split == "validation":
            raise DataError(
                "dialogues given as one file are split into train and test only; for a validation split give a folder "
                "with train, validation and test files.",
                file=source,
            )
        n_train = len(kept) - math.ceil(TEST_SHARE * len(kept))
        while 0 < n_train < len(kept) and kept[n_train]["dialogue"] == kept[n_train - 1]["dialogue"]:
            n_train += 1
        train, test = kept[:n_train], kept[n_train:]
        if shared := {row["dialogue"] for row in train} & {row["dialogue"] for row in test}:
            warnings.warn(
                f"{source}: {len(shared)} dialogues stand in both parts of the split, since their rows do not follow "
                "each other. Sort the file by dialogue, or give a folder with train, validation and test files.",
                stacklevel=2,
            )
        kept = train if split == "train" else test
    if not kept:
        raise DataError(
            f"none of the {len(rows)} dialogues is left for {split!r} at {shortest} < characters <= {longest}; "
            "change the limits or the data.",
            file=source,
        )
    return _as_dataset(kept)


def resampling_units(dialogues: Sequence[str], templates: Sequence[str | None]) -> list[str]:
    """A name for each row. A bootstrap must draw rows of the same name together: they are not independent.

    Rows of one dialogue always have the same name. It is the template that made the dialogue, if that is known (the
    first one, if the rows disagree). Otherwise the name is a hash of the dialogue, and no other dialogue has it. A
    topic cannot be used as a template: three annotators may name three topics for one dialogue.
    """
    unit_of: dict[str, str] = {}
    for dialogue, template in zip(dialogues, templates, strict=True):
        if template:
            unit_of.setdefault(dialogue, template)
    for dialogue in dialogues:
        if dialogue not in unit_of:
            unit_of[dialogue] = f"dialogue {hashlib.sha256(dialogue.encode('utf-8')).hexdigest()[:12]}"
    return [unit_of[dialogue] for dialogue in dialogues]


def build_dataset(
    location, split: str, tokenizer, min_chars: int = 200, max_chars: int = 1000, max_rows: int | None = None
) -> Dataset:
    """`load_dialogues` and the PPO lab's two columns: `query`, the prompt's text, and `input_ids`, its tokens
    (`prompt_ids`).

    `max_rows` keeps only the first rows. `query` is the text itself; the lab decodes the tokens instead, which adds
    `</s>` and loses line breaks. Raises DataError like `load_dialogues`.
    """
    from datasets import Dataset, concatenate_datasets

    dataset = load_dialogues(location, split, min_chars=min_chars, max_chars=max_chars)
    if max_rows is not None:
        dataset = dataset.select(range(min(max_rows, len(dataset))))
    queries = [format_prompt(dialogue) for dialogue in dataset["dialogue"]]
    # One call for all rows: a fast tokenizer processes them in parallel, and nothing is cached in a home folder.
    # (Joining columns is ten times as fast as `add_column` when they hold millions of tokens.)
    prompts = Dataset.from_dict({"query": queries, "input_ids": prompt_ids(tokenizer, queries)})
    return concatenate_datasets([dataset, prompts], axis=1)


def sft_features(rows: Dataset, tokenizer, encoder_decoder: bool) -> Dataset:
    """Rows of `build_dataset` for supervised fine-tuning: Dataset(`input_ids`, `labels`).

    An encoder-decoder model has the prompt as its input and the summary as its labels. A decoder-only model has both as
    its input, one after the other; its labels are -100 on the prompt, so that only the summary counts. Labels end with
    end-of-sequence.
    """

    def encode(part: dict) -> dict:
        answers = tokenizer(part["summary"], add_special_tokens=False)["input_ids"]
        answers = [answer + [tokenizer.eos_token_id] for answer in answers]
        if encoder_decoder:
            return {"input_ids": part["input_ids"], "labels": answers}
        together = list(zip(part["input_ids"], answers, strict=True))
        return {
            "input_ids": [query + answer for query, answer in together],
            "labels": [[-100] * len(query) + answer for query, answer in together],
        }

    return rows.map(encode, batched=True, remove_columns=rows.column_names)


def _locate(location, split: str) -> tuple[str | None, bool]:
    """The file to read and whether it holds all splits; (None, False) for a Hub id."""
    text = str(location)
    if is_address(location):
        files = find_files(location)
        if files == [text] or Path(text).suffix in RECORD_SUFFIXES:
            return files[0], True
        return _split_file(files, text, split), False
    if hub_id(location):
        return None, hub_split(location) is not None
    path = Path(text).expanduser()
    if path.is_dir():
        return _split_file(find_files(path), text, split), False
    if path.exists():
        return str(path), True
    raise DataError("no such file or folder. Check the spelling of `dialogues`.", file=text)


def _split_file(files: list[str], folder: str, split: str) -> str:
    matches = [f for f in files if Path(f).stem == split]
    if not matches:
        wanted = " or ".join(split + suffix for suffix in RECORD_SUFFIXES)
        present = ", ".join(Path(f).name for f in files)
        raise DataError(f"there is no {wanted} in this folder (it holds {present}).", file=folder)
    return matches[-1]  # .jsonl if both exist


def _hub_records(name: str, split: str) -> Iterator[Record]:
    """The rows of a Hub data set, read from its table of that split, or by `datasets` when it has no table."""
    import datasets

    folder = hub_folder(name, "dataset")
    tables = sorted(p for p in Path(folder).iterdir() if p.stem == split and p.suffix in RECORD_SUFFIXES)
    if tables:
        yield from whole_records(str(tables[-1]))
        return
    try:
        rows = datasets.load_dataset(folder, split=split)
    except Exception as error:  # no such split, no table, a broken table: each has its own exception
        reason = f"{type(error).__name__}: {(str(error) or 'no reason given').splitlines()[0]}"
        raise DataError(
            f"this data set of the Hub could not be read ({reason}). It needs a table for {split!r}: give another "
            "data set, or a folder with train, validation and test files.",
            file=name,
        ) from error
    for number, fields in enumerate(rows, start=1):
        yield Record(name, number, fields)


def _row(record: Record) -> dict:
    """One record in the schema, or DataError with file, line and field."""
    fields = record.fields

    def refuse(field: str, problem: str):
        raise DataError(f"{problem}. Correct or remove this row.", file=record.file, line=record.line, field=field)

    def text(field: str, value, may_be_empty: bool = False) -> str:
        problem = text_problem(value, may_be_empty=may_be_empty)
        if problem:
            refuse(field, problem)
        return unix_lines(value)

    identity = "fname" if "id" not in fields and "fname" in fields else "id"
    name = fields.get(identity)
    name = str(name) if isinstance(name, int) and not isinstance(name, bool) else name
    numbered = [text(key, fields[key]) for key in sorted(fields, key=_number) if _number(key)]
    references = _decoded(fields.get("references"), list, lambda problem: refuse("references", problem))
    if references is not None and not references:
        refuse("references", "is an empty list; leave the field out when there are none")
    references = numbered if references is None else [text("references", r) for r in references]
    # DialogSum's test file has three summaries and no `summary`: the first one is used.
    summary = text("summary", fields.get("summary", references[0] if references else None))
    topic = fields.get("topic", fields.get("topic1"))
    topic = "" if topic is None else text("topic", topic, may_be_empty=True)
    template = fields.get("template")
    return {
        "id": text(identity, name),
        "dialogue": text("dialogue", fields.get("dialogue")),
        "summary": summary,
        "topic": topic,
        "references": references or [summary],
        "facts": _facts(fields.get("facts"), refuse),
        "template": None if template in (None, "") else text("template", template),
    }


def _joined(rows: list[dict]) -> list[dict]:
    """The rows; rows of one dialogue get the same template, and the references of all of them."""
    units = resampling_units([row["dialogue"] for row in rows], [row["template"] for row in rows])
    references: dict[str, dict[str, None]] = {}  # of a dialogue: its references, each once, in order
    for row in rows:
        references.setdefault(row["dialogue"], {}).update(dict.fromkeys(row["references"]))
    return [
        row | {"template": unit, "references": list(references[row["dialogue"]])}
        for row, unit in zip(rows, units, strict=True)
    ]


def _first_of_each_dialogue(rows: list[dict]) -> list[dict]:
    first: dict[str, dict] = {}
    for row in rows:
        first.setdefault(row["dialogue"], row)
    return list(first.values())


def _number(field: str) -> int:
    """3 for `summary3`, 0 for any other field."""
    digits = field.removeprefix("summary")
    return int(digits) if field != digits and digits.isdecimal() else 0


def _decoded(value, kind: type, refuse):
    """`value` as a list or dict (in a .csv it is written as JSON). None and an empty cell mean that it is missing."""
    if isinstance(value, str) and value.strip():
        try:
            value = parse_json(value)
        except ValueError as error:
            refuse(f"is not valid JSON ({error})")
    if value is None or value == "":
        return None
    if not isinstance(value, kind):
        refuse(f"must be a {'list' if kind is list else 'mapping'}, but is {type(value).__name__}")
    return value


def _facts(value, refuse) -> dict[str, str | None] | None:
    facts = _decoded(value, dict, lambda problem: refuse("facts", problem))
    if facts is None:
        return None
    for key, fact in facts.items():
        if key not in FACT_KEYS:
            refuse("facts", f"has the unknown key {key!r}; the keys are {', '.join(FACT_KEYS)}")
        problem = None if fact is None else text_problem(fact)
        if problem:
            refuse("facts", f"key {key!r} {problem}")
    return {key: facts.get(key) for key in FACT_KEYS}


def _as_dataset(rows: list[dict]) -> Dataset:
    from datasets import Dataset, Features, List, Value

    text = Value("string")
    features = Features(
        {column: text for column in COLUMNS} | {"references": List(text), "facts": {key: text for key in FACT_KEYS}}
    )
    return Dataset.from_list(rows, features=features)
