"""The wall clock of the machine, which nothing else in a running node reads."""

from __future__ import annotations

import time


def now_ms() -> int:
    """The clock of this machine in milliseconds since 1970-01-01 UTC."""
    return time.time_ns() // 1_000_000


def as_text(milliseconds: int) -> str:
    """A time as people read it."""
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(milliseconds // 1000))
