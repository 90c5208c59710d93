"""Writing to a disk that is full."""

from __future__ import annotations

import asyncio

import pytest

from ledger.chain.store import StoreFull, StoreUnusable
from ledger.node.room import Room


async def test_a_write_without_room_is_repeated_until_there_is_some() -> None:
    room = Room(pause=0.001)
    seen: list[str] = []

    async def attempt() -> int:
        seen.append(room.shortage)
        if len(seen) < 3:
            raise StoreFull("no room")
        return 7

    assert await room.write(attempt) == 7
    assert seen == ["", "no room", "no room"]
    assert room.shortage == ""


async def test_other_failures_are_passed_on() -> None:
    async def attempt() -> None:
        raise StoreUnusable("damaged")

    with pytest.raises(StoreUnusable):
        await Room().write(attempt)


async def test_a_node_can_be_stopped_while_it_waits_for_room() -> None:
    room = Room(pause=60)

    async def attempt() -> None:
        raise StoreFull("no room")

    task = asyncio.create_task(room.write(attempt))
    await asyncio.sleep(0.01)
    assert room.shortage == "no room"
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
