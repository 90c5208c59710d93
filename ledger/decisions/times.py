"""Block times as people read them, in China's one time zone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final

from ledger.decisions.words import Language

#: China Standard Time, all year, everywhere in the country.
CHINA: Final = timezone(timedelta(hours=8), "CST")
_MONTHS: Final = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
#: Milliseconds: 2001 to 2286. Heights and counts stay far below.
_TIMES: Final = range(1_000_000_000_000, 10_000_000_000_000)


def looks_like_time(value: Any) -> bool:
    """Whether a number can only be a block time in milliseconds."""
    return type(value) is int and value in _TIMES


def said_time(milliseconds: int, language: Language) -> str:
    """``3 June 2026, 16:15`` or ``2026年6月3日16:15``, China time."""
    moment = datetime.fromtimestamp(milliseconds / 1000, CHINA)
    if language == "zh":
        return f"{moment.year}年{moment.month}月{moment.day}日{moment:%H:%M}"
    return f"{moment.day} {_MONTHS[moment.month - 1]} {moment.year}, {moment:%H:%M}"


def exact_time(milliseconds: int) -> str:
    """``2026-06-03 08:15:30.120 UTC``, for auditors."""
    moment = datetime.fromtimestamp(milliseconds // 1000, UTC)
    return f"{moment:%Y-%m-%d %H:%M:%S}.{milliseconds % 1000:03} UTC"
