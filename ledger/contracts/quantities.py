"""Exact decimals as contracts use them: made, rounded and divided, and paid for."""

from __future__ import annotations

from typing import Any

from ledger.contracts import decimals
from ledger.contracts.decimals import DecimalValue
from ledger.contracts.meter import DECIMAL_DIVIDED, DECIMAL_ROUNDED, DECIMAL_TEXT, Failure, Meter
from ledger.contracts.values import kind_name, type_error


def make(meter: Meter, value: Any) -> DecimalValue:
    """``decimal(value)``, of a text of digits, an int or a decimal."""
    kind = type(value)
    if kind is DecimalValue:
        return value  # type: ignore[no-any-return]
    meter.charge(DECIMAL_TEXT)
    if kind is int:
        return decimals.from_int(value)
    if kind is not str:
        raise type_error(f"decimal of {kind_name(value)}")
    made = decimals.parse(value)
    if made is None:
        raise Failure("value_error", "not a decimal number")
    return made


def _check(method: str, places: Any, mode: Any) -> None:
    if type(places) is not int or type(mode) is not str:
        raise type_error(f"decimal.{method} takes places and the name of a rounding")


def rounded(meter: Meter, value: DecimalValue, places: Any, mode: Any) -> DecimalValue:
    """``value.rounded(places, mode)``."""
    _check("rounded", places, mode)
    meter.charge(DECIMAL_ROUNDED)
    return decimals.rounded(value, places, mode)


def divided(meter: Meter, value: DecimalValue, by: Any, places: Any, mode: Any) -> DecimalValue:
    """``value.divided(by, places, mode)``."""
    if type(by) is not DecimalValue and type(by) is not int:
        raise type_error(f"a decimal divided by {kind_name(by)}")
    _check("divided", places, mode)
    meter.charge(DECIMAL_DIVIDED)
    return decimals.divided(value, by, places, mode)
