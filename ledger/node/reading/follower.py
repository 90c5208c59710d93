"""Keeping the index of a running node at the height of its store, on a thread of its own.

It never holds anything up: a block is final and told before it is in the index, and every answer
says up to which height it is. Where the index cannot be written the node goes on and it is tried
again; a question then gets no answer rather than an old one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import structlog

from ledger.chain.database import StoreError
from ledger.chain.store import Store
from ledger.node.events import EventFeed
from ledger.node.reading.index import Position, ReadingIndex

_log = structlog.get_logger(__name__)

#: How long to wait before something that went wrong is tried again, in seconds.
AGAIN_SECONDS = 5.0
#: How long the thread leaves the interpreter to others between two batches, in seconds.
PAUSE_SECONDS = 0.005


class IndexBehind(Exception):
    """The index has not come to a height in the time given. ``height``: to which it has."""

    def __init__(self, height: int) -> None:
        super().__init__(f"the index is at height {height}")
        self.height = height


class Follower:
    """Fills the index of one node.

    Args:
        store: of the node.
        feed: says when the chain has grown.
        newest: the height of the newest block.
    """

    def __init__(
        self, index: ReadingIndex, store: Store, feed: EventFeed, newest: Callable[[], int]
    ) -> None:
        self.index = index
        self._store = store
        self._feed = feed
        self._newest = newest
        self._moved = asyncio.Condition()

    @property
    def height(self) -> int:
        """Up to which block everything is in the index."""
        return self.index.position.height

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            try:
                await self.catch_up()
            except StoreError as error:
                _log.error("index_not_written", error=str(error), height=self.height)
                await asyncio.sleep(AGAIN_SECONDS)
                continue
            await self._feed.beyond(self.height)

    async def catch_up(self) -> None:
        """Take in all that the store has; raises `StoreError`."""
        unread, begun = self.index.unread, self.height
        batches = iter(self.index.follow(self._store))
        while await asyncio.to_thread(_next, batches) is not None:
            async with self._moved:
                self._moved.notify_all()
            if self.height == begun:
                await asyncio.sleep(PAUSE_SECONDS)
        if self.index.unread > unread:
            _log.warning("entries_not_indexed", count=self.index.unread - unread)

    async def reach(self, seconds: float) -> int:
        """Wait until the index has what is final now; returns its height.

        Raises:
            IndexBehind: it takes longer.
        """
        wanted = self._newest()
        try:
            async with asyncio.timeout(seconds), self._moved:
                while self.height < wanted:
                    await self._moved.wait()
        except TimeoutError:
            raise IndexBehind(self.height) from None
        return self.height


def _next(batches: Iterator[Position]) -> Position | None:
    return next(batches, None)
