"""What a node that catches up believes of its peers, and whom it leaves alone."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

_log = structlog.get_logger(__name__)

#: How long a peer that did not answer, or had nothing, is left alone, in seconds.
PENALTY_SECONDS: Final = 20.0
#: How long one that sent something false is, in seconds.
LIAR_SECONDS: Final = 600.0
#: How long a peer may take to answer, in seconds: at first, and at most. A block of 8 MiB takes
#: 70 seconds at 1 Mbit/s, so a peer that was too slow is given twice as long the next time.
FIRST_PATIENCE: Final = 30.0
LONGEST_PATIENCE: Final = 240.0
#: An answer may take so many times as long as the slowest of late.
_ALLOWANCE: Final = 4.0


class Peers:
    """The other nodes, by what they say and how they answered.

    ``liars``: who sent something false, with the rule that it breaks, newest last.
    """

    def __init__(self) -> None:
        self._claims: dict[str, int] = {}
        self._shunned: dict[str, float] = {}
        self._patience: dict[str, float] = {}
        self._departures: dict[str, int] = {}
        self.liars: dict[str, str] = {}

    def heard(self, node: str, height: int) -> None:
        """A peer says that its newest block has this height."""
        self._claims[node] = height

    def gone(self, node: str) -> None:
        """A peer is no longer connected."""
        self._claims.pop(node, None)

    @property
    def target(self) -> int:
        """The highest chain that any peer claims to have, of those that may be believed."""
        return max((height for height, _node in self.believed()), default=0)

    def believed(self) -> list[tuple[int, str]]:
        """Claims with who makes them, without those of peers that are left alone for now."""
        now = asyncio.get_running_loop().time()
        return [
            (height, node)
            for node, height in self._claims.items()
            if self._shunned.get(node, 0.0) <= now
        ]

    def patience(self, node: str) -> float:
        """How long this peer may take to answer, in seconds."""
        return self._patience.get(node, FIRST_PATIENCE)

    def answered(self, node: str, seconds: float) -> None:
        """It took a peer so long to answer."""
        wanted = max(FIRST_PATIENCE, _ALLOWANCE * seconds)
        self._patience[node] = min(LONGEST_PATIENCE, wanted)
        self._departures.pop(node, None)

    def silent(self, node: str) -> None:
        """A peer did not answer in time; next time it may take longer."""
        self._patience[node] = min(LONGEST_PATIENCE, 2 * self.patience(node))
        self.shun(node, "no answer")

    def left(self, node: str) -> None:
        """A peer went away while it owed an answer.

        Once that is a bad line. Who does it again and again, back each time with the highest claim,
        is left alone so that others are asked, longer each time until it answers.
        """
        times = self._departures[node] = self._departures.get(node, 0) + 1
        if times > 1:
            pause = min(PENALTY_SECONDS, 2.0 ** min(times, 10))
            self._leave(node, f"left {times} times without an answer", pause)

    def shun(self, node: str, reason: str) -> None:
        """Leave a peer alone for a while."""
        self._leave(node, reason, PENALTY_SECONDS)

    def lied(self, node: str, rule: str, explanation: str) -> None:
        """A peer sent what no correct node sends: name it, and leave it alone for long."""
        self.liars.pop(node, None)
        self.liars[node] = f"{rule}: {explanation}" if rule else explanation
        self._leave(node, self.liars[node], LIAR_SECONDS)

    def _leave(self, node: str, reason: str, seconds: float) -> None:
        self._shunned[node] = asyncio.get_running_loop().time() + seconds
        _log.warning("sync_peer_shunned", peer=node, reason=reason, seconds=seconds)
