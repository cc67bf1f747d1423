"""An executed notebook as a page of HTML that needs nothing else: small, and readable on a phone."""

from __future__ import annotations

import html
from pathlib import Path

from labhelpers.files import write_atomically

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #222; max-width: 60rem; margin: 0 auto; padding: 1rem; }
pre { overflow-x: auto; white-space: pre-wrap; overflow-wrap: anywhere; font-size: 13px; margin: .3rem 0; }
.highlight { background: #f5f5f5; padding: .1rem .6rem; border-left: 3px solid #0072B2; }
.output_stderr, .output_error, .jp-mod-error { background: #fdecea; }
.prompt, .jp-InputPrompt, .jp-OutputPrompt { color: #767676; font: 12px monospace; }
img, svg { max-width: 100%; height: auto; } .anchor-link { display: none; }
table { border-collapse: collapse; display: block; overflow-x: auto; } td, th { padding: .1rem .6rem; }
"""


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
        write_atomically(page, text)


def notebook_page(notebook: Path, sanitize: bool = False) -> str:
    """The page of an executed notebook. `sanitize`: without scripts, for notebooks that others have written."""
    from nbconvert import HTMLExporter
    from pygments.formatters import HtmlFormatter

    exporter = HTMLExporter(template_name="basic", sanitize_html=sanitize)
    body, _ = exporter.from_filename(str(notebook))
    style = _STYLE + HtmlFormatter().get_style_defs(".highlight")
    # What sanitising should miss has nothing to run or load.
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    guard = f'<meta http-equiv="Content-Security-Policy" content="{policy}">' if sanitize else ""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"{guard}<title>{html.escape(notebook.stem)}</title><style>{style}</style></head>\n<body>\n{body}\n</body></html>\n"
    )
