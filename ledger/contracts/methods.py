"""The methods of values, found by name and by the exact type of the value they are called on.

Text is treated by its ASCII letters and spaces only: what counts as a letter or a space beyond
ASCII differs between versions of Unicode, so between versions of CPython.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from ledger.contracts.decimals import DecimalValue
from ledger.contracts.meter import CONTENT_UNIT, COPY_UNIT, Failure, Meter
from ledger.contracts.operators import missing, out_of_range, search
from ledger.contracts.quantities import divided, rounded
from ledger.contracts.values import (
    bounded_items,
    bounded_text,
    checked_key,
    equal,
    kind_name,
    type_error,
)

Method = Callable[..., Any]

_SPACE: Final = " \t\n\r\x0b\x0c"
_SPACES: Final = re.compile(f"[{_SPACE}]+")
_LOWER: Final = {letter: letter + 32 for letter in range(ord("A"), ord("Z") + 1)}
_UPPER: Final = {letter: letter - 32 for letter in range(ord("a"), ord("z") + 1)}


def _same_kind(method: str, value: Any, *others: Any) -> None:
    for other in others:
        if type(other) is not type(value):
            raise type_error(f"{kind_name(value)}.{method} of {kind_name(other)}")


def _read(meter: Meter, value: Any) -> None:
    meter.charge(len(value) // CONTENT_UNIT)


def _make(meter: Meter, size: int) -> None:
    bounded_text(size)
    meter.charge(size // COPY_UNIT)


def _starts_with(meter: Meter, value: Any, prefix: Any) -> bool:
    _same_kind("startswith", value, prefix)
    _read(meter, prefix)
    return bool(value.startswith(prefix))


def _ends_with(meter: Meter, value: Any, suffix: Any) -> bool:
    _same_kind("endswith", value, suffix)
    _read(meter, suffix)
    return bool(value.endswith(suffix))


def _find(meter: Meter, value: Any, wanted: Any) -> int:
    _same_kind("find", value, wanted)
    search(meter, len(value), len(wanted))
    return int(value.find(wanted))


def _split(meter: Meter, value: str, separator: Any = None) -> list[str]:
    if separator is None:
        _make(meter, len(value))
        stripped = value.strip(_SPACE)
        meter.charge(len(stripped))
        parts = _SPACES.split(stripped) if stripped else []
        bounded_items(len(parts))
        meter.charge(len(parts))
        return parts
    _same_kind("split", value, separator)
    if not separator:
        raise Failure("value_error", "an empty separator")
    search(meter, len(value), len(separator))
    count = value.count(separator) + 1
    bounded_items(count)
    _make(meter, len(value))
    meter.charge(2 * count)
    return value.split(separator)


def _join(meter: Meter, value: str, parts: Any) -> str:
    if type(parts) is not list and type(parts) is not tuple:
        raise type_error(f"str.join of {kind_name(parts)}")
    meter.charge(len(parts))
    _same_kind("join", value, *parts)
    _make(meter, sum(map(len, parts)) + len(value) * max(len(parts) - 1, 0))
    return value.join(parts)


def _strip(meter: Meter, value: str, characters: Any = _SPACE) -> str:
    _same_kind("strip", value, characters)
    meter.charge(len(value) // COPY_UNIT * (1 + len(characters) // CONTENT_UNIT))
    return value.strip(characters)


def _replace(meter: Meter, value: str, old: Any, new: Any) -> str:
    _same_kind("replace", value, old, new)
    if not old:
        raise Failure("value_error", "replacing an empty text")
    search(meter, len(value), len(old))
    _make(meter, len(value) + value.count(old) * (len(new) - len(old)))
    return value.replace(old, new)


def _lower(meter: Meter, value: str) -> str:
    meter.charge(len(value) // COPY_UNIT if value.isascii() else len(value))
    return value.lower() if value.isascii() else value.translate(_LOWER)


def _upper(meter: Meter, value: str) -> str:
    meter.charge(len(value) // COPY_UNIT if value.isascii() else len(value))
    return value.upper() if value.isascii() else value.translate(_UPPER)


def _encode(meter: Meter, value: str) -> bytes:
    meter.charge(len(value) // COPY_UNIT)
    raw = value.encode()
    bounded_text(len(raw))
    return raw


def _hex(meter: Meter, value: bytes) -> str:
    _make(meter, 2 * len(value))
    return value.hex()


def _append(meter: Meter, value: list[Any], item: Any) -> None:
    bounded_items(len(value) + 1)
    value.append(item)


def _extend(meter: Meter, value: list[Any], items: Any) -> None:
    if type(items) is not list and type(items) is not tuple:
        raise type_error(f"list.extend of {kind_name(items)}")
    bounded_items(len(value) + len(items))
    meter.charge(len(items))
    value.extend(items)


def _insert(meter: Meter, value: list[Any], place: Any, item: Any) -> None:
    if type(place) is not int:
        raise type_error(f"list.insert at {kind_name(place)}")
    bounded_items(len(value) + 1)
    _read(meter, value)
    value.insert(place, item)


def _index(meter: Meter, value: list[Any], wanted: Any) -> int:
    meter.charge(4 * len(value))
    for place, item in enumerate(value):
        if equal(meter, item, wanted):
            return place
    raise Failure("value_error", "the list has no such element")


def _pop_list(meter: Meter, value: list[Any], place: Any = -1) -> Any:
    if type(place) is not int:
        raise type_error(f"list.pop at {kind_name(place)}")
    if not -len(value) <= place < len(value):
        raise out_of_range()
    _read(meter, value)
    return value.pop(place)


def _pop_dict(meter: Meter, value: dict[str, Any], key: Any, *default: Any) -> Any:
    if checked_key(key) not in value and not default:
        raise missing(key)
    return value.pop(key, *default)


def _get(meter: Meter, value: dict[str, Any], key: Any, default: Any = None) -> Any:
    if type(key) is not str:
        raise type_error(f"dict keys are str, not {kind_name(key)}")
    return value.get(key, default)


def _keys(meter: Meter, value: dict[str, Any]) -> list[str]:
    meter.charge(len(value))
    return list(value)


def _values(meter: Meter, value: dict[str, Any]) -> list[Any]:
    meter.charge(len(value))
    return list(value.values())


def _entries(meter: Meter, value: dict[str, Any]) -> list[tuple[str, Any]]:
    meter.charge(2 * len(value))
    return list(value.items())


#: By name, by type: the function, and how many arguments the type's own version takes.
METHODS: Final[dict[str, dict[type, tuple[Method, int, int]]]] = {
    "startswith": {str: (_starts_with, 1, 1), bytes: (_starts_with, 1, 1)},
    "endswith": {str: (_ends_with, 1, 1), bytes: (_ends_with, 1, 1)},
    "find": {str: (_find, 1, 1), bytes: (_find, 1, 1)},
    "split": {str: (_split, 0, 1)},
    "join": {str: (_join, 1, 1)},
    "strip": {str: (_strip, 0, 1)},
    "replace": {str: (_replace, 2, 2)},
    "lower": {str: (_lower, 0, 0)},
    "upper": {str: (_upper, 0, 0)},
    "encode": {str: (_encode, 0, 0)},
    "hex": {bytes: (_hex, 0, 0)},
    "append": {list: (_append, 1, 1)},
    "extend": {list: (_extend, 1, 1)},
    "insert": {list: (_insert, 2, 2)},
    "index": {list: (_index, 1, 1)},
    "pop": {list: (_pop_list, 0, 1), dict: (_pop_dict, 1, 2)},
    "get": {dict: (_get, 1, 2)},
    "keys": {dict: (_keys, 0, 0)},
    "values": {dict: (_values, 0, 0)},
    "items": {dict: (_entries, 0, 0)},
    "rounded": {DecimalValue: (rounded, 2, 2)},
    "divided": {DecimalValue: (divided, 3, 3)},
}


def method_for(name: str, count: int) -> dict[type, Method]:
    """The functions behind a method called with ``count`` arguments, by the type of its value."""
    return {
        kind: function
        for kind, (function, fewest, most) in METHODS[name].items()
        if fewest <= count <= most
    }
