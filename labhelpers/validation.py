"""Checks of settings by pydantic, with error messages in the course's style.

@checked(TrainingError)
@dataclass(frozen=True, kw_only=True, config=STRICT)
class Settings:
    batch_size: Count = 16

Settings(batch_size=0)  # TrainingError: Settings: batch_size is 0, it must be at least 1.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Annotated, Any, TypeVar

from pydantic import ConfigDict, Field, ValidationError

from labhelpers.errors import LabError, close_matches

# No conversions ("8" is not 8, 1 is not True), no unknown names, no infinity, and defaults are checked as well.
STRICT = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False, validate_default=True)

Count = Annotated[int, Field(ge=1)]
CountOrZero = Annotated[int, Field(ge=0)]
Text = Annotated[str, Field(min_length=1, pattern=r"\S")]
Rate = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Seed = Annotated[int, Field(ge=-(2**63), lt=2**63)]  # fits into torch's int64

# pydantic's type of error -> what is wanted. The bound comes from the error's context.
_WANTED = {
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "True or False",
    "string_type": "text",
    "string_pattern_mismatch": "text",
    "string_too_short": "text",
    "tuple_type": "a list of names",
    "too_short": "a list with at least one entry",
    "finite_number": "a finite number",
    "literal_error": "{expected}",
    "greater_than_equal": "at least {ge:g}",
    "greater_than": "greater than {gt:g}",
    "less_than_equal": "at most {le:g}",
    "less_than": "less than {lt:g}",
}

_Settings = TypeVar("_Settings", bound=type)


def checked(error_type: type[LabError], what: str | None = None) -> Callable[[_Settings], _Settings]:
    """A decorator for a pydantic dataclass: invalid values raise `error_type`, with all problems in one message.

    The message begins with `what`, by default the name of the class and a colon.
    """

    def with_our_errors(settings: _Settings) -> _Settings:
        validated = settings.__init__

        @functools.wraps(validated)
        def __init__(self, **values: Any) -> None:
            try:
                validated(self, **values)
            except ValidationError as error:
                found = problems(error, settings.__dataclass_fields__)
                raise error_type(f"{what or settings.__name__ + ':'} {'; '.join(found)}.") from None

        settings.__init__ = __init__
        return settings

    return with_our_errors


def problems(error: ValidationError, known: Iterable[str]) -> list[str]:
    """One text per problem, with the field, its value and what is wanted. `known` are the names of all fields."""
    texts = []
    for found in error.errors(include_url=False):
        field = ".".join(map(str, found["loc"]))
        if found["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
            texts.append(f"unknown setting {field!r}: {close_matches(field, known)}")
        elif found["type"] == "value_error":  # raised by our own validator, for one field or for several
            about = f"{field} is {found['input']!r}, " if field else ""
            texts.append(f"{about}{found['ctx']['error']}")
        elif found["type"] in _WANTED:
            wanted = _WANTED[found["type"]].format_map(found.get("ctx", {}))
            texts.append(f"{field} is {found['input']!r}, it must be {wanted}")
        else:
            texts.append(f"{field} is {found['input']!r}: {found['msg']}")
    return texts
