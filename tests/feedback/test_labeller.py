"""The labelling widget: every answer is on disk when it is complete, and nothing said before is lost."""

import json

import pytest

from labhelpers.errors import DataError, LabError
from labhelpers.feedback.labeller import Labeller, RankingFile
from labhelpers.feedback.rankings import load_rankings

ITEMS = [
    {"prompt": "How are you?", "responses": ["Fine, thank you!", "Go away.", "<b>Good</b>"]},
    {"prompt": "What is 2 + 2?", "responses": ["4", "five"]},
    {"prompt": "你好", "responses": ["你好！", "走开", "…"]},
]


def shown(labeller):
    return [row.response for row in labeller._rows.children]


def button(labeller, response):
    return next(row.children[0] for row in labeller._rows.children if row.response == response)


def rank(labeller, *responses):
    for response in responses:
        button(labeller, response).click()


def test_clicks_become_a_saved_ranking_that_load_rankings_reads(tmp_path):
    path = tmp_path / "deep" / "mine.jsonl"
    labeller = Labeller(ITEMS, path, "ann")
    rank(labeller, "Fine, thank you!", "<b>Good</b>")
    assert not path.exists(), "an unfinished ranking is none"
    rank(labeller, "Go away.")
    assert load_rankings(path)[:] == {
        "prompt": ["How are you?"], "responses": [["Fine, thank you!", "Go away.", "<b>Good</b>"]],
        "ranks": [[1, 3, 2]], "annotator": ["ann"],
    }  # fmt: skip
    assert labeller.ranked == 1 and "Saved" in labeller._note.value
    labeller._buttons["Next"].click()
    rank(labeller, "4", "five")
    assert len(load_rankings(path)) == 2


def test_ties(tmp_path):
    labeller = Labeller(ITEMS, tmp_path / "mine.jsonl")
    rank(labeller, "Go away.")
    labeller._tie.value = True
    rank(labeller, "<b>Good</b>", "Fine, thank you!")
    assert load_rankings(tmp_path / "mine.jsonl")["ranks"][0] == [3, 1, 1], "as good as the last, then the third place"


def test_back_skip_and_ranking_again(tmp_path):
    path = tmp_path / "mine.jsonl"
    labeller = Labeller(ITEMS, path)
    labeller._buttons["Skip"].click()
    rank(labeller, "4", "five")
    labeller._buttons["Back"].click()
    assert labeller.at == 0 and button(labeller, "Go away.").description == "·"
    labeller._buttons["Next" if labeller.is_ranked(0) else "Skip"].click()
    assert button(labeller, "five").description == "2", "an earlier ranking is shown"
    button(labeller, "4").click()
    assert len(path.read_text().splitlines()) == 1, "a click on a ranked response changes nothing"
    labeller._buttons["Clear"].click()
    assert load_rankings(path)["ranks"][0] == [1, 2], "clearing takes back nothing that was saved"
    rank(labeller, "five", "4")
    assert load_rankings(path)["ranks"][0] == [2, 1], "the last answer counts"
    assert len(path.read_text().splitlines()) == 2


def test_stopping_and_going_on_later(tmp_path):
    path = tmp_path / "mine.jsonl"
    first = Labeller(ITEMS, path)
    rank(first, *ITEMS[0]["responses"])
    first._buttons["Stop"].click()
    assert all(b.disabled for b in first._buttons.values())
    first.click("4")
    again = Labeller(ITEMS, path)
    assert again.at == 1 and again.ranked == 1 and "1 ranked" in again._head.value
    assert Labeller(ITEMS, path, "someone else").ranked == 0


def test_the_order_on_screen_gives_nothing_away_and_stays(tmp_path):
    many = [{"prompt": f"question {i}", "responses": ["best", "middle", "worst"]} for i in range(60)]
    labeller = Labeller(many, tmp_path / "mine.jsonl")
    first_places = []
    for index in range(60):
        labeller._open(index)
        first_places.append(shown(labeller)[0])
    assert min(first_places.count(text) for text in ("best", "middle", "worst")) >= 8
    labeller._open(7)
    assert shown(labeller)[0] == first_places[7]


def test_texts_are_shown_as_they_are_not_as_html(tmp_path):
    labeller = Labeller(ITEMS, tmp_path / "mine.jsonl")
    assert any("&lt;b&gt;Good" in row.children[1].value for row in labeller._rows.children)


def test_an_answer_that_cannot_be_saved_is_said_and_not_counted(tmp_path, monkeypatch):
    path = tmp_path / "mine.jsonl"
    labeller = Labeller(ITEMS, path)
    rank(labeller, *ITEMS[0]["responses"])
    whole = path.read_bytes()
    labeller._buttons["Next"].click()

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    rank(labeller, "4", "five")
    assert "not saved" in labeller._note.value and labeller.ranked == 1
    assert path.read_bytes() == whole, "nothing half-written"
    monkeypatch.undo()
    rank(labeller, "five")
    assert labeller.ranked == 2 and len(load_rankings(path)) == 2


def test_a_last_line_without_its_end_is_not_glued_to_the_next(tmp_path):
    path = tmp_path / "mine.jsonl"
    RankingFile(path, "ann").append("a", ["x", "y"], {"x": 1, "y": 2})
    path.write_text(path.read_text().rstrip("\n"))
    RankingFile(path, "ann").append("b", ["x", "y"], {"x": 2, "y": 1})
    assert [json.loads(line)["inputContent"]["taskObject"]["prompt"] for line in path.read_text().splitlines()] == [
        "a",
        "b",
    ]


def test_unusable_items_and_files_are_refused(tmp_path):
    path = tmp_path / "mine.jsonl"
    with pytest.raises(LabError, match="item 2"):
        Labeller([ITEMS[0], {"prompt": "?", "responses": ["same", "same"]}], path)
    with pytest.raises(LabError, match="no item"):
        Labeller([], path)
    with pytest.raises(LabError, match="name"):
        Labeller(ITEMS, path, " ")
    path.write_text('{"not": "a ranking"}\n')
    with pytest.raises(DataError, match="line 1"):
        Labeller(ITEMS, path)
    assert path.read_text() == '{"not": "a ranking"}\n'
