"""The store: every final block with all that follows from it, in one database.

A block, its results, its state values, tiles and index rows are written in one transaction that is
on the disk when `Store.commit` returns; after any crash the store is at a block boundary.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Self

from ledger.chain import migrations, schema
from ledger.chain.block import Block, Certificate, Header
from ledger.chain.codec import Malformed, encode
from ledger.chain.database import (
    Database,
    StoreAway,
    StoreBusy,
    StoreError,
    StoreFull,
    StoreUnusable,
    Writer,
    open_database,
)
from ledger.chain.genesis import Genesis, decode_genesis, encode_genesis
from ledger.chain.merkle import Log
from ledger.chain.queries import Queries
from ledger.chain.reader import StoreReader
from ledger.chain.rows import (
    MARKS,
    NUMBERED_MARK,
    StoredBlock,
    StoredEntry,
    encode_mark,
    key_number,
    map_number,
    odd_cells,
)
from ledger.chain.snapshot import Anchor, Trace
from ledger.chain.staging import Staging
from ledger.chain.vote import Vote

__all__ = [
    "CommitTiming",
    "ConflictingVote",
    "NotNext",
    "Store",
    "StoreAway",
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


class Store(StoreReader):
    """An open store. Use `Store.open`; one thread at a time writes, any number read."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._writing = threading.Lock()
        self._head: Header | None = None
        self._log = Log()
        self._genesis: Genesis | None = None
        self._chain = b""
        # The number of the newest row of ``state``: equal chains make equal rows in any database.
        self._state_rows = 0
        # The writer's session in which the newest block is known to be the newest stored one.
        self._session = database.sessions
        self.timing = CommitTiming()

    @classmethod
    def open(cls, url: str, *, create: bool = False, read_only: bool = False) -> Self:
        """Open the store at a path or an SQLAlchemy URL.

        Args:
            url: where it is.
            create: make an empty one where there is none.
            read_only: never write; no file is created or changed.

        Raises:
            StoreUnusable: not there, not a store, damaged, or of a newer version.
            StoreAway: the database cannot be reached.
            StoreBusy: locked by another process.
            StoreFull: no room to create it.
        """
        database = open_database(url, create=create, read_only=read_only)
        return cls.over(database, create=create and not read_only)

    @classmethod
    def over(cls, database: Database, *, create: bool = False) -> Self:
        """A store in a database that is open, and that the store closes; raises as `open` does."""
        try:
            store = cls(database)
            store._prepare(create=create)
            with odd_cells():
                store._load()
        except BaseException:
            database.close()
            raise
        return store

    def _prepare(self, *, create: bool) -> None:
        """Make the tables in an empty database, or bring those that are there up to date."""
        if create and migrations.revision_of(self._database) is None:
            with self._database.transaction() as writer:
                migrations.create(self._database, writer)
        else:
            migrations.migrate(self._database, automatically=True)
        if not self._database.tables() >= set(schema.metadata.tables):
            raise StoreUnusable(f"{self._database.name} is not a store of this software")

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
        head = super().head()
        if head is None or head.chain != self._chain:
            raise StoreUnusable("the newest block is missing or of another chain")
        self._head = head
        self._log = Log.load(self._node, head.height + 1)
        self._state_rows = self._database.one(self._queries.last_state)[0] or 0

    def _put_meta(self, writer: Writer, values: Mapping[str, bytes]) -> None:
        writer.many(self._queries.add_meta, list(values.items()))

    def genesis(self) -> Genesis | None:
        """The genesis of the chain, or None for an empty store."""
        return self._genesis

    # What a reader would ask the database for is at hand here, unless somebody else is writing.

    def head(self) -> Header | None:
        return super().head() if self.read_only else self._head

    def log(self, size: int | None = None) -> Log:
        return super().log(size) if self.read_only or size is not None else self._log.copy()

    def seen(self, ids: Sequence[bytes]) -> set[bytes]:
        """Which of these transactions are on the chain, as far as this store knows it: a block
        whose commit got no answer is not there before `commit` has found out."""
        if self.read_only or self._head is None:
            return super().seen(ids)
        last = self._head.height
        rows = self._database.among(self._queries.located, ids)
        return {tx_id for tx_id, height in rows if height <= last}

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
        with self._writing, self._database.transaction() as writer:
            self._put_meta(writer, {"genesis": encode_genesis(genesis), "chain": chain})
            row = (0, 0, 0, encode(header), b"", encode(()), encode(()))
            self._insert(writer, row, (), writes, tiles, nodes)
        self._state_rows += len(writes)
        self._genesis, self._chain, self._head, self._log = genesis, chain, header, log

    def staging(self) -> Staging:
        """What has arrived of a snapshot."""
        return Staging(self._database, self._queries, self._writing)

    def begin_at(self, anchor: Anchor) -> None:
        """Go on from a snapshot whose pieces are all staged: it takes the place of whatever blocks
        and state were here, in one transaction, and is on the disk on return. Promises stay.

        Args:
            anchor: the verified manifest.

        Raises:
            Incomplete: pieces are missing; nothing has changed.
            StoreUnusable, StoreFull, StoreBusy: nothing has changed.
            StoreAway: whether it has is not known; a call with the same snapshot finds out.
        """
        header, queries = anchor.header, self._queries
        log = anchor.log.copy()
        nodes = log.nodes() + log.append(header.hash())
        with self._writing:
            if header.chain != self._chain:
                raise StoreUnusable("the snapshot is of another chain than the store")
            if self._head == header:
                return  # done by an earlier call, after which the caller failed
            with self._database.transaction() as writer:
                if not self._begun(writer, header):
                    self._replace(writer, anchor, nodes)
                rows = writer.one(queries.last_state)[0] or 0
            self._head, self._log, self._state_rows = header, log, rows
            self._session = self._database.sessions

    def _begun(self, writer: Writer, header: Header) -> bool:
        """Whether the store begins at a snapshot already, by a call whose answer was lost."""
        if self._session == self._database.sessions:
            return False
        stored = writer.one(self._queries.header, (header.height,))
        base = writer.one(self._queries.meta, ("base",))
        return (
            stored is not None
            and stored[0] == encode(header)
            and base is not None
            and base[0] == _base(header)
        )

    def _replace(
        self, writer: Writer, anchor: Anchor, nodes: Sequence[tuple[int, int, bytes]]
    ) -> None:
        header, queries, staging = anchor.header, self._queries, self.staging()
        for statement in queries.clear_chain:
            writer.run(statement)
        for mark in MARKS:
            writer.run(queries.drop_meta, (mark,))
        numbered = encode_mark(header.height)
        self._put_meta(writer, {"base": _base(header), NUMBERED_MARK: numbered})
        certificate = encode(anchor.certificate)
        block = (header.height, header.height, 0, encode(header), certificate, b"", b"")
        writer.run(queries.add_block, block)
        writer.many(queries.add_node, nodes)
        writer.many(queries.add_handover, anchor.handovers)
        for trace in staging.trail(anchor):
            _insert_trace(writer, queries, trace)
        rows = 0
        for batch in staging.state(header):
            entries = [_state_row(key, header.height, value) for key, value in batch.entries]
            _insert_state(writer, queries, header.height, rows + 1, entries, batch.tiles)
            rows += len(entries)
        writer.run(queries.clear_incoming)

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
            StoreAway: whether it was stored is not known. Calling again with the same block finds
                it, or stores it; until then nothing of it is seen through this store.
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
            with self._database.transaction() as writer:
                if not self._stands(writer, header):
                    tree, total = writer.one(self._queries.tree_and_total, (head.height,))
                    row = (
                        header.height,
                        header.height if tiles else tree,
                        total + len(ids),
                        encode(header),
                        encode(certificate),
                        encode(tuple(results)),
                        encode(block.transactions),
                    )
                    self._insert(writer, row, ids, writes, tiles, nodes)
                    writer.run(self._queries.drop_votes, (header.height,))
            self._head, self._log = header, log
            self._state_rows += len(writes)
            self._session = self._database.sessions
        self.timing.add(perf_counter() - started)

    def _stands(self, writer: Writer, following: Header | None) -> bool:
        """Whether a block is stored already, by a commit whose answer was lost with its session.

        Raises:
            StoreUnusable: the database does not end where this store left it: it was put back, or
                somebody else has written to it.
        """
        head = self._head
        if self._session == self._database.sessions or head is None:
            return False
        known = writer.one(self._queries.header, (head.height,))
        stored = writer.one(self._queries.header, (head.height + 1,))
        if known is None or known[0] != encode(head):
            raise StoreUnusable(
                f"the database came back without block {head.height}, which was stored in it"
            )
        if stored is None:
            return False
        if following is not None and stored[0] != encode(following):
            raise StoreUnusable(
                f"the database came back with a block {head.height + 1} that is not from this node"
            )
        return True

    def _insert(
        self,
        writer: Writer,
        row: tuple[int, int, int, bytes, bytes, bytes, bytes],
        ids: Sequence[bytes],
        writes: Mapping[bytes, bytes | None],
        tiles: Mapping[bytes, bytes],
        nodes: Sequence[tuple[int, int, bytes]],
    ) -> None:
        """Write the rows of one block. Sorted, so that equal blocks make equal databases and
        neighbouring rows meet the same page."""
        height = row[0]
        queries = self._queries
        writer.run(queries.add_block, row)
        writer.many(queries.add_node, nodes)
        if ids:
            places = sorted((tx_id, height, place) for place, tx_id in enumerate(ids))
            writer.many(queries.add_transaction, places)
        entries = sorted(_state_row(key, height, value) for key, value in writes.items())
        _insert_state(writer, queries, height, self._state_rows + 1, entries, tiles)

    # Housekeeping.

    @contextlib.contextmanager
    def maintenance(self) -> Iterator[Writer]:
        """A transaction of `ledger.chain.pruning`, between those of blocks and votes."""
        with self._writing, self._database.transaction() as writer:
            yield writer

    def prepare_reclaiming(self) -> bool:
        """Make `reclaim` possible in a store that an earlier version made, which may take long;
        True if there was something to do."""
        with self._writing:
            return self._database.prepare_reclaiming()

    def reclaim(self) -> bool:
        """Give some room of deleted rows back to the operating system; True if there is more."""
        with self._writing:
            return self._database.reclaim()

    # Votes.

    def save_votes(self, records: Sequence[Vote]) -> None:
        """Write promises down; they are on the disk on return. One that is there stays as it is.

        Raises:
            ConflictingVote: another promise stands for the same height, view and phase.
            StoreUnusable, StoreFull, StoreBusy: nothing was stored.
            StoreAway: whether they were stored is not known; nothing of them may be sent before a
                call with the same records has returned.
        """
        queries = self._queries
        with self._writing, self._database.transaction() as writer:
            self._stands(writer, None)
            for record in records:
                promise = (record.height, record.view, record.phase)
                found = writer.one(queries.promised, promise)
                if found is None:
                    writer.run(queries.add_vote, (*promise, record.digest, record.message))
                elif found[0] != record.digest:
                    raise ConflictingVote(
                        f"a different {record.phase} was promised at height {record.height}, "
                        f"view {record.view}"
                    )


def _base(header: Header) -> bytes:
    """What ``meta`` says of a store that begins after a block."""
    return (header.height + 1).to_bytes(8, "big")


_StateRow = tuple[int, int, int, bytes, bytes | None]


def _state_row(key: bytes, height: int, value: bytes | None) -> _StateRow:
    return key_number(key), map_number(key), height, key, value


def _insert_state(
    writer: Writer,
    queries: Queries,
    height: int,
    first: int,
    entries: Sequence[_StateRow],
    tiles: Mapping[bytes, bytes],
) -> None:
    """Write rows of state, numbered from ``first`` on, and tiles."""
    if entries:
        numbered = [(number, *entry) for number, entry in enumerate(entries, first)]
        writer.many(queries.add_state, numbered)
    if tiles:
        writer.many(queries.add_tile, [(height, path, tiles[path]) for path in sorted(tiles)])


def _insert_trace(writer: Writer, queries: Queries, trace: Trace) -> None:
    height = trace.header.height
    writer.run(queries.add_trail, (height, encode(trace.header), trace.ids))
    places = [(tx_id, height, place) for place, tx_id in enumerate(trace.identities())]
    if places:
        writer.many(queries.add_transaction, sorted(places))
