"""A store in an SQLite file, in WAL mode with full sync.

One connection writes, inside ``BEGIN IMMEDIATE``: a transaction that is opened only by its first
write, after the reads that the write depends on, would lose updates without an error. Every thread
that reads has a connection of its own, which sees the last finished transaction.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final
from urllib.parse import quote

from sqlalchemy import Connection, bindparam, create_engine
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool
from sqlalchemy.schema import Column
from sqlalchemy.sql import ClauseElement

from ledger.chain.database.errors import StoreBusy, StoreError, StoreFull, StoreUnusable
from ledger.chain.database.interface import Database, Moment, Query, Row, Writer

_PRAGMAS: Final = (
    "synchronous=FULL",
    "foreign_keys=ON",
    "busy_timeout=5000",
    "temp_store=MEMORY",
    "wal_autocheckpoint=4000",
    "trusted_schema=OFF",
)
_WRITER_CACHE_KIB: Final = 32_768
_READER_CACHE_KIB: Final = 8_192

#: How many pages one step of `SqliteDatabase.reclaim` moves.
_RECLAIMED_PAGES: Final = 500
_INCREMENTAL: Final = 2

_BUSY: Final = frozenset((sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED))


class SqliteDatabase(Database):
    """An open SQLite file.

    Raises:
        StoreUnusable, StoreBusy: it cannot be opened.
    """

    kind: ClassVar[str] = "sqlite"

    def __init__(self, path: Path, *, create: bool, read_only: bool) -> None:
        super().__init__(str(path), SQLiteDialect_pysqlite(), read_only=read_only)
        self.path = path
        if not path.is_file():
            if not create or read_only:
                raise StoreUnusable(f"there is no store at {path}")
            _create_private(path)
        self._readers = threading.local()
        self._open: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        self._copy: tempfile.TemporaryDirectory[str] | None = None
        self._writer: sqlite3.Connection | None = None
        if read_only:
            self._address = self._undisturbed()
            return
        self._address = _address(path, "mode=rw")
        with _typed_errors():
            self._writer = _connect(self._address, _WRITER_CACHE_KIB, write=True)

    def _undisturbed(self) -> str:
        """An address at which the database can be read without making or changing a file.

        A database in WAL mode has two side files while somebody has it open: changes not yet moved
        into it, and an index of them. Without the first, the file can be read as it stands. Without
        the second it has been copied from a running node; SQLite would have to make one, so it is
        given a copy to do that with.
        """
        wal, index = (self.path.with_name(self.path.name + end) for end in ("-wal", "-shm"))
        if not wal.exists() or (wal.stat().st_size == 0 and not index.exists()):
            return _address(self.path, "mode=ro&immutable=1")
        if index.exists():
            return _address(self.path, "mode=ro")
        self._copy = tempfile.TemporaryDirectory(prefix="ledger-store-")
        for file in (self.path, wal):
            shutil.copy(file, self._copy.name)
        return _address(Path(self._copy.name) / self.path.name, "mode=rw")

    # Reading.

    def query_among(self, statement: Any, column: Column[Any]) -> Query:
        return self.query(statement.where(column == bindparam("value")))

    def _reader(self) -> sqlite3.Cursor:
        cursor: sqlite3.Cursor | None = getattr(self._readers, "cursor", None)
        if cursor is None:
            with _typed_errors():
                connection = _connect(self._address, _READER_CACHE_KIB)
                cursor = connection.cursor()
            self._readers.cursor = cursor
            with self._lock:
                self._open.append(connection)
        return cursor

    def one(self, query: Query, parameters: Sequence[object] = ()) -> Any:
        try:
            return self._reader().execute(query.sql, (*parameters, *query.fixed)).fetchone()
        except (sqlite3.Error, UnicodeDecodeError) as error:
            raise _typed(error) from error

    def all(self, query: Query, parameters: Sequence[object] = ()) -> list[Any]:
        try:
            return self._reader().execute(query.sql, (*parameters, *query.fixed)).fetchall()
        except (sqlite3.Error, UnicodeDecodeError) as error:
            raise _typed(error) from error

    def among(self, query: Query, values: Sequence[object]) -> list[Any]:
        execute, sql = self._reader().execute, query.sql
        found: list[Any] = []
        with _typed_errors():
            for value in values:
                found += execute(sql, (value,)).fetchall()
        return found

    def moment(self) -> Moment:
        with _typed_errors():
            return _SqliteMoment(_connect(self._address, _READER_CACHE_KIB), self)

    def tables(self) -> set[str]:
        with _typed_errors():
            names = self._reader().execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
            )
            return {name for (name,) in names}

    def size_bytes(self) -> int:
        return sum(
            path.stat().st_size
            for path in (self.path, self.path.with_name(self.path.name + "-wal"))
            if path.exists()
        )

    # Writing.

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Writer]:
        connection = self._writing()
        with _typed_errors():
            cursor = connection.execute("BEGIN IMMEDIATE")
            try:
                yield Writer(cursor)
                cursor.execute("COMMIT")
            except BaseException:
                # SQLite has undone the transaction itself after some errors.
                if connection.in_transaction:
                    connection.rollback()
                raise

    @contextlib.contextmanager
    def connection(self) -> Iterator[Connection]:
        engine = create_engine(
            URL.create("sqlite+pysqlite"),
            creator=lambda: _connect(self._address, _WRITER_CACHE_KIB, write=True),
            poolclass=NullPool,
        )
        with _typed_errors(), engine.connect() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield connection
            connection.commit()

    def prepare_reclaiming(self) -> bool:
        # A file made by an earlier version has no map of its pages; only VACUUM adds one.
        with _typed_errors():
            if self._number("auto_vacuum") == _INCREMENTAL:
                return False
            self._run("PRAGMA auto_vacuum = INCREMENTAL; VACUUM;")
            return True

    def reclaim(self) -> bool:
        with _typed_errors():
            if self._number("auto_vacuum") != _INCREMENTAL:
                return False
            if self._number("freelist_count"):
                # `execute` would take a single step of it, which frees a single page.
                self._run(f"PRAGMA incremental_vacuum({_RECLAIMED_PAGES});")
                return True
            # Readers may keep the log as long as it is; it is then cut the next time.
            self._run("PRAGMA wal_checkpoint(TRUNCATE);")
            return False

    def _number(self, pragma: str) -> int:
        number: int = self._writing().execute(f"PRAGMA {pragma}").fetchone()[0]
        return number

    def _run(self, script: str) -> None:
        self._writing().executescript(script)

    def _writing(self) -> sqlite3.Connection:
        if self._writer is None:
            raise StoreUnusable("the store was opened to be read")
        return self._writer

    def close(self) -> None:
        with self._lock:
            readers, self._open = self._open, []
        for connection in readers:
            connection.close()
        self._readers = threading.local()
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        if self._copy is not None:
            self._copy.cleanup()


class _SqliteMoment(Moment):
    """A read transaction on a connection of its own."""

    def __init__(self, connection: sqlite3.Connection, database: Database) -> None:
        self._connection = connection
        self._database = database
        connection.execute("BEGIN")

    def rows(self, statement: ClauseElement) -> Iterator[Row]:
        query = self._database.query(statement)
        with _typed_errors():
            yield from self._connection.cursor().execute(query.sql, query.fixed)

    def integrity(self) -> list[str]:
        with _typed_errors():
            rows = self._connection.execute("PRAGMA integrity_check(20)").fetchall()
        return [str(row[0]) for row in rows if row[0] != "ok"]

    def close(self) -> None:
        self._connection.close()


@contextlib.contextmanager
def _typed_errors() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        raise _typed(error.orig) from error
    except (sqlite3.Error, UnicodeDecodeError) as error:
        # Not even the message about a damaged schema needs to be text.
        raise _typed(error) from error


def _typed(error: BaseException | None) -> StoreError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return StoreFull(f"the disk or the database is full: {error}")
    if code in _BUSY:
        return StoreBusy(f"the store is in use by another process: {error}")
    return StoreUnusable(f"the store cannot be used: {error}")


def _create_private(path: Path) -> None:
    """Make an empty file that only its owner can read; SQLite's side files follow its mode."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
    except OSError as error:
        raise StoreUnusable(f"cannot create {path}: {error.strerror}") from None


def _address(path: Path, query: str) -> str:
    return f"file:{quote(str(path.absolute()))}?{query}"


def _connect(address: str, cache_kib: int, *, write: bool = False) -> sqlite3.Connection:
    connection = sqlite3.connect(
        address, uri=True, isolation_level=None, check_same_thread=False, cached_statements=64
    )
    # Text that is none must not stop a reader: it has to say which row it stands in.
    connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
    try:
        for pragma in (*_PRAGMAS, f"cache_size=-{cache_kib}"):
            connection.execute(f"PRAGMA {pragma}")
        if write:
            # Takes effect only before the first table is made.
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
            if mode != "wal":
                raise sqlite3.OperationalError(f"journal mode {mode} where WAL is needed")
        else:
            connection.execute("PRAGMA query_only=ON")
    except BaseException:
        connection.close()
        raise
    return connection
