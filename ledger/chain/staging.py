"""What has arrived of a snapshot, kept in the store until it is complete.

Every piece is on the disk when `Staging.put` returns, so a node that is killed goes on where it
was. A piece is named by its place and checked against its hash when it is used: those of an earlier
snapshot serve a later one wherever nothing has changed.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from ledger.chain import subtree
from ledger.chain.block import Header
from ledger.chain.codec import Malformed, decode, encode
from ledger.chain.database import Database
from ledger.chain.queries import Queries
from ledger.chain.snapshot import (
    MAX_TRAIL_BYTES,
    Anchor,
    Chunk,
    InvalidSnapshot,
    Trace,
    children,
    leaves_of,
    read_chunk,
)
from ledger.chain.tiles import SLOTS
from ledger.crypto.hashing import HASH_SIZE

CHUNK: Final = "chunk"
TRACE: Final = "trace"

#: A piece with its kind and its name: the path of a chunk, the height of a trace.
Item = tuple[str, bytes, bytes]


@dataclass(frozen=True, slots=True)
class StateBatch:
    """Part of a state, ready to be stored: entries, and tiles by path."""

    entries: Sequence[tuple[bytes, bytes]]
    tiles: subtree.TileMap


class Incomplete(Exception):
    """A piece that is not here, or is not the one that is needed."""


def chunk_item(path: bytes, expected: bytes, raw: bytes) -> Item:
    """A checked chunk as it is kept: behind its hash, by which it is recognised."""
    return CHUNK, path, expected + raw


def trace_item(trace: Trace) -> Item:
    """A checked trace as it is kept."""
    return TRACE, trace_name(trace.header.height), encode(trace)


def trace_name(height: int) -> bytes:
    """The name of the trace of a height."""
    return height.to_bytes(8, "big")


class Staging:
    """The pieces that one store has taken in.

    Args:
        database: of the store.
        writing: held while something is written.
    """

    def __init__(self, database: Database, queries: Queries, writing: threading.Lock) -> None:
        self._database = database
        self._queries = queries
        self._writing = writing

    def put(self, items: Sequence[Item]) -> None:
        """Keep pieces, in place of those of the same names; they are on the disk on return.

        Raises:
            StoreUnusable, StoreFull, StoreBusy: none of them is kept.
        """
        with self._writing, self._database.transaction() as writer:
            for kind, name, content in items:
                writer.run(self._queries.drop_incoming, (kind, name))
                writer.run(self._queries.add_incoming, (kind, name, content))

    def get(self, kind: str, name: bytes) -> bytes | None:
        """The content of a piece, or None."""
        row = self._database.one(self._queries.incoming, (kind, name))
        return None if row is None else row[0]

    def count(self) -> int:
        """How many pieces are kept."""
        count: int = self._database.one(self._queries.count_incoming)[0]
        return count

    def clear(self) -> None:
        """Forget everything."""
        with self._writing, self._database.transaction() as writer:
            writer.run(self._queries.clear_incoming)

    def chunk(self, path: bytes, expected: bytes) -> Chunk | None:
        """The chunk at a path if it is here and has the expected hash."""
        piece = self.get(CHUNK, path)
        if piece is None or piece[:HASH_SIZE] != expected:
            return None
        try:
            return read_chunk(piece[HASH_SIZE:], path, expected)
        except InvalidSnapshot:
            return None

    def trace(self, height: int, expected: bytes) -> Trace | None:
        """The trace of a height if it is here and its header has the expected hash."""
        raw = self.get(TRACE, trace_name(height))
        if raw is None:
            return None
        try:
            trace = decode(raw, Trace, limit=MAX_TRAIL_BYTES)
        except Malformed:
            return None
        return trace if trace.header.hash() == expected else None

    def state(self, header: Header) -> Iterator[StateBatch]:
        """The whole state after the block of a header, from the chunks.

        Raises:
            Incomplete: a chunk is missing, or they do not make the state that the header names.
        """
        entry = yield from self._subtree(b"", header.state_root, header.height)
        if not entry:
            raise Incomplete("the state is empty")

    def _subtree(
        self, path: bytes, expected: bytes, height: int
    ) -> Generator[StateBatch, None, bytes]:
        """Yield what is below a path; returns what stands in the slot above."""
        chunk = self.chunk(path, expected)
        if chunk is None:
            raise Incomplete(f"the chunk at {path.hex()[1::2] or 'the root'} is missing")
        if chunk.entries:
            leaves = leaves_of(path, chunk.entries)
            entry, made = subtree.plant(path, leaves, height)
            yield StateBatch(chunk.entries, made)
            return entry
        slots = [b""] * SLOTS
        for child, below in children(path, chunk.slots):
            slots[child[-1]] = yield from self._subtree(child, below, height)
        entry, made = subtree.graft(path, slots, height)
        yield StateBatch((), made)
        return entry

    def trail(self, anchor: Anchor) -> Iterator[Trace]:
        """The trail of a snapshot, newest first.

        Raises:
            Incomplete: a trace is missing.
        """
        expected = anchor.header.hash()
        for height in range(anchor.header.height, anchor.oldest - 1, -1):
            trace = self.trace(height, expected)
            if trace is None:
                raise Incomplete(f"the trace of block {height} is missing")
            yield trace
            expected = trace.header.parent
