"""The events of the chain in order, from any place on and then as they happen.

Nothing is buffered per listener: a listener is a cursor, and what it has not seen yet is read from
the stored results. So a listener that was away for a month misses nothing and costs nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator

from ledger.chain.result import decode_result
from ledger.chain.store import Store, StoreAway
from ledger.node.answers import Cursor, LedgerEvent

#: How long to wait for a database that is gone, in seconds.
AWAY_SECONDS = 0.5


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
    """Wakes listeners when the chain has grown."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._height = store.height()
        self._grown = asyncio.Condition()

    async def grew(self, height: int) -> None:
        """A block became final."""
        async with self._grown:
            self._height = height
            self._grown.notify_all()

    async def after(self, cursor: Cursor) -> AsyncGenerator[LedgerEvent, None]:
        """All events behind ``cursor``, then new ones.

        Ends when the caller stops, or where the blocks that come next are not kept here any more.
        """
        height = max(cursor.height, 1)
        while True:
            while height <= self._height:
                if cursor.height < height < self._store.base():
                    # Told so when it asks again; what is missing here must not go unnoticed.
                    return
                try:
                    events = list(events_of(self._store, height))
                except StoreAway:
                    await asyncio.sleep(AWAY_SECONDS)
                    continue
                for event in events:
                    if event.cursor > cursor:
                        yield event
                height += 1
            async with self._grown:
                while height > self._height:
                    await self._grown.wait()
