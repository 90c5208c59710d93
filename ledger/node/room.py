"""While its disk is full or its database gone, a node says so and tries again.

That its store is damaged it says until it is started anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from ledger.chain.store import StoreAway, StoreBusy, StoreFull, StoreUnusable
from ledger.node.clock import as_text, now_ms

T = TypeVar("T")

_log = structlog.get_logger(__name__)

#: How long to wait before trying again on a full disk, in seconds.
PAUSE_SECONDS = 5.0
#: How long to wait for a database that is gone or taken. How often it is really tried to reach is
#: bounded by the database's own back-off.
AWAY_SECONDS = 0.5


class Room:
    """Carries out what a node cannot do without a working store.

    Args:
        pause: the longest pause between two attempts, in seconds.
        clock: milliseconds since 1970-01-01 UTC.
    """

    def __init__(self, pause: float = PAUSE_SECONDS, clock: Callable[[], int] = now_ms) -> None:
        self._pause = pause
        self._clock = clock
        self._error = ""
        self._since = 0
        #: That the store is damaged, where, and what to do about it; empty if that is not known.
        self.damage = ""

    def damaged(self, error: StoreUnusable) -> None:
        """Something that was read is not what the chain certifies."""
        if str(error) not in self.damage:
            _log.error("store_damaged", error=str(error))
            self.damage = (
                f"The store is damaged: {error}. Look at the disk, stop the node, and run "
                "health-ledger node check and health-ledger node repair: what is lost comes back "
                "from the other members."
            )

    @property
    def shortage(self) -> str:
        """What is wrong with the store and since when, for the status; empty while nothing is."""
        if not self._error:
            return ""
        return f"{self._error} (since {as_text(self._since)}; trying again)"

    async def write(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Do something with the store, and where it has no room, is taken or gone, again until it
        is done.

        An attempt that fails so has left the store as it was, or can be repeated with the same
        result; see `ledger.chain.database.errors`.
        """
        while True:
            try:
                done = await attempt()
            except (StoreFull, StoreBusy, StoreAway) as error:
                self._fails(error)
                full = isinstance(error, StoreFull)
                await asyncio.sleep(self._pause if full else min(self._pause, AWAY_SECONDS))
            else:
                self._works()
                return done

    async def read(self, attempt: Callable[[], T]) -> T:
        """The same for what is done on the event loop."""

        async def once() -> T:
            return attempt()

        return await self.write(once)

    def _fails(self, error: Exception) -> None:
        if not self._error:
            self._since = self._clock()
        if isinstance(error, StoreFull):
            _log.error("disk_full", error=str(error))
        elif not self._error:
            _log.error("store_away", error=str(error))
        self._error = str(error)

    def _works(self) -> None:
        if self._error:
            _log.info("store_back", seconds=round((self._clock() - self._since) / 1000, 1))
            self._error = ""
