"""A list of insulting words: a judge that needs no model."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from pathlib import Path

import regex

from labhelpers.errors import DataError
from labhelpers.evaluation.words import composed, whole_words
from labhelpers.sources.locations import find_files, read_json

SEEN = "reward"  # the class of the words that the reward's classifier was trained on


class Lexicon:
    """A list of insulting words: a judge that needs no model, and has no model's blind spots.

    The words may come in classes, `{"reward": [...], ...}`: those that the reward's classifier was trained on, and
    others that it has never seen. `unseen` is then the lexicon of these others, and None for a plain list.

    Words of any script count at word boundaries, in any case (see `evaluation.words`). "Idiots" is not "idiot": list
    the forms that matter. An empty list finds nothing. Raises DataError for an entry that is no word, a word in two
    classes, and classes without one named "reward".
    """

    def __init__(self, words: Sequence[str] | Mapping[str, Sequence[str]]):
        in_classes = isinstance(words, Mapping)
        classes = dict(words) if in_classes else {SEEN: words}
        if SEEN not in classes:
            raise DataError(
                f"a lexicon in classes needs one named {SEEN!r}, the words that the reward's classifier knows; "
                f"it has {', '.join(map(repr, classes)) or 'none'}."
            )
        for name, group in classes.items():
            if isinstance(group, str) or not isinstance(group, Sequence):
                raise DataError(f"the class {name!r} of a lexicon is not a list of words.")
        self.words = tuple(word for group in classes.values() for word in group)
        if not all(isinstance(word, str) and word.strip() for word in self.words):
            raise DataError("a lexicon is a list of words; one entry is empty or not a text.")
        others = [word for name, group in classes.items() if name != SEEN for word in group]
        twice = set(classes[SEEN]) & set(others)
        if twice:
            raise DataError(f"{min(twice)!r} is in the class {SEEN!r} of a lexicon and in another one.")
        self.unseen = Lexicon(others) if in_classes else None
        longest_first = sorted(map(composed, self.words), key=len, reverse=True)
        self._pattern = whole_words(map(regex.escape, longest_first), regex.IGNORECASE)

    @classmethod
    def load(cls, location: str | Path) -> Lexicon:
        """Reads a JSON list of words, or classes of words: a file, a Hub id or an fsspec address of one, or a folder
        that holds only one.

        Raises DataError when there is something else.
        """
        file, *others = find_files(location, suffixes=(".json",))
        if others:
            raise DataError(f"a lexicon is one file; this is {len(others) + 1}: name one.", file=str(location))
        words = read_json(file)
        if not isinstance(words, list | dict):
            raise DataError(f"a JSON list of words or of classes is wanted, not {type(words).__name__}.", file=file)
        try:
            return cls(words)
        except DataError as error:
            raise DataError(str(error), file=file) from error

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
