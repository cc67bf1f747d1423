"""A list of insulting words: a judge that needs no model."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path

import regex

from labhelpers.errors import DataError
from labhelpers.evaluation.words import composed, whole_words
from labhelpers.sources.locations import find_files, read_json


class Lexicon:
    """A list of insulting words: a judge that needs no model, and has no model's blind spots.

    Words of any script count at word boundaries, in any case (see `evaluation.words`). "Idiots" is not "idiot": list
    the forms that matter. An empty list finds nothing.
    """

    def __init__(self, words: Sequence[str]):
        self.words = tuple(words)
        if not all(isinstance(word, str) and word.strip() for word in self.words):
            raise DataError("a lexicon is a list of words; one entry is empty or not a text.")
        longest_first = sorted(map(composed, self.words), key=len, reverse=True)
        self._pattern = whole_words(map(regex.escape, longest_first), regex.IGNORECASE)

    @classmethod
    def load(cls, location: str | Path) -> Lexicon:
        """Reads a JSON list of words: a file, a Hub id or an fsspec address of one, or a folder that holds only one.

        Raises DataError when there is something else.
        """
        file, *others = find_files(location, suffixes=(".json",))
        if others:
            raise DataError(f"a lexicon is one file; this is {len(others) + 1}: name one.", file=str(location))
        words = read_json(file)
        if not isinstance(words, list):
            raise DataError(f"a JSON list of words is wanted, not {type(words).__name__}.", file=file)
        return cls(words)

    def count(self, text: str) -> int:
        """How many insulting words `text` holds."""
        return sum(1 for _ in self._pattern.finditer(composed(text)))

    def mark(self, text: str) -> str:
        """`text` as HTML, its insulting words in `<mark>`."""
        text = composed(text)
        parts, end = [], 0
        for found in self._pattern.finditer(text):
            parts += [html.escape(text[end : found.start()]), f"<mark>{html.escape(found.group())}</mark>"]
            end = found.end()
        return "".join(parts) + html.escape(text[end:])
