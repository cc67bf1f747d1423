"""An executed notebook as a page of HTML that needs nothing else: small, and readable on a phone."""

from __future__ import annotations

import html
from pathlib import Path

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #222; max-width: 60rem; margin: 0 auto; padding: 1rem; }
pre { overflow-x: auto; white-space: pre-wrap; overflow-wrap: anywhere; font-size: 13px; margin: .3rem 0; }
.highlight { background: #f5f5f5; padding: .1rem .6rem; border-left: 3px solid #0072B2; }
.output_stderr, .output_error, .jp-mod-error { background: #fdecea; }
.prompt, .jp-InputPrompt, .jp-OutputPrompt { color: #767676; font: 12px monospace; }
img, svg { max-width: 100%; height: auto; } .anchor-link { display: none; }
table { border-collapse: collapse; display: block; overflow-x: auto; } td, th { padding: .1rem .6rem; }
"""


def notebook_page(notebook: Path, sanitize: bool = False) -> str:
    """The page of an executed notebook. ``sanitize``: without scripts, for notebooks that others have written."""
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
