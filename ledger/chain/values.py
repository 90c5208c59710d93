"""Chain values as JSON and back, without loss.

JSON has no bytes. A byte string is written as ``{"$bytes": "<base64>"}``; a map of exactly one key
that begins with ``$`` would be mistaken for such a tag and is written as ``{"$map": {...}}``.
Everything else looks like itself. Integers are plain JSON numbers of up to 64 bits: readers that
keep numbers as doubles (browsers do) lose digits beyond 2**53.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any, Final

from ledger.chain.codec import MAX_DEPTH, MAX_INT, MIN_INT, Malformed, Value

BYTES_TAG: Final = "$bytes"
MAP_TAG: Final = "$map"


def _looks_tagged(value: dict[str, Any]) -> bool:
    return len(value) == 1 and next(iter(value)).startswith("$")


def to_json(value: Any) -> Any:
    """A `Value` as what a JSON encoder takes. Tuples are written as lists."""
    kind = type(value)
    if kind is bytes:
        return {BYTES_TAG: encode_base64(value)}
    if kind is dict:
        plain = {name: to_json(item) for name, item in value.items()}
        return {MAP_TAG: plain} if _looks_tagged(value) else plain
    if kind is list or kind is tuple:
        return [to_json(item) for item in value]
    return value


def encode_base64(data: bytes) -> str:
    """Standard base64 with padding."""
    return base64.b64encode(data).decode("ascii")


def decode_base64(text: str) -> bytes:
    """The bytes of strict base64 (RFC 4648 §4: padded, no white space, no stray bits).

    Raises:
        Malformed: anything else.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Malformed("not base64") from None
    if encode_base64(data) != text:
        raise Malformed("base64 in another than its one canonical form")
    return data


def from_json(value: Any, *, depth: int = MAX_DEPTH) -> Value:
    """The `Value` that decoded JSON stands for.

    Raises:
        Malformed: floats, integers outside 64 bits, unknown tags, nesting deeper than `MAX_DEPTH`.
    """
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        if not MIN_INT <= value <= MAX_INT:
            raise Malformed("an integer outside 64 bits")
        return value
    if isinstance(value, dict) and _looks_tagged(value):
        ((tag, content),) = value.items()
        if tag == BYTES_TAG and isinstance(content, str):
            return decode_base64(content)
        if tag == MAP_TAG and isinstance(content, dict) and _looks_tagged(content):
            return {name: from_json(item, depth=depth - 1) for name, item in content.items()}
        raise Malformed(f"a map tagged {tag} that is neither bytes nor a wrapped map")
    if depth <= 0:
        raise Malformed(f"nested deeper than {MAX_DEPTH}")
    if isinstance(value, dict):
        return {name: from_json(item, depth=depth - 1) for name, item in value.items()}
    if isinstance(value, list):
        return [from_json(item, depth=depth - 1) for item in value]
    raise Malformed(f"a JSON value of type {type(value).__name__}; numbers are whole here")
