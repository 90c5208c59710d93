"""What the store asks of a database: one writer, a reader for every thread, compiled statements."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, ClassVar, Self

from sqlalchemy import Connection
from sqlalchemy.engine import Dialect
from sqlalchemy.schema import CreateIndex, CreateTable
from sqlalchemy.sql import ClauseElement, Insert
from sqlalchemy.sql.schema import Column, MetaData

Row = tuple[Any, ...]


class Query:
    """A statement in the database's own words. It takes its parameters in the order in which they
    stand in it; ``fixed`` are those at its end that are always the same (a limit). ``columns``: for
    an INSERT of one row of parameters the columns that they are for, else empty."""

    __slots__ = ("columns", "fixed", "sql")

    def __init__(self, statement: ClauseElement, dialect: Dialect) -> None:
        compiled: Any = statement.compile(dialect=dialect)
        self.sql: str = compiled.string
        # A statement that changes tables has no parameters.
        names = getattr(compiled, "positiontup", None) or ()
        values = [compiled.params[name] for name in names]
        self.fixed: tuple[object, ...] = tuple(value for value in values if value is not None)
        self.columns: tuple[Column[Any], ...] = ()
        if isinstance(statement, Insert):
            table: Any = statement.table
            self.columns = tuple(table.c[name] for name in names)


class Writer:
    """The statements of one open transaction, which sees its own changes.

    Args:
        cursor: of the driver; both drivers' cursors have these methods.
    """

    __slots__ = ("_cursor",)

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor

    def run(self, query: Query, parameters: Sequence[object] = ()) -> int:
        """Run a statement once; returns how many rows it changed."""
        self._cursor.execute(query.sql, (*parameters, *query.fixed))
        changed: int = self._cursor.rowcount
        return changed

    def many(self, query: Query, rows: Sequence[Sequence[object]]) -> None:
        """Run a statement once for each row of parameters, in order."""
        self._cursor.executemany(query.sql, rows)

    def one(self, query: Query, parameters: Sequence[object] = ()) -> Any:
        """The first row of a query, or None."""
        return self._cursor.execute(query.sql, (*parameters, *query.fixed)).fetchone()

    def all(self, query: Query, parameters: Sequence[object] = ()) -> list[Any]:
        """Every row of a query."""
        rows: list[Any] = self._cursor.execute(query.sql, (*parameters, *query.fixed)).fetchall()
        return rows


class Moment(ABC):
    """The database as it is at one moment, also while somebody goes on writing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @abstractmethod
    def rows(self, statement: ClauseElement) -> Iterator[Row]:
        """The rows of a statement without parameters, fetched as they are used. They come as the
        driver gives them: in a damaged database not of the types that the columns should have.

        Raises:
            StoreError: the next row cannot be read.
        """

    @abstractmethod
    def integrity(self) -> list[str]:
        """What the database itself finds wrong with its file; empty for nothing."""

    @abstractmethod
    def close(self) -> None: ...


class Database(ABC):
    """An open database: a writer unless it is read-only, and a reader for each thread.

    Every method raises `StoreError` for what goes wrong in the database.
    """

    #: How SQLAlchemy calls the product.
    kind: ClassVar[str]

    def __init__(self, name: str, dialect: Dialect, *, read_only: bool) -> None:
        #: What to call it in messages; without a password.
        self.name = name
        self.dialect = dialect
        self.read_only = read_only
        #: Counts the sessions of the writer. When it has changed, the last commit of the session
        #: before may or may not have happened.
        self.sessions = 0

    # Statements.

    def query(self, statement: ClauseElement) -> Query:
        """Compile a statement, to be run any number of times."""
        return Query(statement, self.dialect)

    @abstractmethod
    def query_among(self, statement: Any, column: Column[Any]) -> Query:
        """Compile a SELECT for `among`: its rows where ``column`` is one of many values."""

    # Reading, in any thread.

    @abstractmethod
    def one(self, query: Query, parameters: Sequence[object] = ()) -> Any:
        """The first row of a query, or None."""

    @abstractmethod
    def all(self, query: Query, parameters: Sequence[object] = ()) -> list[Any]:
        """Every row of a query."""

    @abstractmethod
    def among(self, query: Query, values: Sequence[object]) -> list[Any]:
        """The rows of a query from `query_among` for these values, in any order."""

    @abstractmethod
    def moment(self) -> Moment:
        """A view that does not change while it is open; close it."""

    @abstractmethod
    def tables(self) -> set[str]:
        """The names of the tables that are there."""

    @abstractmethod
    def size_bytes(self) -> int:
        """What the database takes on disk, with what waits to be moved into it."""

    # Writing, by one thread at a time.

    @abstractmethod
    def transaction(self) -> AbstractContextManager[Writer]:
        """A transaction; it is on the disk when the block ends, and undone if it raises."""

    @abstractmethod
    def connection(self) -> AbstractContextManager[Connection]:
        """A connection of SQLAlchemy's inside a transaction, to change the tables with."""

    def create(self, metadata: MetaData, writer: Writer) -> None:
        """Make tables and indexes."""
        for table in metadata.sorted_tables:
            writer.run(self.query(CreateTable(table)))
            for index in sorted(table.indexes, key=lambda index: str(index.name)):
                writer.run(self.query(CreateIndex(index)))

    # Giving room back, by the thread that writes.

    def prepare_reclaiming(self) -> bool:
        """Make `reclaim` possible in a database that was made when it was not, which may take long;
        True if there was something to do."""
        return False

    def reclaim(self) -> bool:
        """Give back to the operating system some of the room of rows that are gone.

        A small piece of work; True where more may be left. Nothing to do where the database itself
        uses that room again.
        """
        return False

    @abstractmethod
    def close(self) -> None:
        """Close every connection, also those of other threads; they must not be used after."""
