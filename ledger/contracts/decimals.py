"""Exact decimal numbers: what they are, and arithmetic that never rounds unless it is told how.

A decimal has at most 20 digits before the point and 18 after it, like DECIMAL(38, 18) of databases,
and keeps its zeros: 7.50 equals 7.5 and is written 7.50. CPython's `decimal` type holds the digits,
because it compares and adds in C; every operation here is one whose exact result fits the precision
asked for, so nothing depends on a context, on flags or on traps. There are no exponents, no
infinities, no signed zeros and no NaN.
"""

from __future__ import annotations

import decimal
import re
from typing import Final

from ledger.contracts.meter import Failure

#: Digits before and after the point.
MAX_WHOLE: Final = 20
MAX_PLACES: Final = 18
#: How what lies between two results is rounded, by the name that contracts use.
ROUNDING: Final = {
    "half-even": decimal.ROUND_HALF_EVEN,
    "half-up": decimal.ROUND_HALF_UP,
    "down": decimal.ROUND_DOWN,
    "up": decimal.ROUND_UP,
    "floor": decimal.ROUND_FLOOR,
    "ceiling": decimal.ROUND_CEILING,
}

_TEXT: Final = re.compile(rf"-?[0-9]{{1,{MAX_WHOLE}}}(?:\.[0-9]{{1,{MAX_PLACES}}})?")
_LIMIT: Final = decimal.Decimal(10**MAX_WHOLE)
#: A product of two decimals has at most 76 digits.
_EXACT: Final = decimal.Context(
    prec=2 * (MAX_WHOLE + MAX_PLACES) + 4,
    rounding=decimal.ROUND_HALF_EVEN,
    Emin=-999,
    Emax=999,
    traps=[decimal.Inexact, decimal.InvalidOperation, decimal.Overflow],
)
_ROUNDING_CONTEXT: Final = decimal.Context(prec=_EXACT.prec, Emin=-999, Emax=999, traps=[])
_QUANTA: Final = tuple(decimal.Decimal((0, (1,), -places)) for places in range(MAX_PLACES + 1))


class DecimalValue(decimal.Decimal):
    """A decimal of the contract language."""

    __slots__ = ()


def _made(value: decimal.Decimal) -> DecimalValue:
    """A result; raises ``overflow`` where it has too many digits before the point."""
    if not value:
        return DecimalValue(value.copy_abs())
    if not -_LIMIT < value < _LIMIT:
        raise Failure("overflow", f"a decimal of more than {MAX_WHOLE} digits before the point")
    return DecimalValue(value)


def parse(text: str) -> DecimalValue | None:
    """The decimal that ``-?digits[.digits]`` stands for; None for any other text."""
    if len(text) > MAX_WHOLE + MAX_PLACES + 2 or _TEXT.fullmatch(text) is None:
        return None
    return _made(decimal.Decimal(text))


def from_int(number: int) -> DecimalValue:
    return DecimalValue(number)


def written(value: decimal.Decimal) -> str:
    """Digits, and a point where there are any behind it: what `parse` reads."""
    return format(value, "f")


def places_of(value: decimal.Decimal) -> int:
    """Digits behind the point."""
    exponent = value.as_tuple().exponent
    assert isinstance(exponent, int)
    return -exponent


def add(left: decimal.Decimal | int, right: decimal.Decimal | int) -> DecimalValue:
    return _made(_EXACT.add(left, right))


def subtract(left: decimal.Decimal | int, right: decimal.Decimal | int) -> DecimalValue:
    return _made(_EXACT.subtract(left, right))


def multiply(left: decimal.Decimal | int, right: decimal.Decimal | int) -> DecimalValue:
    product = _EXACT.multiply(left, right)
    if places_of(product) > MAX_PLACES:
        raise Failure("overflow", f"a product of more than {MAX_PLACES} places: round the factors")
    return _made(product)


def negate(value: decimal.Decimal) -> DecimalValue:
    return DecimalValue(value.copy_negate() if value else value)


def absolute(value: decimal.Decimal) -> DecimalValue:
    return DecimalValue(value.copy_abs())


def whole(value: decimal.Decimal) -> int | None:
    """The integer that a decimal equals, or None."""
    number = int(value)
    return number if number == value else None


def _check_rounding(places: int, mode: str) -> None:
    if not 0 <= places <= MAX_PLACES:
        raise Failure("value_error", f"places outside 0 to {MAX_PLACES}")
    if mode not in ROUNDING:
        raise Failure("value_error", f"a rounding other than {', '.join(ROUNDING)}")


def rounded(value: decimal.Decimal, places: int, mode: str) -> DecimalValue:
    """The value with exactly so many places, rounded where it has more.

    Raises:
        Failure: ``value_error`` for places outside 0 to 18 or an unknown mode; ``overflow``.
    """
    _check_rounding(places, mode)
    return _made(value.quantize(_QUANTA[places], ROUNDING[mode], _ROUNDING_CONTEXT))


def divided(
    value: decimal.Decimal, by: decimal.Decimal | int, places: int, mode: str
) -> DecimalValue:
    """The quotient with exactly so many places, rounded once.

    Raises:
        Failure: ``value_error`` for a zero divisor, places outside 0 to 18 or an unknown mode;
            ``overflow``.
    """
    _check_rounding(places, mode)
    if not by:
        raise Failure("value_error", "division by zero")
    # Both as integers of the same scale; the quotient then has ``places`` digits behind the point.
    above = int(_EXACT.scaleb(value, MAX_PLACES)) * 10**places
    below = int(_EXACT.scaleb(decimal.Decimal(by), MAX_PLACES))
    quotient, rest = divmod(abs(above), abs(below))
    negative = (above < 0) is not (below < 0)
    if rest and _rounds_up(quotient, rest, abs(below), mode, negative=negative):
        quotient += 1
    number = decimal.Decimal(-quotient if negative else quotient)
    return _made(_EXACT.multiply(number, _QUANTA[places]))


def _rounds_up(quotient: int, rest: int, below: int, mode: str, *, negative: bool) -> bool:
    """Whether a quotient with a rest goes away from zero."""
    if mode == "half-even":
        return 2 * rest > below or (2 * rest == below and quotient % 2 == 1)
    if mode == "half-up":
        return 2 * rest >= below
    if mode == "floor":
        return negative
    if mode == "ceiling":
        return not negative
    return mode == "up"
