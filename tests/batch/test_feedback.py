"""Feedback: a page per student with what the checks said, of that student alone, under a name that any system takes."""

import contextlib
import io
import json
import unicodedata
import zipfile
from urllib.parse import unquote

import pytest
from bs4 import BeautifulSoup

from labhelpers.batch.feedback import file_names, write_feedback
from labhelpers.batch.outcome import RunOutcome
from labhelpers.batch.report import write_report
from labhelpers.batch.store import Output

ASKED = {"02_human_feedback": ["check_leak", "check_pairs_of"], "03_reward_model": ["check_accuracy"]}
HOSTILE = '<script>alert(1)</script><img src=x onerror="alert(2)">'


def outcome(student, number, **changes):
    said = {"check_leak": "right.", "check_pairs_of": f"not yet. only {student} did this."}
    given = {"status": "failed", "notebooks": ["02_human_feedback"], "missing": ["03_reward_model"]}
    given |= {"verdicts": {"02_human_feedback": said}, "reason": f"of {student}", "remarks": [f"remark on {student}"]}
    return RunOutcome(f"run{number}", student, student=student, **(given | changes))


@pytest.fixture
def give(tmp_path):
    """A function that writes the feedback on these outcomes: give(outcome, …) -> the names written."""

    def write(*outcomes):
        for one in outcomes:
            (tmp_path / one.id / "notebooks").mkdir(parents=True, exist_ok=True)
            page = tmp_path / one.id / "notebooks" / "02_human_feedback.html"
            page.write_text(f"<p>the run of {one.id}</p>")
        return write_feedback(tmp_path, list(outcomes), ASKED)

    return write


def read(path):
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


def test_a_page_says_what_the_checks_said_and_links_the_notebook_as_it_ran(give, tmp_path):
    assert give(outcome("ada", 1)) == ["feedback.zip", "feedback"]
    page = read(tmp_path / "feedback" / "ada.html")
    text = " ".join(page.get_text().split())
    assert "Feedback for ada" in page.h1.text and "1 of 3 exercises are right." in text
    assert "02 leak: right." in text and "02 pairs of: not yet. only ada did this." in text
    assert "remark on ada" in text and "This notebook was not handed in." in text
    (link,) = page("a")
    assert (tmp_path / "feedback" / unquote(link["href"])).read_text() == "<p>the run of run1</p>"


def test_a_page_has_nothing_of_another_student(give, tmp_path):
    give(outcome("ada", 1), outcome("bob", 2), outcome("bo", 3))
    for student, others in {"ada": ["bob", "run2", "run3"], "bob": ["ada", "run1"]}.items():
        files = [tmp_path / "feedback" / f"{student}.html", *(tmp_path / "feedback" / student).iterdir()]
        assert len(files) == 2
        text = "".join(file.read_text() for file in files)
        assert not [one for one in others if one in text]


def test_the_archive_holds_the_same_pages_and_working_links(give, tmp_path):
    give(outcome("Zoë / CON", 1), outcome("bob", 2))
    with zipfile.ZipFile(io.BytesIO((tmp_path / "feedback.zip").read_bytes())) as archive:
        names = archive.namelist()
        assert sorted(names) == sorted(
            path.relative_to(tmp_path).as_posix() for path in (tmp_path / "feedback").rglob("*.html")
        )
        (link,) = BeautifulSoup(archive.read("feedback/Zoë _ CON.html"), "html.parser")("a")
        assert f"feedback/{unquote(link['href'])}" in names


def test_the_same_outcomes_give_the_same_archive_and_who_is_gone_has_no_page(give, tmp_path):
    give(outcome("ada", 1), outcome("bob", 2))
    give(outcome("ada", 1))
    assert {path.name for path in (tmp_path / "feedback").iterdir()} == {"ada", "ada.html"}
    before = (tmp_path / "feedback.zip").read_bytes()
    give(outcome("ada", 1))
    assert (tmp_path / "feedback.zip").read_bytes() == before


def test_nothing_of_a_student_is_markup(give, tmp_path):
    said = {"02_human_feedback": {"check_leak": f"not yet. {HOSTILE}"}}
    give(outcome(f"eve{HOSTILE}", 1, verdicts=said, reason=HOSTILE, remarks=[HOSTILE]))
    (path,) = (tmp_path / "feedback").glob("*.html")
    page = read(path)
    assert not page(["script", "img"]) and page.get_text().count("<script>") == 5
    assert page.find("meta", attrs={"http-equiv": "Content-Security-Policy"})


NAMES = [
    "ada", "Ada", "ADA-2", "ada.html", "Zoë", "Zoe\u0308", "李小龍", "straße", "STRASSE", "😀",
    "..", ".", "", " ", "a/b", "a\\b", "a_b", "a:b", "what?", "end.", "end", "tab\tname", "new\nline", "\u202egnp",
    "\0", "CON", "con.x", "_con", "nul ", "COM¹", "lpt9.tar.gz", "x" * 300, "x" * 299 + "y", "é" * 200,
    "-rf", "~", "$HOME", "%41", "a&b#c", "feedback", "status.json",
]  # fmt: skip


def test_a_file_name_is_safe_everywhere_and_each_students_own():
    names = file_names(NAMES)
    assert list(names) == sorted(NAMES)
    used = [form for name in names.values() for form in (name, f"{name}.html")]
    folded = [unicodedata.normalize("NFKC", form).casefold() for form in used]
    assert len(set(folded)) == len(folded)
    for name in names.values():
        assert name.strip(" .") == name != "" and len(name.encode()) <= 130
        assert not set(name) & set('<>:"/\\|?*') and not any(unicodedata.category(char)[0] == "C" for char in name)
        assert name.split(".")[0].strip().upper() not in {"CON", "NUL", "COM¹", "COM1", "LPT9"}
    assert names["李小龍"] == "李小龍" and names["CON"] == "_CON"
    assert [names[one] for one in ("ADA-2", "Ada", "ada")] == ["ADA-2", "Ada", "ada-3"]


def test_every_name_can_be_written_and_found_again(give, tmp_path):
    give(*(outcome(name, number) for number, name in enumerate(NAMES)))
    for student, name in file_names(NAMES).items():
        page = read(tmp_path / "feedback" / f"{name}.html")
        if not set(student) & set("\0\n\t "):
            assert page.bdi.text == student
        assert (tmp_path / "feedback" / unquote(page.a["href"])).is_file()


def test_the_report_of_a_cohort_shows_the_class_and_links_every_page(tmp_path):
    outcomes = [outcome("ada", 1), outcome("bob", 2), outcome(f"eve {HOSTILE}", 3)]
    for one in outcomes:
        one.verdicts["02_human_feedback"]["check_pairs_of"] = f"not yet. a tie gives no pair. {HOSTILE}"
        (tmp_path / one.id).mkdir()
        (tmp_path / one.id / "status.json").write_text(one.to_json())
    runs = [{name: getattr(one, name) for name in ("id", "label", "parameters", "student")} for one in outcomes]
    runs.append(runs[0] | {"id": "run4", "student": "not yet run", "label": "not yet run"})
    plan = {"plan": "plan.yaml", "notebooks": list(ASKED), "profile": "tiny", "grid": [], "submissions": True}
    (tmp_path / "plan.json").write_text(json.dumps(plan | {"exercises": ASKED, "runs": runs}))
    assert write_report(tmp_path) == ["summary.csv", "index.html", "grades.csv", "feedback.zip", "feedback"]
    page = read(tmp_path / "index.html")
    rows = [[cell.get_text().strip() for cell in row(["th", "td"])] for row in page.select(".glance tr")]
    assert rows[0] == ["exercise", "right", "not yet", "not reached", "not handed in"]
    assert rows[1:] == [
        ["02 leak", "3", "0", "0", "0"],
        ["02 pairs of", "0", "3", "0", "0"],
        ["03 accuracy", "0", "0", "0", "3"],
    ]
    (mistake,) = page.select(".mistake")
    assert "3 × 02 pairs of: a tie gives no pair." in mistake.summary.get_text()
    links = {unquote(link["href"]) for link in page("a")}
    assert {f"feedback/{name}.html" for name in file_names(one.student for one in outcomes).values()} <= links
    assert {"grades.csv", "feedback.zip"} <= links and all((tmp_path / link).is_file() for link in links)
    assert not page(["script", "img", "link"])


def test_half_a_character_in_what_a_notebook_shows_stops_no_report():
    one = RunOutcome("a1", student="eve", last_lines=["half: \ud800"], status="failed")
    assert RunOutcome.from_json(one.to_json()).last_lines == ["half: ?"]


def test_a_remote_output_gets_the_pages_too(tmp_path):
    import fsspec

    with contextlib.ExitStack() as stack:
        output = Output("memory://cohort", stack)
        (output.folder / "feedback" / "Ada").mkdir(parents=True)
        for name in ("feedback.zip", "feedback/Ada.html", "feedback/Ada/02.html"):
            (output.folder / name).write_text(name)
        output.publish("feedback.zip", "feedback")
    remote = fsspec.filesystem("memory")
    found = {name.removeprefix("/cohort/"): remote.cat_file(name).decode() for name in remote.find("/cohort")}
    assert found == {name: name for name in ("feedback.zip", "feedback/Ada.html", "feedback/Ada/02.html")}
    remote.rm("/cohort", recursive=True)
