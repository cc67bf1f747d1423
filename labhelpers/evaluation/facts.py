"""Does a summary tell the truth, and does it tell anything? Two measures on the facts behind a dialogue.

*Honesty* is the share of the facts a summary states that the dialogue holds, *coverage* the share of the dialogue's
facts that it states. They belong together: an empty summary is perfectly honest and useless. Both find facts by their
wording, which is enough for dialogues of a known grammar; free text would need a model that judges entailment.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import regex

from labhelpers.errors import DataError
from labhelpers.evaluation.words import composed, whole_words
from labhelpers.sources.locations import read_json

_SENTENCE_START = regex.compile(r"(?:^|[.!?:]['\")]*\s)['\"(\s]*$")


class FactVocabulary:
    """Everything that any dialogue may hold as a fact: `{"where": ["the library", …], "when": […], …}`.

    A wording may belong to several kinds of fact. Longer wordings win ("Monday evening" is not "Monday"), at word
    boundaries and in their own case, except that a first letter may be a capital where a sentence starts. Wordings may
    be of any script (see `evaluation.words`); `keys_of` holds them in Unicode's composed form (NFC).
    """

    def __init__(self, values_by_key: Mapping[str, Iterable[str]]):
        self.keys_of: dict[str, set[str]] = {}
        for key, values in values_by_key.items():
            for value in values:
                if not isinstance(value, str) or not value.strip():
                    raise DataError(f"the vocabulary's key {key!r} holds {value!r}, which is no text.")
                self.keys_of.setdefault(composed(value), set()).add(key)
        self._by_capital = {_capital(value): value for value in self.keys_of}
        longest_first = sorted(self.keys_of, key=len, reverse=True)
        self._pattern = whole_words(_first_letter_free(value) for value in longest_first)

    @classmethod
    def from_facts(cls, facts: Iterable[Mapping[str, str | None] | None]) -> FactVocabulary:
        """The vocabulary of all facts that occur in `facts`, one mapping (or None) per dialogue."""
        values: dict[str, set[str]] = {}
        for row in facts:
            for key, value in (row or {}).items():
                if value is not None:
                    values.setdefault(key, set()).add(value)
        return cls({key: sorted(found) for key, found in values.items()})

    @classmethod
    def load(cls, dialogues, facts: Iterable[Mapping[str, str | None] | None] = ()) -> FactVocabulary:
        """`vocabulary.json` in the folder `dialogues` (or that very file) where there is one, else `from_facts(facts)`.

        Prefer the file: a vocabulary made of the test dialogues alone misses what a model invents from training.
        """
        path = Path(str(dialogues))
        path = path / "vocabulary.json" if path.is_dir() else path
        if path.name != "vocabulary.json" or not path.exists():
            return cls.from_facts(facts)
        values = read_json(path)
        if not isinstance(values, dict) or not all(isinstance(v, list) for v in values.values()):
            raise DataError("a mapping from a kind of fact to a list of texts is wanted.", file=path)
        return cls(values)

    def wordings(self, text: str) -> set[str]:
        """The distinct wordings of facts that `text` states."""
        found, text = set(), composed(text)
        for match in self._pattern.finditer(text):
            wording = match.group()
            if wording in self.keys_of:
                found.add(wording)
            elif _SENTENCE_START.search(text, 0, match.start()):
                found.add(self._by_capital[_capital(wording)])
        return found

    def stated(self, text: str) -> set[tuple[str, str]]:
        """The facts that `text` states, as (key, value); a wording of several kinds gives one entry for each."""
        return {(key, wording) for wording in self.wordings(text) for key in self.keys_of[wording]}


def honesty(
    summaries: Sequence[str], facts: Sequence[Mapping[str, str | None] | None], vocabulary: FactVocabulary
) -> np.ndarray:
    """Per summary `[n]`: the share of the facts it states that its dialogue holds; 1 if it states none.

    NaN where the dialogue's facts are None. Raises DataError for unequal lengths or a fact outside the vocabulary.
    """
    share = lambda stated, held: len(stated & held) / len(stated) if stated else 1.0  # noqa: E731
    return _per_row(summaries, facts, vocabulary, share)


def coverage(
    summaries: Sequence[str], facts: Sequence[Mapping[str, str | None] | None], vocabulary: FactVocabulary
) -> np.ndarray:
    """Per summary `[n]`: the share of its dialogue's facts that it states; NaN where the dialogue has none.

    Raises DataError for unequal lengths or a fact outside the vocabulary.
    """
    share = lambda stated, held: len(stated & held) / len(held) if held else np.nan  # noqa: E731
    return _per_row(summaries, facts, vocabulary, share)


def _per_row(summaries, facts, vocabulary: FactVocabulary, measure) -> np.ndarray:
    if len(summaries) != len(facts):
        raise DataError(f"{len(summaries)} summaries, but {len(facts)} rows of facts; one row per summary is needed.")
    scores = np.full(len(summaries), np.nan)
    for index, (summary, row) in enumerate(zip(summaries, facts, strict=True)):
        if row is None:
            continue
        held = {composed(value) for value in row.values() if value is not None}
        unknown = sorted(held - vocabulary.keys_of.keys())
        if unknown:  # it can never be found in a summary, so coverage would be too low
            raise DataError(
                f"row {index}: the fact {unknown[0]!r} is not in the vocabulary; rebuild it from this data."
            )
        scores[index] = measure(vocabulary.wordings(summary), held)
    return scores


def _capital(value: str) -> str:
    return value[:1].upper() + value[1:]


def _first_letter_free(value: str) -> str:
    return f"(?:{regex.escape(value[0])}|{regex.escape(value[0].upper())}){regex.escape(value[1:])}"
