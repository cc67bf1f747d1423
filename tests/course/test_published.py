"""Where the course is published: nowhere unless environment variables say so, and what links are made of them."""

import pytest

from labhelpers.course.published import carry_links, launch_links, site_address
from labhelpers.errors import UsageError

VARIABLES = ("LABHELPERS_SITE", "LABHELPERS_REPOSITORY", "LABHELPERS_LAUNCH")


@pytest.fixture(autouse=True)
def published(monkeypatch):
    """Sets these variables and takes away the others."""

    def publish(**variables):
        for name in VARIABLES:
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(f"LABHELPERS_{name.upper()}", value)

    publish()
    return publish


@pytest.mark.parametrize(
    "address, left",
    [
        ("", "see the card (`data/README.md` of the course's repository)."),
        ("https://ada.example/", "see [the card](https://ada.example/data/README.html#licence)."),
    ],
)
def test_a_link_out_of_the_folder(address, left):
    assert carry_links("see [the card](../data/README.md#licence).", ["README.md"], address) == left


def test_a_link_whose_words_are_the_file_says_it_once():
    assert carry_links("[docs/batch.md](../docs/batch.md)") == "`docs/batch.md` of the course's repository"


def test_a_link_to_another_notebook_stays_where_that_is_beside():
    link = "**Next:** [04 · PPO](04_ppo.ipynb)"
    assert carry_links(link, ["04_ppo.ipynb"], "https://ada.example/") == link
    assert (
        carry_links(link, (), "https://ada.example/")
        == "**Next:** [04 · PPO](https://ada.example/notebooks/04_ppo.html)"
    )
    assert carry_links(link) == "**Next:** 04 · PPO (`notebooks/04_ppo.ipynb` of the course's repository)"


@pytest.mark.parametrize(
    "text", ["[a paper](https://arxiv.org/abs/1.md)", "[above](#part)", "`x[0](y)`", "![a picture](../docs/a.md)"]
)
def test_everything_else_is_left_alone(text):
    assert carry_links(text, (), "https://ada.example/") == text


def test_the_address_of_the_site(published):
    assert site_address() == ""
    for address in ("https://ada.example/rlhf", "https://ada.example/rlhf/"):
        published(site=address)
        assert site_address() == "https://ada.example/rlhf/"
    for wrong in ("ada.example", "javascript:alert(1)", "https://"):
        published(site=wrong)
        with pytest.raises(UsageError, match="LABHELPERS_SITE .* must begin with https://"):
            site_address()


def test_launch_links_in_the_order_asked_for(published):
    assert launch_links("04_ppo") == []
    published(repository="ada/rlhf")
    assert launch_links("04_ppo") == []
    published(repository="ada/rlhf@autumn/26", launch="colab binder")
    assert launch_links("04_ppo") == [
        ("Colab", "https://colab.research.google.com/github/ada/rlhf/blob/autumn%2F26/notebooks/04_ppo.ipynb"),
        ("Binder", "https://mybinder.org/v2/gh/ada/rlhf/autumn%2F26?urlpath=lab%2Ftree%2Fnotebooks%2F04_ppo.ipynb"),
    ]


@pytest.mark.parametrize(
    "variables, words",
    [
        ({"launch": "colab kaggle", "repository": "ada/rlhf"}, "'kaggle': it can hold binder and colab"),
        ({"launch": "colab"}, "LABHELPERS_REPOSITORY is ''.* as owner/name"),
        ({"launch": "colab", "repository": "https://github.com/ada/rlhf"}, "as owner/name"),
    ],
)
def test_launch_buttons_that_would_lead_nowhere(published, variables, words):
    published(**variables)
    with pytest.raises(UsageError, match=words):
        launch_links("04_ppo")
