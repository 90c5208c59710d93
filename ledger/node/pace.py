"""How much a proposer puts into a block, so that the others can keep up with it.

A block must be built here and executed by everybody else well inside the view timeout, or the view
changes and the work is lost. The pace is this node's own guess from what its last blocks took; it
only ever makes blocks smaller than the chain allows, so nodes need not agree about it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

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


def _calls(transactions: Sequence[Transaction]) -> int:
    return sum(len(transaction.body.calls) for transaction in transactions)


class Pace:
    """A moving average of seconds per call."""

    def __init__(self) -> None:
        self._each = FIRST_GUESS

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
