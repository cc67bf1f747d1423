"""An instructor's afternoon: copies go out, six submissions come back, and grades, feedback and the class are read in a
real browser, at the width of a desk and of a phone."""

import csv
import json
import shutil
import sys
import zipfile
from pathlib import Path
from urllib.parse import unquote

import pytest

from labhelpers.batch.feedback import file_names
from labhelpers.batch.isolation import why_not_isolated
from labhelpers.cli import main

pytestmark = [pytest.mark.slow, pytest.mark.browser]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
QUIET = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking")
QUIET += ("--disable-component-update", "--disable-sync")
NOTEBOOK = "02_human_feedback"
EXERCISES = [f"{NOTEBOOK}: check_{name}" for name in ("pairs_of", "preferred", "leak")]

RIGHT_PAIRS = "return [(i, j) for i in range(len(ranks)) for j in range(len(ranks)) if ranks[i] < ranks[j]]"
SWAPPED_PAIRS = "return [(i, j) for i in range(len(ranks)) for j in range(len(ranks)) if ranks[i] > ranks[j]]"
MARKUP = "<script>document.title = 'owned'</script><img src=x onerror=\"document.title = 'owned'\">"
MALLORY = "mallory <img src=x onerror=document.title='owned'>"


def answered(copy, pairs, guess, share, first=""):
    """The text of a learner copy with these answers; `first` is code that a student has put into the first exercise."""
    document = json.loads(copy)
    by_id = {cell["id"]: cell for cell in document["cells"]}
    pairs = f"{first}\ndef my_pairs_of(ranks):\n    {pairs}\n\n\ncheck_pairs_of(my_pairs_of)"
    by_id["02-exercise-pairs"]["source"] = pairs
    by_id["02-exercise-preferred"]["source"] = f"my_guess = {guess}\ncheck_preferred(my_guess)"
    by_id["02-exercise-leak"]["source"] = f"my_share = {share}\ncheck_leak(my_share)"
    return json.dumps(document)


def hostile(copy, victim):
    """Prints a verdict, looks into a neighbour's folder, shows scripts wherever it can, and ends its kernel."""
    peek = f"print('check_pairs_of: right.')\ntry:\n    print('SEEN', open({str(victim)!r}).read()[:20])\n"
    peek += "except OSError as error:\n    print('not seen', type(error).__name__)"
    document = json.loads(answered(copy, f"raise ValueError({MARKUP!r})", f"print({MARKUP!r})", 1.0, peek))
    document["cells"].insert(1, {"cell_type": "markdown", "id": "shout", "metadata": {}, "source": f"# Hi {MARKUP}"})
    show = f"from IPython.display import HTML, display\ndisplay(HTML({MARKUP!r}))\nimport os\nos.kill(os.getpid(), 9)"
    cell = {"cell_type": "code", "id": "end", "metadata": {}, "source": show, "outputs": [], "execution_count": None}
    return json.dumps(document | {"cells": [*document["cells"], cell]})


def hand_in(folder, copy):
    """The six submissions; returns the students in the order of their names."""
    files = {
        f"Ada Lee/{NOTEBOOK}.ipynb": answered(copy, RIGHT_PAIRS, 1, 1.0),
        f"bob/{NOTEBOOK}.ipynb": answered(copy, SWAPPED_PAIRS, 0, 0.1),
        f"cy/{NOTEBOOK}.ipynb": copy,
        f"gus/{NOTEBOOK}.ipynb": "{ this is no notebook",
        f"{MALLORY}/{NOTEBOOK}.ipynb": hostile(copy, folder / "Ada Lee" / f"{NOTEBOOK}.ipynb"),
        f"Zoë_44155_assignsubmission_file_/{NOTEBOOK} (1).ipynb": answered(copy, SWAPPED_PAIRS, 1, 1.0),
    }
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True)
        path.write_text(text, encoding="utf-8")
    return sorted(Path(name).parent.name for name in files)


@pytest.fixture
def browser():
    if CHROMIUM is None:
        pytest.skip("needs Chromium (Debian: apt install chromium)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        yield browser
        browser.close()


def read_all(browser, out, width, pictures):
    """Opens the class page, from there every student's page, and from there every notebook; `{address: text}`."""
    asked_for = []
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.on("request", lambda request: asked_for.append(request.url))
    page.on("dialog", lambda dialog: pytest.fail(f"a page opened a dialog: {dialog.message}"))
    todo, texts = [(out / "index.html").as_uri()], {}
    while todo:
        address = todo.pop(0)
        page.goto(address)
        texts[address] = page.locator("body").inner_text()
        assert page.title() != "owned", address
        assert page.evaluate("document.documentElement.scrollWidth") <= width, address
        name = unquote(address).removeprefix(out.as_uri()).strip("/").replace("/", "+")
        page.screenshot(path=pictures / f"{width} {name}.png", full_page=len(texts) < 3)
        links = page.locator("a").evaluate_all("links => links.map(link => link.href)")
        todo += [one for one in dict.fromkeys(links) if one.endswith(".html") and one not in (*texts, *todo)]
    page.close()
    assert [one for one in asked_for if not one.startswith(("file:", "data:"))] == []
    return texts


def test_an_instructors_afternoon(browser, tmp_path):
    why = why_not_isolated() if sys.platform == "linux" else "it is not Linux"
    if why:
        print(f"this machine cannot isolate ({why}): the submissions run with weak_isolation, the hostile one too")
    copies, handed_in, out = tmp_path / "copies", tmp_path / "handed-in", tmp_path / "out"
    assert main(["exercises", str(copies)]) == 0
    students = hand_in(handed_in, (copies / f"{NOTEBOOK}.ipynb").read_text(encoding="utf-8"))
    plan = tmp_path / "plan.yaml"
    plan.write_text(
        f"notebooks: ['02']\nsubmissions: handed-in\ntimeout_minutes: 8\nweak_isolation: {str(bool(why)).lower()}\n"
    )
    assert main(["batch", str(plan), "--output-dir", str(out)]) == 1  # not every submission runs to its end

    grades = {line["student"]: line for line in csv.DictReader((out / "grades.csv").open(encoding="utf-8", newline=""))}
    zoe = "Zoë_44155_assignsubmission_file_"
    assert list(grades) == students
    verdicts = {student: [line[name] for name in EXERCISES] for student, line in grades.items()}
    assert verdicts == {
        "Ada Lee": ["right"] * 3,
        "bob": ["not yet"] * 3,
        "cy": ["not yet"] * 3,
        "gus": ["not reached"] * 3,
        MALLORY: ["not yet", "not yet", "right"],
        zoe: ["not yet", "right", "right"],
    }
    assert [grades[one]["status"] for one in ("Ada Lee", "cy", "gus", MALLORY)] == [
        "finished", "finished", "failed", "kernel died",
    ]  # fmt: skip
    assert (grades[zoe]["Identifier"], grades[zoe]["Grade"]) == ("Participant 44155", "2")
    assert "rank 1 is the best" in grades["bob"]["Feedback comments"]

    desk = read_all(browser, out, 1280, tmp_path)
    phone = read_all(browser, out, 390, tmp_path)
    assert {address: text.split() for address, text in desk.items()} == {a: text.split() for a, text in phone.items()}
    the_class = desk[(out / "index.html").as_uri()]
    assert "2 × 02 pairs of: chosen and rejected have changed places" in the_class
    names = file_names(students)
    own = {student: desk[(out / "feedback" / f"{name}.html").as_uri()] for student, name in names.items()}
    for student, text in own.items():
        assert student in text and not [other for other in students if other != student and other in text]
    assert "3 of 3 exercises are right" in own["Ada Lee"]
    assert "nothing there yet" in own["cy"] and "Not everything ran to its end: failed" in own["gus"]
    assert str(tmp_path) not in own["gus"]  # what is wrong with a file, not where the instructor keeps it
    # The notebooks that could be run are linked from the class and from the student's page.
    assert len(desk) == 1 + 6 + 2 * 5
    ran = desk[(out / "feedback" / names[MALLORY] / f"{NOTEBOOK}.html").as_uri()]
    assert "check_pairs_of: right." in ran and ("not seen FileNotFoundError" in ran or why)
    with zipfile.ZipFile(out / "feedback.zip") as archive:
        assert len(archive.namelist()) == 6 + 5 and archive.testzip() is None
