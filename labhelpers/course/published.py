"""Where the course is published, as environment variables say, and the links that lead there.

`LABHELPERS_SITE` is the address of the website that `make book` builds, `LABHELPERS_REPOSITORY` the repository on
GitHub, `LABHELPERS_LAUNCH` the services that open its notebooks. By default none is set, and no link leaves the course.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Collection
from urllib.parse import quote, urlsplit

from labhelpers.errors import UsageError

# A link (not an image) to a page of the repository; the notebooks link to no other files.
_LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)\s:#]+)\.(md|ipynb)(#[^)\s]*)?\)")
_SERVICES = {
    "binder": (
        "Binder",
        "https://mybinder.org/v2/gh/{repository}/{branch}?urlpath=lab%2Ftree%2Fnotebooks%2F{name}.ipynb",
    ),
    "colab": ("Colab", "https://colab.research.google.com/github/{repository}/blob/{branch}/notebooks/{name}.ipynb"),
}


def site_address() -> str:
    """The address of the course's website with a slash at its end, from LABHELPERS_SITE; "" when that is not set.

    Raises UsageError for an address that does not begin with http:// or https://.
    """
    address = os.environ.get("LABHELPERS_SITE", "").strip()
    parts = urlsplit(address)
    if address and not (parts.scheme in ("http", "https") and parts.netloc):
        raise UsageError(
            f"LABHELPERS_SITE is {address!r}, not a website's address: it must begin with https:// (or be left out)"
        )
    return address and address.rstrip("/") + "/"


def carry_links(markdown: str, beside: Collection[str] = (), address: str = "") -> str:
    """The text of a cell from `notebooks/`, with links that work from any folder.

    A link to a file named in `beside` stays. A link to any other page of the repository leads to the website at
    `address`; without an address it becomes plain words that say where the page is.
    """

    def carried(link: re.Match) -> str:
        words, stem, suffix, fragment = link.groups()
        if f"{stem}.{suffix}" in beside:
            return link[0]
        page = posixpath.normpath(posixpath.join("notebooks", stem))
        if address:
            return f"[{words}]({address}{page}.html{fragment or ''})"
        place = f"`{page}.{suffix}` of the course's repository"
        return place if words == f"{page}.{suffix}" else f"{words} ({place})"

    return _LINK.sub(carried, markdown)


def launch_links(name: str) -> list[tuple[str, str]]:
    """(service, address) for opening `notebooks/NAME.ipynb`, in the order of LABHELPERS_LAUNCH; empty without it.

    Raises UsageError for a service that is not known, and for a LABHELPERS_REPOSITORY that is missing or not of the
    form `owner/name` or `owner/name@branch` (without `@branch`: `main`).
    """
    wanted = os.environ.get("LABHELPERS_LAUNCH", "").split()
    if unknown := [service for service in wanted if service not in _SERVICES]:
        raise UsageError(f"LABHELPERS_LAUNCH has {unknown[0]!r}: it can hold {' and '.join(_SERVICES)}")
    if not wanted:
        return []
    repository, _, branch = os.environ.get("LABHELPERS_REPOSITORY", "").partition("@")
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
        raise UsageError(
            f"LABHELPERS_REPOSITORY is {repository!r}: with LABHELPERS_LAUNCH it must name the repository on GitHub, "
            "as owner/name or owner/name@branch"
        )
    branch = quote(branch or "main", safe="")
    forms = [_SERVICES[service] for service in wanted]
    return [(label, form.format(repository=repository, branch=branch, name=name)) for label, form in forms]
