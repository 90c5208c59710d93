"""Frames that arrive while the database is gone or damaged."""

from __future__ import annotations

import pytest

from ledger.chain.store import StoreAway, StoreUnusable
from ledger.node.net import frames
from ledger.node.reception import Reception


def test_a_frame_that_needs_a_database_that_is_gone_is_dropped_and_the_peer_kept() -> None:
    reception = Reception()

    def fail(_peer: str, _frame: frames.Frame) -> None:
        raise StoreAway("gone")

    reception.on(frames.Ping, fail)
    reception.receive("a", frames.Ping(7, 1_000))


async def test_a_frame_that_meets_a_damaged_store_ends_the_node_and_costs_the_peer_nothing() -> (
    None
):
    reception = Reception()

    def fail(_peer: str, _frame: frames.Frame) -> None:
        raise StoreUnusable("malformed")

    reception.on(frames.Ping, fail)
    reception.receive("a", frames.Ping(7, 1_000))
    with pytest.raises(StoreUnusable, match="malformed"):
        await reception.damage()
