"""Calendar dates in milliseconds: the proleptic Gregorian calendar, in integers alone.

Times are milliseconds since 1970 UTC, as block time is. A day, month or year begins at midnight of
a place; ``offset`` is how much its clocks are ahead of UTC, in milliseconds. The default is China,
which has one time zone, UTC+8; its summer times, the last in 1991, are left out. Days are counted
as in Howard Hinnant's "chrono-Compatible Low-Level Date Algorithms": in eras of 400 years that
begin on 1 March.

All functions raise `ValueError` outside the years 1 to 9999.
"""

from __future__ import annotations

from typing import Final

MINUTE: Final = 60_000
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
#: UTC+8, the time of the whole of China.
CHINA: Final = 8 * HOUR
#: The clocks that are furthest from UTC are 14 hours ahead of it.
MAX_OFFSET: Final = 14 * HOUR

MIN_YEAR: Final = 1
MAX_YEAR: Final = 9999
_MONTHS: Final = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_ERA_DAYS: Final = 146_097
#: Days from 1 March of the year 0 to 1 January 1970.
_EPOCH: Final = 719_468


def is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def month_days(year: int, month: int) -> int:
    """How many days a month from 1 to 12 has."""
    return 29 if month == 2 and is_leap(year) else _MONTHS[month - 1]


def _day_number(year: int, month: int, day: int) -> int:
    """Days from 1970-01-01 to a date."""
    if month <= 2:
        year, month = year - 1, month + 12
    era, of_era = divmod(year, 400)
    of_year = (153 * (month - 3) + 2) // 5 + day - 1
    return era * _ERA_DAYS + of_era * 365 + of_era // 4 - of_era // 100 + of_year - _EPOCH


def _check_offset(offset: int) -> None:
    if not -MAX_OFFSET <= offset <= MAX_OFFSET:
        raise ValueError("an offset of more than 14 hours")


def civil(time: int, offset: int = CHINA) -> tuple[int, int, int]:
    """Year, month and day of a time at a place."""
    _check_offset(offset)
    if not _FIRST <= time + offset < _END:
        raise ValueError("a time outside the years 1 to 9999")
    era, of_era = divmod((time + offset) // DAY + _EPOCH, _ERA_DAYS)
    year = (of_era - of_era // 1_460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    shifted = (5 * of_year + 2) // 153
    day = of_year - (153 * shifted + 2) // 5 + 1
    month = shifted + 3 if shifted < 10 else shifted - 9
    return year + era * 400 + (month <= 2), month, day


def date(year: int, month: int, day: int, offset: int = CHINA) -> int:
    """When a day begins at a place."""
    _check_offset(offset)
    if not MIN_YEAR <= year <= MAX_YEAR:
        raise ValueError("a year outside 1 to 9999")
    if not 1 <= month <= 12:
        raise ValueError("a month outside 1 to 12")
    if not 1 <= day <= month_days(year, month):
        raise ValueError("a day that the month does not have")
    return _day_number(year, month, day) * DAY - offset


def age(birth: int, at: int, offset: int = CHINA) -> int:
    """Full years between two times, counted by birthdays; negative before the birth.

    A year is full at the beginning of the birthday. Who was born on 29 February completes it, in
    years without that day, with the end of 28 February: at the beginning of 1 March.
    """
    year, month, day = civil(at, offset)
    born_year, born_month, born_day = civil(birth, offset)
    return year - born_year - ((month, day) < (born_month, born_day))


def add_months(time: int, months: int, offset: int = CHINA) -> int:
    """The same day and time of day some months later, or earlier.

    In a month that does not have the day it is the last one, as in article 202 of the Civil Code.
    """
    year, month, day = civil(time, offset)
    years, place = divmod(year * 12 + month - 1 + months, 12)
    if not MIN_YEAR <= years <= MAX_YEAR:
        raise ValueError("a year outside 1 to 9999")
    day = min(day, month_days(years, place + 1))
    return _day_number(years, place + 1, day) * DAY - offset + (time + offset) % DAY


_FIRST: Final = _day_number(MIN_YEAR, 1, 1) * DAY
_END: Final = _day_number(MAX_YEAR + 1, 1, 1) * DAY
