"""The course as a website: `make book`. The notebooks are shown with their stored outputs; nothing is executed.

The pages are the repository's own files, so the source folder is the repository's root (`sphinx -c docs .`). The
site needs no network: formulas become MathML, which browsers show by themselves.
"""

import re
from pathlib import Path

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.util import logging

project = "RLHF, end to end"
author = "the RLHF course"
html_show_copyright = False
html_title = project

extensions = ["myst_nb"]
root_doc = "docs/index"
include_patterns = ["README.md", "data/README.md", "data/generator/README.md", "docs/*.md", "notebooks/*.ipynb"]
exclude_patterns = [".*", "build", "dist", "runs", "tests", "labhelpers", "data/models", "**/.ipynb_checkpoints"]

nb_execution_mode = "off"
nb_merge_streams = True
myst_enable_extensions = ["dollarmath"]
html_math_renderer = "mathml"

html_theme = "furo"
html_additional_pages = {"index": "to_first_page.html"}
templates_path = ["_templates"]
html_use_index = False
html_show_sphinx = False
html_copy_source = False


def show_mathml(translator, node):
    """A formula as MathML, by docutils' own converter, which knows most of LaTeX and warns of what it does not."""
    block = isinstance(node, nodes.math_block)
    formula = re.sub(r"\\dots\b", r"\\ldots", node.astext())
    try:
        formula = tex2mathml(formula, as_block=block)
    except MathError as error:
        logging.getLogger(__name__).warning("formula %r: %s", formula, error, location=node)
        raise nodes.SkipNode from None
    translator.body.append(f'<div class="math">{formula}</div>' if block else formula)
    raise nodes.SkipNode


def name_figures(app, document):
    """Give every figure its alt text. The notebooks store it as the text form of the output, beside the image."""
    for bundle in document.findall(nodes.container):
        forms = {form.get("mime_type"): form for form in bundle.children if isinstance(form, nodes.container)}
        if "image/png" in forms and "text/plain" in forms:
            for image in forms["image/png"].findall(nodes.image):
                image["alt"] = forms["text/plain"].astext().strip()


def unlink_folders(app, docname, source):
    """A link to a folder of the repository leads nowhere on the site: keep its words."""
    here = (Path(app.srcdir) / docname).parent

    def words(link):
        return link[1] if (here / link[2]).is_dir() else link[0]

    if Path(app.env.doc2path(docname)).suffix == ".md":
        source[0] = re.sub(r"(?<!!)\[([^\]]*)\]\(([^)\s:#]+)\)", words, source[0])


def setup(app):
    app.add_html_math_renderer("mathml", (show_mathml, None), (show_mathml, None))
    app.connect("source-read", unlink_folders)
    app.connect("doctree-read", name_figures)
