"""The one encoding of everything that is signed, hashed or stored: canonical msgpack.

Canonical means: shortest form of every integer and length, map keys sorted, records written as
arrays in field order, no floats, no extension types, no trailing bytes. msgpack readers accept
much more than that (duplicate keys, padded integers), so the decoder here encodes what it read
once more and refuses whatever differs. That single comparison is what makes two nodes agree about
which bytes are valid.
"""

from __future__ import annotations

from typing import Any, Final, TypeVar, cast

import msgspec

T = TypeVar("T")

#: Values that contracts, arguments and the state can hold.
Value = None | bool | int | str | bytes | list["Value"] | dict[str, "Value"]

MIN_INT: Final = -(2**63)
MAX_INT: Final = 2**63 - 1
MAX_DEPTH: Final = 16

_encoder = msgspec.msgpack.Encoder(order="deterministic")
_decoders: dict[Any, msgspec.msgpack.Decoder[Any]] = {}


class Malformed(ValueError):
    """Bytes that are not the canonical encoding of what was expected."""


class Record(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Base of every immutable record on the wire: an array of its fields in order."""


def encode(value: Any) -> bytes:
    """The canonical bytes of a record or of a `Value` that `check_value` accepts."""
    return _encoder.encode(value)


def decode(data: bytes, kind: type[T], *, limit: int) -> T:
    """Read the canonical encoding of ``kind`` from ``data``.

    Args:
        data: the bytes as received.
        kind: a `Record` type, or a builtin annotation that msgspec can decode.
        limit: the largest length in bytes that is looked at.

    Raises:
        Malformed: too long, not msgpack, not of that kind, or not in canonical form.
    """
    if len(data) > limit:
        raise Malformed(f"{len(data)} bytes where at most {limit} are allowed")
    decoder = _decoders.get(kind)
    if decoder is None:
        decoder = _decoders[kind] = msgspec.msgpack.Decoder(kind)
    try:
        value: T = decoder.decode(data)
        if _encoder.encode(value) != data:
            raise Malformed("not in canonical form")
    except (msgspec.DecodeError, RecursionError, OverflowError, UnicodeError, TypeError) as error:
        # TypeError: a map whose keys are not text decodes as `object`, and has no canonical form.
        name = getattr(kind, "__name__", "known kind of record")
        raise Malformed(f"not a {name}: {error}") from None
    return value


def check_value(value: Any, *, depth: int = MAX_DEPTH) -> None:
    """Refuse anything that is not a `Value`: floats, wide integers, deep nesting, other types.

    Raises:
        Malformed: naming what was found.
    """
    kind = type(value)
    if kind is str or kind is bytes or kind is bool or value is None:
        return
    if kind is int:
        if not MIN_INT <= value <= MAX_INT:
            raise Malformed("an integer outside 64 bits")
        return
    if depth <= 0:
        raise Malformed(f"nested deeper than {MAX_DEPTH}")
    if kind is list:
        for item in value:
            check_value(item, depth=depth - 1)
    elif kind is dict:
        for key, item in value.items():
            if type(key) is not str:
                raise Malformed("a map key that is not text")
            check_value(item, depth=depth - 1)
    else:
        raise Malformed(f"a value of type {kind.__name__}")


def decode_value(data: bytes, *, limit: int) -> Value:
    """Read one canonical `Value`; raises `Malformed` as `decode` and `check_value` do."""
    value = decode(data, object, limit=limit)
    check_value(value)
    return cast(Value, value)
