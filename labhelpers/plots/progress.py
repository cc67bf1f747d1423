"""A progress bar for long work in a notebook. It leaves nothing behind in the notebook that was executed."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")
_EVERY = 0.2  # seconds between two drawings


def progress(items: Iterable[Item], total: int, desc: str, initial: int = 0) -> Iterator[Item]:
    """`items`, one by one, with a bar below the cell that is gone when the last one is done.

    `total` is how many there are in all, and `initial` how many were done before (a training that is resumed).
    Nothing is shown where nobody watches: `labs run` and nbval set `TQDM_DISABLE`.

    tqdm's own bar for notebooks is a widget: it stays, and a notebook that is opened again shows "0%" in its place.
    """
    if os.environ.get("TQDM_DISABLE"):
        yield from items
        return
    from IPython.display import display
    from tqdm import tqdm

    began = drawn = time.monotonic()

    def bar(done):
        elapsed = time.monotonic() - began
        return {"text/plain": tqdm.format_meter(done, total, elapsed, ncols=80, prefix=desc, initial=initial)}

    shown = display(bar(initial), raw=True, display_id=True)
    try:
        for done, item in enumerate(items, start=initial):
            if time.monotonic() - drawn > _EVERY:
                drawn = time.monotonic()
                shown.update(bar(done), raw=True)
            yield item
    finally:
        shown.update({}, raw=True)
