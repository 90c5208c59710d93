"""Notices transactions that a proposer leaves out: first it is reminded, then it is complained of.

A proposer takes transactions in the order in which they reached it, which is more or less the order
in which they reached everybody. So a transaction is *passed over* by a block that holds one which
came later here, or by any block while it is the first in line. A node that just got none of it, or
lost it in a restart, must not lose its place for that: what does not move is forwarded to it first.

Bounded both ways. A proposer that shuts somebody out, or lets them in late, is voted out after the
patience of f+1 validators, whatever else it includes. Somebody who floods the pools with what
cannot be included buys few view changes, since patience doubles with each complaint.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from itertools import islice
from typing import Final

#: How many of the first in line are looked after.
FRONT: Final = 64
#: How many of those passed over are remembered, and how far back in line they are looked for.
REMEMBERED: Final = 1_000
LOOKED_AT: Final = 10_000
#: The patience before the first complaint, in view timeouts.
PATIENCE: Final = 2
#: How often patience doubles at most.
DOUBLINGS: Final = 6


class Watch:
    """What one node knows about transactions that wait too long. Times in seconds."""

    def __init__(self) -> None:
        self._passed: dict[bytes, float] = {}
        self._stood: frozenset[bytes] = frozenset()
        self._reminded: dict[bytes, str] = {}
        self._complaints = 0
        self._calm_since: float | None = None

    def block(self, included: Collection[bytes], line: Iterable[bytes], now: float) -> None:
        """A block is final.

        Args:
            included: those of its transactions that stood in line here.
            line: the ids in line when it came, in order of arrival, the included ones among them.
            now: the clock of the event loop.
        """
        missing = set(included)
        for identity in included:
            self._passed.pop(identity, None)
        for place, identity in enumerate(islice(line, LOOKED_AT)):
            if identity in missing:
                missing.discard(identity)
            elif (missing or place == 0) and len(self._passed) < REMEMBERED:
                self._passed.setdefault(identity, now)
            if not missing:
                break

    def gone(self, waits: Callable[[bytes], bool]) -> None:
        """Forget what does not stand in line any more, by whatever way it went."""
        self._passed = {one: since for one, since in self._passed.items() if waits(one)}

    def complains(self, view_timeout: float, now: float) -> bool:
        """Whether something has been passed over for longer than patience lasts; asked per block.

        True starts everything anew: the next proposer gets its own time, and twice as much.
        """
        patience = PATIENCE * view_timeout * 2**self._complaints
        if any(now - since > patience for since in self._passed.values()):
            self._passed.clear()
            self._complaints = min(self._complaints + 1, DOUBLINGS)
            self._calm_since = None
            return True
        self._calm_down(patience, now)
        return False

    def _calm_down(self, patience: float, now: float) -> None:
        """Patience shrinks again, by one step each time that nobody was passed over for long."""
        if self._passed or self._complaints == 0:
            self._calm_since = None
        elif self._calm_since is None:
            self._calm_since = now
        elif now - self._calm_since > 2 * patience:
            self._complaints -= 1
            self._calm_since = now

    def reminders(self, line: Iterable[bytes], proposer: str) -> list[bytes]:
        """What to forward to the proposer, asked at regular intervals.

        Due is what was among the first in line the last time and still is, and what blocks have
        passed over; each proposer is reminded of a transaction once while it stands there.
        """
        front = list(islice(line, FRONT))
        due = [*(identity for identity in front if identity in self._stood)]
        due += [one for one in islice(self._passed, FRONT) if one not in self._stood]
        fresh = [identity for identity in due if self._reminded.get(identity) != proposer]
        self._stood = frozenset(front)
        self._reminded = dict.fromkeys(due, proposer)
        return fresh
