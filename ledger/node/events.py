"""The events of the chain in order, from any place on and then as they happen.

Nothing is buffered per listener but one page: a listener is a cursor, and what it has not seen yet
is read from the stored results. So a listener that was away for a month misses nothing and costs
nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncGenerator, Iterator
from functools import partial
from typing import Final, NamedTuple

import structlog

from ledger.chain.result import decode_result
from ledger.chain.store import Store, StoreAway
from ledger.node.answers import MAX_PLACE, Cursor, LedgerEvent
from ledger.node.listening.parties import Parties, parties_of
from ledger.node.listening.postings import Postings
from ledger.node.listening.selection import ALL, Selection, terms_of

_log = structlog.get_logger(__name__)

#: How long to wait for a database that is gone, in seconds.
AWAY_SECONDS = 0.5
#: How long to wait after the index could not be written, in seconds.
TROUBLE_SECONDS = 30.0
#: One step looks at so many blocks, and stops after a block with which it has so many events.
PAGE_BLOCKS: Final = 64
PAGE_EVENTS: Final = 256
#: So many blocks are indexed in one transaction.
INDEX_STEP: Final = 128


class Passed(NamedTuple):
    """There is nothing more for the listener up to here: a place to go on from."""

    cursor: Cursor


class Page(NamedTuple):
    """What one step found, and the height up to which it looked."""

    events: list[LedgerEvent]
    reached: int


def events_of(store: Store, height: int) -> Iterator[LedgerEvent]:
    """The events of one stored block, in order."""
    header = store.header(height)
    for place, raw in enumerate(store.results(height) or ()):
        result = decode_result(raw)
        number = 0
        for call, outcome in enumerate(result.calls):
            for event in outcome.events:
                yield LedgerEvent(
                    cursor=Cursor(height, place, number),
                    time=header.time if header is not None else 0,
                    transaction=result.transaction.hex(),
                    call=call,
                    contract=event.contract,
                    name=event.name,
                    fields=event.fields,
                )
                number += 1


class EventFeed:
    """Wakes listeners when the chain has grown.

    Args:
        postings: the index for listeners with filters; None looks at every block.
    """

    def __init__(self, store: Store, postings: Postings | None = None) -> None:
        self._store = store
        self._postings = postings
        self._height = store.height()
        self._grown = asyncio.Condition()

    @property
    def height(self) -> int:
        """Up to where events are told."""
        return self._height

    @property
    def base(self) -> int:
        """From where on events are kept here."""
        return max(self._store.base(), 1)

    async def grew(self, height: int) -> None:
        """A block became final."""
        async with self._grown:
            self._height = height
            self._grown.notify_all()

    async def beyond(self, height: int) -> None:
        """Return when the chain is higher than that."""
        async with self._grown:
            while height >= self._height:
                await self._grown.wait()

    async def after(
        self, cursor: Cursor, selection: Selection = ALL
    ) -> AsyncGenerator[LedgerEvent, None]:
        """The selected events behind ``cursor``, then new ones; ends as `follow` does."""
        async for item in self.follow(cursor, selection):
            if isinstance(item, LedgerEvent):
                yield item

    async def follow(
        self, cursor: Cursor, selection: Selection = ALL
    ) -> AsyncGenerator[LedgerEvent | Passed, None]:
        """The selected events behind ``cursor``, then new ones, and after each step how far it got.

        Ends when the caller stops, or where the blocks that come next are not kept here any more.
        """
        while True:
            done = cursor.height if cursor == end_of(cursor.height) else cursor.height - 1
            if done >= self._height:
                await self.beyond(done)
            if max(done + 1, 1) < self._store.base():
                # Told so when it asks again; what is missing here must not go unnoticed.
                return
            step = partial(self.page, cursor, self._height, selection)
            try:
                page = await asyncio.to_thread(step)
            except StoreAway:
                await asyncio.sleep(AWAY_SECONDS)
                continue
            for event in page.events:
                yield event
            cursor = end_of(page.reached)
            yield Passed(cursor)

    def page(self, cursor: Cursor, top: int, selection: Selection) -> Page:
        """The next selected events behind ``cursor`` up to the block ``top``, in bounded time.

        Raises:
            StoreAway: the database cannot be reached.
        """
        after = cursor.height if cursor == end_of(cursor.height) else cursor.height - 1
        heights, reached = self._candidates(max(after, 0), top, selection)
        found: list[LedgerEvent] = []
        for height in heights:
            found += [event for event in self._selected(height, selection) if event.cursor > cursor]
            if len(found) >= PAGE_EVENTS:
                return Page(found, height)
        return Page(found, reached)

    def _candidates(self, after: int, top: int, selection: Selection) -> tuple[list[int], int]:
        """The heights to look at next, and up to where there is nothing besides them."""
        terms = selection.terms()
        if terms and self._postings is not None:
            with contextlib.suppress(sqlite3.Error):
                first, last = self._postings.span
                last = min(last, top)
                if first <= after + 1 <= last:
                    listed = self._postings.heights(terms, after, PAGE_BLOCKS)
                    kept = [height for height in listed if height <= last]
                    return kept, kept[-1] if len(kept) == PAGE_BLOCKS else last
        reached = min(after + PAGE_BLOCKS, top)
        return list(range(after + 1, reached + 1)), reached

    def _selected(self, height: int, selection: Selection) -> Iterator[LedgerEvent]:
        for event in events_of(self._store, height):
            parties = self._parties(event) if selection.needs_parties() else _NOBODY
            if selection.matches(event.contract, event.name, parties):
                yield event

    def _parties(self, event: LedgerEvent) -> Parties:
        def read(key: bytes) -> bytes | None:
            return self._store.value(key, event.cursor.height)

        return parties_of(event.contract, event.name, event.fields, read)

    def newest(
        self, before: Cursor, selection: Selection, limit: int
    ) -> tuple[list[LedgerEvent], Cursor | None]:
        """Selected events before a cursor, the newest first, and where to go on; None at the
        beginning of what is kept here. Looks at `PAGE_BLOCKS` blocks at most.

        Raises:
            StoreAway: the database cannot be reached.
        """
        found: list[LedgerEvent] = []
        base = max(self._store.base(), 1)
        top = min(before.height - (before == (before.height, 0, 0)), self._height)
        if top < base:
            return [], None
        heights, reached = self._candidates_before(top + 1, base, selection)
        for height in heights:
            block = [event for event in self._selected(height, selection) if event.cursor < before]
            for event in reversed(block):
                found.append(event)
                if len(found) == limit:
                    return found, event.cursor
        return found, None if reached <= base else Cursor(reached, 0, 0)

    def _candidates_before(
        self, before: int, base: int, selection: Selection
    ) -> tuple[list[int], int]:
        terms = selection.terms()
        if terms and self._postings is not None:
            with contextlib.suppress(sqlite3.Error):
                first, last = self._postings.span
                if last >= before - 1 and first <= base:
                    listed = self._postings.heights_before(terms, before, PAGE_BLOCKS)
                    kept = [height for height in listed if height >= base]
                    return kept, kept[-1] if len(kept) == PAGE_BLOCKS else base
        reached = max(before - PAGE_BLOCKS, base)
        return list(range(before - 1, reached - 1, -1)), reached

    # --- the index -----------------------------------------------------------------------------

    def index(self, postings: Postings) -> bool:
        """Index the next blocks; whether there may be more. Of a chain that goes on from a
        snapshot, the index begins anew at what is kept here."""
        _, last = postings.span
        base = max(self._store.base(), 1)
        if last + 1 < base:
            genesis = self._store.genesis()
            assert genesis is not None
            postings.reset(genesis.chain_id(), base)
            last = base - 1
        top = min(self._height, last + INDEX_STEP)
        if top > last:
            postings.add([(height, self._terms(height)) for height in range(last + 1, top + 1)])
        return top < self._height

    def _terms(self, height: int) -> set[bytes]:
        found: set[bytes] = set()
        for event in events_of(self._store, height):
            found |= terms_of(event.contract, event.name, self._parties(event))
        return found

    async def keep_indexed(self) -> None:
        """Keep the index at the newest block, without end."""
        postings = self._postings
        if postings is None:
            return
        while True:
            try:
                more = await asyncio.to_thread(self.index, postings)
            except StoreAway:
                await asyncio.sleep(AWAY_SECONDS)
                continue
            except sqlite3.Error as error:
                # Listeners look through the blocks meanwhile.
                _log.warning("events_not_indexed", error=str(error))
                await asyncio.sleep(TROUBLE_SECONDS)
                continue
            if not more:
                await self.beyond(postings.span[1])

    def close(self) -> None:
        """Let go of the index."""
        if self._postings is not None:
            self._postings.close()


_NOBODY: Final = Parties(frozenset(), frozenset(), frozenset())


def end_of(height: int) -> Cursor:
    """The cursor behind every event of a block."""
    return Cursor(height, MAX_PLACE, MAX_PLACE)
