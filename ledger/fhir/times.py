"""FHIR date, dateTime, instant and Period as intervals of milliseconds since 1970 UTC.

A FHIR date may stop at the year or the month (R4 section 2.24.0.1); it then means the whole of it.
A time of day has a zone; a date has none and is taken as UTC.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final

#: The end of a period that is still running: the last millisecond of the year 9999.
OPEN_END: Final = 253_402_300_799_999

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_FHIR_TIME: Final = re.compile(
    r"([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2})"
    r"(?:T([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,9}))?)?(Z|[+-][0-9]{2}:[0-9]{2}))?)?)?"
)


def _milliseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // _MILLISECOND


def _zone(text: str) -> timezone:
    if text == "Z":
        return UTC
    offset = timedelta(hours=int(text[1:3]), minutes=int(text[4:6]))
    return timezone(-offset if text[0] == "-" else offset)


def interval(value: object) -> tuple[int, int] | None:
    """First and last millisecond that a FHIR date, dateTime or instant covers.

    None for anything that is not one, so that a caller can go on to the next element.
    """
    match = _FHIR_TIME.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    try:
        if hour is None:
            first = datetime(int(year), int(month or 1), int(day or 1), tzinfo=UTC)
            return _milliseconds(first), _milliseconds(first) + _length(first, month, day) - 1
        moment = datetime(
            int(year), int(month), int(day), int(hour), int(minute),
            min(int(second or 0), 59), tzinfo=_zone(zone),  # FHIR allows leap seconds, Python not
        )  # fmt: skip
    except ValueError:
        return None
    start = _milliseconds(moment) + int((fraction or "0").ljust(3, "0")[:3])
    if fraction is not None:
        return start, start
    return start, start + (999 if second is not None else 59_999)


def _length(first: datetime, month: str | None, day: str | None) -> int:
    """Milliseconds in the year, month or day that begins at ``first``."""
    if day is not None:
        days = 1
    elif month is not None:
        days = (first.replace(day=28) + timedelta(days=4)).replace(day=1).toordinal()
        days -= first.toordinal()
    else:
        days = first.replace(month=12, day=31).toordinal() - first.toordinal() + 1
    return days * 86_400_000


def period(value: object) -> tuple[int, int] | None:
    """First and last millisecond of a FHIR Period; `OPEN_END` for one that has not ended.

    A Period without a start begins where its end begins. None for anything that is not a Period.
    """
    if not isinstance(value, Mapping):
        return None
    fields: Mapping[str, Any] = value
    start, end = interval(fields.get("start")), interval(fields.get("end"))
    if start is None and end is None:
        return None
    if start is None:
        return end
    last = end[1] if end is not None else OPEN_END
    return start[0], max(start[0], last)
