"""Where a node answers questions about the whole chain: its index, up to date, and the proofs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ledger.chain.disclosures import DisclosureFile
from ledger.node.events import EventFeed
from ledger.node.reading.content import Access
from ledger.node.reading.follower import Follower, IndexBehind
from ledger.node.reading.index import ReadingIndex
from ledger.node.reading.lists import Lists
from ledger.node.reading.proofs import proven_page
from ledger.node.reads import ChainReads

__all__ = ["IndexBehind", "ReadingRoom"]


class ReadingRoom:
    """The lists of a node.

    Args:
        index: open; the room does not close it.
        reads: the chain of the same node.
        feed: says when the chain has grown.
        newest: the height of the newest block.
    """

    def __init__(
        self, index: ReadingIndex, reads: ChainReads, feed: EventFeed, newest: Callable[[], int]
    ) -> None:
        self.follower = Follower(index, reads.store, feed, newest)
        self._reads = reads

    @property
    def lists(self) -> Lists:
        """Every list that can be asked for; look-ups that are bounded, to be made in a thread."""
        return self.follower.index.lists

    @property
    def height(self) -> int:
        """Up to which block everything is in the lists."""
        return self.follower.height

    async def reach(self, seconds: float = 1.0) -> int:
        """Wait until the lists have what is final now; returns their height. Raises
        `IndexBehind`."""
        return await self.follower.reach(seconds)

    async def proven(
        self, subject: str, before: int | None, count: int
    ) -> tuple[tuple[Access, ...], DisclosureFile]:
        """The last entries of a patient's log below a number, as of the height of the lists, oldest
        first, with what proves them; raises as `proven_page` does."""
        return await asyncio.to_thread(
            proven_page,
            self.lists,
            self._reads.state_proof,
            self._reads.handovers,
            subject,
            self.height,
            before=before,
            count=count,
        )
