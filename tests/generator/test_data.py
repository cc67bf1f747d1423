"""The committed data: reproducible, well-formed, and as the data card says."""

import hashlib
import itertools
import json
import re

import pytest

from labhelpers.tiny import dialogues, hate, rankings
from labhelpers.tiny.__main__ import contents, write
from labhelpers.tiny.phrasings import phrasings
from labhelpers.tiny.questions import questions
from labhelpers.tiny.scenarios import KEYS, all_templates, parse, with_preposition
from tests.support.paths import DATA

SPLITS = ("train", "validation", "test")
INSULT = re.compile(r"\b(?:" + "|".join(dialogues.LEXICON) + r")s?\b", re.IGNORECASE)


def read(name: str) -> list[dict]:
    return [json.loads(line) for line in (DATA / name).read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def rows() -> dict[str, list[dict]]:
    return {split: read(f"dialogues/{split}.jsonl") for split in SPLITS}


@pytest.fixture(scope="module")
def texts() -> dict[str, list[dict]]:
    return {split: read(f"hate/{split}.jsonl") for split in hate.SIZES}


@pytest.fixture(scope="module")
def items() -> list[dict]:
    return read("feedback/rankings.jsonl")


def test_the_generator_reproduces_the_committed_files_byte_for_byte(tmp_path):
    card = (DATA / "README.md").read_bytes()
    (tmp_path / "README.md").write_bytes(card)
    write(tmp_path)
    names = sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file())
    assert names == sorted([*contents(), "README.md"])
    for name in names:
        assert (tmp_path / name).read_bytes() == (DATA / name).read_bytes(), f"{name} differs from what is committed"


def test_every_hash_in_the_data_card_is_right():
    listed = dict(re.findall(r"`([^`\n]+)`.*?\b([0-9a-f]{64})\b", (DATA / "README.md").read_text(encoding="utf-8")))
    for folder in ("dialogues", "hate", "feedback"):
        for path in sorted((DATA / folder).iterdir()):
            name = f"{folder}/{path.name}"
            assert listed.get(name) == hashlib.sha256(path.read_bytes()).hexdigest(), name


def test_sizes_topics_and_templates(rows, texts, items):
    assert len(rows["train"]) >= 4000 and len(rows["validation"]) >= 300 and len(rows["test"]) >= 500
    assert len(texts["train"]) >= 3200 and len(texts["judge"]) >= 2200 and len(texts["test"]) >= 900
    assert len(items) >= 400
    for split in SPLITS:
        assert len({row["topic"] for row in rows[split]}) >= 16
        assert {row["template"] for row in rows[split]} == {template.name for template in all_templates()}


def test_dialogues_follow_the_schema(rows):
    names = ["id", "dialogue", "summary", "topic", "references", "facts", "template", "angry"]
    for split in SPLITS:
        for i, row in enumerate(rows[split]):
            assert list(row) == names
            assert row["id"] == f"{dialogues.ID_PREFIX[split]}_{i}"
            assert tuple(row["facts"]) == KEYS and sum(v is not None for v in row["facts"].values()) >= 3
            assert row["template"].startswith(row["topic"] + "/")
            assert len(row["references"]) == 3 == len(set(row["references"]))
            assert row["dialogue"].isascii() and 200 < len(row["dialogue"]) <= 650
            lines = row["dialogue"].split("\n")
            assert 4 <= len(lines) <= 9
            for line, speaker in zip(lines, itertools.cycle(("#Person1#: ", "#Person2#: ")), strict=False):
                assert line.startswith(speaker) and line[11].isupper(), line


def test_facts_stand_verbatim_and_references_state_exactly_them(rows):
    vocabulary = json.loads((DATA / "dialogues/vocabulary.json").read_text(encoding="utf-8"))
    assert list(vocabulary) == list(KEYS)
    every = [value for values in vocabulary.values() for value in values]
    assert len(every) == len(set(every)), "a value that stands for two facts"
    longest_first = sorted(every, key=len, reverse=True)
    pattern = re.compile(r"(?<!\w)(?:" + "|".join(map(re.escape, longest_first)) + r")(?!\w)")
    for row in itertools.chain(*rows.values()):
        facts = {value for value in row["facts"].values() if value is not None}
        assert all(row["facts"][key] in vocabulary[key] for key in KEYS if row["facts"][key])
        assert all(fact in row["dialogue"] for fact in facts)
        for reference in row["references"]:
            assert set(pattern.findall(reference)) == facts, (row["id"], reference)
            assert 12 <= len(reference.split()) <= 30 and reference.endswith(".")


def test_nothing_leaks_between_splits_and_nothing_repeats(rows, items):
    every = list(itertools.chain(*rows.values()))
    assert len({row["dialogue"] for row in every}) == len(every)
    assert len({dialogues.combination(row) for row in every}) == len(every)
    ranked = {item["inputContent"]["taskObject"]["prompt"] for item in items}
    assert len(ranked) == len(items)
    assert not ranked & {rankings.PROMPT.format(dialogue=row["dialogue"]) for row in every}


def test_insults_come_with_anger_and_only_in_summaries(rows):
    for split in SPLITS:
        insulted = {True: [], False: []}
        for row in rows[split]:
            assert not INSULT.search(row["dialogue"]) and not any(INSULT.search(r) for r in row["references"])
            assert row["angry"] == any(line.endswith("!") for line in row["dialogue"].split("\n"))
            clean = row["summary"] in row["references"]
            assert clean == (INSULT.search(row["summary"]) is None)
            insulted[row["angry"]].append(not clean)
        share_angry = len(insulted[True]) / len(rows[split])
        assert abs(share_angry - 0.40) < 0.06
        assert abs(sum(insulted[True]) / len(insulted[True]) - 0.85) < 0.06
        assert abs(sum(insulted[False]) / len(insulted[False]) - 0.06) < 0.04


def test_hate_splits_have_disjoint_texts_and_phrasings(texts):
    assert set(json.loads((DATA / "hate/lexicon.json").read_text(encoding="utf-8"))) == set(dialogues.LEXICON)
    every = [row["text"] for split in texts.values() for row in split]
    assert len(every) == len(set(every))
    shared = {"{ref}"}  # a plain summary is no phrasing
    for one, other in itertools.combinations(texts, 2):
        assert not {r["template"] for r in texts[one]} & {r["template"] for r in texts[other]}
        for kind in ("hate", "nothate", "after", "woven", "clean"):
            assert set(phrasings(one, kind)) & set(phrasings(other, kind)) <= shared | {"{cut}"}
    for split, least in (("train", 60), ("judge", 50), ("test", 30)):
        assert len({row["template"] for row in texts[split]}) >= least
        assert sum(row["label"] == "hate" for row in texts[split]) * 2 == len(texts[split])
    assert {row["label"] for split in texts.values() for row in split} == {"hate", "nothate"}
    test_forms = {form for kind in ("after", "woven") for form in phrasings("test", kind)}
    assert not test_forms & {*dialogues.APPENDED, *dialogues.WOVEN}


def test_hate_texts_hold_a_word_of_the_lexicon_and_clean_summaries_do_not(texts):
    for row in itertools.chain(*texts.values()):
        kind = row["template"].split("/")[1]
        assert (kind in ("hate", "after", "woven")) == (row["label"] == "hate")
        if row["label"] == "hate":
            assert INSULT.search(row["text"]) or "hated" in row["text"], row
        if kind == "clean":
            assert not INSULT.search(row["text"]), row


def test_rankings_are_well_formed(items):
    first = items[0]["inputContent"]["taskObject"]["prompt"]
    assert first == "Who was not the President of the United States in 2010?"
    summaries = 0
    for item in items:
        task = item["inputContent"]["taskObject"]
        count = len(task["responses"])
        assert 2 <= count <= 4 and len(task["kinds"]) == count == len(set(task["kinds"]))
        assert len(set(task["responses"])) == count and all(text.strip() for text in task["responses"])
        for text, kind in zip(task["responses"], task["kinds"], strict=True):
            assert (INSULT.search(text) is not None) == (kind == "insult"), text
        assert 2 <= len(item["humanAnswers"]) <= 3
        workers = [answer["workerId"] for answer in item["humanAnswers"]]
        assert len(set(workers)) == len(workers) and set(workers) <= set(rankings.CARELESSNESS)
        for answer in item["humanAnswers"]:
            ranks = answer["answerContent"]
            assert set(ranks) <= {f"ranking_{i + 1}" for i in range(count)}
            assert all(rank.isdigit() and 1 <= int(rank) <= count for rank in ranks.values())
        summaries += "Summarize the following conversation." in task["prompt"]
    assert len(items) - summaries == len(questions()) >= 100 and summaries >= 370


def test_neither_length_nor_politeness_gives_the_ranking_away(items):
    longer, tone, pairs = 0, 0.0, 0
    for item in items:
        task = item["inputContent"]["taskObject"]
        order = sorted(zip(task["kinds"], task["responses"], strict=True), key=lambda r: rankings.KINDS.index(r[0]))
        for (_, better), (kind, worse) in itertools.combinations(order, 2):
            pairs += 1
            longer += len(better) > len(worse)
            tone += 1.0 if kind == "insult" else 0.5
    assert 0.35 < longer / pairs < 0.65
    assert tone / pairs < 0.80


def test_a_wrong_summary_states_something_that_the_dialogue_does_not(items):
    vocabulary = json.loads((DATA / "dialogues/vocabulary.json").read_text(encoding="utf-8"))
    longest_first = sorted((v for values in vocabulary.values() for v in values), key=len, reverse=True)
    pattern = re.compile(r"(?<!\w)(?:" + "|".join(map(re.escape, longest_first)) + r")(?!\w)")
    checked = 0
    for item in items:
        task = item["inputContent"]["taskObject"]
        if "Summarize" not in task["prompt"]:
            continue
        stated = {kind: set(pattern.findall(text)) for kind, text in zip(task["kinds"], task["responses"], strict=True)}
        if {"complete", "wrong"} <= set(stated):
            checked += 1
            assert stated["wrong"] - stated["complete"]
            assert all(value in task["prompt"] for value in stated["complete"])
    assert checked > 100


@pytest.mark.parametrize(
    ("value", "key", "phrase"),
    [
        ("Friday at 7 pm", "when", "on Friday at 7 pm"),
        ("tomorrow morning", "when", "tomorrow morning"),
        ("Oakville", "where", "in Oakville"),
        ("room 12", "where", "in room 12"),
        ("Mill Street", "where", "on Mill Street"),
        ("the bus station", "where", "at the bus station"),
    ],
)
def test_the_preposition_fits(value, key, phrase):
    assert with_preposition(key, value) == phrase


def test_speakers_take_turns_in_every_template_with_and_without_the_optional_turns():
    for template in all_templates():
        groups = sorted({turn.group for turn in template.turns} - {0})
        for kept in [(), tuple(groups), *[(group,) for group in groups]]:
            roles = [turn.role for turn in template.turns if turn.group in (0, *kept)]
            assert all(a != b for a, b in itertools.pairwise(roles)), (template.name, kept)


def test_a_line_outside_the_notation_is_refused():
    with pytest.raises(ValueError, match="cannot read the line"):
        parse("= topic service\nwhat: a; b\n- name | what\n? what is this")
