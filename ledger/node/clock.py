"""The clocks of the machine, which nothing else in a running node reads."""

from __future__ import annotations

import time


def now_ms() -> int:
    """The clock of this machine in milliseconds since 1970-01-01 UTC."""
    return time.time_ns() // 1_000_000


def as_text(milliseconds: int) -> str:
    """A time as people read it."""
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(milliseconds // 1000))


class Breath:
    """Called again and again in long work: lets the rest of the process have half of the time."""

    #: Shorter stretches of work, in seconds, are not worth a pause.
    STRETCH = 0.02

    def __init__(self) -> None:
        self._since = time.monotonic()

    def __call__(self) -> None:
        spent = time.monotonic() - self._since
        if spent > self.STRETCH:
            time.sleep(spent)
            self._since = time.monotonic()
