"""The frames that wait to be sent to one peer: bounded, and sorted by what may be lost.

Consensus goes first, then answers to requests, then gossip. When the bound is reached, gossip is
dropped first (the peer gets those transactions from others, or in a block), then the oldest
consensus messages (their height or view is the likeliest to be over, and the core sends again).
Answers are never pushed out: the peer asks for the next only when it has this one. Of frames that
only tell the present state (heartbeats, heads, what was heard) the newest replaces the one before.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from ledger.node.net.frames import (
    Blocks,
    Chunk,
    Consensus,
    Evaluate,
    Evaluated,
    Frame,
    GetBlocks,
    GetChunk,
    GetHeard,
    GetManifest,
    GetTrail,
    Heard,
    Manifest,
    NewHead,
    Ping,
    Pong,
    Trail,
    Transactions,
)

_STATE: Final = (Ping, Pong, NewHead, GetHeard, Heard)
_ANSWERS: Final = (
    GetBlocks, Blocks, GetManifest, Manifest, GetChunk, Chunk, GetTrail, Trail, Evaluate, Evaluated,
)  # fmt: skip


class Outbox:
    """Encoded frames on their way to one peer.

    Args:
        capacity: the most bytes that wait. A frame that alone is longer can never be sent.
        dropped: where frames that were dropped are counted, by name of their kind.
    """

    __slots__ = (
        "_answers", "_consensus", "_dropped", "_gossip", "_partial", "_state", "capacity", "size",
    )  # fmt: skip

    def __init__(self, capacity: int, dropped: dict[str, int]) -> None:
        self.capacity = capacity
        #: Bytes waiting now.
        self.size = 0
        self._dropped = dropped
        self._state: dict[type[Frame], bytes] = {}
        self._consensus: deque[bytes] = deque()
        self._answers: deque[bytes] = deque()
        self._gossip: deque[bytes] = deque()
        self._partial: memoryview | None = None

    def put(self, kind: type[Frame], data: bytes) -> bool:
        """Queue an encoded frame; False when it was dropped because there is no room."""
        if kind in _STATE:
            self.size += len(data) - len(self._state.get(kind, b""))
            self._state[kind] = data
            return True
        if kind is Transactions:
            lane = self._gossip
        elif kind in _ANSWERS:
            lane = self._answers
        else:
            lane = self._consensus
        if self.size + len(data) > self.capacity and not self._make_room(lane, len(data)):
            self._count(kind)
            return False
        lane.append(data)
        self.size += len(data)
        return True

    def take(self, limit: int) -> bytes:
        """The next at most ``limit`` bytes of the stream; a long frame comes in several pieces."""
        pieces: list[bytes | memoryview] = []
        room = limit
        while room > 0:
            data: bytes | memoryview | None = self._partial or self._next()
            if data is None:
                break
            self._partial = None
            if len(data) > room:
                self._partial = memoryview(data)[room:]
                data = memoryview(data)[:room]
            pieces.append(data)
            room -= len(data)
        self.size -= limit - room
        return b"".join(pieces)

    def _next(self) -> bytes | None:
        if self._state:
            data = self._state.pop(next(iter(self._state)))
        elif self._consensus:
            data = self._consensus.popleft()
        elif self._answers:
            data = self._answers.popleft()
        elif self._gossip:
            data = self._gossip.popleft()
        else:
            return None
        return data

    def _make_room(self, lane: deque[bytes], wanted: int) -> bool:
        if lane is self._gossip or wanted > self.capacity:
            return False
        self._shed(self._gossip, Transactions, wanted)
        if lane is self._consensus:
            self._shed(self._consensus, Consensus, wanted)
        return self.size + wanted <= self.capacity

    def _shed(self, lane: deque[bytes], kind: type[Frame], wanted: int) -> None:
        while lane and self.size + wanted > self.capacity:
            self.size -= len(lane.popleft())
            self._count(kind)

    def _count(self, kind: type[Frame]) -> None:
        self._dropped[kind.__name__] = self._dropped.get(kind.__name__, 0) + 1
