"""What a contract computes with: bounded values, and how they are compared, measured and copied.

Values are None, bool, int of 64 bits, str, bytes, list, dict with str keys, tuple (which can't be
stored), records and decimals. What leaves a contract is plain: there a record is the dict of its
fields and a decimal its text. Every container is an exact type; nothing else ever enters a
contract. Lists may hold themselves, so everything here that walks a value has a limit of depth, and
everything that could take long is paid for in gas first.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from ledger.chain.codec import MAX_DEPTH, MAX_INT, MIN_INT, Malformed
from ledger.chain.limits import KIB
from ledger.contracts.decimals import MAX_PLACES, DecimalValue, written
from ledger.contracts.meter import CONTENT_UNIT, Failure, Meter, OutOfGas

#: Characters of a str, bytes of a bytes.
MAX_TEXT: Final = 256 * KIB
#: Elements of one list, tuple or dict.
MAX_ITEMS: Final = 20_000
#: Characters of a dict key. Looking up a key then costs the same whatever is looked up.
MAX_KEY: Final = 1 * KIB

#: So many values can be encoded unseen: each is a text of `MAX_TEXT` at most.
_FEW_VALUES: Final = 64
#: Of a value in a container, apart from its characters: at most 9 bytes.
_VALUE_WEIGHT: Final = 9
SCALARS: Final = frozenset({type(None), bool, int, str, bytes})

_NUMBERS: Final = frozenset({int, bool, DecimalValue})
_NAMES: Final[dict[type, str]] = {type(None): "None", DecimalValue: "decimal"}


class RecordValue:
    """A record: the type of its class (`records.RecordType`), and its fields in their order.

    Nothing changes the fields. Equality is that of `equal`, which is paid for.
    """

    __slots__ = ("fields", "kind")

    def __init__(self, kind: Any, fields: dict[str, Any]) -> None:
        self.kind = kind
        self.fields = fields


def _plain(value: Any) -> Any:
    """What stands for a value outside a contract."""
    if type(value) is DecimalValue:
        return written(value)
    if type(value) is RecordValue:
        return value.fields
    raise AssertionError("a value that was not weighed")


_encode = msgspec.msgpack.Encoder(order="deterministic", enc_hook=_plain).encode
_decode = msgspec.msgpack.Decoder().decode


def kind_name(value: object) -> str:
    """The name of a value's type as error messages show it."""
    kind = type(value)
    if isinstance(value, RecordValue):
        return str(value.kind.name)
    return _NAMES.get(kind, kind.__name__)


def type_error(message: str) -> Failure:
    return Failure("type_error", message)


def too_large(what: str, limit: int) -> Failure:
    return Failure("too_large", f"{what} where at most {limit} are allowed")


def bounded_text(size: int) -> None:
    """Refuse a str or bytes before it is made."""
    if size > MAX_TEXT:
        raise too_large(f"{size} characters", MAX_TEXT)


def bounded_items(size: int) -> None:
    """Refuse a list, tuple or dict before it grows."""
    if size > MAX_ITEMS:
        raise too_large(f"{size} elements", MAX_ITEMS)


def checked_key(key: object) -> str:
    """A dict key that may be stored: a str of bounded length."""
    if type(key) is not str:
        raise type_error(f"dict keys are str, not {kind_name(key)}")
    if len(key) > MAX_KEY:
        raise too_large(f"a dict key of {len(key)} characters", MAX_KEY)
    return key


def equal(meter: Meter, left: Any, right: Any, depth: int = MAX_DEPTH) -> bool:
    """``left == right`` as CPython decides it, paid for by what is looked at.

    Raises:
        Failure: ``too_deep`` where the nesting ends in no difference within `MAX_DEPTH` levels.
    """
    if left is right:
        return True
    kind = type(left)
    other = type(right)
    if kind is not other:
        return kind in _NUMBERS and other in _NUMBERS and bool(left == right)
    if kind is str or kind is bytes:
        size = len(left)
        if size != len(right):
            return False
        if size > CONTENT_UNIT:
            meter.charge(size // CONTENT_UNIT)
        return bool(left == right)
    if kind is RecordValue:
        if left.kind is not right.kind:
            return False
        left, right, kind = left.fields, right.fields, dict
    elif kind is not list and kind is not dict and kind is not tuple:
        return bool(left == right)
    if len(left) != len(right):
        return False
    if depth <= 0:
        raise Failure("too_deep", f"comparing values nested deeper than {MAX_DEPTH}")
    meter.charge(4 + 2 * len(left))
    if kind is dict:
        for key, item in left.items():
            if key not in right or not equal(meter, item, right[key], depth - 1):
                return False
        return True
    return all(equal(meter, left[place], right[place], depth - 1) for place in range(len(left)))


def contains(meter: Meter, items: list[Any] | tuple[Any, ...], wanted: Any) -> bool:
    """``wanted in items`` for a list or tuple, paid for by its length."""
    kind = type(wanted)
    if kind is list or kind is dict or kind is tuple or kind is RecordValue:
        meter.charge(4 * len(items))
        return any(equal(meter, item, wanted) for item in items)
    size = len(items)
    if kind is str or kind is bytes:
        meter.charge(size * (1 + len(wanted) // CONTENT_UNIT))
    else:
        meter.charge(size)
    return wanted in items


def _few(items: Any, left: int, depth: int) -> int:
    """What remains of ``left`` after the values in a container; negative: many, or no values."""
    left -= len(items)
    if left < 0:
        return left
    for item in items:
        kind = type(item)
        if kind is str or kind is bytes or kind is int or kind in SCALARS:
            continue
        if kind is DecimalValue:
            continue
        if depth <= 0 or (kind is not dict and kind is not list and kind is not RecordValue):
            return -1
        inside = item.fields if kind is RecordValue else item
        left = _few(inside if kind is list else inside.values(), left, depth - 1)
        if left < 0:
            return left
    return left


def _weigh(value: Any, left: int, depth: int) -> int:
    """What remains of ``left`` after `_VALUE_WEIGHT` for each value and 1 for each character."""
    left -= _VALUE_WEIGHT
    kind = type(value)
    if kind is str or kind is bytes:
        return left - len(value)
    if kind in SCALARS:
        return left
    if kind is DecimalValue:
        return left - MAX_PLACES
    if kind is RecordValue:
        value, kind = value.fields, dict
    if kind is not list and kind is not dict:
        raise type_error(f"a {kind_name(value)} cannot be stored or passed on")
    if depth <= 0:
        raise Failure("too_deep", f"a value nested deeper than {MAX_DEPTH}")
    items = value
    if kind is dict:
        left -= _VALUE_WEIGHT * len(value) + sum(map(len, value))
        items = value.values()
    for item in items:
        if left < 0:
            break
        # Most elements are texts or numbers: measured here, they need no call.
        kind = type(item)
        if kind is str or kind is bytes:
            left -= _VALUE_WEIGHT + len(item)
        elif kind in SCALARS or ((kind is list or kind is dict) and not item and depth > 1):
            left -= _VALUE_WEIGHT
        else:
            left = _weigh(item, left, depth - 1)
    return left


def pack(meter: Meter, value: Any, limit: int) -> bytes:
    """The canonical encoding of a value, one gas for each byte.

    A small value can stand for a huge encoding, because lists can be shared. So it is encoded only
    when it has so few values that the encoding is bounded by that, or when its weight, which is
    never more than `_VALUE_WEIGHT` times the encoding, does not exceed what the gas allows.

    Raises:
        Failure: ``too_large`` beyond ``limit`` bytes, ``too_deep``, ``type_error`` for a tuple.
    """
    room = limit if limit < meter.gas else meter.gas
    kind = type(value)
    few = value.values() if kind is dict else value if kind is list else (value,)
    if (
        _few(few, _FEW_VALUES, MAX_DEPTH - 1) >= 0
        or _weigh(value, _VALUE_WEIGHT * room, MAX_DEPTH) >= 0
    ):
        raw = _encode(value)
        if len(raw) <= room:
            meter.gas -= len(raw)
            return raw
    if room < limit:
        raise OutOfGas
    meter.charge(limit)
    raise too_large("an encoded value", limit)


def unpack(raw: bytes) -> Any:
    """A fresh value from bytes that `pack` or the chain's decoder has seen before.

    Raises:
        Malformed: the state holds something that no contract wrote.
    """
    try:
        return _decode(raw)
    except msgspec.DecodeError as error:
        raise Malformed(f"a state entry is not a value: {error}") from None


def _is_text(value: str) -> bool:
    """Whether a str can be written as UTF-8, which one from JSON need not."""
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def admit(value: Any, depth: int = MAX_DEPTH) -> None:
    """Refuse a value from outside that no contract could have made.

    Raises:
        Failure: ``bad_arguments``, saying what was found.
    """
    kind = type(value)
    if kind is list or kind is dict:
        if depth <= 0:
            raise Failure("bad_arguments", f"nested deeper than {MAX_DEPTH}")
        if len(value) > MAX_ITEMS:
            raise Failure("bad_arguments", f"more than {MAX_ITEMS} elements")
        if kind is dict:
            for key in value:
                if (
                    type(key) is not str
                    or len(key) > MAX_KEY
                    or not (key.isascii() or _is_text(key))
                ):
                    raise Failure("bad_arguments", f"dict keys are str of at most {MAX_KEY}")
            value = value.values()
        for item in value:
            # Most values are short: seen here, they need no call.
            kind = type(item)
            if (
                (kind is str and len(item) <= MAX_KEY and item.isascii())
                or (kind is bytes and len(item) <= MAX_TEXT)
                or (kind is int and MIN_INT <= item <= MAX_INT)
            ):
                continue
            admit(item, depth - 1)
    elif kind is str or kind is bytes:
        if len(value) > MAX_TEXT:
            raise Failure("bad_arguments", f"more than {MAX_TEXT} characters")
        if kind is str and not _is_text(value):
            raise Failure("bad_arguments", "text with half of a surrogate pair")
    elif kind is int:
        if not MIN_INT <= value <= MAX_INT:
            raise Failure("bad_arguments", "an integer outside 64 bits")
    elif value is not None and kind is not bool:
        raise Failure("bad_arguments", f"a value of type {kind.__name__}")


def copy(value: Any) -> Any:
    """A literal of the source, with fresh lists and dicts."""
    kind = type(value)
    if kind is list:
        return [copy(item) for item in value]
    if kind is dict:
        return {key: copy(item) for key, item in value.items()}
    if kind is tuple:
        return tuple([copy(item) for item in value])
    return value


def size_of_literal(value: Any) -> int:
    """How many values a literal consists of, which is what copying it costs in gas."""
    kind = type(value)
    if kind is dict:
        value = list(value.values())
    elif kind is not list and kind is not tuple:
        return 1
    return 1 + sum(size_of_literal(item) for item in value)


def is_mutable(value: Any) -> bool:
    """Whether a literal contains a list or a dict."""
    kind = type(value)
    return kind is list or kind is dict or (kind is tuple and any(map(is_mutable, value)))
