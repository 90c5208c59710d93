"""The wall clock of the machine. Nothing else in a running node reads one."""

from __future__ import annotations

import time


def now_ms() -> int:
    """The clock of this machine in milliseconds since 1970-01-01 UTC."""
    return time.time_ns() // 1_000_000
