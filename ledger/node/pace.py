"""How many transactions a proposer puts into a block, so that the others can keep up with it.

A block must be built here and executed by everybody else well inside the view timeout, or the view
changes and the work is lost. The pace is this node's own guess from what its last blocks took; it
only ever makes blocks smaller than the chain allows, so nodes need not agree about it.
"""

from __future__ import annotations

from typing import Final

#: The share of the view timeout that building one block may take.
SHARE: Final = 0.12
#: What a transaction is taken to cost before the first block, in seconds.
FIRST_GUESS: Final = 0.000_5
#: How much of the guess a new measurement replaces.
WEIGHT: Final = 0.3
#: Blocks smaller than this measure the overhead rather than the transactions.
ENOUGH: Final = 20
LEAST: Final = 50


class Pace:
    """A moving average of seconds per transaction."""

    def __init__(self) -> None:
        self._each = FIRST_GUESS

    def took(self, transactions: int, seconds: float) -> None:
        """A block of so many transactions took so long to build."""
        if transactions >= ENOUGH:
            self._each += WEIGHT * (seconds / transactions - self._each)

    def transactions(self, view_timeout: int) -> int:
        """How many to take into the next block, for a view timeout in milliseconds."""
        return max(LEAST, int(SHARE * view_timeout / 1000 / max(self._each, 1e-6)))
