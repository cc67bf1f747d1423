"""The labelling widget as a learner meets it: JupyterLab in a real browser, clicks, and a kernel that is restarted."""

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

from labhelpers.course import notebooks_dir
from labhelpers.feedback import load_rankings

pytestmark = pytest.mark.browser
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
QUIET = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking")
QUIET += ("--disable-component-update", "--disable-sync")


@pytest.fixture
def lab(tmp_path):
    """The address of a JupyterLab on a copy of notebook 01, and the folder that the notebook writes to."""
    folder, run_dir = tmp_path / "notebooks", tmp_path / "run"
    folder.mkdir()
    shutil.copy(notebooks_dir() / "01_human_feedback.ipynb", folder)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    home = tmp_path / "home"
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


def run_until_widget(page):
    """Runs all cells by the menu; returns the widget once it is there."""
    page.get_by_text("| Idle").wait_for()  # before the kernel is there, running asks which one to take
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
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
    page.goto(f"{address}/lab/tree/01_human_feedback.ipynb")
    page.locator(".jp-Notebook").wait_for()
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
