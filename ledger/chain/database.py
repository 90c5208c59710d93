"""Connections to the database under the store, and the few things that differ by its kind.

One connection writes, inside ``BEGIN IMMEDIATE``: Python's sqlite3 would otherwise open the
transaction only at the first write, after the reads that the write depends on, and lose updates
without an error. Every thread that reads has a connection of its own, which sees the last finished
transaction. Statements are built with SQLAlchemy, compiled once, and run on the driver's cursor,
because a block writes thousands of rows.
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
from typing import Any, Final
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.pool import NullPool
from sqlalchemy.sql import ClauseElement

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

_FULL = frozenset((sqlite3.SQLITE_FULL,))
_BUSY = frozenset((sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED))


class StoreError(Exception):
    """The store could not do what it was asked; it is as it was before."""


class StoreUnusable(StoreError):
    """The store is damaged, of another chain or version, not there, or not ours to use."""


class StoreFull(StoreError):
    """There is no room left. The same block can be stored again once there is."""


class StoreBusy(StoreError):
    """Another process kept the store locked for longer than we wait."""


@contextlib.contextmanager
def typed_errors() -> Iterator[None]:
    """Turn what the driver raises into the errors above."""
    try:
        yield
    except DBAPIError as error:
        raise _typed(error.orig) from error
    except sqlite3.Error as error:
        raise _typed(error) from error


def _typed(error: BaseException | None) -> StoreError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in _FULL:
        return StoreFull(f"the disk or the database is full: {error}")
    if code in _BUSY:
        return StoreBusy(f"the store is in use by another process: {error}")
    return StoreUnusable(f"the store cannot be used: {error}")


class Query:
    """A statement in the database's own words. It takes its parameters in the order in which they
    stand in it; ``fixed`` are those at its end that are always the same (a limit)."""

    __slots__ = ("fixed", "sql")

    def __init__(self, statement: ClauseElement, engine: Engine) -> None:
        compiled: Any = statement.compile(dialect=engine.dialect)
        self.sql: str = compiled.string
        values = [compiled.params[name] for name in compiled.positiontup or ()]
        self.fixed: tuple[object, ...] = tuple(value for value in values if value is not None)


class Database:
    """An open database: a writer unless it is read-only, and a reader for each thread.

    Args:
        url: a path, or an SQLAlchemy URL. SQLite is the only kind that is supported today.
        create: whether to make the file where there is none.
        read_only: never write, create or change a file.

    Raises:
        StoreUnusable, StoreBusy: it cannot be opened.
    """

    def __init__(self, url: str, *, create: bool, read_only: bool) -> None:
        self.read_only = read_only
        self.path = _path_of(url)
        if not self.path.is_file():
            if not create or read_only:
                raise StoreUnusable(f"there is no store at {self.path}")
            _create_private(self.path)
        self._readers = threading.local()
        self._open: list[Any] = []
        self._lock = threading.Lock()
        self._copy: tempfile.TemporaryDirectory[str] | None = None
        self._writer: Connection | None = None
        if read_only:
            self.engine = self._reader_engine = _engine(self._undisturbed(), _READER_CACHE_KIB)
            return
        address = _address(self.path, "mode=rw")
        self.engine = _engine(address, _WRITER_CACHE_KIB, write=True)
        self._reader_engine = _engine(address, _READER_CACHE_KIB)
        event.listen(self.engine, "begin", _begin_immediate)
        with typed_errors():
            self._writer = self.engine.connect()

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

    @property
    def writer(self) -> Connection:
        """The one connection that writes; its user makes sure that it is used by one at a time."""
        if self._writer is None:
            raise StoreUnusable("the store was opened to be read")
        return self._writer

    def reader(self) -> Any:
        """A driver cursor of the calling thread, outside any transaction."""
        cursor = getattr(self._readers, "cursor", None)
        if cursor is None:
            with typed_errors():
                connection = self._reader_engine.raw_connection()
                cursor = connection.cursor()
            self._readers.cursor = cursor
            with self._lock:
                self._open.append(connection)
        return cursor

    def one(self, query: Query, parameters: Sequence[object] = ()) -> Any:
        """The first row of a query, or None."""
        try:
            return self.reader().execute(query.sql, (*parameters, *query.fixed)).fetchone()
        except sqlite3.Error as error:
            raise _typed(error) from error

    def all(self, query: Query, parameters: Sequence[object] = ()) -> list[Any]:
        """Every row of a query."""
        try:
            rows: list[Any] = (
                self.reader().execute(query.sql, (*parameters, *query.fixed)).fetchall()
            )
        except sqlite3.Error as error:
            raise _typed(error) from error
        return rows

    def size_bytes(self) -> int:
        """What the database takes on disk, with what waits to be moved into it."""
        return sum(
            path.stat().st_size
            for path in (self.path, self.path.with_name(self.path.name + "-wal"))
            if path.exists()
        )

    def close(self) -> None:
        """Close every connection, also those of other threads; they must not be used after."""
        with self._lock:
            readers, self._open = self._open, []
        for connection in readers:
            connection.close()
        self._readers = threading.local()
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        self._reader_engine.dispose()
        self.engine.dispose()
        if self._copy is not None:
            self._copy.cleanup()


def _path_of(url: str) -> Path:
    if "://" not in url:
        return Path(url)
    try:
        parsed = make_url(url)
        kind = parsed.get_backend_name()
    except (ArgumentError, NoSuchModuleError) as error:
        raise StoreUnusable(f"not the address of a store: {error}") from None
    if kind != "sqlite":
        raise StoreUnusable(f"stores on {kind} are not supported by this version")
    if not parsed.database or parsed.database == ":memory:":
        raise StoreUnusable("a store needs a file")
    return Path(parsed.database)


def _create_private(path: Path) -> None:
    """Make an empty file that only its owner can read; SQLite's side files follow its mode."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
    except OSError as error:
        raise StoreUnusable(f"cannot create {path}: {error.strerror}") from None


def _address(path: Path, query: str) -> str:
    return f"file:{quote(str(path.absolute()))}?{query}"


def _engine(address: str, cache_kib: int, *, write: bool = False) -> Engine:
    return create_engine(
        URL.create("sqlite+pysqlite"),
        creator=lambda: _connect(address, cache_kib, write=write),
        poolclass=NullPool,
    )


def _connect(address: str, cache_kib: int, *, write: bool) -> sqlite3.Connection:
    connection = sqlite3.connect(
        address, uri=True, isolation_level=None, check_same_thread=False, cached_statements=64
    )
    # Text that is none must not stop a reader: it has to say which row it stands in.
    connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
    try:
        for pragma in (*_PRAGMAS, f"cache_size=-{cache_kib}"):
            connection.execute(f"PRAGMA {pragma}")
        if write:
            mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
            if mode != "wal":
                raise sqlite3.OperationalError(f"journal mode {mode} where WAL is needed")
        else:
            connection.execute("PRAGMA query_only=ON")
    except BaseException:
        connection.close()
        raise
    return connection


def _begin_immediate(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
