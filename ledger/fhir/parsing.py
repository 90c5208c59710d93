"""FHIR JSON from outside, parsed strictly.

Two readers of one text must not see two resources, so names occur once; what FHIR's number types
cannot hold is refused rather than rounded; and the text is bounded in size and depth before a tree
is made of it.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final, NoReturn

#: Objects and arrays inside each other. The deepest of R4's vendored examples has 21.
MAX_DEPTH: Final = 40
MAX_DIGITS: Final = 24
#: Values in a text, roughly. The longest of R4's consents has 270.
MAX_VALUES: Final = 10_000
_MAX_EXPONENT: Final = 40

_STRUCTURE: Final = re.compile(rb'"(?:[^"\\]|\\.)*"?|[\[\]{},]', re.DOTALL)


class Unreadable(ValueError):
    """A text that is no acceptable FHIR JSON; says why, without quoting it."""


def parse_object(raw: bytes) -> dict[str, Any]:
    """The one JSON object of a text; raises as `parse` does, and for anything else."""
    value = parse(raw)
    if not isinstance(value, dict):
        raise Unreadable("a resource is a JSON object")
    return value


def parse(raw: bytes) -> Any:
    """The JSON value of a text.

    Raises:
        Unreadable: not JSON, invalid UTF-8, a name that occurs twice, nesting beyond `MAX_DEPTH`,
            more than `MAX_VALUES` values, numbers beyond `MAX_DIGITS` digits, NaN, half a
            surrogate pair.
    """
    _check_shape(raw)
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise Unreadable("the text is not UTF-8") from None
    try:
        value = json.loads(
            text.removeprefix("\ufeff"),
            object_pairs_hook=_unique,
            parse_int=_integer,
            parse_float=_decimal,
            parse_constant=_constant,
        )
    except json.JSONDecodeError as error:
        raise Unreadable(f"not JSON at line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise Unreadable("nested too deep") from None
    if "\\u" in text:
        _check_surrogates(value)
    return value


def _check_shape(raw: bytes) -> None:
    depth = values = 0
    for found in _STRUCTURE.finditer(raw):
        first = found.group()[:1]
        if first == b",":
            values += 1
        elif first in (b"[", b"{"):
            depth += 1
            values += 1
            if depth > MAX_DEPTH:
                raise Unreadable(f"nested deeper than {MAX_DEPTH}")
        elif first != b'"':
            depth -= 1
        if values > MAX_VALUES:
            raise Unreadable(f"more than {MAX_VALUES} values")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise Unreadable("a name occurs twice in one object")
    return found


def _integer(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise Unreadable(f"a number of more than {MAX_DIGITS} digits")
    return int(text)


def _decimal(text: str) -> float:
    mantissa, _, exponent = text.lower().partition("e")
    if len(mantissa) > MAX_DIGITS + 2 or len(exponent) > 4:
        raise Unreadable(f"a number of more than {MAX_DIGITS} digits")
    if exponent and abs(int(exponent)) > _MAX_EXPONENT:
        raise Unreadable("a number out of all proportion")
    return float(text)


def _constant(name: str) -> NoReturn:
    raise Unreadable("NaN and Infinity are not JSON")


def _check_surrogates(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise Unreadable("half a surrogate pair is not a character") from None
