"""Removing from a store what its archive files hold, without touching what it still proves.

First the *base* rises: the bodies, results, certificates and headers below it go, in the same
transaction that writes the new base down, so that nobody reads half of a block. Then follow, each
in small transactions of its own and with a mark of how far it has come, the values of the state and
the tiles of its tree that were superseded before the base, and the ids of transactions that are too
old to be sent again. A crash between any two of them loses nothing: the next run goes on from the
marks. Proofs, values and blocks from the base on, and the state just below it, stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ledger.chain import tiles
from ledger.chain.codec import Malformed, encode
from ledger.chain.constitution import oldest_repeatable
from ledger.chain.database import Writer
from ledger.chain.handover import Handover, handovers
from ledger.chain.rows import BASE_MARK, STATE_MARK, TILES_MARK, encode_mark
from ledger.chain.store import Store, StoreUnusable
from ledger.chain.tiles import CHILD_SIZE, SLOTS, Tile
from ledger.crypto.hashing import HASH_SIZE

#: How much one transaction removes at most: rows, blocks, and transactions of blocks (a single
#: block may have more).
STEP_ROWS: Final = 500
STEP_BLOCKS: Final = 64
STEP_TRANSACTIONS: Final = 2_000


class Pruning:
    """Prunes one store. One thread at a time may go through `steps`; the store may be in use."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._queries = store.queries

    def steps(self, base: int) -> Iterator[None]:
        """Raise the base of the store to a height and remove what goes with that.

        Also goes on with what an earlier call left. Every step is one short transaction, and
        between two of them the caller may pause or stop for good.

        Args:
            base: the first height that is kept; at most that of the newest block. What lies below
                is gone afterwards, so it has to be in archive files.

        Raises:
            ValueError: there is no block at ``base``.
            StoreError: the store is damaged, or there is no room.
        """
        if base > self._store.height():
            raise ValueError(f"there is no block {base} to keep")
        while self._store.base() < base:
            self._raise_base(base)
            yield
        yield from self._sweep_state()
        yield from self._sweep_tiles()
        yield from self._sweep_identities()

    # Blocks.

    def _raise_base(self, target: int) -> None:
        """Remove the next blocks, as many as fit into one step."""
        store, old = self._store, self._store.base()
        traces = []
        count = 0
        for height in range(old, min(target, old + STEP_BLOCKS)):
            trace = store.trace(height)
            if trace is None:
                raise StoreUnusable(f"there is no block {height}")
            traces.append(trace)
            count += len(trace[1]) // HASH_SIZE
            if count >= STEP_TRANSACTIONS:
                break
        base = old + len(traces)
        below = max(old - 1, 0)
        kept = [
            (handover.header.height, encode(handover))
            for handover in self._leading(below, base - 1)
        ]
        queries = self._queries
        with store.maintenance() as writer:
            if store.mark(TILES_MARK) is None:
                version = store.tree_height(below)
                self._put(writer, TILES_MARK, below, 0 if version is None else version)
            writer.many(
                queries.add_trail,
                [(header.height, encode(header), ids) for header, ids in traces],
            )
            writer.many(queries.add_handover, kept)
            writer.run(queries.drop_blocks, (base - 1,))
            writer.run(queries.empty_block, (b"", b"", base - 1))
            self._put(writer, BASE_MARK, base)

    def _leading(self, first: int, end: int) -> Iterator[Handover]:
        """The handovers at heights from ``first`` up to, not including, ``end``."""
        headers = [self._store.header(height) for height in range(max(first, 1), end + 1)]
        if len({header.validators for header in headers if header is not None}) > 1:
            for handover in handovers(self._store, end):
                if handover.header.height >= first:
                    yield handover

    def _put(self, writer: Writer, name: str, *numbers: int) -> None:
        writer.run(self._queries.drop_meta, (name,))
        writer.run(self._queries.add_meta, (name, encode_mark(*numbers)))

    # The state.

    def _sweep_state(self) -> Iterator[None]:
        """Remove values that another one superseded before the base, and deletions before it."""
        store, queries = self._store, self._queries
        below = store.base() - 1
        newest = store.newest_row()
        while True:
            mark = store.mark(STATE_MARK)
            rows = store.written(mark[0] if mark else 0, STEP_ROWS)
            # The newest row of all stays: the next one is numbered after it.
            done = [row for row in rows if row.height <= below and row.id < newest]
            if not done:
                return
            with store.maintenance() as writer:
                writer.many(
                    queries.drop_superseded, [(row.name, row.height, row.key) for row in done]
                )
                writer.many(queries.drop_state, [(row.id,) for row in done if row.deleted])
                self._put(writer, STATE_MARK, done[-1].id)
            yield
            if len(done) < len(rows):
                return

    # The tree.

    def _sweep_tiles(self) -> Iterator[None]:
        """Remove the tiles that no tree from just below the base on reaches."""
        store = self._store
        below = store.base() - 1
        while True:
            mark = store.mark(TILES_MARK)
            if mark is None:
                return
            height, version = mark
            following = store.next_tree(height)
            if following is None or following > below:
                return
            gone = list(self._superseded(b"", version, following))
            pieces = [gone[at : at + STEP_ROWS] for at in range(0, len(gone), STEP_ROWS)] or [[]]
            for number, piece in enumerate(pieces, 1):
                with store.maintenance() as writer:
                    writer.many(self._queries.drop_tile, piece)
                    if number == len(pieces):
                        self._put(writer, TILES_MARK, following, following)
                yield

    def _superseded(self, path: bytes, old: int, new: int) -> Iterator[tuple[int, bytes]]:
        """Height and path of what stood below a tile before its version ``new`` and does not any
        more. What lies deepest comes first, so that after a crash the rest is still found."""
        before, after = self._tile(path, old), self._tile(path, new)
        if before is None:
            return
        if after is None:
            raise StoreUnusable(f"tile {path.hex()} of height {new} is missing")
        for slot in range(SLOTS):
            was, entry = before[SLOTS + slot], after[SLOTS + slot]
            if len(was) != CHILD_SIZE or was == entry:
                continue
            child = path + bytes([slot])
            if len(entry) != CHILD_SIZE:
                yield from self._subtree(child, tiles.child_height(was))
            elif tiles.child_height(entry) != tiles.child_height(was):
                yield from self._superseded(
                    child, tiles.child_height(was), tiles.child_height(entry)
                )
        yield from _versions(before, path, keep=after[0][1])

    def _subtree(self, path: bytes, version: int) -> Iterator[tuple[int, bytes]]:
        """Height and path of all tiles from one down."""
        tile = self._tile(path, version)
        if tile is None:
            return
        for slot in range(SLOTS):
            entry = tile[SLOTS + slot]
            if len(entry) == CHILD_SIZE:
                yield from self._subtree(path + bytes([slot]), tiles.child_height(entry))
        yield from _versions(tile, path, keep=None)

    def _tile(self, path: bytes, version: int) -> Tile | None:
        raw = self._store.tile(path, version)
        if raw is None:
            return None
        try:
            return tiles.decode_tile(raw, version, lambda at: self._store.tile(path, at))
        except Malformed as error:
            raise StoreUnusable(f"tile {path.hex()} of height {version}: {error}") from None

    # Identities.

    def _sweep_identities(self) -> Iterator[None]:
        """Remove the ids of transactions that are too old to be sent again.

        Those of one window below the base stay, for a snapshot of a height from there on.
        """
        store, queries = self._store, self._queries
        below = store.base() - 1
        end = oldest_repeatable(lambda key: store.value(key, below), below)
        while rows := store.oldest_traces(end, STEP_BLOCKS):
            done: list[tuple[int]] = []
            gone: list[tuple[bytes]] = []
            for height, ids in rows:
                done.append((height,))
                gone += [(ids[at : at + HASH_SIZE],) for at in range(0, len(ids), HASH_SIZE)]
                if len(gone) >= STEP_TRANSACTIONS:
                    break
            with store.maintenance() as writer:
                writer.many(queries.drop_transaction, gone)
                writer.many(queries.drop_trail, done)
            yield


def _versions(tile: Tile, path: bytes, keep: int | None) -> Iterator[tuple[int, bytes]]:
    """A version of a tile and the whole one that it starts from, but for one that is kept."""
    height, base, _mask = tile[0]
    if height != keep:
        yield height, path
    if base not in (height, keep):
        yield base, path
