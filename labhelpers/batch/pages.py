"""An executed notebook as a page of HTML that needs nothing else: small, and readable on a phone."""

from __future__ import annotations

import html
import re
from pathlib import Path

import jinja2

from labhelpers.files import write_atomically

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #222; max-width: 60rem; margin: 0 auto; padding: 1rem; }
code { overflow-wrap: anywhere; }
pre { overflow-x: auto; white-space: pre-wrap; overflow-wrap: anywhere; font-size: 13px; margin: .3rem 0; }
.highlight { background: #f5f5f5; padding: .1rem .6rem; border-left: 3px solid #0072B2; }
.output_stderr, .output_error, .jp-mod-error { background: #fdecea; }
.prompt, .jp-InputPrompt, .jp-OutputPrompt { color: #767676; font: 12px monospace; }
img, svg { max-width: 100%; height: auto; } .anchor-link { display: none; }
table { border-collapse: collapse; display: block; overflow-x: auto; } td, th { padding: .1rem .6rem; }
math[display="block"] { margin: .6rem 0; }
"""


# What a stranger's page may consist of.
_HEADINGS = {"h1", "h2", "h3", "h4", "h5", "h6"}
_TABLE_TAGS = set("table caption thead tbody tfoot tr th td".split())
_TEXT_TAGS = set(
    "a abbr b blockquote br code dd del details div dl dt em hr i img ins kbd li mark ol p pre s samp small span "
    "strong sub summary sup tt u ul var".split()
)
_MATH_TAGS = set(
    "math menclose merror mfrac mi mmultiscripts mn mo mover mpadded mphantom mroot mrow mspace msqrt mstyle msub "
    "msubsup msup mtable mtd mtext mtr munder munderover none".split()
)
_MATH_ATTRIBUTES = set(
    "accent accentunder columnalign columnspacing depth display displaystyle fence form height largeop linethickness "
    "lspace mathsize mathvariant maxsize minsize movablelimits notation rowspacing rspace scriptlevel separator "
    "stretchy symmetric width xmlns".split()
)
_UNSEEN = "script style title template noscript iframe object embed svg textarea xmp".split()
# Environments of a whole formula, and what the converter knows instead: they number lines, and nothing else.
_ENVIRONMENTS = {"equation": "", "align": "aligned", "gather": "gathered"}
_CELL = ("colspan", "rowspan", "scope", "align", "style")
_ATTRIBUTES = {
    "a": ("title",), "abbr": ("title",), "details": ("open",), "img": ("alt", "title", "width", "height"),
    "ol": ("start",), "td": _CELL, "th": _CELL,
}  # fmt: skip
_LINK = re.compile(r"https?://|mailto:|#", re.IGNORECASE)
_IMAGE = re.compile(r"data:image/(png|jpeg|gif|webp|svg\+xml);base64,[A-Za-z0-9+/=\s]*\Z")


def write_pages(folder: Path, sanitize: bool, again: bool = True) -> None:
    """An HTML page beside every executed notebook of a run's folder; `again=False`: only where there is none."""
    for notebook in sorted((folder / "notebooks").glob("*.ipynb")):
        page = notebook.with_suffix(".html")
        if page.exists() and not again:
            continue
        try:
            text = notebook_page(notebook, sanitize)
        except Exception as error:  # a file that is called a notebook may hold anything
            text = f"<!doctype html><title>{html.escape(notebook.stem)}</title><p>Not shown: {type(error).__name__}</p>"
        write_atomically(page, text.encode(errors="replace"))  # it may hold half a character


def notebook_page(notebook: Path, sanitize: bool = False) -> str:
    """The page of an executed notebook, formulas included. `sanitize`: for notebooks that others have written, with
    what `cleaned` lets through, and nothing that a browser would run or fetch."""
    import nbformat
    from pygments.formatters import HtmlFormatter

    document = nbformat.read(str(notebook), as_version=4)
    for cell in document.cells:
        for output in cell.get("outputs", []):
            if "text/latex" in output.get("data", {}):  # as Markdown it passes by our formulas
                output.data.setdefault("text/markdown", output.data["text/latex"])
            if sanitize:
                output.get("metadata", {}).pop("text/html", None)  # it may ask for a frame of its own, which we drop
    body, _ = _exporter(sanitize).from_notebook_node(document)
    if sanitize:  # each piece is clean by now, so that none reaches out of its place; the template is not to be trusted
        body = cleaned(body)  # with what it takes from metadata: it writes an image's width without quotes
    style = _STYLE + HtmlFormatter().get_style_defs(".highlight")
    # What sanitising should miss has nothing to run or load.
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    guard = f'<meta http-equiv="Content-Security-Policy" content="{policy}">' if sanitize else ""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"{guard}<title>{html.escape(notebook.stem)}</title><style>{style}</style></head>\n<body>\n{body}\n</body></html>\n"
    )


def formula(latex: str, block: bool = False) -> str:
    """A formula as MathML, which browsers show by themselves; one that the converter does not know, as its source."""
    from docutils.utils.math.latex2mathml import tex2mathml

    try:
        return tex2mathml(re.sub(r"\\dots\b", r"\\ldots", latex), as_block=block)
    except Exception:  # anybody may have written it; the converter has one error for what it does not know, and others
        return f"<code>{html.escape(latex)}</code>"


def cleaned(element: str | bytes) -> str:
    """HTML from a stranger's notebook, reduced to an allow-list: what Markdown, tables, highlighted code, formulas and
    images within the page consist of. Links lead to the web or within the page; everything else goes."""
    import bleach
    from bleach.css_sanitizer import CSSSanitizer
    from bs4 import BeautifulSoup

    text = element.decode(errors="replace") if isinstance(element, bytes) else str(element)
    soup = BeautifulSoup(text, "html.parser")
    for unseen in soup(_UNSEEN):  # cleaning would leave their content as text
        unseen.decompose()
    return bleach.clean(
        str(soup),
        tags={*_TEXT_TAGS, *_HEADINGS, *_TABLE_TAGS, *_MATH_TAGS},
        attributes=_allowed,
        protocols={"http", "https", "mailto", "data"},
        css_sanitizer=CSSSanitizer(allowed_css_properties=["text-align"]),
        strip=True,
    )


def _allowed(tag: str, name: str, value: str) -> bool:
    if name == "class":
        return True
    if tag == "a" and name == "href":
        return bool(_LINK.match(value))
    if tag == "img" and name == "src":
        return bool(_IMAGE.match(value))
    if tag in _HEADINGS and name == "id":
        return True
    if tag in _MATH_TAGS:
        return name in _MATH_ATTRIBUTES
    return name in _ATTRIBUTES.get(tag, ())


def _exporter(sanitize: bool):
    from nbconvert import HTMLExporter
    from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

    class Renderer(IPythonRenderer):
        def inline_math(self, body: str) -> str:
            return formula(body)

        def block_math(self, body: str) -> str:
            return formula(body, block=True)

        def latex_environment(self, name: str, body: str) -> str:
            inner = _ENVIRONMENTS.get(name.removesuffix("*"), name)
            return formula(rf"\begin{{{inner}}}{body}\end{{{inner}}}" if inner else body, block=True)

    @jinja2.pass_context
    def markdown2html(context, source: str) -> str:
        attachments = context.get("cell", {}).get("attachments", {})
        return MarkdownWithMath(renderer=Renderer(escape=False, attachments=attachments)).render(source)

    exporter = HTMLExporter(template_name="basic", sanitize_html=sanitize)
    exporter.register_filter("markdown2html", markdown2html)
    if sanitize:
        exporter.register_filter("clean_html", cleaned)
    return exporter
