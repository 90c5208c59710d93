"""What a node does while its disk is full: nothing but say so, and try again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from ledger.chain.store import StoreFull

T = TypeVar("T")

_log = structlog.get_logger(__name__)

#: How long to wait before trying again to write, in seconds.
PAUSE_SECONDS = 5.0


class Room:
    """Carries out the writes of a node that the chain cannot do without."""

    def __init__(self, pause: float = PAUSE_SECONDS) -> None:
        self._pause = pause
        #: That there is no room, for the status; empty while there is.
        self.shortage = ""

    async def write(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Write, and where the disk is full do it again until there is room.

        A write that finds no room leaves the store as it was, so it can be repeated whole.
        """
        while True:
            try:
                done = await attempt()
            except StoreFull as error:
                self.shortage = str(error)
                _log.error("disk_full", error=str(error))
                await asyncio.sleep(self._pause)
            else:
                self.shortage = ""
                return done
