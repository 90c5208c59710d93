"""Events in the order of the chain, from any place on."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from ledger.node.answers import Cursor, LedgerEvent
from ledger.node.events import EventFeed, events_of
from tests.support.chain import HandmadeChain


@pytest.fixture
def chain(tmp_path: Path) -> HandmadeChain:
    chain = HandmadeChain(tmp_path / "chain.db")
    chain.append([chain.transaction(calls=2), chain.transaction()])
    chain.append()
    chain.append([chain.transaction()])
    return chain


ALL = [Cursor(1, 0, 0), Cursor(1, 0, 1), Cursor(1, 1, 0), Cursor(3, 0, 0)]


async def take(feed: EventFeed, after: Cursor, count: int) -> list[LedgerEvent]:
    found = []
    async for event in feed.after(after):
        found.append(event)
        if len(found) == count:
            break
    return found


def test_the_events_of_a_block_are_counted_per_transaction(chain: HandmadeChain) -> None:
    found = list(events_of(chain.store, 1))
    assert [event.cursor for event in found] == ALL[:3]
    assert [(event.call, event.fields) for event in found] == [
        (0, {"n": 0}),
        (1, {"n": 1}),
        (0, {"n": 0}),
    ]
    header = chain.store.header(1)
    assert header is not None
    assert {event.time for event in found} == {header.time}
    assert list(events_of(chain.store, 2)) == []
    assert list(events_of(chain.store, 99)) == []


async def test_a_listener_gets_everything_behind_its_cursor(chain: HandmadeChain) -> None:
    feed = EventFeed(chain.store)
    for place, cursor in enumerate([Cursor(0, 0, 0), *ALL[:3]]):
        found = await take(feed, cursor, len(ALL) - place)
        assert [event.cursor for event in found] == ALL[place:]


async def test_a_listener_at_the_end_waits_for_new_blocks(chain: HandmadeChain) -> None:
    feed = EventFeed(chain.store)
    waiting = [asyncio.create_task(take(feed, ALL[-1], 2)) for _ in range(3)]
    await asyncio.sleep(0.01)
    assert not any(task.done() for task in waiting)
    for transactions in ([], [chain.transaction()], [chain.transaction()]):
        await feed.grew(chain.append(transactions).height)
    for task in waiting:
        assert [event.cursor for event in await task] == [Cursor(5, 0, 0), Cursor(6, 0, 0)]


async def test_blocks_are_told_only_when_they_are_announced(chain: HandmadeChain) -> None:
    feed = EventFeed(chain.store)
    header = chain.append([chain.transaction()])
    waiting = asyncio.create_task(take(feed, ALL[-1], 1))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    await feed.grew(header.height)
    assert (await waiting)[0].cursor == Cursor(4, 0, 0)
