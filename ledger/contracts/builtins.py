"""The functions of Python that contracts may call, bounded and paid for.

``range``, ``enumerate``, ``zip`` and ``reversed`` return lists, so that there is no value whose
state nobody can see; a list of 20,000 elements is the most they make.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Final

from ledger.contracts import decimals
from ledger.contracts.decimals import DecimalValue
from ledger.contracts.meter import (
    CONTENT_UNIT,
    COPY_UNIT,
    DECIMAL,
    DECIMAL_TEXT,
    Failure,
    Meter,
    OutOfGas,
)
from ledger.contracts.operators import bounded
from ledger.contracts.values import (
    MAX_ITEMS,
    MAX_TEXT,
    bounded_items,
    bounded_text,
    kind_name,
    type_error,
)

_SIZED: Final = frozenset({str, bytes, list, dict, tuple})
_ORDERED: Final = frozenset({int, str, bytes, DecimalValue})
_DECIMAL: Final = re.compile(r"-?[0-9]{1,19}")


def iterate(meter: Meter, value: Any) -> Any:
    """What a loop over ``value`` goes through.

    A list is gone through as it is, like in Python, growing or not; a dict by the keys that it had
    at the start.
    """
    kind = type(value)
    if kind is list or kind is tuple or kind is str or kind is bytes or kind is range:
        return value
    if kind is dict:
        meter.charge(len(value))
        return list(value)
    raise type_error(f"{kind_name(value)} cannot be gone through")


def _items(meter: Meter, value: Any) -> Any:
    """Like `iterate`, for functions that go through everything at once."""
    items = iterate(meter, value)
    meter.charge(len(items))
    return items


def length(_meter: Meter, value: Any) -> int:
    if type(value) in _SIZED:
        return len(value)
    raise type_error(f"{kind_name(value)} has no length")


def absolute(meter: Meter, value: Any) -> Any:
    if type(value) is int:
        return bounded(abs(value))
    if type(value) is DecimalValue:
        meter.charge(DECIMAL)
        return decimals.absolute(value)
    raise type_error(f"abs of {kind_name(value)}")


def _decimal_total(meter: Meter, items: Any) -> DecimalValue:
    meter.charge(DECIMAL * len(items))
    made = decimals.from_int(0)
    for item in items:
        if type(item) is not int and type(item) is not DecimalValue:
            raise type_error(f"sum of {kind_name(item)}")
        made = decimals.add(made, item)
    return made


def total(meter: Meter, items: Any) -> Any:
    items = _items(meter, items)
    for item in items:
        if type(item) is not int:
            if type(item) is DecimalValue:
                return _decimal_total(meter, items)
            raise type_error(f"sum of {kind_name(item)}")
    return bounded(sum(items))


def every(meter: Meter, items: Any) -> bool:
    return all(_items(meter, items))


def some(meter: Meter, items: Any) -> bool:
    return any(_items(meter, items))


def _shape(item: Any) -> tuple[type, ...]:
    kind = type(item)
    return tuple(map(type, item)) if kind is tuple else (kind,)


def _weight(item: Any) -> int:
    """Gas of comparing an item with another one of its shape."""
    kind = type(item)
    if kind is tuple:
        return 1 + sum(map(_weight, item))
    if kind is int:
        return 1
    return 2 if kind is DecimalValue else 1 + len(item) // CONTENT_UNIT


def _comparable(meter: Meter, items: Any) -> int:
    """Check that items can be put in order: all int, all str, all bytes, or tuples of one shape.

    Returns the gas of one comparison at the most.
    """
    first = items[0]
    shape = _shape(first)
    flat = type(first) is not tuple
    if not _ORDERED.issuperset(shape):
        raise type_error(f"{kind_name(first)} cannot be put in order")
    meter.charge(len(items) * len(shape))
    for item in items:
        if (type(item) is not tuple) is not flat or _shape(item) != shape:
            raise type_error("items of different types cannot be put in order")
    return max(map(_weight, items))


def ordered(meter: Meter, items: Any, reverse: Any = False) -> list[Any]:
    if type(reverse) is not bool:
        raise type_error("reverse is a bool")
    items = _items(meter, items)
    if not items:
        return []
    if type(items) is str or type(items) is bytes:
        bounded_items(len(items))
    rounds = len(items) * len(items).bit_length()
    meter.charge(rounds * _comparable(meter, items))
    return sorted(items, reverse=reverse)


def _extreme(meter: Meter, values: tuple[Any, ...], choose: Callable[[Any], Any]) -> Any:
    items = _items(meter, values[0]) if len(values) == 1 else values
    if not items:
        raise Failure("value_error", "of nothing there is no smallest or largest")
    meter.charge(len(items) * _comparable(meter, items))
    return choose(items)


def smallest(meter: Meter, *values: Any) -> Any:
    return _extreme(meter, values, min)


def largest(meter: Meter, *values: Any) -> Any:
    return _extreme(meter, values, max)


def numbers(meter: Meter, *bounds: Any) -> range:
    """The arguments of ``range`` as a range that is short enough to be a list."""
    for bound in bounds:
        if type(bound) is not int:
            raise type_error(f"range of {kind_name(bound)}")
    if len(bounds) == 3 and bounds[2] == 0:
        raise Failure("value_error", "a range with steps of zero")
    span = range(*bounds)
    # len() of a range of more than 2**63 elements is an error of CPython's own.
    try:
        size = len(span)
    except OverflowError:
        size = MAX_ITEMS + 1
    bounded_items(size)
    return span


def number_list(meter: Meter, *bounds: Any) -> list[int]:
    span = numbers(meter, *bounds)
    meter.charge(len(span))
    return list(span)


def enumerated(meter: Meter, items: Any, start: Any = 0) -> list[tuple[int, Any]]:
    if type(start) is not int:
        raise type_error(f"start of {kind_name(start)}")
    items = _items(meter, items)
    bounded_items(len(items))
    meter.charge(2 * len(items))
    bounded(start + max(len(items) - 1, 0))
    return list(enumerate(items, start))


def zipped(meter: Meter, *sequences: Any) -> list[tuple[Any, ...]]:
    columns = [iterate(meter, sequence) for sequence in sequences]
    size = min(map(len, columns))
    bounded_items(size)
    meter.charge(size * (2 + len(columns)))
    return list(zip(*columns, strict=False))


def backwards(meter: Meter, items: Any) -> list[Any]:
    items = _items(meter, items)
    bounded_items(len(items))
    return list(reversed(items))


def text(meter: Meter, value: Any) -> str:
    """``str(value)``, of a str, int, bool or decimal."""
    kind = type(value)
    if kind is str:
        return str(value)
    if kind is int or kind is bool:
        return str(value)
    if kind is DecimalValue:
        meter.charge(DECIMAL_TEXT)
        return decimals.written(value)
    raise type_error(f"str of {kind_name(value)}")


def integer(meter: Meter, value: Any) -> int:
    """``int(value)``, of an int, a bool, plain decimal digits or a whole decimal."""
    kind = type(value)
    if kind is int or kind is bool:
        return int(value)
    if kind is DecimalValue:
        meter.charge(DECIMAL_TEXT)
        number = decimals.whole(value)
        if number is None:
            raise Failure("value_error", "a decimal that is not whole: round it first")
        return bounded(number)
    if kind is not str:
        raise type_error(f"int of {kind_name(value)}")
    if len(value) > 20 or _DECIMAL.fullmatch(value) is None:
        raise Failure("value_error", "not a decimal integer")
    return bounded(int(value))


def truth(_meter: Meter, value: Any) -> bool:
    return bool(value)


def new_list(meter: Meter, *sources: Any) -> list[Any]:
    if not sources:
        return []
    items = _items(meter, sources[0])
    bounded_items(len(items))
    return list(items)


def new_dict(meter: Meter, *sources: Any) -> dict[str, Any]:
    if not sources:
        return {}
    source = sources[0]
    if type(source) is not dict:
        raise type_error(f"dict of {kind_name(source)}")
    meter.charge(2 * len(source))
    return dict(source)


def formatted(meter: Meter, template: list[str], fixed: int, values: Sequence[Any]) -> str:
    """The text of an f-string: its own texts, with a place between each two for a value.

    ``fixed``: characters of the template. Values are str, int, bool or decimal.
    """
    parts = template[:]
    size = fixed
    place = 1
    for value in values:
        part = value if type(value) is str else text(meter, value)
        size += len(part)
        parts[place] = part
        place += 2
    if size > MAX_TEXT:
        bounded_text(size)
    meter.gas = gas = meter.gas - size // COPY_UNIT
    if gas < 0:
        raise OutOfGas
    return "".join(parts)


BUILTINS: Final[dict[str, Callable[..., Any]]] = {
    "len": length,
    "abs": absolute,
    "sum": total,
    "all": every,
    "any": some,
    "min": smallest,
    "max": largest,
    "sorted": ordered,
    "reversed": backwards,
    "range": number_list,
    "enumerate": enumerated,
    "zip": zipped,
    "str": text,
    "int": integer,
    "bool": truth,
    "list": new_list,
    "dict": new_dict,
}
