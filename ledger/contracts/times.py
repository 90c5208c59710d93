"""Durations and dates as contracts call them: of integers only, bounded and paid for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from ledger.contracts import dates
from ledger.contracts.meter import DATE, Failure, Meter
from ledger.contracts.operators import bounded
from ledger.contracts.values import kind_name, type_error


def _check(name: str, *values: Any) -> None:
    for value in values:
        if type(value) is not int:
            raise type_error(f"{name} of {kind_name(value)}")


def _duration(name: str, unit: int) -> Callable[[Meter, Any], int]:
    def duration(_meter: Meter, count: Any) -> int:
        _check(name, count)
        return bounded(count * unit)

    return duration


def _dated(meter: Meter, price: int, function: Callable[..., int], *values: Any) -> int:
    _check(function.__name__, *values)
    meter.charge(price)
    try:
        return function(*values)
    except ValueError as error:
        # The messages of `dates` are ours.
        raise Failure("value_error", str(error)) from None


def _date(meter: Meter, year: Any, month: Any, day: Any, offset: Any = dates.CHINA) -> int:
    return _dated(meter, DATE, dates.date, year, month, day, offset)


def _part(place: int, name: str) -> Callable[..., int]:
    def part(time: int, offset: int) -> int:
        return dates.civil(time, offset)[place]

    part.__name__ = name

    def dated(meter: Meter, time: Any, offset: Any = dates.CHINA) -> int:
        return _dated(meter, DATE, part, time, offset)

    return dated


def _age(meter: Meter, birth: Any, at: Any, offset: Any = dates.CHINA) -> int:
    return _dated(meter, 2 * DATE, dates.age, birth, at, offset)


def _add_months(meter: Meter, time: Any, months: Any, offset: Any = dates.CHINA) -> int:
    return _dated(meter, 2 * DATE, dates.add_months, time, months, offset)


TIMES: Final[dict[str, Callable[..., int]]] = {
    "minutes": _duration("minutes", dates.MINUTE),
    "hours": _duration("hours", dates.HOUR),
    "days": _duration("days", dates.DAY),
    "date": _date,
    "year_of": _part(0, "year_of"),
    "month_of": _part(1, "month_of"),
    "day_of": _part(2, "day_of"),
    "age": _age,
    "add_months": _add_months,
}
#: Those that a constant of the module may be made with.
CONSTANT: Final = frozenset({"minutes", "hours", "days", "date"})
