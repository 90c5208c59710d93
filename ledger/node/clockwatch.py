"""Whether this node's clock agrees with the others'.

Peers tell the time of their clocks with every heartbeat. The median over the validators is taken,
so that a minority of wrong or lying clocks does not matter. The way of a heartbeat makes a peer
seem late by as long as it took, which is little beside what is reported here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from statistics import median_low
from typing import Final

#: Fewer clocks than this say nothing about one's own.
ENOUGH: Final = 2


class ClockWatch:
    """Remembers how far the clocks of the connected peers are ahead of this node's.

    Args:
        clock: this node's, in milliseconds since 1970 UTC.
    """

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._ahead: dict[str, int] = {}

    def heard(self, peer: str, time: int) -> None:
        """A peer's clock shows ``time`` now; 0 means that it does not say."""
        if time:
            self._ahead[peer] = time - self._clock()

    def lost(self, peer: str) -> None:
        """A peer is no longer connected."""
        self._ahead.pop(peer, None)

    def behind(self, validators: Collection[str]) -> int:
        """By how many milliseconds this clock is behind the validators' median; negative: ahead.

        0 while too few of them have said anything.
        """
        told = [ahead for peer, ahead in self._ahead.items() if peer in validators]
        return median_low(told) if len(told) >= ENOUGH else 0
