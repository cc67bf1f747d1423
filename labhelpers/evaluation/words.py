"""Words of any script, for measures that compare them or look for them.

For Python's `re`, combining marks are not part of a word: it cuts the Hindi "की" (a letter and a vowel sign) after its
first letter. The package `regex` uses Unicode's own definition of a word. And "é" may be stored as one character or as
"e" and an accent: texts are brought into the first form (Unicode's NFC) before they are compared.

Scripts without spaces between words (Chinese, Japanese, Thai) are not cut into words: up to the next space or
punctuation mark, they count as one word.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

import regex

_OF_WORDS = r"\w\p{N}"  # letters, marks, joiners, "_", and every kind of number ("½" too)
_WORD = regex.compile(rf"(?:(?!_)[{_OF_WORDS}])+")


def composed(text: str) -> str:
    """`text` with every letter and its accents as one character, where there is one (NFC)."""
    return unicodedata.normalize("NFC", text)


def words(text: str) -> list[str]:
    """The runs of letters, their marks, and digits in `text`, lower-cased."""
    return _WORD.findall(composed(text.lower()))


def whole_words(patterns: Iterable[str], flags: int = 0) -> regex.Pattern:
    """A pattern that finds any of `patterns` between word boundaries. Without `patterns` it finds nothing.

    If several fit at one place, the first of them in `patterns` is found.
    """
    either = "|".join(patterns) or r"(?!)"
    return regex.compile(rf"(?<![{_OF_WORDS}])(?:{either})(?![{_OF_WORDS}])", flags)
