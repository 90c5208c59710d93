"""What waits for the store: for room on the disk, and for a database that is gone."""

from __future__ import annotations

import asyncio

import pytest

from ledger.chain.store import StoreAway, StoreBusy, StoreError, StoreFull, StoreUnusable
from ledger.node.room import Room


async def test_a_write_without_room_is_repeated_until_there_is_some() -> None:
    now = 1_767_225_600_000
    room = Room(pause=0.001, clock=lambda: now)
    seen: list[str] = []

    async def attempt() -> int:
        nonlocal now
        seen.append(room.shortage)
        if len(seen) < 3:
            now += 60_000
            raise StoreFull("no room")
        return 7

    assert await room.write(attempt) == 7
    trouble = "no room (since 2026-01-01 00:01:00 UTC; trying again)"
    assert seen == ["", trouble, trouble]
    assert room.shortage == ""


@pytest.mark.parametrize("kind", [StoreAway, StoreBusy])
async def test_what_a_database_that_is_gone_or_taken_did_not_do_is_done_when_it_is_back(
    kind: type[StoreError],
) -> None:
    room = Room(pause=0.001)
    attempts = iter([kind("gone"), kind("still gone"), None])

    def read() -> str:
        error = next(attempts)
        if error is not None:
            raise error
        return "read"

    assert await room.read(read) == "read"
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
    assert room.shortage.startswith("no room")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
