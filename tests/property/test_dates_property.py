"""Dates against CPython's datetime, which counts days in another way."""

from __future__ import annotations

import calendar
from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from ledger.contracts import dates

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
FIRST = (datetime(1, 1, 2, tzinfo=UTC) - EPOCH) // MILLISECOND
LAST = (datetime(9999, 12, 30, tzinfo=UTC) - EPOCH) // MILLISECOND

times = st.integers(FIRST, LAST)
offsets = st.integers(-14 * 60, 14 * 60).map(lambda minutes: minutes * dates.MINUTE)
days = st.dates()


def local(time: int, offset: int) -> datetime:
    zone = timezone(timedelta(milliseconds=offset))
    return (EPOCH + time * MILLISECOND).astimezone(zone)


@given(times, offsets)
def test_a_time_has_the_date_that_datetime_gives_it(time: int, offset: int) -> None:
    at = local(time, offset)
    assert dates.civil(time, offset) == (at.year, at.month, at.day)


@given(days, offsets)
def test_a_date_begins_when_datetime_says(day: datetime, offset: int) -> None:
    zone = timezone(timedelta(milliseconds=offset))
    # Before the first instant that datetime knows in UTC there is nothing to compare with.
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC) - EPOCH
    assert dates.date(day.year, day.month, day.day, offset) == midnight // MILLISECOND - offset
    assert zone.utcoffset(None) == offset * MILLISECOND


@given(times, times, offsets)
def test_an_age_counts_the_birthdays_that_have_begun(birth: int, at: int, offset: int) -> None:
    birth, at = sorted((birth, at))
    years = dates.age(birth, at, offset)
    born, now = local(birth, offset).date(), local(at, offset).date()

    def birthday(year: int) -> object:
        leap = (born.month, born.day) == (2, 29) and not calendar.isleap(year)
        return born.replace(year=year, month=3, day=1) if leap else born.replace(year=year)

    begun = [year for year in (now.year - 1, now.year) if year > 0 and birthday(year) <= now]
    assert years == max(begun) - born.year


@given(times, st.integers(-30_000, 30_000), offsets)
def test_months_later_it_is_the_same_day_or_the_last_one(
    time: int, months: int, offset: int
) -> None:
    at = local(time, offset)
    year, month = divmod(at.year * 12 + at.month - 1 + months, 12)
    if not 1 <= year <= 9999:
        return
    day = min(at.day, calendar.monthrange(year, month + 1)[1])
    later = dates.add_months(time, months, offset)
    assert dates.civil(later, offset) == (year, month + 1, day)
    assert (later + offset) % dates.DAY == (time + offset) % dates.DAY


@given(times, st.integers(0, 1_200), offsets)
def test_more_months_are_never_earlier(time: int, months: int, offset: int) -> None:
    if local(time, offset).year < 9_800:
        assert dates.add_months(time, months, offset) < dates.add_months(time, months + 1, offset)
