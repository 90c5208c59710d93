"""What is still missing of a snapshot, in which order to ask for it, and what an answer gives.

No network and no clock: requests come out, answers go in. Subtrees of the state are found from the
root down, so which chunks there are is known only as they come; those that are here already, of an
earlier attempt or in the node's own old state, are not asked for. The trail is asked for in several
pieces at a time, and each is believed when the one above it is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ledger.chain.snapshot import (
    MAX_TRACES,
    Anchor,
    InvalidSnapshot,
    Trace,
    children,
    read_chunk,
    read_trail,
)
from ledger.chain.staging import Staging, chunk_item, trace_item
from ledger.node.net.frames import GetChunk, GetTrail

#: What a plan asks for.
Request = GetChunk | GetTrail

#: Pieces of the trail that may be asked for beyond the newest one that is not here.
_AHEAD: Final = 8

#: The encoded chunk at a path, if the node's own state has the subtree of that hash there.
Own = Callable[[bytes, bytes], bytes | None]


class Lie(Exception):
    """A piece that is not what it should be, and who sent it."""

    def __init__(self, sender: str, fault: InvalidSnapshot) -> None:
        super().__init__(str(fault))
        self.sender = sender
        self.fault = fault


@dataclass(slots=True)
class _Held:
    """A piece of the trail that hangs together by itself; not yet connected to what is above."""

    sender: str
    traces: tuple[Trace, ...]

    @property
    def lowest(self) -> int:
        return self.traces[0].header.height


class Plan:
    """The way to one snapshot.

    Args:
        anchor: its verified manifest.
        staging: where pieces are kept.
        own: what the node has in its own state.
    """

    def __init__(self, anchor: Anchor, staging: Staging, own: Own) -> None:
        self.anchor = anchor
        self._staging = staging
        self._own = own
        header = anchor.header
        self._chunks: deque[tuple[bytes, bytes]] = deque([(b"", header.state_root)])
        self._asked_chunks: dict[bytes, bytes] = {}
        # The next height of the trail that is not here, and the hash that its header must have.
        self._height = header.height
        self._expected = header.hash()
        # Where the next piece of the trail begins, and pieces to be asked for again.
        self._next_top = header.height
        self._again: list[GetTrail] = []
        self._asked_trail: set[int] = set()
        self._held: list[_Held] = []
        #: How many pieces have arrived, and their bytes before compression.
        self.pieces = 0
        self.bytes = 0
        self._follow()

    @property
    def done(self) -> bool:
        """Whether everything is staged."""
        state = not self._chunks and not self._asked_chunks
        return state and self._height < self.anchor.oldest

    def next(self) -> Request | None:
        """What to ask for next; None while there is nothing that is not on its way."""
        return self._next_trail() or self._next_chunk()

    def _next_chunk(self) -> GetChunk | None:
        while self._chunks:
            path, expected = self._chunks.popleft()
            chunk = self._staging.chunk(path, expected)
            if chunk is None:
                raw = self._own(path, expected)
                if raw is None:
                    self._asked_chunks[path] = expected
                    return GetChunk(self.anchor.header.height, path)
                chunk = read_chunk(raw, path, expected)
                self._staging.put([chunk_item(path, expected, raw)])
            self._chunks.extend(children(path, chunk.slots))
        return None

    def _next_trail(self) -> GetTrail | None:
        while self._again:
            request = self._again.pop()
            lowest, top = request.top - request.count + 1, min(request.top, self._height)
            if lowest <= top:
                return self._ask_trail(top, top - lowest + 1)
        top = min(self._next_top, self._height)
        if top < self.anchor.oldest or self._height - top >= _AHEAD * MAX_TRACES:
            return None
        count = min(MAX_TRACES, top - self.anchor.oldest + 1)
        self._next_top = top - count
        return self._ask_trail(top, count)

    def _ask_trail(self, top: int, count: int) -> GetTrail:
        self._asked_trail.add(top)
        return GetTrail(top, count)

    def give_back(self, request: Request) -> None:
        """Nothing came of a request; it will be made again."""
        match request:
            case GetChunk(_height, path):
                expected = self._asked_chunks.pop(path, None)
                if expected is not None:
                    self._chunks.appendleft((path, expected))
            case GetTrail(top, _count):
                if top in self._asked_trail:
                    self._asked_trail.discard(top)
                    self._again.append(request)

    def take(self, request: Request, sender: str, raw: bytes) -> None:
        """Check what came as the answer to a request and stage it; it is on the disk on return.

        Raises:
            Lie: it is false, or an earlier answer now turns out to be. What it was the answer to
                is asked for again.
            StoreError: it could not be staged.
        """
        try:
            if isinstance(request, GetChunk):
                self._take_chunk(request, raw)
            else:
                self._take_trail(request, sender, raw)
        except InvalidSnapshot as fault:
            self.give_back(request)
            raise Lie(sender, fault) from None
        self.pieces += 1
        self.bytes += len(raw)

    def _take_chunk(self, request: GetChunk, raw: bytes) -> None:
        expected = self._asked_chunks.get(request.path)
        if expected is None:
            return
        chunk = read_chunk(raw, request.path, expected)
        self._staging.put([chunk_item(request.path, expected, raw)])
        del self._asked_chunks[request.path]
        # Children first: the queue then never holds more than one way down through the tree.
        self._chunks.extendleft(reversed(children(request.path, chunk.slots)))

    def _take_trail(self, request: GetTrail, sender: str, raw: bytes) -> None:
        if request.top not in self._asked_trail:
            return
        traces = read_trail(raw, request.top, self.anchor.header.chain)
        self._asked_trail.discard(request.top)
        lowest, wanted = traces[0].header.height, request.top - request.count + 1
        if lowest > wanted:
            self._again.append(GetTrail(lowest - 1, lowest - wanted))
        self._held.append(_Held(sender, traces))
        self._follow()

    def _follow(self) -> None:
        """Go down the trail as far as it is here."""
        while self._height >= self.anchor.oldest:
            trace = self._staging.trace(self._height, self._expected)
            if trace is None:
                trace = self._connect()
            if trace is None:
                break
            self._height, self._expected = trace.header.height - 1, trace.header.parent
        self._held = [held for held in self._held if held.lowest <= self._height]

    def _connect(self) -> Trace | None:
        """Stage what is held of the trail from the next height on down; its last trace."""
        for held in self._held:
            below = held.traces[: max(0, self._height - held.lowest + 1)]
            if not below or below[-1].header.height != self._height:
                continue
            self._held.remove(held)
            if below[-1].header.hash() != self._expected:
                self._again.append(GetTrail(self._height, len(below)))
                fault = InvalidSnapshot("trail", f"block {self._height} has another hash")
                raise Lie(held.sender, fault)
            self._staging.put([trace_item(trace) for trace in below])
            return below[0]
        return None
