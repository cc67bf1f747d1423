"""Human feedback: the forms that are read, what happens to bad input, and that no pair is ever the wrong way round."""

import csv
import itertools
import json
import warnings

import pytest
from datasets import Dataset
from hypothesis import given, settings
from hypothesis import strategies as st

from labhelpers.errors import DataError
from labhelpers.feedback.rankings import (
    agreement,
    load_preferences,
    load_rankings,
    prompt_id,
    read_rankings,
    split_by_prompt,
    to_pairs,
)


def a2i(prompt, responses, *answers, workers=None):
    humans = [{"answerContent": {f"ranking_{i}": r for i, r in enumerate(ranks, start=1)}} for ranks in answers]
    for human, worker in zip(humans, workers or [], strict=False):
        human["workerId"] = worker
    return {"inputContent": {"taskObject": {"prompt": prompt, "responses": responses}}, "humanAnswers": humans}


def plain(prompt="Q?", responses=("a", "b"), ranks=(1, 2), **more):
    return {"prompt": prompt, "responses": list(responses), "ranks": list(ranks), **more}


def write(path, rows):
    lines = [r if isinstance(r, str) else json.dumps(r, ensure_ascii=False) for r in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def rankings(*rows):
    return Dataset.from_list([{"annotator": None, **row} for row in rows])


def directions(pairs):
    return {(p["chosen"], p["rejected"]) for p in pairs}


# --- reading ---------------------------------------------------------------------------------------------------------


def test_ground_truth_output_gives_one_ranking_per_annotator(tmp_path):
    line = a2i("Q?", ["a", "b", "c"], ["1", "3", "2"], [2, 1, 2], workers=["w1", "w2"])
    data = load_rankings(write(tmp_path / "r.jsonl", [line]), strict=True)
    assert data.column_names == ["prompt", "responses", "ranks", "annotator"]
    assert data.to_list() == [
        {"prompt": "Q?", "responses": ["a", "b", "c"], "ranks": [1, 3, 2], "annotator": "w1"},
        {"prompt": "Q?", "responses": ["a", "b", "c"], "ranks": [2, 1, 2], "annotator": "w2"},
    ]


def test_unnamed_people_on_one_line_are_different_people(tmp_path):
    data = load_rankings(write(tmp_path / "r.jsonl", [a2i("Q?", ["a", "b"], [1, 2], [1, 2], [2, 1])]))
    assert data["ranks"][:] == [[1, 2], [1, 2], [2, 1]] and data["annotator"][:] == [None] * 3


def test_unnamed_people_on_two_lines_are_different_people(tmp_path):
    """Nobody knows whether they are one person, so no answer is lost; two who agree are two votes."""
    lines = [plain("Q", "AB", [1, 2]), plain("Q", "AB", [2, 1])]
    assert load_rankings(write(tmp_path / "r.jsonl", lines), strict=True)["ranks"][:] == [[1, 2], [2, 1]]
    data = load_rankings(write(tmp_path / "r.jsonl", [*lines, plain("Q", "AB", [2, 1], annotator="")]))
    assert data["ranks"][:] == [[1, 2], [2, 1], [2, 1]] and data["annotator"][:] == [None] * 3
    assert directions(to_pairs(data, annotators="majority")) == {("B", "A")}
    a2i_lines = [a2i("Q", ["A", "B"], [1, 2]), a2i("Q", ["A", "B"], [2, 1])]
    assert load_rankings(write(tmp_path / "r.jsonl", a2i_lines))["ranks"][:] == [[1, 2], [2, 1]]
    write(tmp_path / "s.jsonl", a2i_lines)
    assert len(load_rankings(tmp_path)) == 4  # the same places in another file


def test_the_labs_0_1_form_prefers_the_1(tmp_path):
    """Taking its `ranking=[0, 1]` for ranks would turn every pair round."""
    lab = {"prompt": "Who?", "response": ["wrong", "right"], "ranking": [0, 1]}
    data = load_rankings(write(tmp_path / "lab.jsonl", [lab]), strict=True)
    assert data[0]["ranks"] == [2, 1]
    assert directions(to_pairs(data)) == {("right", "wrong")}


@pytest.mark.parametrize("column", ["star_ratings", "star_rating"])
def test_more_stars_are_better(tmp_path, column):
    row = {"prompt": "Q?", "responses": ["a", "b", "c", "d"], column: [2, "5", 4.5, 2]}
    assert load_rankings(write(tmp_path / "s.jsonl", [row]))[0]["ranks"] == [3, 1, 2, 3]


def test_stars_in_a_labelling_jobs_answer(tmp_path):
    line = a2i("Q?", ["a", "b"])
    line["humanAnswers"] = [{"answerContent": {"star_rating_1": "2", "star_rating_2": "4"}}]
    assert load_rankings(write(tmp_path / "s.jsonl", [line]))[0]["ranks"] == [2, 1]


def test_a_table_as_csv_holds_its_lists_as_json(tmp_path):
    path = tmp_path / "r.csv"
    path.write_text('prompt,responses,ranks,annotator\nQ?,"[""a, b"", ""c""]","[2, ""1""]",w1\n', encoding="utf-8")
    assert load_rankings(path, strict=True).to_list() == [
        {"prompt": "Q?", "responses": ["a, b", "c"], "ranks": [2, 1], "annotator": "w1"}
    ]


def test_a_cell_of_a_csv_may_be_longer_than_the_csv_modules_limit(tmp_path):
    csv.field_size_limit(131_072)
    long = "x" * 200_000
    path = tmp_path / "r.csv"
    path.write_text(f'prompt,responses,ranks\nQ?,"[""{long}"", ""b""]","[1, 2]"\nQ2,"[""a"", ""b""]","[1, 2]"\n')
    data = load_rankings(path, strict=True)
    assert len(data) == 2 and data[0]["responses"] == [long, "b"]


@pytest.mark.parametrize(
    "row",
    [
        plain() | {"ranking": [0, 1]},
        plain() | {"star_ratings": [1, 2]},
        plain() | {"response": ["a", "b"]},
        a2i("Q?", ["a", "b"], [1, 2]) | {"ranks": [1, 2]},
    ],
)
def test_two_forms_at_once_are_an_error_and_not_a_guess(tmp_path, row):
    with pytest.raises(DataError, match="holds both"):
        load_rankings(write(tmp_path / "r.jsonl", [row] * 3))


def test_a_csv_with_two_kinds_of_ranks_is_refused(tmp_path):
    path = tmp_path / "r.csv"
    path.write_text('prompt,responses,ranks,ranking\nQ?,"[""a"", ""b""]","[1, 2]","[1, 0]"\n')
    with pytest.raises(DataError, match="holds both `ranks` and `ranking`"):
        load_rankings(path)


def test_a_glob_a_folder_and_a_bucket_are_read_in_order(tmp_path):
    import fsspec

    for number in (2, 1):
        write(tmp_path / f"part-{number}.jsonl", [plain(f"Q{number}")])
    assert load_rankings(tmp_path / "part-*.jsonl")["prompt"][:] == ["Q1", "Q2"]
    assert load_rankings(tmp_path)["prompt"][:] == ["Q1", "Q2"]
    fs = fsspec.filesystem("memory")
    fs.pipe("/bucket/part.jsonl", json.dumps(plain("remote")).encode())
    try:
        assert load_rankings("memory://bucket/*.jsonl")["prompt"][:] == ["remote"]
    finally:
        fs.rm("/bucket", recursive=True)
    with pytest.raises(DataError, match="no such file"):
        load_rankings(tmp_path / "none-*.jsonl")


def test_rankings_come_from_an_s3_server(bucket):
    """A real server speaking S3, as a private object store does; the address alone selects it."""
    bucket.mkdir("labelling")
    bucket.pipe("labelling/job/output.jsonl", json.dumps(a2i("Q?", ["a", "b"], [2, 1])).encode())
    assert load_rankings("s3://labelling/job/*.jsonl")[0]["ranks"] == [2, 1]
    with pytest.raises(DataError, match="s3://labelling/nothing.jsonl: no such file"):
        load_rankings("s3://labelling/nothing.jsonl")


# --- what people really send -----------------------------------------------------------------------------------------


def test_a_response_without_a_rank_is_left_out_for_that_annotator(tmp_path):
    line = a2i("Q?", ["a", "b", "c"], [1, None, "2"], ["", 2, 1], workers=["w1", "w2"])
    data, problems = read_rankings(write(tmp_path / "r.jsonl", [line]), strict=True)
    assert data["responses"][:] == [["a", "c"], ["b", "c"]] and data["ranks"][:] == [[1, 2], [2, 1]]
    assert problems == []


def test_an_unanswered_item_is_counted_and_is_no_mistake(tmp_path):
    lines = [plain(), plain("Q2", ranks=[1, None]), a2i("Q3", ["a", "b"]), a2i("Q4", ["a", "b"], [])]
    data, problems = read_rankings(write(tmp_path / "r.jsonl", lines), strict=True)
    assert data["prompt"][:] == ["Q?"]
    assert [(p.line, p.malformed) for p in problems] == [(2, False), (3, False), (4, False)]


def test_of_two_answers_by_one_annotator_the_last_counts(tmp_path):
    lines = [
        plain(ranks=[1, 2], annotator="w1"),
        plain(ranks=[1, 2], annotator="w2"),
        plain(responses=["b", "a"], ranks=[1, 2], annotator="w1"),  # the same item in another order
    ]
    data = load_rankings(write(tmp_path / "r.jsonl", lines))
    assert [(r["annotator"], dict(zip(r["responses"], r["ranks"], strict=True))) for r in data] == [
        ("w1", {"b": 1, "a": 2}),
        ("w2", {"a": 1, "b": 2}),
    ]


def test_items_may_have_different_numbers_of_responses(tmp_path):
    lines = [plain(), plain("Q2", "abcd", [4, 3, 2, 1])]
    assert len(to_pairs(load_rankings(write(tmp_path / "r.jsonl", lines)))) == 1 + 6


MALFORMED = [
    ('{"prompt": "Q?", ', "not valid JSON"),
    ("[1, 2]", "a JSON object was expected"),
    ('{"prompt": "Q?", "responses": ["a", "b"], "ranks": [1, 2], "ranks": [2, 1]}', "'ranks' stands twice"),
    ('{"inputContent": {"taskObject": {"prompt": "Q?", "prompt": "Q"}}, "humanAnswers": []}', "'prompt' stands twice"),
    ({"prompt": "Q?", "responses": ["a", "b"]}, "none of `ranks`"),
    ({"prompt": "Q?", "ranks": [1, 2]}, "`responses`, a list of texts, is missing"),
    (plain(ranks=[1]), "2 responses, but 1 values"),
    (plain(ranks=[1, 3]), "rank 3 is not between 1 and 2"),
    (plain(ranks=[0, 1]), "0 and 1 belong under `ranking`"),
    (plain(ranks=[1, 1.5]), "not a whole number"),
    (plain(ranks=[1, "second"]), "is not a number"),
    (plain(ranks=[True, 2]), "is not a number"),
    (plain(ranks=[1, 10**400]), "is not a number"),
    (plain(ranks=[1, float("nan")]), "is not a number"),
    (plain() | {"ranks": "12"}, "must be a list"),
    (plain(responses=["a"], ranks=[1]), "at least two texts"),
    (plain(responses=["a", ""]), "response 2 is empty"),
    (plain(responses=["a", 3]), "response 2 must be a text"),
    (plain(responses=["a", "a"]), "the same text is ranked 1 and 2"),
    (plain(prompt=None), "`prompt` is missing"),
    (plain(prompt="  "), "`prompt` is empty"),
    (plain(annotator=["w1"]), "annotator must be a name"),
    ({"prompt": "Q?", "response": ["a", "b"], "ranking": [1, 2]}, "ranks belong under `ranks`"),
    (a2i("Q?", ["a", "b"], [1, 2, 3]), "`ranking_3` belongs to none of the 2 responses"),
    ({"inputContent": {}, "humanAnswers": []}, "`inputContent` must hold"),
    (a2i("Q?", ["a", "b"]) | {"humanAnswers": "none"}, "must be a list"),
    (a2i("Q?", ["a", "b"]) | {"humanAnswers": [{}]}, "has no `answerContent`"),
]


@pytest.mark.parametrize(("bad", "reason"), MALFORMED)
def test_a_malformed_line_is_reported_with_file_line_and_reason(tmp_path, bad, reason):
    good = [plain(f"Q{i}") for i in range(20)]
    path = write(tmp_path / "r.jsonl", [*good[:4], bad, *good[4:]])
    with pytest.raises(DataError, match=reason) as caught:
        load_rankings(path, strict=True)
    assert caught.value.line == 5 and str(caught.value.file).endswith("r.jsonl")
    with pytest.warns(UserWarning, match="r.jsonl, line 5") as warned:
        data = load_rankings(path)
    assert len(data) == 20 and "1 malformed" in str(warned[0].message)
    problem = read_rankings(path)[1][0]
    assert (problem.line, problem.malformed) == (5, True)


def test_more_than_the_stated_share_of_bad_answers_is_refused(tmp_path):
    lines = [plain(f"Q{i}") for i in range(18)] + ["broken", "broken"]
    path = write(tmp_path / "r.jsonl", lines)
    assert len(read_rankings(path)[0]) == 18  # exactly 10 %
    write(path, [*lines, "broken"])
    with pytest.raises(DataError, match="3 of 21 answers are malformed, more than the 10%.*line 19"):
        load_rankings(path)
    assert len(read_rankings(path, max_bad_share=0.2)[0]) == 18


def test_one_bad_answer_does_not_take_its_neighbours_with_it(tmp_path):
    line = a2i("Q?", ["a", "b"], [1, 2], ["first", 2], [2, 1], workers=["w1", "w2", "w3"])
    data, problems = read_rankings(write(tmp_path / "r.jsonl", [line]), max_bad_share=0.5)
    assert data["annotator"][:] == ["w1", "w3"] and len(problems) == 1


def test_clean_feedback_gives_no_warning(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_rankings(write(tmp_path / "r.jsonl", [plain(), plain("Q2", ranks=[1, None])]))


def test_an_empty_file_is_refused(tmp_path):
    with pytest.raises(DataError, match="holds no ranking"):
        load_rankings(write(tmp_path / "r.jsonl", [""]))


# --- pairs -----------------------------------------------------------------------------------------------------------


def test_four_ranked_responses_give_the_labs_six_pairs():
    pairs = to_pairs(rankings(plain(responses="ABCD", ranks=[2, 4, 1, 3])))
    assert [(p["chosen"], p["rejected"]) for p in pairs] == [
        ("A", "B"),
        ("C", "A"),
        ("A", "D"),
        ("C", "B"),
        ("D", "B"),
        ("C", "D"),
    ]
    assert set(pairs["prompt_id"]) == {prompt_id("Q?")} and set(pairs["agreement"]) == {1.0}


def test_a_tie_gives_no_pair():
    assert directions(to_pairs(rankings(plain(responses="abc", ranks=[1, 1, 2])))) == {("a", "c"), ("b", "c")}


def test_majority_makes_one_pair_and_none_when_votes_are_equal():
    rows = [
        plain(ranks=[1, 2], annotator="w1"),
        plain(ranks=[1, 2], annotator="w2"),
        plain(responses=["b", "a"], ranks=[1, 2], annotator="w3"),
        plain("split", ranks=[1, 2], annotator="w1"),
        plain("split", ranks=[2, 1], annotator="w2"),
    ]
    majority = to_pairs(rankings(*rows), annotators="majority")
    assert [(p["prompt"], p["chosen"], p["rejected"]) for p in majority] == [("Q?", "a", "b")]
    assert majority[0]["agreement"] == pytest.approx(2 / 3)
    assert len(to_pairs(rankings(*rows), annotators="all")) == 5
    with pytest.raises(DataError, match="choose 'all' or 'majority'"):
        to_pairs(rankings(*rows), annotators="most")


def test_agreement_counts_a_tie_as_half():
    rows = [plain(ranks=[1, 2], annotator="w1"), plain(ranks=[1, 1], annotator="w2")]
    assert to_pairs(rankings(*rows), annotators="majority")[0]["agreement"] == 0.75


ROW = st.integers(2, 5).flatmap(
    lambda k: st.fixed_dictionaries(
        {
            "prompt": st.sampled_from(["p", "q"]),
            "responses": st.lists(st.sampled_from("abcdef"), min_size=k, max_size=k),
            "ranks": st.lists(st.integers(1, k), min_size=k, max_size=k),
            "annotator": st.sampled_from([None, "w1", "w2"]),
        }
    )
)


@settings(max_examples=60, deadline=None)
@given(st.lists(ROW, min_size=1, max_size=4))
def test_chosen_always_ranks_strictly_better_than_rejected(rows):
    """Whatever the ranking (ties, repeated texts): every pair is borne out by an answer, and none by none."""
    better = {
        (row["prompt"], a, b)
        for row in rows
        for (a, rank_a), (b, rank_b) in itertools.permutations(zip(row["responses"], row["ranks"], strict=True), 2)
        if rank_a < rank_b
    }
    pairs = to_pairs(rankings(*rows))
    for pair in pairs:
        assert (pair["prompt"], pair["chosen"], pair["rejected"]) in better
        assert pair["chosen"] != pair["rejected"] and 0 < pair["agreement"] <= 1
    for pair in to_pairs(rankings(*rows), annotators="majority"):
        assert (pair["prompt"], pair["chosen"], pair["rejected"]) in better and pair["agreement"] > 0.5
    for row in rows:
        if len(set(row["responses"])) == len(row["responses"]):
            k, ranks = len(row["ranks"]), row["ranks"]
            ties = sum(a == b for a, b in itertools.combinations(ranks, 2))
            assert len(to_pairs(rankings(row))) == k * (k - 1) // 2 - ties


# --- splits and agreement --------------------------------------------------------------------------------------------


def test_no_prompt_is_on_both_sides_and_adding_feedback_moves_none():
    rows = [plain(f"Q{i}", ranks=r, annotator=a) for i in range(200) for a, r in (("w1", [1, 2]), ("w2", [2, 1]))]
    train, test = split_by_prompt(rankings(*rows), test_share=0.2, seed=3)
    assert not set(train["prompt"]) & set(test["prompt"])
    assert len(train) + len(test) == 400 and 0.1 < len(test) / 400 < 0.3
    fewer = split_by_prompt(rankings(*rows[:200]), test_share=0.2, seed=3)
    assert set(fewer[1]["prompt"]) <= set(test["prompt"]) and set(fewer[0]["prompt"]) <= set(train["prompt"])
    assert set(split_by_prompt(rankings(*rows), seed=4)[1]["prompt"]) != set(test["prompt"])
    pairs = split_by_prompt(to_pairs(rankings(*rows)), seed=3)
    assert set(pairs[1]["prompt"]) == set(test["prompt"])


def test_a_prompt_is_the_same_whatever_system_its_lines_come_from(tmp_path):
    """In every form of feedback: by its raw text it would be two prompts, and could stand on both sides of a split."""
    texts = [f"Summarise:{end}Ann: Hi.{end}" for end in ("\n", "\r\n", "\r")]
    rows = [plain(prompt, responses=(f"a{prompt}", "b"), annotator=str(n)) for n, prompt in enumerate(texts)]
    rows += [a2i(prompt, [f"a{prompt}", "b"], ("1", "2")) for prompt in texts]
    found = load_rankings(write(tmp_path / "x.jsonl", rows))
    assert set(found["prompt"]) == {texts[0]} and {row[0] for row in found["responses"]} == {f"a{texts[0]}"}
    talks = [preference(" Water.\n", " Stones.", TALK.replace("\n", end)) for end in ("\n", "\r\n")]
    pairs, counts = load_preferences(write(tmp_path / "talks.jsonl", talks))
    assert len(pairs) == 1 and counts["repeated"] == 1


def test_neither_side_of_a_split_is_ever_empty():
    for seed in range(20):
        train, test = split_by_prompt(rankings(plain("Q1"), plain("Q2")), test_share=0.01, seed=seed)
        assert len(train) == len(test) == 1
    with pytest.raises(DataError, match="cannot be split"):
        split_by_prompt(rankings(plain()))
    with pytest.raises(DataError, match="between 0 and 1"):
        split_by_prompt(rankings(plain("Q1"), plain("Q2")), test_share=1.0)


def by_annotators(prompt, *ranks):
    return [plain(prompt, "abcd"[: len(r)], r, annotator=f"w{i}") for i, r in enumerate(ranks)]


def test_agreement_of_people_who_always_and_never_agree():
    same = [row for i in range(5) for row in by_annotators(f"Q{i}", [1, 2, 3], [1, 2, 3], [1, 2, 3])]
    result = agreement(rankings(*same))
    assert result["krippendorff_alpha"] == pytest.approx(1) and result["kendall_w"] == pytest.approx(1)
    assert (result["pairwise"], result["items"], result["annotators"]) == (1, 5, 3)
    opposite = [row for i in range(5) for row in by_annotators(f"Q{i}", [1, 2], [2, 1])]
    result = agreement(rankings(*opposite))
    assert result["krippendorff_alpha"] < 0 and result["kendall_w"] == 0 and result["pairwise"] == 0


def test_agreement_matches_the_libraries_on_a_plain_case():
    """Alpha from the library's own coder-by-unit table, W from Friedman's statistic, over one item without ties."""
    import krippendorff
    import numpy as np
    from scipy.stats import friedmanchisquare

    table = np.array([[1, 2, 3, 4], [2, 1, 3, 4], [1, 3, 2, 4]])
    result = agreement(rankings(*by_annotators("Q?", *table.tolist())))
    expected = krippendorff.alpha(reliability_data=table, level_of_measurement="ordinal")
    assert result["krippendorff_alpha"] == pytest.approx(expected)
    chi2 = friedmanchisquare(*table.T).statistic
    assert result["kendall_w"] == pytest.approx(chi2 / (3 * (4 - 1)))
    assert result["pairwise"] == pytest.approx((5 + 5 + 4) / 18)


def test_agreement_of_ties_and_of_single_answers_is_not_invented():
    assert agreement(rankings(plain(annotator="w1")))["krippendorff_alpha"] is None
    tied = agreement(rankings(*by_annotators("Q?", [1, 1], [1, 1])))
    assert tied["krippendorff_alpha"] is None and tied["kendall_w"] is None and tied["pairwise"] is None


# --- public preference data ------------------------------------------------------------------------------------------

TALK = "\n\nHuman: Hello.\n\nAssistant: Hi.\n\nHuman: What is rain?\n\nAssistant:"


def preference(chosen=" Water.", rejected=" Stones.", prompt=TALK):
    return {"chosen": prompt + chosen, "rejected": prompt + rejected}


def test_transcripts_are_split_and_what_is_dropped_is_counted(tmp_path):
    lines = [
        preference(),
        preference(" Water, water.", " Water, stones."),  # the responses begin alike: the prompt must not grow
        preference(),
        preference(" Water.", " Water. "),
        preference(" Water.", "  "),
        {"chosen": "", "rejected": TALK},
        {"chosen": "\n\nHuman: A?\n\nAssistant: a", "rejected": "\n\nHuman: B?\n\nAssistant: b"},
        preference(" Water.\n\nHuman: Why?\n\nAssistant: So."),
        {"chosen": TALK + " Water."},
    ] + [preference(f" Answer {i}.") for i in range(10)]
    data, counts = load_preferences(write(tmp_path / "hh.jsonl", lines))
    assert data.column_names == ["prompt", "chosen", "rejected"]
    assert data[0] == {"prompt": TALK, "chosen": " Water.", "rejected": " Stones."}
    assert data[1] == {"prompt": TALK, "chosen": " Water, water.", "rejected": " Water, stones."}
    assert counts == {
        "read": 19,
        "kept": 12,
        "empty": 2,
        "further turn": 1,
        "identical": 1,
        "malformed": 1,
        "no common prompt": 1,
        "repeated": 1,
    }


def test_compressed_transcripts_are_read(tmp_path):
    import gzip

    (tmp_path / "hh.jsonl.gz").write_bytes(gzip.compress(json.dumps(preference()).encode()))
    assert len(load_preferences(tmp_path / "hh.jsonl.gz")[0]) == 1


def test_a_file_of_something_else_is_refused(tmp_path):
    with pytest.raises(DataError, match="3 of 3 lines are malformed.*`chosen` and `rejected`"):
        load_preferences(write(tmp_path / "r.jsonl", [plain()] * 3))
    with pytest.raises(DataError, match="no usable pair"):
        load_preferences(write(tmp_path / "r.jsonl", [preference(rejected=" Water.")]))


def test_the_shipped_rankings_are_read_without_a_complaint():
    from labhelpers.sources.locations import data_dir

    data, problems = read_rankings(data_dir() / "feedback" / "rankings.jsonl", strict=True)
    assert not [p for p in problems if p.malformed]
    assert 0 < agreement(data)["krippendorff_alpha"] < 1  # people who agree, and not always
    assert len(to_pairs(data, annotators="majority")) > 100
