"""Frames that arrive while the database is gone."""

from __future__ import annotations

from ledger.chain.store import StoreAway
from ledger.node.net import frames
from ledger.node.reception import Reception


def test_a_frame_that_needs_a_database_that_is_gone_is_dropped_and_the_peer_kept() -> None:
    reception = Reception()

    def fail(_peer: str, _frame: frames.Frame) -> None:
        raise StoreAway("gone")

    reception.on(frames.Ping, fail)
    reception.receive("a", frames.Ping(7, 1_000))
