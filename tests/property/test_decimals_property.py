"""Decimals against fractions, which know no digits and no contexts."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.contracts import decimals
from ledger.contracts.decimals import MAX_PLACES, MAX_WHOLE, DecimalValue, parse, written
from ledger.contracts.meter import Failure

LIMIT = 10**MAX_WHOLE


@st.composite
def texts(draw: Any) -> str:
    whole = draw(st.integers(0, LIMIT - 1) | st.integers(0, 120))
    places = draw(st.integers(0, MAX_PLACES))
    digits = draw(st.integers(0, 10**places - 1)) if places else 0
    sign = draw(st.sampled_from(["", "-"]))
    return f"{sign}{whole}" + (f".{digits:0{places}}" if places else "")


numbers = texts().map(parse).filter(lambda value: value is not None)
modes = st.sampled_from(sorted(decimals.ROUNDING))
places = st.integers(0, MAX_PLACES)


def exact(value: Any) -> Fraction:
    return Fraction(written(value)) if isinstance(value, DecimalValue) else Fraction(value)


def outcome(function: Any, *arguments: Any) -> DecimalValue | str:
    try:
        made: DecimalValue = function(*arguments)
    except Failure as failure:
        return failure.code
    return made


def check(made: DecimalValue | str, wanted: Fraction, scale: int) -> None:
    """A result of exactly ``scale`` places, or an overflow where it has too many digits."""
    if abs(wanted) >= LIMIT or scale > MAX_PLACES:
        assert made == "overflow"
        return
    assert isinstance(made, DecimalValue)
    text = written(made)
    assert exact(made) == wanted
    assert len(text.partition(".")[2]) == scale
    assert not (wanted == 0 and text.startswith("-"))
    assert parse(text) == made


def places_in(value: Any) -> int:
    return len(written(value).partition(".")[2]) if isinstance(value, DecimalValue) else 0


def by_hand(value: Fraction, scale: int, mode: str) -> Fraction:
    scaled = value * 10**scale
    below = math.floor(scaled)
    rest = scaled - below
    if mode == "floor":
        number = below
    elif mode == "ceiling":
        number = math.ceil(scaled)
    elif mode == "down":
        number = math.trunc(scaled)
    elif mode == "up":
        number = math.ceil(scaled) if value > 0 else below
    elif rest == Fraction(1, 2):
        away = below + 1 if value > 0 else below
        number = away if mode == "half-up" else below + below % 2
    else:
        number = below + (rest > Fraction(1, 2))
    return Fraction(number, 10**scale)


@given(texts())
def test_a_text_is_read_and_written_back(text: str) -> None:
    value = parse(text)
    assert value is not None
    assert exact(value) == Fraction(text)
    sign, digits = ("-", text[1:]) if text.startswith("-") else ("", text)
    whole, point, fraction = digits.partition(".")
    plain = (whole.lstrip("0") or "0") + point + fraction
    assert written(value) == (plain if Fraction(text) == 0 else sign + plain)


@given(st.text("0123456789.-+eE_ ", max_size=50))
def test_what_is_read_is_digits_with_at_most_one_point(text: str) -> None:
    value = parse(text)
    whole, point, fraction = text.removeprefix("-").partition(".")
    good = (
        0 < len(whole) <= MAX_WHOLE
        and whole.isdigit()
        and (not point or (0 < len(fraction) <= MAX_PLACES and fraction.isdigit()))
    )
    assert (value is not None) is good


@given(numbers, numbers | st.integers(-(2**63), 2**63 - 1))
def test_sums_differences_and_products_are_exact(left: DecimalValue, right: Any) -> None:
    scale = max(places_in(left), places_in(right))
    a, b = exact(left), exact(right)
    check(outcome(decimals.add, left, right), a + b, scale)
    check(outcome(decimals.subtract, left, right), a - b, scale)
    product = outcome(decimals.multiply, left, right)
    check(product, a * b, places_in(left) + places_in(right))
    assert (left < right, left == right, left > right) == (a < b, a == b, a > b)
    assert exact(decimals.negate(left)) == -a
    assert exact(decimals.absolute(left)) == abs(a)
    assert bool(left) == bool(a)
    assert decimals.whole(left) == (int(a) if a.denominator == 1 else None)


@given(numbers, places, modes)
def test_rounding_gives_the_number_that_its_mode_says(
    value: DecimalValue, scale: int, mode: str
) -> None:
    check(outcome(decimals.rounded, value, scale, mode), by_hand(exact(value), scale, mode), scale)


@given(numbers, numbers | st.integers(-20, 20), places, modes)
def test_a_quotient_is_rounded_once(value: DecimalValue, by: Any, scale: int, mode: str) -> None:
    if not by:
        assert outcome(decimals.divided, value, by, scale, mode) == "value_error"
        return
    wanted = by_hand(exact(value) / exact(by), scale, mode)
    check(outcome(decimals.divided, value, by, scale, mode), wanted, scale)


@pytest.mark.parametrize("mode", sorted(decimals.ROUNDING))
@pytest.mark.parametrize("text", ["2.5", "3.5", "-2.5", "-3.5", "0.5", "-0.5", "2.51", "-2.49"])
def test_halves_are_rounded_as_their_mode_says(text: str, mode: str) -> None:
    value = parse(text)
    assert value is not None
    wanted = by_hand(Fraction(text), 0, mode)
    assert exact(decimals.rounded(value, 0, mode)) == wanted
    assert exact(decimals.divided(value, 1, 0, mode)) == wanted
