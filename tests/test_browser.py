"""The course as a learner meets it in JupyterLab and a real browser: every notebook runs, with figures and moving bars;
a wrong solution is diagnosed and a right one accepted; what was ranked by clicking survives a restart."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from labhelpers.cli import main
from labhelpers.course.notebooks import notebooks_dir
from labhelpers.feedback.rankings import load_rankings

pytestmark = pytest.mark.browser
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
QUIET = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking")
QUIET += ("--disable-component-update", "--disable-sync")


@pytest.fixture
def lab(tmp_path):
    """The address of a JupyterLab on copies of the notebooks (learner/: without solutions), and where they write to."""
    folder, run_dir, home = tmp_path / "notebooks", tmp_path / "run", tmp_path / "home"
    shutil.copytree(notebooks_dir(), folder, ignore=shutil.ignore_patterns(".*"))
    assert main(["exercises", str(folder / "learner")]) == 0
    settings = home / "lab" / "user-settings" / "@jupyterlab" / "notebook-extension" / "tracker.jupyterlab-settings"
    settings.parent.mkdir(parents=True)
    settings.write_text('{"windowingMode": "none"}')  # else only the cells in view are in the page
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {"LABHELPERS_RUN_DIR": str(run_dir), "HOME": str(home), "JUPYTER_CONFIG_DIR": str(home)}
    options = ["--no-browser", f"--port={port}", "--port-retries=0", "--IdentityProvider.token=", "--allow-root"]
    options += ["--LabApp.extension_manager=readonly", "--ServerApp.password=", f"--ServerApp.root_dir={folder}"]
    log = open(tmp_path / "jupyter.log", "w")
    server = subprocess.Popen([sys.executable, "-m", "jupyterlab", *options], stdout=log, stderr=log, env=environment)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(120):
            try:
                urllib.request.urlopen(f"{address}/api/status", timeout=2)
                break
            except OSError:
                assert server.poll() is None, (tmp_path / "jupyter.log").read_text()
                time.sleep(0.5)
        yield address, run_dir
    finally:
        server.terminate()
        server.wait(30)
        log.close()


@pytest.fixture
def page(tmp_path):
    if CHROMIUM is None:
        pytest.skip("needs Chromium (Debian: apt install chromium)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        page = browser.new_page(viewport={"width": 1400, "height": 1600})
        page.set_default_timeout(40_000)
        try:
            yield page
        finally:
            page.screenshot(path=tmp_path / "last.png")
            browser.close()


def open_notebook(page, address, name):
    page.goto(f"{address}/lab/tree/{name}.ipynb?reset")
    page.locator(".jp-Notebook").wait_for()


def run_all(page):
    page.get_by_text("| Idle").wait_for()  # before the kernel is there, running asks which one to take
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()


def wait_until_done(page, minutes=10):
    page.wait_for_function(
        """() => { const prompts = [...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')];
                  return prompts.length && prompts.every(p => /^\\[\\d+\\]:$/.test(p.innerText.trim())) }""",
        timeout=minutes * 60_000,
    )


def run_until_widget(page):
    """Runs all cells by the menu; returns the widget once it is there."""
    run_all(page)
    widget = page.locator(".labhelpers-labeller")
    widget.wait_for()
    return widget


def rank_all(widget):
    """Clicks the responses from the top to the bottom; returns their texts in that order."""
    rows = widget.locator(".widget-hbox:has(.widget-html)")
    texts = []
    for place in range(rows.count()):
        row = rows.nth(place)
        texts.append(row.locator(".widget-html-content > div").text_content())
        row.get_by_role("button").click()
        row.get_by_role("button", name=str(place + 1), exact=True).wait_for()
    return texts


def test_a_learner_ranks_two_items_restarts_the_kernel_and_finds_them_saved(lab, page):
    address, run_dir = lab
    open_notebook(page, address, "02_human_feedback")
    widget = run_until_widget(page)
    first = rank_all(widget)
    widget.get_by_role("button", name="Next").click()
    widget.get_by_text(re.compile(r"Item 2 of")).wait_for()
    second = rank_all(widget)
    widget.get_by_text("2 ranked").wait_for()

    page.get_by_role("menuitem", name="Kernel", exact=True).click()
    page.get_by_role("menuitem", name=re.compile("Restart Kernel and Clear Outputs")).click()
    page.get_by_role("button", name="Confirm", exact=False).click()
    page.locator(".labhelpers-labeller").wait_for(state="detached")
    widget = run_until_widget(page)
    widget.get_by_text("2 ranked").wait_for()
    widget.get_by_text(re.compile(r"Item 3 of")).wait_for()

    saved = load_rankings(Path(run_dir) / "my_rankings.jsonl")
    for row, clicked in zip(saved, (first, second), strict=True):
        by_rank = [text for _, text in sorted(zip(row["ranks"], row["responses"], strict=True))]
        assert [" ".join(text.split()) for text in by_rank] == [" ".join(text.split()) for text in clicked]
    page.get_by_text("your own rankings: 2").wait_for()
    assert len(load_rankings(Path(run_dir) / "artifacts" / "rankings" / "rankings.jsonl")) == 2


def outputs_of(notebook, kind):
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return sum(kind in output.get("data", {}) for cell in cells for output in cell.get("outputs", []))


def test_every_notebook_runs_in_the_browser(lab, page, tmp_path):
    """All cells, in the course's order: no error, every figure is drawn, progress bars move and are gone at the end."""
    address, _ = lab
    for notebook in sorted(notebooks_dir().glob("*.ipynb")):
        open_notebook(page, address, notebook.stem)
        page.get_by_role("menuitem", name="Edit", exact=True).click()
        page.get_by_role("menuitem", name="Clear Outputs of All Cells").click()
        run_all(page)
        if notebook.stem.startswith(("04", "06")):
            moving = re.compile(r"PPO.*%\|.* [1-9]\d*/\d+ \[")
            page.locator(".jp-OutputArea-output").filter(has_text=moving).first.wait_for(timeout=300_000)
        wait_until_done(page)
        assert page.locator(".jp-OutputArea-output").filter(has_text="%|").count() == 0, notebook.stem
        page.screenshot(path=tmp_path / f"{notebook.stem}.png")
        errors = page.locator("[data-mime-type='application/vnd.jupyter.error']").all_text_contents()
        assert not errors, f"{notebook.stem}: {errors[0]}"
        figures = page.locator(".jp-OutputArea-output img")
        drawn = figures.evaluate_all("images => images.filter(image => image.naturalWidth > 100).length")
        assert drawn >= outputs_of(notebook, "image/png") > 0, notebook.stem


def test_a_learner_is_told_what_is_wrong_and_then_that_it_is_right(lab, page):
    """In a copy without solutions: it runs to its end, a mistake gets its name, the solution is accepted."""
    address, _ = lab
    open_notebook(page, address, "learner/00_rlhf_tour")
    run_all(page)
    wait_until_done(page)
    assert page.locator("[data-mime-type='application/vnd.jupyter.error']").count() == 0
    cell = page.locator(".jp-CodeCell:has-text('def my_returns')")

    def solve(body):
        cell.locator(".cm-content").click()
        page.keyboard.press("Control+A")
        page.keyboard.insert_text(f"def my_returns(rewards, gamma):\n    {body}\n\n\ncheck_returns(my_returns)")
        page.keyboard.press("Control+Enter")

    assert "not yet" in cell.locator(".jp-OutputArea").text_content()
    solve("return [sum(rewards[t:]) for t in range(len(rewards))]")
    cell.locator(".jp-OutputArea", has_text="the discount is missing").wait_for()
    solve("return [sum(gamma**k * r for k, r in enumerate(rewards[t:])) for t in range(len(rewards))]")
    cell.locator(".jp-OutputArea", has_text="check_returns: right.").wait_for()
