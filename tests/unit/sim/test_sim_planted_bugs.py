"""Bugs that are put into the production classes on purpose, one at a time, and are found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from ledger.chain.block import ValidatorSet
from ledger.chain.vote import Vote
from ledger.consensus.ballots import Ballots
from ledger.consensus.committee import Committee
from ledger.consensus.messages import ViewChange
from ledger.consensus.promises import Promises
from ledger.contracts import blocks
from ledger.node.driver import Driver
from ledger.sim.explore import explore

#: Each bug is found within so many seeds.
SEEDS = 40


def first_broken(*faults: str) -> str:
    """What the explorer finds, in the first seed in which it does; empty if it does not."""
    for seed in range(1, SEEDS + 1):
        broken = explore(seed, faults=faults).broken
        if broken:
            return broken.partition("\n\n")[0]
    return ""


def test_a_quorum_of_2f_makes_two_histories(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ValidatorSet, "quorum", property(lambda self: self.size - self.faults - 1))
    assert "has another block" in first_broken("partition", "byzantine")


def test_votes_that_are_sent_before_they_are_stored_are_noticed(monkeypatch: pytest.MonkeyPatch):
    async def forget(self: Driver, votes: Sequence[Vote]) -> None:
        pass

    monkeypatch.setattr(Driver, "_persist", forget)
    assert first_broken("crash")


def test_a_lock_that_is_dropped_when_the_view_changes_is_noticed(monkeypatch: pytest.MonkeyPatch):
    change_view = Promises.view_change

    def forget(self: Promises, view: int) -> ViewChange:
        lock, self.lock = self.lock, None
        try:
            return change_view(self, view)
        finally:
            self.lock = lock

    monkeypatch.setattr(Promises, "view_change", forget)
    assert "amnesia" in first_broken("partition", "loss")


def test_a_certificate_with_signatures_that_nobody_checks_is_noticed(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(Committee, "authenticate", lambda _self, _message: None)
    assert first_broken("byzantine")


def test_a_vote_counted_for_whatever_block_is_noticed(monkeypatch: pytest.MonkeyPatch):
    def every(votes: Any, view: int, digest: bytes | None) -> tuple[str, ...]:
        return tuple(node for node, vote in sorted(votes.items()) if vote.view == view)

    monkeypatch.setattr(Ballots, "voters", staticmethod(every))
    assert first_broken("byzantine")


def test_a_transaction_that_is_let_in_twice_is_noticed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(blocks, "_same", lambda _what, _expected, _found: None)
    assert first_broken("byzantine")
