"""Reading a store: blocks and what came of them, the state at any height, the log of headers.

A reader sees the last finished transaction of whoever writes. Any number of threads may use it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ledger.chain import limits, merkle
from ledger.chain.block import Block, Certificate, Header
from ledger.chain.database import Database, StoreUnusable
from ledger.chain.merkle import Log
from ledger.chain.queries import Queries, queries
from ledger.chain.rows import (
    BASE_MARK,
    MAX_RESULTS_BYTES,
    NUMBERED_MARK,
    StoredArchive,
    StoredBlock,
    StoredEntry,
    WrittenRow,
    decode_mark,
    decoded,
    decoded_array,
    decoded_header,
    key_number,
    map_number,
    result_id,
)
from ledger.chain.vote import Vote
from ledger.crypto.hashing import STATE_KEY

#: Above every height and every row number.
_END = 2**62


class StoreReader:
    """The answers of an open database. A cell that is not what it was raises `StoreUnusable`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._queries = queries(database)

    @property
    def queries(self) -> Queries:
        """The statements of this store, for `Store.maintenance`."""
        return self._queries

    @property
    def read_only(self) -> bool:
        return self._database.read_only

    def size_bytes(self) -> int:
        """What the store takes on disk."""
        return self._database.size_bytes()

    def close(self) -> None:
        """Close every connection; the store must not be used after."""
        self._database.close()

    def _meta(self, name: str) -> bytes | None:
        row = self._database.one(self._queries.meta, (name,))
        return None if row is None else row[0]

    # Blocks.

    def head(self) -> Header | None:
        """The newest final header, or None for an empty store."""
        newest: int | None = self._database.one(self._queries.newest)[0]
        return None if newest is None else self.header(newest)

    def height(self) -> int:
        """The height of the newest block; -1 for an empty store."""
        head = self.head()
        return -1 if head is None else head.height

    def stored(self, height: int) -> StoredBlock | None:
        """A row of blocks exactly as it is stored, for auditors and exports."""
        row = self._database.one(self._queries.stored, (height,))
        return None if row is None else StoredBlock(*row)

    def base(self) -> int:
        """The height of the oldest block whose body is here; above 0 where the store was begun by a
        snapshot or pruned.

        Of the block just below it, header, certificate and state are here. Whatever lies further
        back is answered with None, except for what `trace` and `ledger.chain.handover` need.
        """
        mark = self.mark(BASE_MARK)
        return mark[0] if mark else 0

    def mark(self, name: str) -> tuple[int, ...] | None:
        """Numbers of ``meta`` that say how far something has come; None where it never began."""
        raw = self._meta(name)
        return None if raw is None else decode_mark(raw)

    def header(self, height: int) -> Header | None:
        row = self._database.one(self._queries.header, (height,))
        return None if row is None else decoded_header(row[0], height)

    def block(self, height: int) -> Block | None:
        row = self._database.one(self._queries.block, (height,))
        if row is None or not row[1]:
            return None
        return Block(
            decoded_header(row[0], height), decoded_array(row[1], limits.MAX_BLOCK_BYTES, height)
        )

    def certificate(self, height: int) -> Certificate | None:
        """What made the block final; None at height 0, which nobody certifies."""
        row = self._database.one(self._queries.certificate, (height,))
        if row is None or not row[0]:
            return None
        certificate: Certificate = decoded(row[0], Certificate, limits.MAX_FRAME_BYTES, height)
        return certificate

    def results(self, height: int) -> tuple[bytes, ...] | None:
        """The encoded `Result` of each transaction of a block; None where it is not here."""
        row = self._database.one(self._queries.results, (height,))
        if row is None or not row[0]:
            return None
        return decoded_array(row[0], MAX_RESULTS_BYTES, height)

    def blocks(
        self, start: int = 0, stop: int | None = None
    ) -> Iterator[tuple[Block, Certificate | None, tuple[bytes, ...]]]:
        """Blocks with certificates and results, from ``start`` up to, not including, ``stop``."""
        last = self.height() + 1 if stop is None else min(stop, self.height() + 1)
        for height in range(start, last):
            block, results = self.block(height), self.results(height)
            if block is None or results is None:
                raise StoreUnusable(f"there is no block {height}")
            yield block, self.certificate(height), results

    def locate(self, tx_id: bytes) -> tuple[int, int] | None:
        """The height and the place in the block of a transaction on the chain."""
        row = self._database.one(self._queries.locate, (tx_id,))
        return None if row is None else (row[0], row[1])

    def seen(self, ids: Sequence[bytes]) -> set[bytes]:
        """Which of these transactions are on the chain."""
        return {row[0] for row in self._database.among(self._queries.located, ids)}

    def counts(self) -> tuple[int, int]:
        """How many blocks the chain has, and how many transactions those from `base` on."""
        height = self.height()
        if height < 0:
            return 0, 0
        return height + 1, self._database.one(self._queries.total, (height,))[0]

    def total(self, height: int) -> int:
        """How many transactions the chain has up to a height, as far as this store has counted;
        raises `LookupError` where the block is not here."""
        row = self._database.one(self._queries.total, (height,))
        if row is None:
            raise LookupError(f"there is no block {height}")
        total: int = row[0]
        return total

    def trace(self, height: int) -> tuple[Header, bytes] | None:
        """A header and the ids of its block's transactions, one after the other.

        Kept below `base` too, for as long as those transactions could be sent again.
        """
        row = self._database.one(self._queries.trail, (height,))
        if row is not None:
            return decoded_header(row[0], height), row[1]
        header, results = self.header(height), self.results(height)
        if header is None or results is None:
            return None
        return header, b"".join(result_id(raw, height) for raw in results)

    def kept_handovers(self, height: int) -> list[bytes]:
        """The encoded handovers of blocks below `base` that come before a height, ascending."""
        return [row[0] for row in self._database.all(self._queries.kept_handovers, (height,))]

    def archives(self) -> list[StoredArchive]:
        """The archive files that hold blocks below `base`, by height, as far as they were written
        by this node."""
        return [StoredArchive(*row) for row in self._database.all(self._queries.archives)]

    def archive_of(self, height: int) -> StoredArchive | None:
        """The archive file that holds the block of a height."""
        row = self._database.one(self._queries.archive_of, (height, height))
        return None if row is None else StoredArchive(*row)

    # The state.

    def entry(self, name: bytes, height: int) -> tuple[bytes, bytes] | None:
        """The entry whose key has the hash ``name``, as it was after the block of a height."""
        number = int.from_bytes(name[:8], "big", signed=True)
        for key, value in self._database.all(self._queries.entry, (number, height)):
            if STATE_KEY(key) == name:
                return None if value is None else (key, value)
        return None

    def value(self, key: bytes, height: int | None = None) -> bytes | None:
        """The value of an entry now, or after the block of a height; None where it has none."""
        at = _END if height is None else height
        row = self._database.one(self._queries.value, (key_number(key), at, key))
        return None if row is None else row[0]

    def history(self, key: bytes, height: int | None = None) -> list[StoredEntry]:
        """Every value that an entry had up to a height, oldest first."""
        at = _END if height is None else height
        rows = self._database.all(self._queries.history, (key_number(key), at, key))
        return [StoredEntry(key, *row) for row in rows]

    def values_under(
        self, prefix: bytes, limit: int = 100, *, before: int | None = None, scan: int = 10_000
    ) -> tuple[list[StoredEntry], int | None]:
        """Entries whose key starts with ``prefix``, those written last first.

        Args:
            prefix: ``contract/map/`` or longer, or the whole key of a value.
            limit: how many entries at most.
            before: the mark that an earlier call returned, to go on from there. An entry that
                changed between two calls can appear again.
            scan: how many writes are looked at before the call gives up.

        Returns:
            The entries, and the mark to go on from, or None after the last.
        """
        mark = _END if before is None else before
        found: list[StoredEntry] = []
        known: set[bytes] = set()
        number = map_number(prefix)
        while scan > 0:
            page = min(500, scan)
            rows = self._database.all(self._queries.under, (number, mark, page))
            for row, key, height, value in rows:
                mark = row
                if key in known or not key.startswith(prefix):
                    continue
                known.add(key)
                # A later write may have been on an earlier page of the listing.
                if value is None or (before is not None and self.value(key) != value):
                    continue
                found.append(StoredEntry(key, height, value))
                if len(found) == limit:
                    return found, mark
            if len(rows) < page:
                return found, None
            scan -= page
        return found, mark

    def rows_of(
        self, maps: Sequence[str], after: int, last: int
    ) -> list[tuple[bytes, bytes | None]]:
        """What was written to some maps (``contract/map``): key and value of their rows with the
        numbers behind ``after`` up to ``last``, in the order of writing."""
        found = []
        for name in maps:
            prefix = f"{name}/".encode()
            rows = self._database.all(self._queries.rows_of, (map_number(prefix), after, last))
            found += [(row, key, value) for row, key, value in rows if key.startswith(prefix)]
        return [(key, value) for _, key, value in sorted(found, key=lambda item: item[0])]

    def numbering(self) -> int:
        """What tells one numbering of the rows of the state from another: the height of the
        snapshot that this store was last begun by, 0 where it has executed the chain from its
        genesis. Stores of the same numbering have the same numbers."""
        mark = self.mark(NUMBERED_MARK)
        return mark[0] if mark else 0

    def written_under(
        self, prefix: bytes, after: int, rows: int
    ) -> list[tuple[int, bytes, int, bytes | None]]:
        """The next writes to entries whose key starts with ``prefix``, in the order of writing.

        Args:
            prefix: ``contract/map/`` or longer.
            after: number of the last row that the caller has seen; 0 for none.
            rows: how many rows of the map are looked at.

        Returns:
            Number of the row, key, height and value (None where it was deleted), for each. Rows of
            other maps whose number is the same are among them with the key that they have.
        """
        found = self._database.all(self._queries.written_under, (map_number(prefix), after, rows))
        return [(number, key, height, value) for number, key, height, value in found]

    def tree_height(self, height: int | None = None) -> int | None:
        """The height of the root tile in force at a height; None for an empty store."""
        at = self.height() if height is None else height
        row = self._database.one(self._queries.tree, (at,))
        return None if row is None else row[0]

    def tile(self, path: bytes, height: int) -> bytes | None:
        """The version of a tile that was written at exactly that height."""
        row = self._database.one(self._queries.tile, (height, path))
        return None if row is None else row[0]

    # What pruning goes through.

    def written(self, after: int, rows: int) -> list[WrittenRow]:
        """The next rows of ``state`` behind a number, in the order in which they were written."""
        found = self._database.all(self._queries.written, (after, rows))
        return [
            WrittenRow(number, name, height, key, bool(deleted))
            for number, name, height, key, deleted in found
        ]

    def newest_row(self) -> int:
        """The number of the newest row of ``state``; 0 where there is none."""
        newest: int | None = self._database.one(self._queries.last_state)[0]
        return newest or 0

    def next_tree(self, height: int) -> int | None:
        """The first height above the given one whose block changed the state tree."""
        following: int | None = self._database.one(self._queries.next_tree, (height,))[0]
        return following

    def oldest_traces(self, end: int, rows: int) -> list[tuple[int, bytes]]:
        """Height and ids of the oldest rows of ``trail`` before a height."""
        found = self._database.all(self._queries.oldest_trail, (end, rows))
        return [(height, ids) for height, ids in found]

    # The log of headers.

    def _node(self, level: int, place: int) -> bytes:
        row = self._database.one(self._queries.node, (level, place))
        if row is None:
            raise StoreUnusable(f"node {place} of level {level} of the log is missing")
        node: bytes = row[0]
        return node

    def log(self, size: int | None = None) -> Log:
        """The log of the first ``size`` headers; without it of all, to compute the next log root
        with. Raises `StoreUnusable` for one that ends before the first node that is kept."""
        return Log.load(self._node, self.height() + 1 if size is None else size)

    def log_path(self, index: int, size: int) -> tuple[bytes, ...]:
        """The inclusion path of header ``index`` in the log of the first ``size`` headers."""
        self._check_size(size)
        return merkle.inclusion_path_from(self._node, index, size)

    def log_consistency(self, first: int, size: int) -> tuple[bytes, ...]:
        """The proof that the log of ``size`` headers begins with that of ``first``."""
        self._check_size(size)
        return merkle.consistency_path_from(self._node, first, size)

    def _check_size(self, size: int) -> None:
        if size > self.height() + 1:
            raise IndexError(f"the log has no {size} headers yet")

    # Votes.

    def votes(self, height: int) -> list[Vote]:
        """The promises of one height, by view and phase."""
        return [Vote(*row) for row in self._database.all(self._queries.votes, (height,))]
