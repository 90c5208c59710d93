"""Answers other nodes' requests for snapshots, at a rate that leaves the node time for its work.

The answers are made on a thread, one after the other, in turns between those who ask.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

import structlog

from ledger.chain import supplier
from ledger.chain.codec import Malformed
from ledger.chain.compression import compress
from ledger.chain.statetree import TileMissing
from ledger.chain.store import Store, StoreError
from ledger.node.net.frames import Chunk, Frame, GetChunk, GetManifest, GetTrail, Manifest, Trail

_log = structlog.get_logger(__name__)

#: Requests of one peer that may wait; whoever sends more than that is not one of us.
MAX_WAITING: Final = 32
#: For each second of work the provider rests so many.
REST: Final = 2.0

#: What peers ask for.
Question = GetManifest | GetChunk | GetTrail


def answer(store: Store, question: Question) -> Frame:
    """The answer to a question about snapshots; an empty one where the store has not got it.

    Raises:
        StoreError, TileMissing: the store cannot be read.
    """
    match question:
        case GetManifest(height, known):
            height = height or store.height()
            return Manifest(height, known, _packed(supplier.manifest(store, height, known)))
        case GetChunk(height, path):
            return Chunk(height, path, _packed(supplier.chunk(store, height, path)))
        case GetTrail(top, count):
            return Trail(top, _packed(supplier.trail(store, top, count)))


def _packed(raw: bytes | None) -> bytes:
    return b"" if raw is None else compress(raw)


class Provider:
    """Serves snapshots out of a store.

    Args:
        send: puts a frame on the way to a peer.
    """

    def __init__(self, store: Store, send: Callable[[str, Frame], bool]) -> None:
        self._store = store
        self._send = send
        self._waiting: dict[str, deque[Question]] = {}
        self._wake = asyncio.Event()
        #: How many answers were given.
        self.answers = 0

    def asked(self, peer: str, question: Question) -> None:
        """Take in a question; raises `Malformed` for one too many at a time."""
        waiting = self._waiting.setdefault(peer, deque())
        if len(waiting) >= MAX_WAITING:
            raise Malformed(f"more than {MAX_WAITING} questions about snapshots at a time")
        waiting.append(question)
        self._wake.set()

    def lost(self, peer: str) -> None:
        """A peer is no longer connected."""
        self._waiting.pop(peer, None)

    async def run(self) -> None:
        """Answer until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                for peer in list(self._waiting):
                    waiting = self._waiting.get(peer)
                    if not waiting:
                        self._waiting.pop(peer, None)
                        continue
                    question = waiting.popleft()
                    begun = loop.time()
                    await self._answer(peer, question)
                    await asyncio.sleep(REST * (loop.time() - begun))

    async def _answer(self, peer: str, question: Question) -> None:
        try:
            frame = await asyncio.to_thread(answer, self._store, question)
        except (StoreError, TileMissing) as error:
            # What is wrong with the store is found and said elsewhere; here it has not got it.
            _log.error("snapshot_unreadable", question=repr(question), error=str(error))
            return
        self.answers += 1
        self._send(peer, frame)
