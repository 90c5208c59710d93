"""The store: every final block with all that follows from it, in one database.

A block, its results, its state values, tiles and index rows are written in one transaction that is
on the disk when `Store.commit` returns; after any crash the store is at a block boundary. Reading
is possible from any thread while one writes.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter

from sqlalchemy import delete, insert, inspect, select

from ledger.chain import limits, merkle, schema
from ledger.chain.block import Block, Certificate, Header
from ledger.chain.codec import Malformed, encode
from ledger.chain.database import (
    Database,
    StoreBusy,
    StoreError,
    StoreFull,
    StoreUnusable,
    typed_errors,
)
from ledger.chain.genesis import Genesis, decode_genesis, encode_genesis
from ledger.chain.merkle import Log
from ledger.chain.queries import Queries
from ledger.chain.rows import (
    MAX_RESULTS_BYTES,
    StoredBlock,
    StoredEntry,
    decoded,
    decoded_array,
    decoded_header,
    key_number,
    map_number,
)
from ledger.chain.vote import Vote

__all__ = [
    "CommitTiming",
    "ConflictingVote",
    "NotNext",
    "Store",
    "StoreBusy",
    "StoreError",
    "StoreFull",
    "StoreUnusable",
    "StoredBlock",
    "StoredEntry",
]


class NotNext(StoreError):
    """A block that does not follow the newest one of the store."""


class ConflictingVote(StoreError):
    """A second promise for one height, view and phase that differs from the first."""


@dataclass(slots=True)
class CommitTiming:
    """How many blocks were committed, and the seconds it took: in all, the last, the longest."""

    count: int = 0
    total: float = 0.0
    last: float = 0.0
    longest: float = 0.0

    def add(self, seconds: float) -> None:
        self.count += 1
        self.total += seconds
        self.last = seconds
        self.longest = max(self.longest, seconds)


class Store:
    """An open store. Use `Store.open`; one thread at a time writes, any number read."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._queries = Queries(database)
        self._writing = threading.Lock()
        self._head: Header | None = None
        self._log = Log()
        self._genesis: Genesis | None = None
        self._chain = b""
        self.timing = CommitTiming()

    @classmethod
    def open(cls, url: str, *, create: bool = False, read_only: bool = False) -> Store:
        """Open the store at a path or an SQLAlchemy URL.

        Args:
            url: where it is.
            create: make an empty one where there is none.
            read_only: never write; no file is created or changed.

        Raises:
            StoreUnusable: not there, not a store, damaged, or of another schema version.
            StoreBusy: locked by another process.
            StoreFull: no room to create it.
        """
        database = Database(url, create=create, read_only=read_only)
        try:
            store = cls(database)
            with typed_errors():
                store._prepare(create=create and not read_only)
                store._load()
        except BaseException:
            database.close()
            raise
        return store

    def _prepare(self, *, create: bool) -> None:
        """Check that the tables are ours, or make them in an empty database."""
        tables = set(inspect(self._database.engine).get_table_names())
        if not tables and create:
            with self._database.writer.begin():
                schema.metadata.create_all(self._database.writer)
                self._put_meta({"schema": str(schema.SCHEMA_VERSION).encode()})
            return
        if not tables >= set(schema.metadata.tables):
            raise StoreUnusable(f"{self._database.path} is not a store of this software")
        found = self._meta("schema")
        if found != str(schema.SCHEMA_VERSION).encode():
            raise StoreUnusable(
                f"the store has schema version {(found or b'?').decode(errors='replace')}, "
                f"this software has {schema.SCHEMA_VERSION}"
            )

    def _load(self) -> None:
        raw = self._meta("genesis")
        if raw is None:
            return
        try:
            self._genesis = decode_genesis(raw)
        except Malformed as error:
            raise StoreUnusable(f"the stored genesis is damaged: {error}") from None
        self._chain = self._genesis.chain_id()
        if self._meta("chain") != self._chain:
            raise StoreUnusable("the stored genesis is not that of the stored chain")
        newest = self._newest()
        head = None if newest is None else self.header(newest)
        if head is None or head.chain != self._chain:
            raise StoreUnusable("the newest block is missing or of another chain")
        self._head = head
        self._log = Log.load(self._node, head.height + 1)

    def _meta(self, name: str) -> bytes | None:
        statement = select(schema.meta.c.value).where(schema.meta.c.name == name)
        with self._database.engine.connect() as connection:
            value: bytes | None = connection.execute(statement).scalar()
        return value

    def _put_meta(self, values: Mapping[str, bytes]) -> None:
        self._database.writer.execute(
            insert(schema.meta), [{"name": name, "value": value} for name, value in values.items()]
        )

    def _newest(self) -> int | None:
        height: int | None = self._database.one(self._queries.newest)[0]
        return height

    # What the store holds.

    @property
    def read_only(self) -> bool:
        return self._database.read_only

    def genesis(self) -> Genesis | None:
        """The genesis of the chain, or None for an empty store."""
        return self._genesis

    def head(self) -> Header | None:
        """The newest final header, or None for an empty store."""
        if self.read_only:  # somebody else may be writing
            newest = self._newest()
            return None if newest is None else self.header(newest)
        return self._head

    def height(self) -> int:
        """The height of the newest block; -1 for an empty store."""
        head = self.head()
        return -1 if head is None else head.height

    def stored(self, height: int) -> StoredBlock | None:
        """A row of blocks exactly as it is stored, for auditors and exports."""
        row = self._database.one(self._queries.stored, (height,))
        return None if row is None else StoredBlock(*row)

    def header(self, height: int) -> Header | None:
        row = self._database.one(self._queries.header, (height,))
        return None if row is None else decoded_header(row[0], height)

    def header_hash(self, height: int) -> bytes:
        """The hash of the header at a height; raises `StoreUnusable` where there is none."""
        header = self.header(height)
        if header is None:
            raise StoreUnusable(f"there is no block {height}")
        return header.hash()

    def block(self, height: int) -> Block | None:
        row = self._database.one(self._queries.block, (height,))
        if row is None:
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
        """The encoded `Result` of each transaction of a block."""
        row = self._database.one(self._queries.results, (height,))
        return None if row is None else decoded_array(row[0], MAX_RESULTS_BYTES, height)

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
        sql = self._queries.locate.sql
        with typed_errors():
            execute = self._database.reader().execute
            return {tx_id for tx_id in ids if execute(sql, (tx_id,)).fetchone() is not None}

    def counts(self) -> tuple[int, int]:
        """How many blocks and how many transactions there are."""
        height = self.height()
        if height < 0:
            return 0, 0
        return height + 1, self._database.one(self._queries.total, (height,))[0]

    def size_bytes(self) -> int:
        """What the store takes on disk."""
        return self._database.size_bytes()

    # The state.

    def value(self, key: bytes, height: int | None = None) -> bytes | None:
        """The value of an entry now, or after the block of a height; None where it has none."""
        at = 2**62 if height is None else height
        row = self._database.one(self._queries.value, (key_number(key), at, key))
        return None if row is None else row[0]

    def history(self, key: bytes, height: int | None = None) -> list[StoredEntry]:
        """Every value that an entry had up to a height, oldest first."""
        at = 2**62 if height is None else height
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
        mark = 2**62 if before is None else before
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

    def tree_height(self, height: int | None = None) -> int | None:
        """The height of the root tile in force at a height; None for an empty store."""
        at = self.height() if height is None else height
        row = self._database.one(self._queries.tree, (at,))
        return None if row is None else row[0]

    def tile(self, path: bytes, height: int) -> bytes | None:
        """The version of a tile that was written at exactly that height."""
        row = self._database.one(self._queries.tile, (height, path))
        return None if row is None else row[0]

    # The log of headers.

    def _node(self, level: int, place: int) -> bytes:
        row = self._database.one(self._queries.node, (level, place))
        if row is None:
            raise StoreUnusable(f"node {place} of level {level} of the log is missing")
        node: bytes = row[0]
        return node

    def log(self) -> Log:
        """The log of all headers up to the newest, to compute the next log root with."""
        if self.read_only:
            return Log.load(self._node, self.height() + 1)
        return self._log.copy()

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

    # Writing.

    def initialise(
        self,
        genesis: Genesis,
        header: Header,
        writes: Mapping[bytes, bytes | None],
        tiles: Mapping[bytes, bytes],
    ) -> None:
        """Start the chain: store the genesis and block 0 with the state that it makes.

        Raises:
            StoreUnusable: the store holds a chain already, or the header is of another.
        """
        if self._genesis is not None:
            same = self._genesis.chain_id() == genesis.chain_id()
            raise StoreUnusable(
                "the store holds this chain already" if same else "the store holds another chain"
            )
        chain = genesis.chain_id()
        if header.height != 0 or header.chain != chain:
            raise StoreUnusable("the header is not the first of this chain")
        if not tiles:
            raise ValueError("a genesis makes a state")
        log = Log()
        nodes = log.append(header.hash())
        with self._writing, typed_errors(), self._database.writer.begin():
            self._put_meta({"genesis": encode_genesis(genesis), "chain": chain})
            row = (0, 0, 0, encode(header), b"", encode(()), encode(()))
            self._insert(row, (), writes, tiles, nodes)
        self._genesis, self._chain, self._head, self._log = genesis, chain, header, log

    def commit(
        self,
        block: Block,
        certificate: Certificate,
        results: Sequence[bytes],
        writes: Mapping[bytes, bytes | None],
        tiles: Mapping[bytes, bytes],
        ids: Sequence[bytes],
    ) -> None:
        """Store a final block and all that follows from it; it is on the disk on return.

        Args:
            block: the next block; that it is valid is the caller's word.
            certificate: what makes it final.
            results: the encoded result of each transaction.
            writes: new state values by key, None for a deleted entry.
            tiles: the tiles of the state tree's update.
            ids: the id of each transaction.

        Raises:
            NotNext: the block does not follow the newest one.
            StoreUnusable, StoreFull, StoreBusy: nothing was stored.
        """
        started = perf_counter()
        header = block.header
        with self._writing:
            head = self._head
            if head is None or header.chain != self._chain:
                raise StoreUnusable("the block is of another chain than the store")
            if header.height != head.height + 1 or header.parent != head.hash():
                raise NotNext(f"block {header.height} does not follow block {head.height}")
            identity = header.hash()
            if certificate.height != header.height or certificate.block != identity:
                raise NotNext("the certificate is for another block")
            if not len(block.transactions) == len(results) == len(ids):
                raise ValueError("a block has one result and one id for each transaction")
            log = self._log.copy()
            nodes = log.append(identity)
            with typed_errors(), self._database.writer.begin():
                tree, total = self._tree_and_total(head.height)
                row = (
                    header.height,
                    header.height if tiles else tree,
                    total + len(ids),
                    encode(header),
                    encode(certificate),
                    encode(tuple(results)),
                    encode(block.transactions),
                )
                self._insert(row, ids, writes, tiles, nodes)
                self._database.writer.execute(
                    delete(schema.votes).where(schema.votes.c.height < header.height)
                )
            self._head, self._log = header, log
        self.timing.add(perf_counter() - started)

    def _tree_and_total(self, height: int) -> tuple[int, int]:
        statement = select(schema.blocks.c.tree, schema.blocks.c.total).where(
            schema.blocks.c.height == height
        )
        row = self._database.writer.execute(statement).one()
        return row.tree, row.total

    def _insert(
        self,
        row: tuple[int, int, int, bytes, bytes, bytes, bytes],
        ids: Sequence[bytes],
        writes: Mapping[bytes, bytes | None],
        tiles: Mapping[bytes, bytes],
        nodes: Sequence[tuple[int, int, bytes]],
    ) -> None:
        """Write the rows of one block. Sorted, so that equal blocks make equal databases and
        neighbouring rows meet the same page."""
        height = row[0]
        run = self._database.writer.exec_driver_sql
        queries = self._queries
        run(queries.add_block.sql, row)
        run(queries.add_node.sql, list(nodes))
        if ids:
            places = sorted((tx_id, height, place) for place, tx_id in enumerate(ids))
            run(queries.add_transaction.sql, places)
        if writes:
            entries = sorted(
                (key_number(key), map_number(key), height, key, value)
                for key, value in writes.items()
            )
            run(queries.add_state.sql, entries)
        if tiles:
            run(queries.add_tile.sql, [(height, path, tiles[path]) for path in sorted(tiles)])

    # Votes.

    def save_votes(self, records: Sequence[Vote]) -> None:
        """Write promises down; they are on the disk on return. One that is there stays as it is.

        Raises:
            ConflictingVote: another promise stands for the same height, view and phase.
            StoreUnusable, StoreFull, StoreBusy: nothing was stored.
        """
        votes = schema.votes
        with self._writing, typed_errors(), self._database.writer.begin():
            for record in records:
                found = self._database.writer.execute(
                    select(votes.c.digest).where(
                        votes.c.height == record.height,
                        votes.c.view == record.view,
                        votes.c.phase == record.phase,
                    )
                ).scalar()
                if found is None:
                    self._database.writer.execute(
                        insert(votes),
                        {name: getattr(record, name) for name in Vote.__struct_fields__},
                    )
                elif found != record.digest:
                    raise ConflictingVote(
                        f"a different {record.phase} was promised at height {record.height}, "
                        f"view {record.view}"
                    )

    def votes(self, height: int) -> list[Vote]:
        """The promises of one height, by view and phase."""
        return [Vote(*row) for row in self._database.all(self._queries.votes, (height,))]

    def close(self) -> None:
        """Close every connection; the store must not be used after."""
        self._database.close()
