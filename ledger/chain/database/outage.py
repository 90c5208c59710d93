"""How often to try to reach a database that is gone."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic

from ledger.chain.database.errors import StoreAway

#: The first pause between two attempts and the longest, in seconds.
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 2.0


class Outage:
    """Shared by all threads: while the database is gone, only one attempt in a while is made, and
    whoever comes in between is told at once, so that nobody hangs on a dead address.

    Args:
        clock: seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._error = ""
        self._pause = 0.0
        self._again = 0.0

    def check(self) -> None:
        """Return if an attempt is due, which is then the caller's; raise `StoreAway` if not."""
        with self._lock:
            if not self._error:
                return
            now = self._clock()
            if now < self._again:
                raise StoreAway(self._error)
            self._again = now + self._pause

    def failed(self, error: str) -> None:
        """The attempt failed: the next one is due after a pause that doubles."""
        with self._lock:
            self._error = error
            self._pause = min(max(2 * self._pause, FIRST_PAUSE), LONGEST_PAUSE)
            self._again = self._clock() + self._pause

    def over(self) -> None:
        """An attempt has succeeded."""
        with self._lock:
            self._error, self._pause = "", 0.0
