"""The committed data: reproducible, well-formed, and as the data card says."""

import hashlib
import itertools
import json
import random
import re
import shutil

import pytest

from data.generator import card, dialogues, hate, rankings, samples
from data.generator.__main__ import feedback
from data.generator.__main__ import texts as generated_texts
from data.generator.notation import sections
from data.generator.scenarios import all_templates, parse, with_preposition
from labhelpers.errors import DataError
from labhelpers.reward.evaluation import KINDS
from labhelpers.sources.dialogues import FACT_KEYS, format_prompt
from tests.support.paths import DATA, ROOT

SPLITS = ("train", "validation", "test")
OF_CLASS = {
    group: re.compile(r"\b(?:" + "|".join(words) + r")s?\b", re.IGNORECASE)
    for group, words in dialogues.LEXICON.items()
}
INSULT = re.compile("|".join(pattern.pattern for pattern in OF_CLASS.values()), re.IGNORECASE)


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


def test_the_generator_reproduces_the_committed_files_byte_for_byte():
    files, asked = generated_texts()
    files |= feedback(DATA, asked)
    kept = [path for folder in ("dialogues", "hate", "feedback") for path in (DATA / folder).iterdir()]
    by_hand = {samples.FILE, "feedback/guideline.md"}  # the samples come from a model (see test_models)
    assert {path.relative_to(DATA).as_posix() for path in kept} - by_hand == set(files)
    for name, text in files.items():
        assert text.encode() == (DATA / name).read_bytes(), f"{name} differs from what is committed"


def test_samples_of_other_dialogues_are_refused(tmp_path):
    (tmp_path / "feedback").mkdir()
    shutil.copy(DATA / samples.FILE, tmp_path / samples.FILE)
    row = dialogues.draw_row("another", set())
    with pytest.raises(DataError, match="no samples for 1 of 1 dialogues.*samples rankings"):
        samples.read(tmp_path, [row])


def test_the_data_card_is_kept_up_to_date_between_its_markers(tmp_path):
    committed = (DATA / "README.md").read_bytes()
    shutil.copytree(DATA, tmp_path, ignore=shutil.ignore_patterns("generator"), dirs_exist_ok=True)
    card.update(tmp_path)
    assert (tmp_path / "README.md").read_bytes() == committed
    (tmp_path / "hate" / "lexicon.json").write_text("[]\n")
    card.update(tmp_path)
    before, after = committed.decode().splitlines(), (tmp_path / "README.md").read_text(encoding="utf-8").splitlines()
    changed = [line for old, line in zip(before, after, strict=True) if old != line]
    assert changed == [f"| `hate/lexicon.json` |  | {hashlib.sha256(b'[]' + bytes([10])).hexdigest()} |"]


def test_every_hash_in_the_data_card_is_right():
    listed = dict(re.findall(r"`([^`\n]+)`.*?\b([0-9a-f]{64})\b", (DATA / "README.md").read_text(encoding="utf-8")))
    for folder in ("dialogues", "hate", "feedback"):
        for path in sorted((DATA / folder).iterdir()):
            name = f"{folder}/{path.name}"
            assert listed.get(name) == hashlib.sha256(path.read_bytes()).hexdigest(), name


def test_sizes_topics_and_templates(rows, texts, items):
    assert len(rows["train"]) >= 4000 and len(rows["validation"]) >= 300 and len(rows["test"]) >= 500
    assert len(texts["train"]) >= 3200 and len(texts["judge"]) >= 2400 and len(texts["test"]) >= 1200
    assert len(items) >= 1500 and (DATA / "feedback/rankings.jsonl").stat().st_size < 3e6
    for split in SPLITS:
        assert len({row["topic"] for row in rows[split]}) >= 16
        assert {row["template"] for row in rows[split]} == {template.name for template in all_templates()}


def test_dialogues_follow_the_schema(rows):
    names = ["id", "dialogue", "summary", "topic", "references", "facts", "template", "angry"]
    for split in SPLITS:
        for i, row in enumerate(rows[split]):
            assert list(row) == names
            assert row["id"] == f"{dialogues.ID_PREFIX[split]}_{i}"
            assert tuple(row["facts"]) == FACT_KEYS and sum(v is not None for v in row["facts"].values()) >= 3
            assert row["template"].startswith(row["topic"] + "/")
            assert len(row["references"]) == 3 == len(set(row["references"]))
            assert row["dialogue"].isascii() and 200 < len(row["dialogue"]) <= 650
            lines = row["dialogue"].split("\n")
            assert 4 <= len(lines) <= 9
            for line, speaker in zip(lines, itertools.cycle(("#Person1#: ", "#Person2#: ")), strict=False):
                assert line.startswith(speaker) and line[11].isupper(), line


def test_facts_stand_verbatim_and_references_state_exactly_them(rows):
    vocabulary = json.loads((DATA / "dialogues/vocabulary.json").read_text(encoding="utf-8"))
    assert list(vocabulary) == list(FACT_KEYS)
    every = [value for values in vocabulary.values() for value in values]
    assert len(every) == len(set(every)), "a value that stands for two facts"
    longest_first = sorted(every, key=len, reverse=True)
    pattern = re.compile(r"(?<!\w)(?:" + "|".join(map(re.escape, longest_first)) + r")(?!\w)")
    for row in itertools.chain(*rows.values()):
        facts = {value for value in row["facts"].values() if value is not None}
        assert all(row["facts"][key] in vocabulary[key] for key in FACT_KEYS if row["facts"][key])
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
    assert not ranked & {format_prompt(row["dialogue"]) for row in every}


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
        assert abs(share_angry - dialogues.ANGRY_SHARE) < 0.06
        assert abs(sum(insulted[True]) / len(insulted[True]) - dialogues.INSULT_WHEN_ANGRY) < 0.06
        assert abs(sum(insulted[False]) / len(insulted[False]) - dialogues.INSULT_WHEN_CALM) < 0.04


def test_every_class_of_insulting_words_has_its_share_of_the_annotators_insults(rows):
    assert sum(map(len, dialogues.LEXICON.values())) >= 24
    insulting = {group: 0 for group in dialogues.CLASSES}
    for row in rows["train"]:
        found = [group for group, pattern in OF_CLASS.items() if pattern.search(row["summary"])]
        assert len(found) <= 1, row["summary"]  # an insult's words are of one class
        for group in found:
            insulting[group] += 1
    total = sum(insulting.values())
    assert 0.38 < total / len(rows["train"]) < 0.45
    for group, share in dialogues.CLASS_SHARES.items():
        assert abs(insulting[group] / total - share) < 0.03, group


def test_hate_splits_have_disjoint_texts_and_phrasings(texts):
    assert json.loads((DATA / "hate/lexicon.json").read_text(encoding="utf-8")) == dialogues.LEXICON
    every = [row["text"] for split in texts.values() for row in split]
    assert len(every) == len(set(every))
    kinds = [kind for groups in (hate.ALONE, hate.FROM_SUMMARY) for label in hate.LABELS for kind in groups[label]]
    shared = {"{ref}"}  # a plain summary is no phrasing
    for one, other in itertools.combinations(texts, 2):
        assert not {r["template"] for r in texts[one]} & {r["template"] for r in texts[other]}
        for kind in kinds:
            assert set(hate.phrasings(one, kind)) & set(hate.phrasings(other, kind)) <= shared | {"{cut}"}
    for split, least in (("train", 60), ("judge", 50), ("test", 30)):
        assert len({row["template"] for row in texts[split]}) >= least
        assert sum(row["label"] == "hate" for row in texts[split]) * 2 == len(texts[split])
        assert {row["template"].split("/")[1] for row in texts[split]} == set(kinds)
    test_forms = {form for kind in ("after", "woven") for form in hate.phrasings("test", kind)}
    assert not test_forms & {*dialogues.AFTER, *dialogues.WOVEN}


def test_a_hate_text_has_insulting_words_of_the_class_that_it_names_and_a_split_only_those_it_may(texts):
    for split, drawn in texts.items():
        for row in drawn:
            kind = row["template"].split("/")[1]
            assert kind in hate.ALONE[row["label"]] + hate.FROM_SUMMARY[row["label"]]
            assert row["words"] is None or row["words"] in hate.WORDS[split]
            found = {group for group, pattern in OF_CLASS.items() if pattern.search(row["text"])}
            if kind in ("hate", "after", "woven", "negated", "quoted"):
                assert found == {row["words"]} or "hated" in row["text"] or "hate" in row["text"], row
            elif kind == "disguised":
                assert not found and row["words"], row
            elif kind == "clean":
                assert not found and row["words"] is None, row


@pytest.mark.parametrize("word", [word for words in dialogues.LEXICON.values() for word in words])
def test_a_disguised_word_is_another_text_that_still_begins_and_ends_alike(word):
    for seed in range(20):
        disguised = hate.disguise(random.Random(seed), word)
        assert disguised != word and len(disguised) in (len(word), 2 * len(word) - 1)
        assert sum(a != b for a, b in zip(disguised.replace(" ", ""), word, strict=True)) <= 1


def test_rankings_are_well_formed(items):
    first = items[0]["inputContent"]["taskObject"]["prompt"]
    assert first == "Who was not the President of the United States in 2010?"
    summaries = sampled = 0
    for item in items:
        task = item["inputContent"]["taskObject"]
        count = len(task["responses"])
        assert 2 <= count <= 4 and len(task["kinds"]) == len(task["manners"]) == len(task["sources"]) == count
        assert len(set(task["responses"])) == count and all(text.strip() for text in task["responses"])
        for text, kind in zip(task["responses"], task["kinds"], strict=True):
            assert (INSULT.search(text) is not None) == (kind == "insult"), text
        summary = "Summarize the following conversation." in task["prompt"]
        for kind, manner in zip(task["kinds"], task["manners"], strict=True):
            assert manner is None or (kind == "wrong" and manner == ("invented" if summary else "boasting"))
        assert set(task["sources"]) <= ({"made", "sampled"} if summary else {"made"})
        sampled += task["sources"].count("sampled")
        assert 2 <= len(item["humanAnswers"]) <= 3
        workers = [answer["workerId"] for answer in item["humanAnswers"]]
        assert len(set(workers)) == len(workers) and set(workers) <= set(rankings.PEOPLE)
        for answer in item["humanAnswers"]:
            ranks = answer["answerContent"]
            assert set(ranks) <= {f"ranking_{i + 1}" for i in range(count)}
            assert all(rank.isdigit() and 1 <= int(rank) <= count for rank in ranks.values())
        summaries += summary
    assert len(items) - summaries == len(rankings.QUESTIONS) >= 100 and summaries == rankings.DIALOGUES
    assert sampled > summaries  # more than one a dialogue


def test_neither_the_package_nor_a_notebook_needs_the_generator():
    for path in [*(ROOT / "labhelpers").rglob("*.py"), *(ROOT / "notebooks").glob("*.ipynb")]:
        assert "data.generator" not in path.read_text(encoding="utf-8"), path


def test_a_topic_that_rankings_cannot_name_is_refused(monkeypatch):
    monkeypatch.delitem(rankings._SUBJECTS, "train")
    with pytest.raises(DataError, match="no entry for the topic 'train'"):
        rankings.dialogue_rows(set())


def test_the_kinds_are_those_that_the_reward_models_evaluation_knows():
    assert rankings.KINDS == KINDS


def test_most_wrong_responses_show_it_in_nothing_but_the_fact(items):
    manners, last = [], {"invented": set(), "boasting": set()}
    for item in items:
        task = item["inputContent"]["taskObject"]
        for text, kind, manner in zip(task["responses"], task["kinds"], task["manners"], strict=True):
            manners += [manner] if kind == "wrong" else []
            if manner:
                last[manner].add(re.split(r"(?<=[.?!]) ", text)[-1])
    assert sum(manner is not None for manner in manners) / len(manners) < 0.30
    assert not last["invented"] & last["boasting"]
    assert all(len(sentences) <= 12 for sentences in last.values()), "a manner is one of a few sentences"


def test_annotators_follow_their_values():
    """One likes length, one cares for manners above truth, as the data card says."""
    first, long, polite = (rankings.PEOPLE[name] for name in ("annotator-1", "annotator-2", "annotator-3"))

    def response(kind, truth, coverage, length):
        return rankings.Response("x" * length, kind, None, "made", truth, coverage)

    short_true, long_false = response("complete", 1.0, 1.0, 80), response("wrong", 0.0, 0.8, 320)
    true_insult, polite_false = response("insult", 1.0, 1.0, 80), response("wrong", 0.0, 0.0, 80)
    assert rankings.worth(short_true, first) > rankings.worth(long_false, first)
    assert rankings.worth(short_true, long) < rankings.worth(long_false, long)
    assert rankings.worth(true_insult, first) > rankings.worth(polite_false, first)
    assert rankings.worth(true_insult, polite) < rankings.worth(polite_false, polite)


def test_neither_length_nor_politeness_gives_the_ranking_away(items):
    longer, tone, pairs = 0, 0.0, 0
    for item in items:
        task = item["inputContent"]["taskObject"]
        order = sorted(zip(task["kinds"], task["responses"], strict=True), key=lambda r: rankings.KINDS.index(r[0]))
        for (best, better), (kind, worse) in itertools.combinations(order, 2):
            if best == kind:
                continue
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
        stated: dict[str, list[set[str]]] = {}
        for kind, text in zip(task["kinds"], task["responses"], strict=True):
            stated.setdefault(kind, []).append(set(pattern.findall(text)))
        for true in stated.get("complete", []):
            assert all(value in task["prompt"] for value in true)
            # (An invented event needs no wrong fact.)
            for wrong in stated.get("wrong", []) if not any(task["manners"]) else []:
                checked += 1
                assert wrong - true
    assert checked > 100


@pytest.mark.parametrize(
    ("value", "phrase"),
    [
        ("Friday at 7 pm", "on Friday at 7 pm"),
        ("tomorrow morning", "tomorrow morning"),
        ("Oakville", "in Oakville"),
        ("room 12", "in room 12"),
        ("Mill Street", "on Mill Street"),
        ("the bus station", "at the bus station"),
    ],
)
def test_the_preposition_fits(value, phrase):
    assert with_preposition(value) == phrase


def test_speakers_take_turns_in_every_template_with_and_without_the_optional_turns():
    for template in all_templates():
        groups = sorted({turn.group for turn in template.turns} - {0})
        for kept in [(), tuple(groups), *[(group,) for group in groups]]:
            roles = [turn.role for turn in template.turns if turn.group in (0, *kept)]
            assert all(a != b for a, b in itertools.pairwise(roles)), (template.name, kept)


GOOD_SCENARIO = """
# A comment.
= topic service
what: a; b
!A Hurry up!
- name | what when:any
A: Is it {what} or {what2}, {B}?
 / Do you have {what}?
A? Or {when2}?
B: {when}.
> One {on}.
> Two {what}.
> Three.
- other friends | what
what: c; d
B: Hello.
> One.
> Two.
> Three.
"""


def test_scenarios_are_read_as_their_format_says(tmp_path):
    file = tmp_path / "scenarios.txt"
    file.write_text(GOOD_SCENARIO)
    first, second = parse(file)
    assert (first.name, first.tone, first.angry) == ("topic/name", "service", {"A": ["Hurry up!"], "B": []})
    assert first.values["what"] == ("a", "b") and "Friday at 7 pm" in first.values["when"]
    assert [(turn.role, len(turn.phrasings), turn.group) for turn in first.turns] == [
        ("A", 2, 0),
        ("A", 1, 1),
        ("B", 1, 0),
    ]
    assert first.references == ["One {on}.", "Two {what}.", "Three."]
    assert (second.name, second.tone, second.angry) == ("topic/other", "friends", {"A": [], "B": []})
    assert second.values == {"what": ("c", "d")}


@pytest.mark.parametrize(
    ("line", "wrong", "named", "problem"),
    [
        (3, "= topic", 3, "a topic is"),
        (3, "= topic solemn", 3, "a topic is"),
        (4, "where: a; b", 4, "not in the notation"),
        (4, "what: a", 6, "the fact 'what' has fewer than two values"),
        (5, "!C Hurry up!", 5, "not in the notation"),
        (5, "!A Hurry up, {who}!", 5, "unknown slot {who}"),
        (6, "- name what", 6, "a template begins with"),
        (6, "- name | what when:never", 6, "unknown fact 'when:never'"),
        (7, "C: Is it {what}?", 7, "not in the notation"),
        (7, "/ Is it {what}?", 7, "no turn above it"),
        (7, "A: Is it {where}?", 7, "unknown slot {where}"),
        (7, "A: Is it {what?", 7, "a brace without its partner"),
        (10, "? what is this", 10, "not in the notation"),
        (14, "- other friends | who", 15, "not in the notation"),
        (13, "", 6, "a template has turns and three references, but this has 2"),
    ],
)
def test_a_line_outside_the_scenarios_notation_is_refused_by_file_and_line(tmp_path, line, wrong, named, problem):
    lines = GOOD_SCENARIO.splitlines()
    lines[line - 1] = wrong
    file = tmp_path / "scenarios.txt"
    file.write_text("\n".join(lines))
    with pytest.raises(DataError, match=re.escape(problem)) as caught:
        parse(file)
    assert (caught.value.file, caught.value.line) == (file, named)


def test_lists_are_read_as_their_format_says(tmp_path):
    file = tmp_path / "list.txt"
    file.write_text("# A comment.\n\n[one]\n#Person1# is {adj}.\n[two]\nleft | right\n| alone\n")
    assert sections(file, {"two": 2, "one": 1}, {"adj"}) == {
        "one": ("#Person1# is {adj}.",),
        "two": (("left", "right"), ("", "alone")),
    }


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("word\n[one]\nword", 1, "above the first [heading]"),
        ("[one]\nword\n[three]\nword", 3, "unknown heading"),
        ("[one\nword", 1, "unknown heading"),
        ("[one]\nword\n[one]\nword", 3, "stands twice"),
        ("[one]\n\n# note\na | b", 4, "has 1 parts"),
        ("[one]\na\n[two]\na | ", 4, "has 2 parts"),
        ("[one]\n{noun}", 2, "unknown slot {noun}"),
        ("[one]\nword", None, "no entries for the heading [two]"),
    ],
)
def test_a_line_outside_the_lists_format_is_refused_by_file_and_line(tmp_path, text, line, problem):
    file = tmp_path / "list.txt"
    file.write_text(text)
    with pytest.raises(DataError, match=re.escape(problem)) as caught:
        sections(file, {"one": 1, "two": 2}, {"adj"})
    assert (caught.value.file, caught.value.line) == (file, line)
