"""The picture of the course shows every notebook once."""

import pytest
from matplotlib.patches import FancyBboxPatch

from labhelpers.course.notebooks import find_notebooks
from labhelpers.errors import LabError
from labhelpers.plots import pipeline


@pytest.mark.parametrize("here", [None, "00", "04"])
def test_every_notebook_after_the_tour_has_its_box(here):
    fig = pipeline(here)
    fig.draw_without_rendering()
    shown = {text.get_text() for text in fig.axes[0].texts}
    assert {path.stem[:2] for path in find_notebooks()} - {"00"} <= shown
    boxes = [patch for patch in fig.axes[0].patches if isinstance(patch, FancyBboxPatch)]
    filled = [box for box in boxes if box.get_facecolor() == box.get_edgecolor()]
    assert len(filled) == (here == "04")


def test_a_number_without_a_notebook_is_refused():
    with pytest.raises(LabError, match="12"):
        pipeline("12")
