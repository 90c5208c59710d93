"""The list of notices in a patient's app: read from the chain, with the marks of this node."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Final, NamedTuple

from ledger.chain.store import Store
from ledger.node.answers import Cursor
from ledger.node.events import EventFeed, end_of
from ledger.node.notifications.marks import ReadMarks
from ledger.node.notifications.notices import Notice, heard, notice_of

#: How many unread emergencies are shown first, and through how many pages they are looked for.
MAX_URGENT: Final = 20
URGENT_PAGES: Final = 4


class NoticePage(NamedTuple):
    """Notices, newest first, each with whether it was read; and where to go on, or None."""

    notices: list[tuple[Notice, bool]]
    following: Cursor | None


class NoticeList:
    """What one patient after the other is told."""

    def __init__(self, feed: EventFeed, store: Store, marks: ReadMarks) -> None:
        self._feed = feed
        self._store = store
        self._marks = marks

    async def page(
        self, subject: str, before: Cursor | None, limit: int, *, urgent: bool | None = None
    ) -> NoticePage:
        """One page, found in bounded time; it can be short, even empty, before the last."""
        start = end_of(self._feed.height) if before is None else before
        look = partial(self._feed.newest, start, heard(subject, urgent=urgent), limit)
        events, following = await asyncio.to_thread(look)
        found = (notice_of(event, self._store.value) for event in events)
        return NoticePage(
            [
                (notice, self._marks.read(subject, notice.event.cursor))
                for notice in found
                if notice is not None and notice.subject == subject
            ],
            following,
        )

    async def unread_emergencies(self, subject: str) -> list[tuple[Notice, bool]]:
        """The newest urgent notices that she has not read."""
        found: list[tuple[Notice, bool]] = []
        before: Cursor | None = None
        read_up_to = self._marks.up_to(subject)
        for _ in range(URGENT_PAGES):
            page = await self.page(subject, before, MAX_URGENT, urgent=True)
            found += [(notice, read) for notice, read in page.notices if not read]
            before = page.following
            if before is None or before <= read_up_to or len(found) >= MAX_URGENT:
                break
        return found[:MAX_URGENT]

    def mark(self, subject: str, cursors: Sequence[Cursor], up_to: Cursor | None) -> None:
        """Note what she has read; raises `TooManyMarks`."""
        if cursors:
            self._marks.mark(subject, cursors)
        if up_to is not None:
            self._marks.mark_up_to(subject, min(up_to, end_of(self._feed.height)))

    def close(self) -> None:
        self._marks.close()
