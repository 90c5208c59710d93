"""Operators on values of types that the compiler could not settle in its fast path.

Arithmetic is on ints and decimals (a bool is not a number here), joining on two of the same kind,
ordering on two numbers, two str or two bytes. Results that would be too large are refused before
they are made.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from ledger.chain.codec import MAX_INT, MIN_INT
from ledger.contracts import decimals
from ledger.contracts.decimals import DecimalValue
from ledger.contracts.meter import (
    CONTENT_UNIT,
    COPY_UNIT,
    DECIMAL,
    DECIMAL_PRODUCT,
    Failure,
    Meter,
)
from ledger.contracts.values import (
    MAX_ITEMS,
    bounded_items,
    bounded_text,
    checked_key,
    contains,
    equal,
    kind_name,
    too_large,
    type_error,
)

Operator = Callable[[Meter, Any, Any], Any]


def overflow() -> Failure:
    return Failure("overflow", "an integer outside 64 bits")


def bounded(number: int) -> int:
    """An integer result, if it has at most 64 bits."""
    if MIN_INT <= number <= MAX_INT:
        return number
    raise overflow()


def _no_operator(symbol: str, left: Any, right: Any) -> Failure:
    return type_error(f"{kind_name(left)} {symbol} {kind_name(right)}")


def _are_decimals(left: Any, right: Any) -> bool:
    """Whether two values are decimals, or one is and the other an int."""
    kind, other = type(left), type(right)
    if kind is DecimalValue:
        return other is DecimalValue or other is int
    return other is DecimalValue and kind is int


def add(meter: Meter, left: Any, right: Any) -> Any:
    kind = type(left)
    if kind is type(right):
        if kind is int:
            return bounded(left + right)
        if kind is str or kind is bytes:
            size = len(left) + len(right)
            bounded_text(size)
            meter.charge(size // COPY_UNIT)
            return left + right
        if kind is list or kind is tuple:
            size = len(left) + len(right)
            bounded_items(size)
            meter.charge(size)
            return left + right
    if _are_decimals(left, right):
        meter.charge(DECIMAL)
        return decimals.add(left, right)
    raise _no_operator("+", left, right)


def subtract(meter: Meter, left: Any, right: Any) -> Any:
    if type(left) is int and type(right) is int:
        return bounded(left - right)
    if _are_decimals(left, right):
        meter.charge(DECIMAL)
        return decimals.subtract(left, right)
    raise _no_operator("-", left, right)


def multiply(meter: Meter, left: Any, right: Any) -> Any:
    if type(left) is int:
        if type(right) is int:
            return bounded(left * right)
        left, right = right, left
    if _are_decimals(left, right):
        meter.charge(DECIMAL_PRODUCT)
        return decimals.multiply(left, right)
    kind = type(left)
    if type(right) is int and kind in (str, bytes, list):
        size = len(left) * max(right, 0)
        if kind is list:
            bounded_items(size)
            meter.charge(size)
        else:
            bounded_text(size)
            meter.charge(size // COPY_UNIT)
        return left * right
    raise _no_operator("*", left, right)


def floor_divide(meter: Meter, left: Any, right: Any) -> Any:
    if type(left) is int and type(right) is int:
        if right == 0:
            raise Failure("value_error", "division by zero")
        return bounded(left // right)
    raise _no_operator("//", left, right)


def modulo(meter: Meter, left: Any, right: Any) -> Any:
    if type(left) is int and type(right) is int:
        if right == 0:
            raise Failure("value_error", "division by zero")
        return left % right
    raise _no_operator("%", left, right)


def add_in_place(meter: Meter, left: Any, right: Any) -> Any:
    """``left += right``: a list grows, everything else is replaced."""
    if type(left) is list:
        if type(right) is not list and type(right) is not tuple:
            raise _no_operator("+=", left, right)
        bounded_items(len(left) + len(right))
        meter.charge(len(right))
        left += right
        return left
    return add(meter, left, right)


def multiply_in_place(meter: Meter, left: Any, right: Any) -> Any:
    """``left *= right``: a list grows, everything else is replaced."""
    product = multiply(meter, left, right)
    if type(left) is list:
        left[:] = product
        return left
    return product


def negate(value: Any) -> Any:
    if type(value) is int:
        return bounded(-value)
    if type(value) is DecimalValue:
        return decimals.negate(value)
    raise type_error(f"- {kind_name(value)}")


def check_order(meter: Meter, left: Any, right: Any, symbol: str) -> None:
    """Refuse to order values other than two int, str, bytes or decimals, and pay for comparing.

    A decimal is ordered with an int too.
    """
    kind = type(left)
    if kind is not type(right) or (kind is not int and kind is not str and kind is not bytes):
        if _are_decimals(left, right):
            return
        raise _no_operator(symbol, left, right)
    if kind is not int:
        meter.charge(min(len(left), len(right)) // CONTENT_UNIT)


def less(meter: Meter, left: Any, right: Any) -> bool:
    check_order(meter, left, right, "<")
    return bool(left < right)


def less_or_equal(meter: Meter, left: Any, right: Any) -> bool:
    check_order(meter, left, right, "<=")
    return bool(left <= right)


def greater(meter: Meter, left: Any, right: Any) -> bool:
    check_order(meter, left, right, ">")
    return bool(left > right)


def greater_or_equal(meter: Meter, left: Any, right: Any) -> bool:
    check_order(meter, left, right, ">=")
    return bool(left >= right)


def not_equal(meter: Meter, left: Any, right: Any) -> bool:
    return not equal(meter, left, right)


def search(meter: Meter, size: int, wanted: int) -> None:
    """Pay for a search: CPython's is quadratic for short texts, then linear."""
    meter.charge(size * (1 + min(wanted, 128) // 4) // CONTENT_UNIT)


def member(meter: Meter, wanted: Any, items: Any) -> bool:
    """``wanted in items``."""
    kind = type(items)
    if kind is list or kind is tuple:
        return contains(meter, items, wanted)
    if kind is dict:
        if type(wanted) is not str:
            raise type_error(f"dict keys are str, not {kind_name(wanted)}")
        return wanted in items
    if (kind is str or kind is bytes) and type(wanted) is kind:
        search(meter, len(items), len(wanted))
        return wanted in items
    raise _no_operator("in", wanted, items)


def not_member(meter: Meter, wanted: Any, items: Any) -> bool:
    return not member(meter, wanted, items)


def element(meter: Meter, container: Any, key: Any) -> Any:
    """``container[key]``."""
    kind = type(container)
    if kind is dict:
        if type(key) is not str:
            raise type_error(f"dict keys are str, not {kind_name(key)}")
        if key in container:
            return container[key]
        raise missing(key)
    if kind is list or kind is tuple or kind is str or kind is bytes:
        if type(key) is not int:
            raise type_error(f"{kind_name(container)} indices are int, not {kind_name(key)}")
        if -len(container) <= key < len(container):
            return container[key]
        raise out_of_range()
    raise type_error(f"{kind_name(container)} has no elements")


def missing(key: str) -> Failure:
    """Names the key where it is short and plain: most often that is what the author needs."""
    shown = f" {key}" if len(key) <= 80 and key.isascii() and key.isprintable() else ""
    return Failure("missing_key", f"no entry{shown}")


def out_of_range() -> Failure:
    return Failure("index_error", "an index outside the sequence")


def piece(meter: Meter, container: Any, lower: Any, upper: Any) -> Any:
    """``container[lower:upper]``."""
    kind = type(container)
    for bound in (lower, upper):
        if bound is not None and type(bound) is not int:
            raise type_error(f"slice bounds are int, not {kind_name(bound)}")
    if kind is not str and kind is not bytes and kind is not list and kind is not tuple:
        raise type_error(f"{kind_name(container)} has no slices")
    start, stop, _ = slice(lower, upper).indices(len(container))
    size = max(stop - start, 0)
    meter.charge(size if kind is list or kind is tuple else size // COPY_UNIT)
    return container[start:stop]


def set_element(meter: Meter, container: Any, key: Any, value: Any) -> None:
    """``container[key] = value``."""
    kind = type(container)
    if kind is dict:
        checked_key(key)
        if len(container) >= MAX_ITEMS and key not in container:
            raise too_large("another key", MAX_ITEMS)
        container[key] = value
    elif kind is list:
        if type(key) is not int:
            raise type_error(f"list indices are int, not {kind_name(key)}")
        if not -len(container) <= key < len(container):
            raise out_of_range()
        container[key] = value
    else:
        raise type_error(f"elements of {kind_name(container)} cannot be set")


def delete_element(meter: Meter, container: Any, key: Any) -> None:
    """``del container[key]``."""
    element(meter, container, key)
    if type(container) is list:
        meter.charge(len(container) // CONTENT_UNIT)
    elif type(container) is not dict:
        raise type_error(f"elements of {kind_name(container)} cannot be deleted")
    del container[key]


BINARY: Final[dict[str, Operator]] = {
    "Add": add,
    "Sub": subtract,
    "Mult": multiply,
    "FloorDiv": floor_divide,
    "Mod": modulo,
}
IN_PLACE: Final[dict[str, Operator]] = {
    **BINARY,
    "Add": add_in_place,
    "Mult": multiply_in_place,
}
COMPARISON: Final[dict[str, Operator]] = {
    "Eq": equal,
    "NotEq": not_equal,
    "Lt": less,
    "LtE": less_or_equal,
    "Gt": greater,
    "GtE": greater_or_equal,
    "In": member,
    "NotIn": not_member,
}
