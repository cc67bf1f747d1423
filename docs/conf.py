"""The course as a website: `make book`. The notebooks are shown with their stored outputs; nothing is executed.

The pages are the repository's own files, so the source folder is the repository's root (`sphinx -c docs .`). The
site needs no network: formulas become MathML, which browsers show by themselves. Where it is published is said by
environment variables (docs/publishing.md); without them nothing on it points out of it.

With the tag `learner` (`make book-learner`) the notebooks' pages show the learner copies instead: no solution, and no
output of a cell that held one.
"""

import re
from pathlib import Path

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.errors import ConfigError
from sphinx.util import logging
from sphinx.util.images import get_image_size

from labhelpers.course.exercises import cut_document, learner_copy, read_document, text_of
from labhelpers.course.published import launch_links, site_address
from labhelpers.errors import UsageError
from labhelpers.files import write_atomically

project = "RLHF, end to end"
author = "the RLHF course"
html_show_copyright = False
html_title = project

extensions = ["myst_nb", "sphinx_copybutton"]
root_doc = "docs/index"
include_patterns = ["README.md", "data/README.md", "data/generator/README.md", "docs/*.md", "notebooks/*.ipynb"]
exclude_patterns = [".*", "build", "dist", "runs", "tests", "labhelpers", "data/models", "**/.ipynb_checkpoints"]

nb_execution_mode = "off"
myst_enable_extensions = ["dollarmath"]
html_math_renderer = "mathml"
copybutton_selector = ":not(.output) > div.highlight > pre"  # what somebody types, not what it printed

html_theme = "furo"
html_additional_pages = {"index": "to_first_page.html"}
templates_path = ["_templates"]
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_use_index = False
html_show_sphinx = False
html_copy_source = False


def check_where_published(app, config):
    """Refuse, before anything is built, environment variables whose links would lead nowhere."""
    try:
        site_address()
        buttons = launch_links("any")
    except UsageError as error:
        raise ConfigError(str(error)) from None
    if buttons and app.tags.has("learner"):
        raise ConfigError("LABHELPERS_LAUNCH opens the solved notebooks: a site without solutions is built without it")


def cut_solutions(app, docname, source):
    """On a site for learners, put the learner copy in the place of a notebook, before anything reads it."""
    path = Path(app.env.doc2path(docname))
    if path.suffix == ".ipynb" and app.tags.has("learner"):
        document = read_document(path)
        cut_document(document, path.stem)
        source[0] = text_of(document)


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


def link_figures(app, document):
    """State every figure's own width. Sphinx then links it to its file, for those whose screen is narrower."""
    for image in document.findall(nodes.image):
        width, _ = get_image_size(Path(app.srcdir, image["uri"]))
        image["width"] = f"{width}px"


def unlink_folders(app, docname, source):
    """A link to a folder of the repository leads nowhere on the site: keep its words."""
    here = (Path(app.srcdir) / docname).parent

    def words(link):
        return link[1] if (here / link[2]).is_dir() else link[0]

    if Path(app.env.doc2path(docname)).suffix == ".md":
        source[0] = re.sub(r"(?<!!)\[([^\]]*)\]\(([^)\s:#]+)\)", words, source[0])


def notebook_links(app, pagename, templatename, context, doctree):
    """What stands above a notebook: its learner copy to download, and where to open it."""
    if pagename.startswith("notebooks/"):
        name = Path(pagename).name
        context["learner_copy"] = f"{context['pathto']('', 1)}exercises/{name}.ipynb"
        context["launch_links"] = launch_links(name)


def write_learner_copies(app, error):
    """The files that the pages offer for download: every notebook without its solutions."""
    if error is None:
        folder = Path(app.outdir, "exercises")
        folder.mkdir(exist_ok=True)
        for notebook in sorted(Path(app.srcdir, "notebooks").glob("*.ipynb")):
            write_atomically(folder / notebook.name, learner_copy(notebook))


def setup(app):
    app.add_html_math_renderer("mathml", (show_mathml, None), (show_mathml, None))
    app.connect("config-inited", check_where_published)
    app.connect("source-read", unlink_folders)
    app.connect("source-read", cut_solutions)
    app.connect("doctree-read", name_figures)
    app.connect("doctree-read", link_figures)
    app.connect("html-page-context", notebook_links)
    app.connect("build-finished", write_learner_copies)
