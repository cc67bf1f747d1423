"""Dialogues: what is accepted, what is refused and how, and the prompts."""

import csv
import json
import time
from pathlib import Path

import pytest

from labhelpers.errors import DataError
from labhelpers.sources.dialogues import (
    COLUMNS,
    PROMPT,
    build_dataset,
    format_prompt,
    load_dialogues,
    resampling_units,
    sft_features,
)
from tests.support.models import put_into_cache

FACTS = {"who": "Anna", "what": "a table", "when": None, "where": "the Blue Lantern", "how_much": None}


def row(number=0, length=300, **fields):
    dialogue = f"#Person1#: {number} " + "x" * length
    return {"id": f"d{number}", "dialogue": dialogue[:length], "summary": "A summary.", "topic": "food"} | fields


def write(path, rows):
    path.write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
    return path


@pytest.fixture
def folder(tmp_path):
    for split, count in (("train", 5), ("validation", 2), ("test", 3)):
        write(tmp_path / f"{split}.jsonl", [row(i, facts=FACTS, references=["One.", "Two."]) for i in range(count)])
    return tmp_path


class Letters:
    """A tokenizer that is called the way the real ones are."""

    eos_token_id = 1

    def __call__(self, texts, add_special_tokens=True):
        return {"input_ids": [[ord(c) for c in text] for text in texts]}


def test_a_folder_gives_each_split_in_the_schemas_columns(folder):
    assert [len(load_dialogues(folder, s)) for s in ("train", "validation", "test")] == [5, 2, 3]
    data = load_dialogues(folder, "train")
    assert tuple(data.column_names) == COLUMNS
    assert data[0]["facts"] == FACTS and data[0]["references"] == ["One.", "Two."]


def test_what_a_plain_data_set_lacks_is_filled_in(tmp_path):
    """DialogSum as published has no references, facts or template, and calls its id `fname`."""
    bare = {"fname": "dev_0", "dialogue": "#Person1#: Hi.", "summary": "They greet.", "topic": "greeting"}
    data = load_dialogues(write(tmp_path / "all.jsonl", [bare] * 5), "train")
    assert data[0] == {
        "id": "dev_0",
        "dialogue": "#Person1#: Hi.",
        "summary": "They greet.",
        "topic": "greeting",
        "references": ["They greet."],
        "facts": None,
        "template": "dialogue 4c565bd8440d",
    }


def test_the_published_test_file_with_three_summaries_loads(tmp_path):
    published = {"fname": "test_0", "dialogue": "#Person1#: Hi."}
    published |= {f"summary{i}": f"Summary {i}." for i in (1, 2, 3)} | {f"topic{i}": f"topic {i}" for i in (1, 2, 3)}
    write(tmp_path / "test.jsonl", [published])
    data = load_dialogues(tmp_path, "test")
    assert data[0]["references"] == ["Summary 1.", "Summary 2.", "Summary 3."]
    assert data[0]["summary"] == "Summary 1." and data[0]["topic"] == "topic 1"


def test_a_topic_may_be_missing(tmp_path):
    bare = row()
    del bare["topic"]
    data = load_dialogues(write(tmp_path / "all.jsonl", [bare] * 5), "train")
    assert data[0]["topic"] == ""


def three_rows(dialogue, number=0):
    """One dialogue as the Hub's copy of DialogSum's test file has it: three rows, each with its summary and topic."""
    return [
        {"id": f"test_{number}_{i}", "dialogue": dialogue, "summary": f"Summary {i}.", "topic": topic}
        for i, topic in enumerate("abc", start=1)
    ]


def test_rows_of_one_dialogue_share_their_references_and_are_drawn_together(tmp_path):
    """Three people name three topics and write three summaries; that makes no three dialogues of one."""
    rows = [*three_rows("#Person1#: Hi.", 0), *three_rows("#Person1#: Bye.", 1)]
    data = load_dialogues(write(tmp_path / "train.jsonl", rows).parent, "train")
    assert data["summary"] == ["Summary 1.", "Summary 2.", "Summary 3."] * 2 and data["topic"] == list("abcabc")
    assert data["references"] == [["Summary 1.", "Summary 2.", "Summary 3."]] * 6
    hi, bye = set(data["template"][:3]), set(data["template"][3:])
    assert len(hi) == len(bye) == 1 and hi != bye


@pytest.mark.parametrize("split", ["validation", "test"])
def test_a_dialogue_that_is_held_out_is_measured_once(tmp_path, split):
    rows = [*three_rows("#Person1#: Hi.", 0), *three_rows("#Person1#: Bye.", 1)]
    write(tmp_path / f"{split}.jsonl", [rows[i] for i in (0, 3, 1, 4, 2, 5)])
    data = load_dialogues(tmp_path, split)
    assert data["id"] == ["test_0_1", "test_1_1"] and data["summary"] == ["Summary 1."] * 2
    assert data["references"] == [["Summary 1.", "Summary 2.", "Summary 3."]] * 2


def test_what_is_drawn_is_the_template_where_it_is_known_and_else_the_dialogue():
    hi, bye = resampling_units(["Hi.", "Bye."], [None, ""])
    assert hi != bye and resampling_units(["Bye.", "Hi.", "Bye."], [None] * 3) == [bye, hi, bye]
    assert resampling_units(["Hi.", "Bye.", "So?"], ["food/a", "food/a", None])[:2] == ["food/a"] * 2
    assert resampling_units(["Hi.", "Hi.", "Hi."], [None, "food/a", "food/b"]) == ["food/a"] * 3


def test_the_cut_between_train_and_test_parts_no_dialogue(tmp_path):
    rows = [row(i) for i in range(7)] + [row(7, id=f"copy {i}") for i in range(3)]
    path = write(tmp_path / "all.jsonl", [*rows, row(8), row(9)])  # 12 rows: 9 and 3
    train, test = load_dialogues(path, "train"), load_dialogues(path, "test")
    assert (len(train), len(test)) == (10, 2) and not set(train["dialogue"]) & set(test["dialogue"])
    with pytest.raises(DataError, match="none of the 3 dialogues is left for 'test'"):
        load_dialogues(write(path, three_rows("Hi.")), "test")


def test_csv_with_json_cells_and_line_breaks_gives_what_jsonl_gives(tmp_path):
    header = "id,dialogue,summary,topic,references,facts\n"
    facts = json.dumps(FACTS).replace('"', '""')
    line = f'd0,"#Person1#: Hi, you.\n#Person2#: Hello.",They greet.,greeting,"[""One.""]","{facts}"\n'
    (tmp_path / "train.csv").write_text("\ufeff" + header + line, encoding="utf-8")
    data = load_dialogues(tmp_path, "train")
    assert data[0]["dialogue"] == "#Person1#: Hi, you.\n#Person2#: Hello."
    assert data[0]["references"] == ["One."] and data[0]["facts"] == FACTS


def test_a_csv_cell_may_be_as_long_as_it_likes_and_its_json_names_no_key_twice(tmp_path):
    """Python's csv module stops at 131,072 characters unless it is told otherwise."""
    csv.field_size_limit(131_072)
    (tmp_path / "train.csv").write_text("id,dialogue,summary,facts\nd0," + "x" * 131_073 + ",They greet.,\n")
    assert len(load_dialogues(tmp_path, "train")[0]["dialogue"]) == 131_073
    facts = '"{""who"": ""Anna"", ""who"": ""Ben""}"'
    (tmp_path / "train.csv").write_text(f"id,dialogue,summary,facts\nd0,Hi.,They greet.,{facts}\n")
    with pytest.raises(DataError, match="the key 'who' stands twice") as caught:
        load_dialogues(tmp_path, "train")
    assert (caught.value.line, caught.value.field) == (2, "facts")


def test_one_file_is_filtered_and_then_split_in_order(tmp_path):
    """The lab filters 12,460 rows to 10,022 and splits those into 8,017 and 2,005: the test part is rounded up."""
    rows = [row(i, length=150 if i % 3 == 0 else 300) for i in range(18)]  # 12 are long enough
    path = write(tmp_path / "all.jsonl", rows)
    train = load_dialogues(path, "train", min_chars=200, max_chars=1000)
    test = load_dialogues(path, "test", min_chars=200, max_chars=1000)
    assert (len(train), len(test)) == (9, 3)
    assert [*train["id"], *test["id"]] == [r["id"] for i, r in enumerate(rows) if i % 3]
    with pytest.raises(DataError, match="train and test only"):
        load_dialogues(path, "validation")


def test_the_lower_limit_is_excluded_and_the_upper_included(tmp_path):
    lengths = [200, 201, 1000, 1001]
    write(tmp_path / "train.jsonl", [row(n, length=n) for n in lengths])
    data = build_dataset(tmp_path, "train", Letters())
    assert [len(d) for d in data["dialogue"]] == [201, 1000]


def test_build_dataset_adds_the_labs_prompt_and_its_tokens(folder):
    data = build_dataset(folder, "train", Letters(), max_rows=2)
    assert data.column_names == [*COLUMNS, "query", "input_ids"] and len(data) == 2
    dialogue = data[0]["dialogue"]
    assert data[0]["query"] == f"\nSummarize the following conversation.\n\n{dialogue}\n\nSummary:\n"
    assert data[0]["input_ids"] == [ord(c) for c in data[0]["query"]]


def test_fine_tuning_counts_the_summary_and_its_end_alone(folder):
    """For a decoder-only model prompt and summary are one sequence, and the prompt does not count."""
    rows = build_dataset(folder, "test", Letters())
    for encoder_decoder in (True, False):
        features = sft_features(rows, Letters(), encoder_decoder)
        assert features.column_names == ["input_ids", "labels"] and len(features) == len(rows)
        query, answer = rows[0]["input_ids"], [ord(c) for c in rows[0]["summary"]] + [1]
        if encoder_decoder:
            assert features[0] == {"input_ids": query, "labels": answer}
        else:
            assert features[0] == {"input_ids": query + answer, "labels": [-100] * len(query) + answer}


def test_braces_in_a_dialogue_are_just_characters():
    assert format_prompt("{name} {0}") == PROMPT.format(dialogue="{name} {0}")


@pytest.mark.parametrize(
    ("change", "field", "message"),
    [
        ({"dialogue": "  "}, "dialogue", "is empty"),
        ({"dialogue": None}, "dialogue", "is missing"),
        ({"summary": ""}, "summary", "is empty"),
        ({"summary": 3}, "summary", "must be a text, but is int"),
        ({"id": True}, "id", "must be a text, but is bool"),
        ({"topic": ["food"]}, "topic", "must be a text, but is list"),
        ({"references": []}, "references", "empty list"),
        ({"references": ["One.", ""]}, "references", "is empty"),
        ({"references": {"a": 1}}, "references", "must be a list"),
        ({"facts": {"whom": "Anna"}}, "facts", "unknown key 'whom'"),
        ({"facts": {"who": 3}}, "facts", "key 'who' must be a text"),
        ({"dialogue": "half a pair \ud83d"}, "dialogue", "surrogate"),
    ],
)
def test_a_bad_field_is_named_with_file_line_and_field(folder, change, field, message):
    write(folder / "train.jsonl", [row(0), row(1), row(2, **change)])
    with pytest.raises(DataError, match=message) as caught:
        load_dialogues(folder, "train")
    error = caught.value
    assert (error.line, error.field) == (3, field) and str(error.file).endswith("train.jsonl")


@pytest.mark.parametrize("missing", ["id", "dialogue", "summary"])
def test_a_missing_field_is_named(folder, missing):
    broken = row()
    del broken[missing]
    write(folder / "train.jsonl", [broken])
    with pytest.raises(DataError, match="is missing") as caught:
        load_dialogues(folder, "train")
    assert caught.value.field == missing


@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        (b'{"id": "a", "dialogue"\n', 3, "not valid JSON"),
        (b'["a list"]\n', 3, "JSON object"),
        (b'{"id": "\xff"}\n', 3, "not UTF-8"),
        (b"\n\n{" + b"[" * 3 + b"\n", 5, "not valid JSON"),
        (b'{"id": "a", "summary": "One.", "summary": "Two."}\n', 3, "the key 'summary' stands twice"),
        (b'{"facts": {"who": "Anna", "when": null, "who": "Ben"}}\n', 3, r"the key 'who' stands twice.*column 41"),
    ],
)
def test_a_broken_line_is_named(folder, content, line, message):
    path = folder / "train.jsonl"
    path.write_bytes("".join(json.dumps(row(i)) + "\n" for i in range(2)).encode() + content)
    with pytest.raises(DataError, match=message) as caught:
        load_dialogues(folder, "train")
    assert caught.value.line == line


def test_a_line_separator_inside_a_text_does_not_break_the_line(folder):
    """U+2028 is a line end for str.splitlines, and an ordinary character for JSON."""
    (folder / "train.jsonl").write_text(json.dumps(row(summary="a\u2028b"), ensure_ascii=False), encoding="utf-8")
    assert load_dialogues(folder, "train")["summary"] == ["a\u2028b"]


def test_wrong_locations_and_splits_say_what_to_do(folder, tmp_path):
    with pytest.raises(DataError, match="choose one of train, validation, test"):
        load_dialogues(folder, "dev")
    with pytest.raises(DataError, match="no such file or folder"):
        load_dialogues(tmp_path / "nowhere", "train")
    (folder / "test.jsonl").unlink()
    with pytest.raises(DataError, match="there is no test.jsonl or test.csv in this folder"):
        load_dialogues(folder, "test")
    with pytest.raises(DataError, match="none of the 5 dialogues is left"):
        load_dialogues(folder, "train", min_chars=5000)
    (folder / "train.jsonl").write_text("")
    with pytest.raises(DataError, match="holds no dialogue"):
        load_dialogues(folder, "train")


@pytest.fixture
def hub_cache(tmp_path, monkeypatch):
    """An empty cache of the Hub's, and no network."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path / "hub"


def test_a_hub_id_that_cannot_be_had_says_where_it_was_looked_for_and_what_to_do(hub_cache):
    with pytest.raises(DataError) as caught:
        load_dialogues("somebody/dialogues", "train")
    message = str(caught.value)
    assert "data set 'somebody/dialogues' is not available" in message and str(hub_cache) in message
    assert "labs download --profile full" in message and "the tiny profile needs none of it" in message


def test_a_hub_data_set_goes_through_the_same_validation(hub_cache, tmp_path):
    """As the Hub has DialogSum: a .csv for each split."""
    published = tmp_path / "published"
    published.mkdir()
    (published / "train.csv").write_text("id,dialogue,summary,topic\ntrain_0,Hi.,They greet.,greeting\n")
    (published / "test.csv").write_text("id,dialogue,summary,topic\na,Hi.,They greet.,x\nb,Hi.,,x\n")
    put_into_cache(hub_cache, "somebody/dialogues", published, "dataset")
    put_into_cache(hub_cache, "somebody/dialogues", published, "dataset", revision="v2")
    for name in ("somebody/dialogues", "somebody/dialogues@v2"):
        assert load_dialogues(name, "train")["id"] == ["train_0"]
    with pytest.raises(DataError, match="is empty") as caught:
        load_dialogues("somebody/dialogues", "test")
    assert (Path(caught.value.file).name, caught.value.line, caught.value.field) == ("test.csv", 3, "summary")
    with pytest.raises(DataError, match="could not be read.*'validation'"):
        load_dialogues("somebody/dialogues", "validation")


def test_a_hub_data_set_without_such_tables_is_read_by_datasets(hub_cache, tmp_path, monkeypatch):
    import datasets
    import pandas

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "arrow")
    (tmp_path / "published" / "data").mkdir(parents=True)
    table = pandas.DataFrame([row(0), row(1, summary="")])
    for split, rows in (("train", table[:1]), ("test", table)):
        rows.to_parquet(tmp_path / "published" / "data" / f"{split}-00000-of-00001.parquet")
    put_into_cache(hub_cache, "somebody/dialogues", tmp_path / "published", "dataset")
    assert load_dialogues("somebody/dialogues", "train")["id"] == ["d0"]
    with pytest.raises(DataError, match="is empty") as caught:
        load_dialogues("somebody/dialogues", "test")
    assert (caught.value.file, caught.value.line) == ("somebody/dialogues", 2)


def test_any_fsspec_address_works_as_folder_or_file(folder):
    import fsspec

    fs = fsspec.filesystem("memory")
    for path in folder.iterdir():
        fs.pipe(f"/dialogues/{path.name}", path.read_bytes())
    try:
        assert len(load_dialogues("memory://dialogues", "test")) == 3
        assert len(load_dialogues("memory://dialogues/train.jsonl", "train")) == 4  # one file: the first 80 %
        with pytest.raises(DataError, match="no such file"):
            load_dialogues("memory://elsewhere", "test")
    finally:
        fs.rm("/dialogues", recursive=True)


def test_all_of_dialogsum_is_prepared_in_seconds(tmp_path):
    """12,460 dialogues of 700 characters in under 10 s, with a fast tokenizer."""
    import datasets  # noqa: F401  (importing libraries is not what is timed)
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel(vocab={"<unk>": 0, "one": 1, "two": 2}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, unk_token="<unk>")
    dialogue = "one two " * 88
    write(tmp_path / "train.jsonl", [row(i) | {"dialogue": dialogue} for i in range(12_460)])
    start = time.perf_counter()
    data = build_dataset(tmp_path, "train", tokenizer)
    assert time.perf_counter() - start < 60  # about 5 s on an idle machine; row by row it would be minutes
    assert len(data) == 12_460 and len(data[0]["input_ids"]) == 181


def test_lines_of_a_dialogue_end_alike_whatever_system_wrote_them(tmp_path):
    rows = [row(number, dialogue=f"Ann: Hi.{end}Bob: Hi.", summary=f"They{end}meet.")
            for number, end in enumerate(("\n", "\r\n", "\r"))]  # fmt: skip
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(one) + "\n" for one in rows))
    found = load_dialogues(tmp_path, "train")
    assert set(found["dialogue"]) == {"Ann: Hi.\nBob: Hi."} and set(found["summary"]) == {"They\nmeet."}


def test_one_file_whose_rows_of_a_dialogue_are_scattered_is_warned_of(tmp_path):
    rows = [row(number) for _ in range(3) for number in range(10)]
    with pytest.warns(UserWarning, match="stand in both parts of the split.*Sort the file by dialogue"):
        load_dialogues(write(tmp_path / "one.jsonl", rows), "train")
