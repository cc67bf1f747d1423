"""What the prose names exists: code in backticks, and links inside the repository.

The prose is README.md, docs/*.md and the notebooks' markdown.
"""

import ast
import importlib
import io
import json
import re
import tokenize
import unicodedata
from functools import cache
from pathlib import Path

import pytest

from tests.support.paths import ROOT

PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "notebooks").glob("[0-9]*.ipynb")])
SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
LINK = re.compile(r"\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)")
IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:_[A-Za-z0-9]+|[a-z][A-Z][A-Za-z0-9]*)")  # a_b, aB or AbCd

# Names of other people's code that the prose speaks of and our code does not use.
FOREIGN = {
    # the two labs' and old trl's
    "create_reference_model", "human_feedback_dataset", "input_ids_j", "input_ids_k", "lora_config", "num_proc",
    "local_rank", "preprocess_function", "compute_metrics", "turn_into_text_classification_format",
    "RewardDataCollatorWithPadding", "TextClassificationPipeline", "tok_k",
    # options of other libraries that the prose speaks of and the code leaves alone, and their variables
    "dr_grpo", "loss_type", "scale_rewards", "trust_remote_code", "TrainingArguments", "AWS_ENDPOINT_URL",
    "TRACKIO_SPACE_ID",
    "PUBLISH_BOOK",  # a variable of .github/workflows/pages.yml
    "ada_12345_01", "ada_LATE_12345_67890",  # files of an imagined learner
}  # fmt: skip


@cache
def prose(page: Path) -> str:
    """The page's text without blocks of code."""
    if page.suffix == ".ipynb":
        cells = json.loads(page.read_text(encoding="utf-8"))["cells"]
        text = "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    else:
        text = page.read_text(encoding="utf-8")
    return re.sub(r"^( *)```.*?^\1```", "", text, flags=re.MULTILINE | re.DOTALL)


@cache
def used_names() -> set[str]:
    """Every name in our code, and every word of its strings that are no sentences (columns, labels, options, files)."""
    sources = [
        p.read_text(encoding="utf-8")
        for folder in ("labhelpers", "data/generator")
        for p in (ROOT / folder).rglob("*.py")
    ]
    for notebook in (ROOT / "notebooks").glob("[0-9]*.ipynb"):
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        sources += ["".join(cell["source"]) + "\n" for cell in cells if cell["cell_type"] == "code"]
    names = {path.stem for folder in ("labhelpers", "tests") for path in (ROOT / folder).rglob("*.py")}
    for source in sources:
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type == tokenize.NAME:
                names.add(token.string)
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " not in node.value:
                names.update(re.findall(r"\w+", node.value))
    return names


@cache
def known_names() -> set[str]:
    return used_names() | FOREIGN


def missing_names(text: str) -> list[str]:
    """The identifiers in backticks that nothing in our code is called, and that are nobody else's either."""
    missing = []
    for span in SPAN.findall(text):
        if re.search(r"[\s/\\-]", span.split("(")[0].split("=")[0]):
            continue  # a command, a path, a formula
        missing += [name for name in IDENTIFIER.findall(span) if name not in known_names()]
    return missing


def exists(name: str) -> bool:
    """Whether `labhelpers.…` is a module, something that a folder exports, or something that a module defines."""
    place, *rest = ROOT / "labhelpers", *name.split(".")[1:]
    while rest and (place / rest[0]).is_dir():
        place /= rest.pop(0)
    if not rest:
        return True
    if (place / f"{rest[0]}.py").is_file():
        tree = ast.parse((place / f"{rest.pop(0)}.py").read_text(encoding="utf-8"))
        own = {node.name for node in ast.walk(tree) if hasattr(node, "name")}
        return set(rest) <= own
    folder = importlib.import_module(".".join(["labhelpers", *place.relative_to(ROOT / "labhelpers").parts]))
    return len(rest) == 1 and rest[0] in folder.__all__


def broken_package_names(text: str) -> list[str]:
    """The `labhelpers.x.y`, `labhelpers/x/y` and `tests/x/y` of a text that do not exist."""
    broken = [name for name in re.findall(r"\blabhelpers(?:\.[A-Za-z_]\w*)+", text) if not exists(name)]
    paths = [path.rstrip("/.,") for path in re.findall(r"(?<![\w/])(?:labhelpers|tests)/[\w./]*", text)]
    return broken + [path for path in paths if not (ROOT / path).exists()]


@cache
def anchors(page: Path) -> set[str]:
    """The anchors that GitHub and the website make of the page's headings."""
    headings = re.findall(r"^#+ +(.+?) *$", prose(page), re.MULTILINE)
    kept = [re.sub(r"[^\w\- ]", "", unicodedata.normalize("NFC", h).lower()).replace(" ", "-") for h in headings]
    return set(kept)


def broken_links(page: Path, text: str) -> list[str]:
    """The links of a page, of this text, that lead to no file of the repository or to no heading of it."""
    broken = []
    for link in LINK.findall(text):
        if re.match(r"[a-z]+:", link):
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        inside = target.is_relative_to(ROOT) and target.exists()
        if not inside or anchor and anchor not in anchors(target):
            broken.append(link)
    return broken


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_names_in_the_prose_exist(page):
    assert missing_names(prose(page)) == []
    assert broken_package_names(prose(page)) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_inside_the_repository_lead_somewhere(page):
    assert broken_links(page, prose(page)) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_is_said_of_the_original_lab_says_which_lab_and_where(page):
    notes = re.findall(r"In the original lab\*\*(.{0,300})", prose(page), re.DOTALL)
    vague = [note for note in notes if not re.match(r" \((PPO|reward-model) lab, [^)]*(section|cell)", note)]
    assert vague == []


def test_a_stale_name_and_a_broken_link_would_be_found():
    assert missing_names("`load_policy` and `load_old_policy`, `PPOTrainer.step` and `OldTrainer(x)`") == [
        "load_old_policy", "OldTrainer",
    ]  # fmt: skip
    text = "labhelpers.reward.evaluate_toxicity, labhelpers.reward.gone, labhelpers/ppo/loss.py, labhelpers/ppo/gone.py"
    assert broken_package_names(text) == ["labhelpers.reward.gone", "labhelpers/ppo/gone.py"]
    page = ROOT / "docs" / "sources.md"
    links = "[a](full_size.md) [b](gone.md) [c](#the-map) [d](#no-map) [e](../README.md#the-three-sources) [f](https://example.org/x)"
    assert broken_links(page, links) == ["gone.md", "#no-map"]


def test_no_foreign_name_has_become_superfluous():
    everything = "\n".join(prose(page) for page in PAGES)
    assert sorted(name for name in FOREIGN if name in used_names() or name not in everything) == []
