"""The index of a node: kept beside the store, filled from its state, thrown away without loss.

It follows the rows of the state in the order in which they were written and says how far it has
come; each batch of rows and that mark are one database transaction. Doing a batch again changes
nothing, so it does not matter where a node was stopped. A store that goes on from a snapshot
numbers its rows anew, which is noticed; the index then looks at all of them.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Self

from sqlalchemy.schema import DropTable

from ledger.chain.database import Database, StoreError, open_database
from ledger.chain.reader import StoreReader
from ledger.chain.rows import decode_mark, encode_mark
from ledger.node.reading import tables
from ledger.node.reading.content import MAPS
from ledger.node.reading.lists import Lists
from ledger.node.reading.names import Names
from ledger.node.reading.writing import Writing

#: How many rows of the state one batch covers; most of them are of other maps.
BATCH_ROWS: Final = 5_000


@dataclass(frozen=True, slots=True)
class Position:
    """Up to where the state is in the index. ``row``: of the table ``state``; ``height``: of the
    newest block that is in it whole, -1 before the first; ``numbering``: of the store's rows, as
    `StoreReader.numbering` says."""

    row: int
    height: int
    numbering: int


class IndexUnusable(StoreError):
    """The index is of another chain, or its database cannot be used for one."""


class ReadingIndex:
    """An open index. One thread at a time fills it; any number read its `lists`.

    Args:
        database: open for writing; `open` makes one.
        chain: the id of the chain.
        entropy: names a new making of the index.
    """

    def __init__(
        self,
        database: Database,
        chain: bytes,
        entropy: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._database = database
        self._chain = chain
        self._entropy = entropy
        self._names = Names(database)
        self._writing = Writing(database, self._names)
        self.lists = Lists(database, self._names, lambda: self.mark)
        #: The name of this making of the index; cursors bear it.
        self.mark = b""
        self._position = Position(0, -1, 0)
        self._prepare()

    @classmethod
    def open(cls, url: str, chain: bytes) -> Self:
        """Open the index at a path or URL of a database, and make it where there is none.

        Raises:
            IndexUnusable: the database holds the index of another chain.
            StoreError: it cannot be used.
        """
        database = open_database(url, create=True)
        try:
            return cls(database, chain)
        except BaseException:
            database.close()
            raise

    def close(self) -> None:
        self._database.close()

    def size_bytes(self) -> int:
        return self._database.size_bytes()

    # How far it is.

    @property
    def position(self) -> Position:
        return self._position

    @property
    def unread(self) -> int:
        """How many entries of the state were left out because they are not what is usual."""
        return self._writing.unread

    def _prepare(self) -> None:
        known = self._database.tables()
        if "blocks" in known:
            raise IndexUnusable(f"{self._database.name} holds a store")
        if tables.meta.name in known:
            form = self._writing.meta("form")
            if form != tables.FORM.to_bytes(2, "big"):
                self.clear()
                return
            if self._writing.meta("chain") != self._chain:
                raise IndexUnusable(f"{self._database.name} holds the index of another chain")
            self.mark = self._writing.meta("mark") or b""
            at = decode_mark(self._writing.meta("at") or b"")
            self._position = Position(at[0], at[1] - 1, at[2])
            self._load()
            return
        self.clear()

    def _load(self) -> None:
        self._names.load()
        self._writing.load()

    def clear(self) -> None:
        """Throw everything away and begin with nothing."""
        there = self._database.tables()
        mark = self._entropy(4)
        with self._database.transaction() as writer:
            for table in reversed(tables.metadata.sorted_tables):
                if table.name in there:
                    writer.run(self._database.query(DropTable(table)))
            self._database.create(tables.metadata, writer)
            self._writing.put_meta(
                writer,
                {
                    "form": tables.FORM.to_bytes(2, "big"),
                    "chain": self._chain,
                    "mark": mark,
                    "at": encode_mark(0, 0, 0),
                },
            )
        self.mark = mark
        self._position = Position(0, -1, 0)
        self._load()

    # Filling it.

    def follow(self, store: StoreReader) -> Iterable[Position]:
        """Take in what the store has and the index has not, a batch at a time; says after each how
        far it is. Ends when it has come to the newest block.

        Raises:
            StoreError: of either database; what was said to be taken in is.
        """
        while True:
            head = store.head()
            if head is None or head.height <= self._position.height:
                return
            numbering, newest = store.numbering(), store.newest_row()
            if numbering != self._position.numbering:
                self._position = Position(0, -1, numbering)
            # A block that comes meanwhile has rows above `newest`, or is taken in twice.
            last = min(newest, self._position.row + BATCH_ROWS)
            rows = store.rows_of(MAPS, self._position.row, last)
            whole = last == newest
            height = head.height if whole else self._position.height
            position = Position(last, height, numbering)
            with self._database.transaction() as writer:
                self._writing.take(writer, rows)
                if whole:
                    self._writing.pass_time(writer, head.time)
                self._writing.put_meta(
                    writer,
                    {"at": encode_mark(last, height + 1, numbering)},
                )
            self._writing.settled()
            self._position = position
            yield position
            if whole:
                return
