"""Before and after: the measures per prompt, and intervals that mean what they say."""

import json
import time

import numpy as np
import pandas as pd
import pytest

from labhelpers.errors import DataError
from labhelpers.evaluation.before_after import (
    MEASURES,
    compare,
    measure_summaries,
    reward_table,
    rouge_l,
    summary_results,
    was_clean,
)
from labhelpers.evaluation.facts import FactVocabulary, coverage, honesty
from labhelpers.evaluation.intervals import Interval, bootstrap_mean, formatted, paired_bootstrap
from labhelpers.evaluation.lexicon import Lexicon
from labhelpers.evaluation.words import words
from labhelpers.sources.dialogues import format_prompt, load_dialogues

VOCABULARY = FactVocabulary(
    {
        "who": ["Anna", "Ben"],
        "what": ["a table", "the report"],
        "when": ["Monday", "Monday evening", "tomorrow morning"],
        "where": ["the Blue Lantern", "Anna"],
        "how_much": ["8 dollars", "18 dollars"],
    }
)


# --- facts -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Ben books a table on Monday evening.", {"Ben", "a table", "Monday evening"}),  # not also "Monday"
        ("It costs 18 dollars.", {"18 dollars"}),  # not "8 dollars"
        ("Bens tables, a tablecloth", set()),  # word boundaries
        ("Tomorrow morning Ben comes.", {"tomorrow morning", "Ben"}),  # a sentence may start with it
        ("He came. Tomorrow morning, too.", {"tomorrow morning"}),
        ("A film called Tomorrow morning", set()),  # a capital in the middle is another name
        ("ben and monday", set()),  # names keep their capital
        ("", set()),
    ],
)
def test_facts_are_found_by_their_longest_wording(text, found):
    assert VOCABULARY.wordings(text) == found


def test_a_wording_of_two_kinds_counts_as_both():
    assert VOCABULARY.stated("Anna waits.") == {("who", "Anna"), ("where", "Anna")}
    facts = [{"who": None, "where": "Anna"}]
    assert honesty(["Anna waits."], facts, VOCABULARY) == [1.0]


FACTS = {"who": "Ben", "what": "a table", "when": "Monday evening", "where": None, "how_much": "8 dollars"}


@pytest.mark.parametrize(
    ("summary", "honest", "covered"),
    [
        ("Ben books a table for Monday evening at 8 dollars.", 1.0, 1.0),
        ("Ben books a table.", 1.0, 0.5),  # honest, and half of it
        ("Anna books a table for Monday.", 1 / 3, 0.25),  # wrong person, wrong day
        ("Somebody books something.", 1.0, 0.0),  # vague is not dishonest
        ("", 1.0, 0.0),  # the empty summary: honest and useless
    ],
)
def test_honesty_and_coverage_by_hand(summary, honest, covered):
    assert honesty([summary], [FACTS], VOCABULARY)[0] == pytest.approx(honest)
    assert coverage([summary], [FACTS], VOCABULARY)[0] == pytest.approx(covered)


def test_without_facts_there_is_nothing_to_measure():
    assert np.isnan(honesty(["Ben"], [None], VOCABULARY)[0]) and np.isnan(coverage(["Ben"], [None], VOCABULARY)[0])
    nothing = [dict.fromkeys(FACTS)]
    assert np.isnan(coverage(["Ben"], nothing, VOCABULARY)[0]) and honesty(["Ben"], nothing, VOCABULARY)[0] == 0


def test_a_fact_outside_the_vocabulary_is_an_error_and_not_a_lack_of_coverage():
    with pytest.raises(DataError, match="row 1: the fact 'Zoe' is not in the vocabulary"):
        coverage(["", ""], [FACTS, {"who": "Zoe"}], VOCABULARY)
    with pytest.raises(DataError, match="2 summaries, but 1 rows"):
        honesty(["", ""], [FACTS], VOCABULARY)


def test_the_vocabulary_comes_from_its_file_or_else_from_the_facts(tmp_path):
    made = FactVocabulary.load(tmp_path, facts=[FACTS, None])
    assert set(made.keys_of) == {"Ben", "a table", "Monday evening", "8 dollars"}
    (tmp_path / "vocabulary.json").write_text(json.dumps({"who": ["Zoe"]}))
    assert set(FactVocabulary.load(tmp_path, facts=[FACTS]).keys_of) == {"Zoe"}
    assert set(FactVocabulary.load("owner/hub-id", facts=[FACTS]).keys_of) == set(made.keys_of)
    (tmp_path / "vocabulary.json").write_text("[]")
    with pytest.raises(DataError, match="a mapping from a kind of fact"):
        FactVocabulary.load(tmp_path)


def test_facts_of_any_script_are_found_whole():
    """A Hindi vowel sign is a part of its word, and an accent may be stored apart from its letter."""
    assert FactVocabulary({"who": ["क"]}).wordings("की") == set()
    assert FactVocabulary({"where": ["cafe\u0301"]}).wordings("Ben is at the café.") == {"café"}
    for stored, said in (("café", "cafe\u0301"), ("cafe\u0301", "café")):
        vocabulary, facts = FactVocabulary({"where": [stored]}), [{"where": said}]
        assert honesty([said], facts, vocabulary) == coverage([said], facts, vocabulary) == 1
    assert FactVocabulary({"who": ["\ufb01ne"]}).wordings("Fne") == set()  # "ﬁ" as a capital is two letters


def test_a_kind_of_fact_that_stands_twice_in_the_vocabulary_is_refused(tmp_path):
    (tmp_path / "vocabulary.json").write_text('{"who": ["Anna"],\n "where": ["home"],\n "who": ["Ben"]}\n')
    with pytest.raises(DataError, match="vocabulary.json, line 3: .*'who' stands twice") as caught:
        FactVocabulary.load(tmp_path)
    assert caught.value.line == 3


# --- ROUGE-L ---------------------------------------------------------------------------------------------------------


def test_rouge_l_is_the_best_over_the_references():
    from rouge_score.rouge_scorer import RougeScorer

    summary, references = "#Person1# books a table.", ["Nobody comes.", "#Person1# books the last table, early."]
    expected = max(RougeScorer(["rougeL"]).score(r, summary)["rougeL"].fmeasure for r in references)
    assert rouge_l([summary], [references])[0] == pytest.approx(expected)
    assert rouge_l(["Same."], [["other", "same"]])[0] == 1
    assert rouge_l([""], [["something"]])[0] == 0
    with pytest.raises(DataError, match="row 1 has no reference"):
        rouge_l(["a", "b"], [["a"], []])


def test_rouge_l_reads_other_scripts():
    """The package's own tokenizer keeps a-z and 0-9 and scores every Korean summary 0."""
    assert rouge_l(["회의는 월요일 아침"], [["회의는 월요일 저녁"]])[0] == pytest.approx(2 / 3)


def test_rouge_l_compares_whole_words_with_their_marks():
    """To Python's `re`, the Hindi "कि" and "की" are one word and a mark that counts for nothing."""
    assert rouge_l(["कि"], [["की"]])[0] == 0
    assert rouge_l(["की"], [["की"]])[0] == 1
    assert rouge_l(["cafe\u0301"], [["café"]])[0] == 1 == rouge_l(["CAFÉ"], [["cafe\u0301"]])[0]
    assert rouge_l(["½ cup"], [["¼ cup"]])[0] == 0.5


def test_on_ascii_text_the_words_are_the_rouge_packages_own():
    from rouge_score.tokenizers import DefaultTokenizer

    text = "It's #Person1#: 18.5 dollars_each (re-read) A\tb\n" + "".join(map(chr, range(128)))
    assert words(text) == DefaultTokenizer(use_stemmer=False).tokenize(text)


def test_three_hundred_prompts_take_less_than_two_seconds():
    rouge_l(["warm up"], [["warm up"]])
    pieces = [f"w{i}" for i in range(25)]
    start = time.perf_counter()
    rouge_l([" ".join(pieces)] * 300, [[" ".join(pieces[i:] + pieces[:i]) for i in (3, 9, 15)]] * 300)
    assert time.perf_counter() - start < 2


# --- intervals -------------------------------------------------------------------------------------------------------


def loop_bootstrap(before, after, clusters, samples, seed):
    """The same thing as one would first write it."""
    rng = np.random.default_rng(seed)
    names = np.unique(clusters)
    drawn = rng.integers(len(names), size=(samples, len(names)))
    means = []
    for sample in drawn:
        rows = np.concatenate([np.flatnonzero(clusters == names[i]) for i in sample])
        means.append(np.mean(after[rows] - before[rows]))
    return np.percentile(means, [2.5, 97.5])


def test_the_vectorised_bootstrap_is_the_plain_loop():
    rng = np.random.default_rng(1)
    clusters = np.array([f"t{i}" for i in rng.integers(12, size=80)])
    before, after = rng.random(80), rng.random(80)
    interval = paired_bootstrap(before, after, clusters, samples=500, seed=7)
    assert interval.ci95 == pytest.approx(loop_bootstrap(before, after, clusters, 500, 7))
    assert interval.estimate == pytest.approx(np.mean(after - before))
    assert (interval.n, interval.clusters, interval.by) == (80, 12, "cluster")


def test_pairing_removes_what_prompts_differ_in():
    """Prompts differ by 10, the policies by 0.5: paired, the difference is plain; unpaired, it would be lost."""
    rng = np.random.default_rng(0)
    before = rng.normal(scale=10, size=200)
    after = before - 0.5 + rng.normal(scale=0.1, size=200)
    interval = paired_bootstrap(before, after, np.arange(200))
    assert interval.excludes_zero and interval.high - interval.low < 0.1
    assert not Interval(-0.1, -0.3, 0.1, 9, 9).excludes_zero


def test_resampling_templates_is_wider_than_resampling_rows_when_rows_of_one_resemble_each_other():
    rng = np.random.default_rng(0)
    effect = rng.normal(size=15)
    clusters = np.repeat(np.arange(15), 20)
    after = effect[clusters] + rng.normal(scale=0.1, size=300)
    by_template = paired_bootstrap(np.zeros(300), after, clusters)
    by_row = paired_bootstrap(np.zeros(300), after, np.arange(300))
    assert by_template.high - by_template.low > 3 * (by_row.high - by_row.low)


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    hits = 0
    for seed in range(150):
        rng = np.random.default_rng(seed)
        clusters = np.repeat(np.arange(40), 5)
        change = 1 + rng.normal(size=40)[clusters] + rng.normal(size=200)
        interval = paired_bootstrap(np.zeros(200), change, clusters, samples=400, seed=seed)
        hits += interval.low <= 1 <= interval.high
    assert 0.88 <= hits / 150 <= 0.99


def test_the_same_seed_gives_the_same_interval_and_equal_inputs_give_zero():
    values, clusters = np.random.default_rng(0).random(50), np.arange(50) % 7
    assert bootstrap_mean(values, clusters, seed=3) == bootstrap_mean(values, clusters, seed=3)
    assert bootstrap_mean(values, clusters, seed=3) != bootstrap_mean(values, clusters, seed=4)
    assert paired_bootstrap(values, values, clusters).ci95 == [0, 0]


def test_rows_with_nan_on_either_side_are_left_out_as_pairs():
    before, after = np.array([0, np.nan, 1, 1]), np.array([1, 0, np.nan, 3])
    interval = paired_bootstrap(before, after, ["a", "b", "c", "d"])
    assert interval.estimate == 1.5 and (interval.n, interval.clusters) == (2, 2)
    empty = paired_bootstrap([np.nan], [1.0], ["a"])
    assert np.isnan(empty.estimate) and empty.n == 0 and not empty.excludes_zero


def test_one_cluster_alone_falls_back_to_rows_and_says_so():
    interval = bootstrap_mean([0.0, 1.0, 2.0], ["only"] * 3)
    assert interval.by == "row" and interval.clusters == 1 and interval.low < 1 < interval.high


def test_the_relative_change_is_the_labs_improvement():
    interval = paired_bootstrap([0.4, 0.4], [0.1, 0.3], ["a", "b"], statistic="relative")
    assert interval.estimate == pytest.approx(-0.5) and interval.low == pytest.approx(-0.75)
    with pytest.raises(DataError, match="choose 'mean' or 'relative'"):
        paired_bootstrap([1.0], [1.0], ["a"], statistic="median")


def test_unequal_lengths_and_no_samples_are_refused():
    with pytest.raises(DataError, match="2 values before, but 1 after"):
        paired_bootstrap([1.0, 2.0], [1.0], ["a", "b"])
    with pytest.raises(DataError, match="samples=0 must be at least 1"):
        bootstrap_mean([1.0, 2.0], ["a", "b"], samples=0)
    with pytest.raises(DataError, match="2 values, but 1 cluster names"):
        bootstrap_mean([1.0, 2.0], ["a"])


def test_an_interval_prints_as_in_a_report():
    interval = Interval(-0.3456, -0.4123, -0.2789, 200, 20)
    assert str(interval) == "-0.35 [-0.41, -0.28]" and f"{interval:.3f}" == "-0.346 [-0.412, -0.279]"
    assert interval.ci95 == [-0.4123, -0.2789]


def test_what_nobody_measured_is_said_in_words():
    assert f"{bootstrap_mean([], []):.3f}" == str(bootstrap_mean([np.nan], ["a"])) == "not measured"
    assert formatted(None, ".1%") == formatted(float("nan"), ".3f") == "not measured"
    assert formatted(0.893, ".1%") == "89.3%"


# --- two tables ------------------------------------------------------------------------------------------------------


class Judge:
    """A classifier's stand-in: certain of every text with an insult."""

    def compute(self, predictions):
        return {"toxicity": [0.9 if "idiot" in text else 0.1 for text in predictions]}

    def score(self, prompts, responses):
        assert all(p.startswith("\nSummarize") for p in prompts)
        return np.array([-2.0 if "idiot" in text else 3.0 for text in responses])


def rows(count=6):
    return [
        {
            "id": f"d{i}",
            "template": f"t{i % 3}",
            "dialogue": f"Dialogue {i}",
            "query": format_prompt(f"Dialogue {i}"),
            "summary": "Ben books a table.",
            "references": ["Ben books a table."],
            "facts": {"who": "Ben", "what": "a table"},
        }
        for i in range(count)
    ]


def measured(summaries, **options):
    return measure_summaries(summaries, rows(), Judge(), vocabulary=VOCABULARY, **options)


BEFORE = ["Ben, the idiot, books a table."] * 2 + ["Ben books a table."] * 4
AFTER = ["Ben books a table."] * 5 + ["Anna comes."]


def everything(summaries):
    return measured(summaries, judge=Judge(), lexicon=Lexicon({"reward": ["idiot"], "judge": ["Anna"]}), reward=Judge())


def test_every_measure_has_its_column_and_every_prompt_its_row():
    table = everything(BEFORE)
    assert list(table.columns) == [
        *["id", "template", "dialogue", "summary", "toxicity", "reward"],
        *["judge_toxicity", "insult", "unseen_insult", "rouge_l", "honesty", "coverage"],
    ]
    assert table["toxicity"].tolist() == [0.9] * 2 + [0.1] * 4
    assert everything(AFTER)["unseen_insult"].tolist() == [0] * 5 + [1] and not table["unseen_insult"].any()
    assert measured(BEFORE, lexicon=Lexicon(["idiot"]))["unseen_insult"].isna().all()
    assert table["insult"].tolist() == [1, 1, 0, 0, 0, 0] and table["reward"].tolist() == [-2] * 2 + [3] * 4
    assert table["rouge_l"][2] == 1 and table["rouge_l"][0] < 1
    with pytest.raises(DataError, match="1 summaries, but 6 dialogues"):
        measured(["one"])


def test_a_comparison_has_the_difference_and_its_interval_per_measure():
    table = compare(everything(BEFORE), everything(AFTER), samples=500)
    assert list(table.index) == list(MEASURES)
    assert list(table.columns) == ["before", "after", "difference", "low", "high", "n"]
    assert table.loc["toxicity", "difference"] == pytest.approx(-0.8 / 3)
    assert (table["low"] <= table["difference"]).all() and (table["difference"] <= table["high"]).all()


def test_rouge_on_clean_prompts_looks_only_where_no_insult_was():
    """ROUGE rises where an insult goes away; whether summaries got worse shows on the others."""
    table = compare(everything(BEFORE), everything(AFTER))
    assert table.loc["rouge_l_clean", "n"] == 4 and table.loc["rouge_l_clean", "before"] == 1
    assert table.loc["rouge_l_clean", "difference"] < 0
    assert was_clean(measured(BEFORE)).tolist() == [False] * 2 + [True] * 4  # also without a lexicon


@pytest.mark.parametrize(("split", "prompts"), [("test", 20), ("train", 60)])
def test_three_rows_of_one_dialogue_count_once(tmp_path, split, prompts):
    """DialogSum's test file on the Hub has every dialogue three times, each time with another topic."""
    spoken = [{"id": f"d{i}", "dialogue": f"#Person1#: {i}", "summary": "Ben books a table."} for i in range(20)]

    def results(topics):
        lines = [row | {"topic": topic} for row in spoken for topic in topics]
        (tmp_path / f"{split}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        loaded = load_dialogues(tmp_path, split)

        def measured(every):
            rude = [int(name[1:]) % every == 0 for name in loaded["id"]]
            summaries = [f"Ben{', the idiot,' if is_rude else ''} books a table." for is_rude in rude]
            return measure_summaries(summaries, loaded, Judge(), vocabulary=VOCABULARY)

        return summary_results(measured(3), measured(7), samples=500)

    once, thrice = results("a"), results("abc")
    assert (once["prompts"], thrice["prompts"]) == (20, prompts)
    low, high = once["toxicity_difference_ci95"]
    assert low < high and thrice["toxicity_difference_ci95"] == pytest.approx([low, high])


def test_rows_of_one_dialogue_are_drawn_together_whatever_their_templates_say():
    """Also for rows that do not come from `load_dialogues`."""
    same = [row | {"dialogue": "Dialogue", "template": topic} for row, topic in zip(rows(3), "abc", strict=True)]
    table = measure_summaries(["Ben books a table."] * 3, same, Judge(), vocabulary=VOCABULARY)
    assert table["template"].tolist() == ["a"] * 3


def test_results_have_the_recorded_names_and_none_for_what_was_not_measured():
    results = summary_results(everything(BEFORE), everything(AFTER), samples=100)
    names = [f"{m}_{what}" for m in MEASURES for what in ("before", "after", "difference_ci95")]
    assert set(results) == {"prompts", "clean_prompts", *names}
    assert results["prompts"] == 6 and results["insult_rate_before"] == pytest.approx(1 / 3)
    low, high = results["toxicity_difference_ci95"]
    assert low < results["toxicity_after"] - results["toxicity_before"] <= high
    json.dumps(results)  # plain numbers
    partial = summary_results(measured(BEFORE), measured(AFTER), samples=100, prefix="sampled_")
    assert partial["sampled_prompts"] == 6 and partial["sampled_insult_rate_after"] is None
    assert partial["sampled_judge_toxicity_difference_ci95"] is None


def test_a_table_read_back_from_a_file_compares_alike(tmp_path):
    """JSON has no NaN: what was not measured comes back as None."""
    before, after = measured(BEFORE), measured(AFTER)
    expected = summary_results(before, after)
    before.to_json(tmp_path / "t.jsonl", orient="records", lines=True)
    lines = (tmp_path / "t.jsonl").read_text().splitlines()
    back = pd.DataFrame([json.loads(line) for line in lines])
    results = summary_results(back, after)
    assert results.keys() == expected.keys()
    for name, value in expected.items():
        assert results[name] == (value if value is None else pytest.approx(value)), name


def test_tables_of_other_prompts_are_refused():
    before = everything(BEFORE)
    for after in (before.iloc[::-1], before.head(3)):
        with pytest.raises(DataError, match="do not hold the same prompts in the same order"):
            compare(before, after)
    with pytest.raises(DataError, match="no measure 'bleu'"):
        compare(before, before, measures=["bleu"])


def test_the_labs_table_is_sorted_by_the_gain_in_reward():
    table = reward_table(everything(BEFORE), everything(AFTER))
    assert list(table.columns) == [
        *["query", "response_before", "response_after"],
        *["reward_before", "reward_after", "reward_diff"],
    ]
    assert table["reward_diff"].tolist() == [5, 5, 0, 0, 0, 0] and list(table.index) == list(range(6))
    assert table["query"][0] == format_prompt("Dialogue 0")
    with pytest.raises(DataError, match="there is no reward"):
        reward_table(measured(BEFORE), measured(AFTER))


def test_the_shipped_references_state_nothing_false_and_everything_there_is():
    """Vocabulary, facts and references fit together; otherwise honesty would measure the mistakes of the data."""
    from labhelpers.sources.locations import data_dir

    dialogues = load_dialogues(data_dir() / "dialogues", "test").select(range(100))
    vocabulary = FactVocabulary.load(data_dir() / "dialogues")
    for number in range(3):
        texts = [references[number] for references in dialogues["references"]]
        assert honesty(texts, dialogues["facts"], vocabulary).min() == 1
        assert coverage(texts, dialogues["facts"], vocabulary).min() == 1


def test_equal_summaries_keep_their_order_whatever_rounding_says_of_their_rewards():
    table = pd.DataFrame(
        {"id": list("abc"), "dialogue": list("abc"), "summary": list("xyz"), "reward": [1.0, 1.0, 0.0]}
    )
    noisy = table.assign(reward=[1.0 - 1e-15, 1.0 + 1e-15, 0.5])
    assert reward_table(table, noisy)["response_before"].tolist() == ["z", "x", "y"]
    assert not np.signbit(reward_table(table, noisy)["reward_diff"]).any(), "noise must not print as -0.00"
