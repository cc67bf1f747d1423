"""A list of insulting words, as a judge without a model."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Sequence
from pathlib import Path

from labhelpers.errors import DataError
from labhelpers.sources.locations import find_files, read_bytes


class Lexicon:
    """A list of insulting words: a judge without a model, and so without a model's blind spots.

    Words count at word boundaries, in any case. "Idiots" is not "idiot": list the forms that matter. An empty list
    finds nothing.
    """

    def __init__(self, words: Sequence[str]):
        self.words = tuple(words)
        if not all(isinstance(word, str) and word.strip() for word in self.words):
            raise DataError("a lexicon is a list of words; one entry is empty or not a text.")
        longest_first = sorted(self.words, key=len, reverse=True)
        either = "|".join(map(re.escape, longest_first)) or r"(?!)"
        self._pattern = re.compile(rf"(?<!\w)(?:{either})(?!\w)", re.IGNORECASE)

    @classmethod
    def load(cls, location: str | Path) -> Lexicon:
        """Reads a JSON list of words: a file, a Hub id or an fsspec address of one, or a folder that holds only one.

        Raises DataError when there is something else.
        """
        file, *others = find_files(location, suffixes=(".json",))
        if others:
            raise DataError(f"a lexicon is one file; this is {len(others) + 1}: name one.", file=str(location))
        try:
            words = json.loads(read_bytes(file).decode("utf-8"))
        except ValueError as error:
            raise DataError(f"cannot be read as a JSON list of words: {error}", file=file) from error
        if not isinstance(words, list):
            raise DataError(f"a JSON list of words is wanted, not {type(words).__name__}.", file=file)
        return cls(words)

    def count(self, text: str) -> int:
        """How many insulting words `text` holds."""
        return sum(1 for _ in self._pattern.finditer(text))

    def mark(self, text: str) -> str:
        """`text` as HTML, its insulting words in `<mark>`."""
        parts, end = [], 0
        for found in self._pattern.finditer(text):
            parts += [html.escape(text[end : found.start()]), f"<mark>{html.escape(found.group())}</mark>"]
            end = found.end()
        return "".join(parts) + html.escape(text[end:])
