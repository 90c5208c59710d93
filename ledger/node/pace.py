"""How much a proposer puts into a block, so that the others can keep up with it.

A block must be built here, sent to everybody and executed there well inside the view timeout, or
the view changes and the work is lost. The pace is this node's own guess from what its last blocks
took; it only ever makes blocks smaller than the chain allows, so nodes need not agree about it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ledger.chain import limits
from ledger.chain.transaction import Transaction

#: The share of the view timeout that building one block may take.
SHARE: Final = 0.12
#: What a call is taken to cost before the first block, in seconds.
FIRST_GUESS: Final = 0.000_5
#: How much of the guess a new measurement replaces.
WEIGHT: Final = 0.3
#: Blocks with fewer calls measure the overhead rather than the calls.
ENOUGH: Final = 20
LEAST: Final = 50
#: A block may always have so many bytes, or there could be transactions that never get in.
LEAST_BYTES: Final = limits.MAX_TRANSACTION_BYTES
#: How often strain halves a block at most.
MOST_STRAIN: Final = 8
#: After so many blocks in a row without a view change a halving is taken back.
CALM: Final = 4


def _calls(transactions: Sequence[Transaction]) -> int:
    return sum(len(transaction.body.calls) for transaction in transactions)


class Pace:
    """A moving average of seconds per call, and how much the last blocks strained the network."""

    def __init__(self) -> None:
        self._each = FIRST_GUESS
        self._strain = 0
        self._calm = 0

    def final(self, view: int) -> None:
        """A block became final in that view: 0, or the views before it came to nothing."""
        if view > 0:
            self._strain = min(self._strain + view, MOST_STRAIN)
            self._calm = 0
            return
        self._calm += 1
        if self._calm >= CALM and self._strain > 0:
            self._strain -= 1
            self._calm = 0

    def bytes(self, view: int, allowed: int) -> int:
        """How many bytes a block proposed in ``view`` may have, where the chain allows so many.

        Each view that came to nothing halves it: on a thin line the same large block would be late
        again, behind the one that is still on its way.
        """
        halvings = min(self._strain + view, MOST_STRAIN)
        return min(allowed, max(allowed >> halvings, LEAST_BYTES))

    def took(self, transactions: Sequence[Transaction], seconds: float) -> None:
        """A block of these transactions took so long to build."""
        calls = _calls(transactions)
        if calls >= ENOUGH:
            self._each += WEIGHT * (seconds / calls - self._each)

    def calls(self, view_timeout: int) -> int:
        """How many calls the next block may have, for a view timeout in milliseconds."""
        return max(LEAST, int(SHARE * view_timeout / 1000 / max(self._each, 1e-6)))

    def fitting(self, waiting: Sequence[Transaction], view_timeout: int) -> Sequence[Transaction]:
        """The first of the waiting transactions, as many as fit; at least one."""
        room = self.calls(view_timeout)
        for place, transaction in enumerate(waiting):
            room -= len(transaction.body.calls)
            if room < 0:
                return waiting[: max(1, place)]
        return waiting
