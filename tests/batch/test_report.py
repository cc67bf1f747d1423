"""The page on a batch: what failed comes first, means have intervals, and nothing in a record can break the page."""

import csv
import json
import re
import shutil
import time

import pytest

from labhelpers.batch.outcome import RunOutcome
from labhelpers.batch.report import by_grid_point, spread, write_report
from labhelpers.errors import UsageError

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
CELL = {"cell_type": "code", "source": "1", "metadata": {}, "outputs": [], "execution_count": 1}


def run(number, **changes):
    kl, seed = [0.1, 0.4][number // 3 % 2], number % 3
    results = {"toxicity_after": kl + seed / 100, "toxicity_difference_ci95": [-1.0, -0.5, 0.0]}
    ppo = {"reward_curve": [0.0, seed, 2.0, None], "reward_last_steps": seed}
    values = {"status": "finished", "parameters": {"kl_coef": kl, "seed": seed}, "seconds": 12.3, "peak_memory_gb": 0.5}
    values |= {"results": {"04_ppo_detoxification": ppo, "05_before_after": results}}
    return RunOutcome(f"run{number}", f"kl_coef = {kl}, seed = {seed}", **(values | changes))


@pytest.fixture
def batch(tmp_path):
    """A function that writes the records of a batch; outcomes given as None are of runs that have not ended."""

    def write(outcomes, **changes):
        runs = [_known(found or run(number)) for number, found in enumerate(outcomes)]
        plan = {"plan": "plan.yaml", "notebooks": ["04_ppo_detoxification", "05_before_after"], "profile": "tiny"}
        plan |= {"grid": ["kl_coef", "seed"], "runs": runs, "submissions": False}
        (tmp_path / "plan.json").write_text(json.dumps(plan | changes))
        for found in filter(None, outcomes):
            folder = tmp_path / found.id / "notebooks"
            folder.mkdir(parents=True)
            (folder.parent / "status.json").write_text(found.to_json())
            notebook = {"cells": [CELL], "metadata": {}, "nbformat": 4, "nbformat_minor": 4}
            (folder / "05_before_after.ipynb").write_text(json.dumps(notebook))
        return tmp_path

    return write


def _known(found):
    return {name: getattr(found, name) for name in ("id", "label", "parameters", "student")}


def page(folder):
    return (folder / "index.html").read_text()


def test_the_summary_has_a_line_per_run_with_all_it_recorded(batch):
    folder = batch([run(0), run(1, status="failed", reason="a, b\nc"), None])
    assert write_report(folder) == ["summary.csv", "index.html"]
    lines = list(csv.DictReader((folder / "summary.csv").open()))
    assert [line["status"] for line in lines] == ["finished", "failed", "to do"]
    assert (lines[0]["kl_coef"], lines[0]["05_before_after.toxicity_after"]) == ("0.1", "0.1")
    assert lines[1]["reason"] == "a, b\nc" and lines[2]["seed"] == "2"


def test_failures_come_first_with_reason_and_last_lines(batch):
    lines = ["Traceback", "ValueError: <three>"]
    failed = run(1, status="kernel died", reason="its <b>kernel</b> died", notebook="05_before_after", cell=3)
    failed.last_lines = lines
    folder = batch([run(0), failed, None])
    write_report(folder)
    text = page(folder)
    assert text.index("What failed, and why") < text.index("All runs")
    assert "its &lt;b&gt;kernel&lt;/b&gt; died" in text and "ValueError: &lt;three&gt;" in text
    assert "05_before_after, In [3]" in text
    assert re.search(r"1 finished</span>, .*1 kernel died</span>, .*1 to do</span>", text, re.DOTALL)


def test_every_executed_notebook_is_a_page_that_is_linked(batch):
    folder = batch([run(0)])
    write_report(folder)
    assert 'href="run0/notebooks/05_before_after.html"' in page(folder)
    notebook = (folder / "run0" / "notebooks" / "05_before_after.html").read_text()
    assert "width=device-width" in notebook and "<script" not in notebook


def test_means_over_seeds_have_an_interval():
    assert str(spread([2.0])) == "2"
    some = spread([1.0, 2.0, 3.0])
    assert some.mean == 2.0 and some.half == pytest.approx(2.484, abs=1e-3)  # t(2) * 1 / sqrt(3)
    key = ("05_before_after", "toxicity_after")
    points = by_grid_point([run(n) for n in range(6)] + [run(5, status="failed")], [key, ("05_before_after", "no")])
    assert [(parameters, runs) for parameters, runs, _ in points] == [({"kl_coef": 0.1}, 3), ({"kl_coef": 0.4}, 3)]
    assert points[0][2][0].mean == pytest.approx(0.11) and points[0][2][1] is None


def test_the_page_shows_means_and_curves_and_needs_nothing_else(batch):
    folder = batch([run(n) for n in range(6)])
    write_report(folder)
    text = page(folder)
    assert "0.11 ± 0.025" in text and "Over the seeds" in text
    assert text.count("<figure") == 1 and "kl_coef = 0.4" in text and "reward curve" in text
    assert "src=" not in text and "<script" not in text and "<link" not in text
    assert not [link for link in re.findall(r'(?<![:\w])href="(https?:[^"]*)', text)]


def test_runs_that_recorded_nothing_make_a_page_too(batch):
    folder = batch([run(0, results={}), None])
    write_report(folder)
    assert "Over the seeds" not in page(folder) and "<figure" not in page(folder)


def test_a_folder_without_a_batch_is_refused(tmp_path):
    with pytest.raises(UsageError, match="holds no readable plan.json"):
        write_report(tmp_path)
    with pytest.raises(UsageError, match="is not a folder"):
        write_report(tmp_path / "nowhere")


@pytest.mark.browser
def test_five_hundred_runs_open_at_once_also_on_a_phone(batch):
    if CHROMIUM is None:
        pytest.skip("needs Chromium (Debian: apt install chromium)")
    from playwright.sync_api import sync_playwright

    outcomes = [run(n) for n in range(480)] + [run(n, status="failed", reason="x" * 400) for n in range(480, 500)]
    folder = batch(outcomes)
    for number in range(500):  # as the workers make them
        (folder / f"run{number}" / "notebooks" / "05_before_after.html").write_text("<title>05_before_after</title>")
    write_report(folder)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        shown = browser.new_page(viewport={"width": 390, "height": 844})
        began = time.perf_counter()
        shown.goto((folder / "index.html").as_uri(), wait_until="load")
        assert shown.locator("h1").inner_text() == "plan.yaml"
        assert time.perf_counter() - began < 2
        assert shown.evaluate("document.documentElement.scrollWidth") <= 390
        assert shown.locator(".failure").count() == 20
        shown.locator("table a").first.click()
        assert shown.title() == "05_before_after"
        browser.close()
