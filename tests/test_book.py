"""The course as a website, and the glossary."""

import os
import re
import subprocess
import sys
from urllib.parse import unquote, urlsplit

import nbformat
import pytest

from labhelpers.course.exercises import learner_copy
from labhelpers.course.solutions import split_at_marks
from tests.support.paths import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))


def glossary():
    lines = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8").splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")][1:]


def test_the_glossary_is_sorted_and_complete():
    rows = glossary()
    terms = [row[0] for row in rows]
    assert terms == sorted(terms, key=str.casefold) and len(set(terms)) == len(terms)
    wanted = "agent environment policy rollout reward return advantage GAE PPO LoRA PEFT SFT DPO GRPO RLOO bootstrap"
    assert set(wanted.split()) <= set(terms)


@pytest.mark.parametrize("row", glossary(), ids=lambda row: row[0])
def test_every_term_has_both_languages_and_an_explanation(row):
    _, korean, chinese, meaning = row
    assert re.search(r"[가-힣]", korean) and not re.search(r"[一-鿿]", korean)
    assert re.search(r"[一-鿿]", chinese) and not re.search(r"[가-힣]", chinese)
    assert meaning.isprintable() and meaning[0].isupper() and meaning[-1] in ".)" and len(meaning) > 30


def sphinx(folder, target="book", **variables):
    """Sphinx as `make book`, or another target, calls it, with these environment variables: what it said on stderr."""
    pytest.importorskip("myst_nb", reason="make book installs what builds it")
    command = re.search(rf"^{target}:.*\n\t\$\(PYTHON\) (-m sphinx .*)", (ROOT / "Makefile").read_text(), re.MULTILINE)[
        1
    ]
    arguments = command.replace(f"build/{target}", str(folder)).split()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LABHELPERS_")} | variables
    done = subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, env=environment)
    assert bool(done.returncode) == bool(done.stderr)
    return done.stderr


def build(folder, target="book", **variables):
    """The website: page -> its parsed HTML."""
    said = sphinx(folder, target, **variables)
    assert not said, said
    import bs4

    html = folder / "html"
    return {path: bs4.BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser") for path in html.rglob("*.html")}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    return build(tmp_path_factory.mktemp("book"))


def page(site, name):
    return next(parsed for path, parsed in site.items() if path.as_posix().endswith(f"/html/{name}.html"))


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_notebook_has_a_page_with_its_figures_and_formulas(site, path):
    notebook = nbformat.read(path, 4)
    shown = page(site, f"notebooks/{path.stem}")
    assert shown.h1.get_text().startswith(notebook.cells[0].source.splitlines()[0].removeprefix("# "))
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    alts = [o.metadata["image/png"]["alt"] for o in outputs if "image/png" in o.get("data", {})]
    figures = shown.select(".cell_output img")
    assert [image["alt"] for image in figures] == alts
    assert all(image.parent.get("href") == image["src"] for image in figures), "a figure is linked to its full size"
    assert len(shown.select(".cell_input")) == sum(cell.cell_type == "code" for cell in notebook.cells)
    prose = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    assert bool(shown.find("math")) == ("$" in prose)
    assert "$" not in "".join(paragraph.get_text() for paragraph in shown.select("article p"))


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_page_begins_with_the_question_and_offers_the_copy_without_answers(site, path):
    """Folded are the parameters and what is imported; a copy button stands at what somebody types."""
    shown = page(site, f"notebooks/{path.stem}")
    folded = shown.select("details.hide .cell_input")
    assert folded == shown.select(".cell_input")[:3]
    download = shown.find("a", download=True, href=f"../exercises/{path.name}")
    place = next(place for place, parsed in site.items() if parsed is shown)
    copy = (place.parent / download["href"]).resolve().read_text(encoding="utf-8")
    assert copy == learner_copy(path)
    assert shown.find("script", src=re.compile("copybutton.js"))


@pytest.mark.slow
def test_what_a_cell_prints_stays_where_it_was_printed(site):
    """Two tables, each below its name."""
    tables = page(site, "notebooks/04_ppo_detoxification").select("table.dataframe")
    named = [table.find_previous("pre").get_text().strip() for table in tables]
    assert {"toxicity", "learned"} <= set(named)


@pytest.mark.slow
def test_a_published_site_links_to_where_it_is_published(tmp_path):
    published = {"LABHELPERS_SITE": "https://ada.example/rlhf", "LABHELPERS_REPOSITORY": "ada/rlhf"}
    site = build(tmp_path, **published, LABHELPERS_LAUNCH="binder")
    for path in NOTEBOOKS:
        links = page(site, f"notebooks/{path.stem}").select(".notebook-links a")
        assert [link.get_text() for link in links] == ["Download the exercises", "Open in Binder"]
        assert [link["href"] for link in links[1:]] == [
            f"https://mybinder.org/v2/gh/ada/rlhf/main?urlpath=lab%2Ftree%2Fnotebooks%2F{path.name}"
        ]
    copy = (tmp_path / "html" / "exercises" / "02_human_feedback.ipynb").read_text(encoding="utf-8")
    assert "https://ada.example/rlhf/data/README.html" in copy


@pytest.mark.slow
def test_a_launch_button_that_would_lead_nowhere_is_refused_before_anything_is_built(tmp_path):
    said = sphinx(tmp_path, LABHELPERS_LAUNCH="binder")
    assert "Configuration error" in said and "LABHELPERS_REPOSITORY is ''" in said
    said = sphinx(tmp_path, "book-learner", LABHELPERS_LAUNCH="binder", LABHELPERS_REPOSITORY="ada/rlhf")
    assert "Configuration error" in said and "opens the solved notebooks" in said
    assert not list(tmp_path.rglob("*.html"))


@pytest.mark.slow
def test_a_site_for_learners_shows_no_solution_anywhere_and_the_other_outputs(tmp_path):
    """In no file of it, the search index included."""
    site = build(tmp_path, "book-learner")
    written = "\n".join(
        path.read_text(encoding="utf-8", errors="replace") for path in (tmp_path / "html").rglob("*") if path.is_file()
    )
    code = "\n".join(cell.get_text() for parsed in site.values() for cell in parsed.select(".cell_input"))
    for path in NOTEBOOKS:
        notebook = nbformat.read(path, 4)
        solved = [cell for cell in notebook.cells if cell.cell_type == "code" and "# solution\n" in cell.source]
        secret = {part.strip("\n") for cell in solved for secret, part in split_at_marks(cell.source) if secret}
        assert secret and not [part for part in secret if part in code or part in written]
        shown = page(site, f"notebooks/{path.stem}")
        assert shown.get_text().count("# TODO") >= len(solved)
        others = [cell for cell in notebook.cells if cell.get("outputs") and cell not in solved]
        assert len(shown.select(".cell_output")) == len(others)


@pytest.mark.slow
def test_links_inside_the_site_lead_somewhere_and_no_page_needs_the_network(site):
    names = {path: {tag["id"] for tag in parsed.select("[id]")} for path, parsed in site.items()}
    assert len(names) >= len(NOTEBOOKS) + 4
    for path, parsed in site.items():
        loaded = [tag.get("src") or tag.get("href") for tag in parsed.select("script[src], img[src], link[href]")]
        followed = [tag["href"] for tag in parsed.select("a[href]") if not urlsplit(tag["href"]).scheme]
        for address in loaded + followed:
            parts = urlsplit(address)
            assert not parts.scheme and not parts.netloc, f"{path.name} loads {address}"
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            assert target.is_file(), f"{path.name} links to {address}"
            if parts.fragment and target in names:
                assert unquote(parts.fragment) in names[target], f"{path.name} links to {address}"


@pytest.mark.slow
def test_the_front_door_the_glossary_and_the_readme_are_there(site):
    assert "docs/index.html" in page(site, "index").find("meta", {"http-equiv": "refresh"})["content"]
    front = {link["href"] for link in page(site, "docs/index").select("article a")}
    assert {f"../notebooks/{path.stem}.html" for path in NOTEBOOKS} <= front
    assert len(page(site, "docs/glossary").select("table tbody tr")) == len(glossary())
    readme = page(site, "README")
    assert readme.find("img", alt=re.compile("Differences after PPO"))
    assert readme.find("a", href=f"notebooks/{NOTEBOOKS[0].stem}.html")
