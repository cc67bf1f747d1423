"""The course map says what the notebooks do: their order, and what each hands to which."""

import json
import re

import pytest

from labhelpers.course import outline
from labhelpers.course.notebooks import find_notebooks
from labhelpers.course.run import start
from labhelpers.errors import ArtifactError, UsageError
from tests.support.paths import ROOT

_TAKES = r'artifacts\.(?:path|exists|load_table)\(f?"([a-z_]+)(?:\{\w+\})?"'
_MAKES = r'artifacts\.(?:writing|save_table)\(f?"([a-z_]+)(?:\{\w+\})?"'


def test_the_map_has_every_notebook_in_order():
    assert [path.stem for path in find_notebooks()] == [chapter.name for chapter in outline.CHAPTERS]
    assert outline.numbered("03") is outline.REWARD_MODEL and outline.chapter("elsewhere") is None
    with pytest.raises(UsageError, match="'12'.*it has 00, 01"):
        outline.numbered("12")


@pytest.mark.parametrize("chapter", outline.CHAPTERS, ids=lambda chapter: chapter.number)
def test_a_notebook_takes_and_makes_what_the_map_says(chapter):
    cells = json.loads((ROOT / "notebooks" / f"{chapter.name}.ipynb").read_text(encoding="utf-8"))["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    made, taken = set(re.findall(_MAKES, code)), set(re.findall(_TAKES, code))

    def named(names):  # "ppo_" stands for the policies of all rewards
        return {"ppo_" if name.startswith("ppo_") else name for name in names}

    assert made == named(chapter.makes)
    assert taken - made == named((*chapter.needs, *chapter.uses)) - named(chapter.makes)


def test_what_a_notebook_takes_is_made_before_it():
    for source, target in outline.arrows():
        assert source.number < target.number
    taken = {name for chapter in outline.CHAPTERS for name in (*chapter.needs, *chapter.uses)}
    assert all(outline.producer(name) for name in taken)


@pytest.mark.parametrize("chapter", [c for c in outline.CHAPTERS if c.needs], ids=lambda chapter: chapter.number)
def test_a_notebook_opened_alone_says_so_in_its_first_cell(chapter, tmp_path):
    with pytest.raises(ArtifactError) as missing:
        start(chapter.name, "tiny", run_dir=tmp_path)
    assert "run notebook 01_supervised_finetuning first" in str(missing.value)
    assert "-p sft_adapter data/adapters/sft" in str(missing.value)
    others = [name for name in chapter.needs if name != "sft_adapter"]
    if others:  # nothing that ships replaces these
        with pytest.raises(ArtifactError, match=f"run notebook {outline.producer(others[0]).name} first"):
            start(chapter.name, "tiny", run_dir=tmp_path, sft_adapter="data/adapters/sft")
    else:
        start(chapter.name, "tiny", run_dir=tmp_path, sft_adapter="data/adapters/sft")


def test_the_readme_lists_every_notebook_in_order():
    listed = re.findall(r"^\| \[(\d\d) .*?\]\(notebooks/(\w+)\.ipynb\)", (ROOT / "README.md").read_text("utf-8"), re.M)
    assert listed == [(chapter.number, chapter.name) for chapter in outline.CHAPTERS]
