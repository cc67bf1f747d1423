"""The course as a website, and the glossary."""

import re
import subprocess
import sys
from urllib.parse import unquote, urlsplit

import nbformat
import pytest

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


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The website, built as `make book` builds it: page -> its parsed HTML."""
    pytest.importorskip("myst_nb", reason="make book installs what builds it")
    import bs4

    folder = tmp_path_factory.mktemp("book")
    command = re.search(r"\$\(PYTHON\) (-m sphinx .*)", (ROOT / "Makefile").read_text())[1]
    arguments = command.replace("build/book", str(folder)).split()
    done = subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and not done.stderr, done.stderr
    html = folder / "html"
    return {path: bs4.BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser") for path in html.rglob("*.html")}


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
    assert [image["alt"] for image in shown.select(".cell_output img")] == alts
    assert len(shown.select(".cell_input")) == sum(cell.cell_type == "code" for cell in notebook.cells)
    prose = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    assert bool(shown.find("math")) == ("$" in prose)
    assert "$" not in "".join(paragraph.get_text() for paragraph in shown.select("article p"))


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
