"""A store in a schema of a PostgreSQL database.

One session writes, in serialisable transactions, and holds an advisory lock for as long as it
lives: a second process that would write to the same store is refused. Every thread that reads has
a session of its own. A session that is lost is made anew when it is next needed; see
`ledger.chain.database.errors.StoreAway` for the write that was under way.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Any, ClassVar, Final, cast

import psycopg
from sqlalchemy import (
    ARRAY,
    BigInteger,
    Connection,
    Integer,
    LargeBinary,
    any_,
    bindparam,
    create_engine,
)
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool
from sqlalchemy.schema import Column
from sqlalchemy.sql import ClauseElement

from ledger.chain.database.errors import (
    StoreAway,
    StoreBusy,
    StoreError,
    StoreFull,
    StoreUnusable,
)
from ledger.chain.database.interface import Database, Moment, Query, Row, Writer
from ledger.chain.database.outage import Outage

#: What every session sets. A server that does not see its client go keeps the client's lock, so it
#: is told to look (over TCP; the settings have no effect on a Unix socket).
_SESSION: Final = (
    "SET client_encoding = 'UTF8'",
    "SET synchronous_commit = on",
    "SET lock_timeout = '5s'",
    "SET tcp_keepalives_idle = 10",
    "SET tcp_keepalives_interval = 5",
    "SET tcp_keepalives_count = 3",
)
_WRITER: Final = (
    *_SESSION,
    "SET default_transaction_isolation = 'serializable'",
    "SET statement_timeout = '60s'",
    "SET idle_in_transaction_session_timeout = '60s'",
)
_READER: Final = (
    *_SESSION,
    "SET default_transaction_read_only = on",
    "SET statement_timeout = '30s'",
)
#: Going through a whole table takes as long as it takes.
_AUDITOR: Final = (*_SESSION, "SET default_transaction_read_only = on", "SET statement_timeout = 0")
#: The same for the tables' migration.
_MIGRATION: Final = (*_SESSION, "SET statement_timeout = 0")

#: Unless the address says otherwise: how long to wait for an answer before the server counts as
#: gone, in seconds, and in milliseconds.
_PATIENCE: Final = {
    "connect_timeout": 3,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
    "application_name": "health-ledger",
}
#: How long a starting process waits for the lock of one that has just died, in seconds.
_LOCK_PATIENCE: Final = 5.0

_FULL: Final = frozenset(("53100",))
_BUSY: Final = frozenset(("57014", "55P03", "40001", "40P01"))
#: Shutdown, start-up, too many clients, no memory, and a server that has become a standby.
_AWAY: Final = frozenset(("57P01", "57P02", "57P03", "57P05", "53200", "53300", "25006", "25P03"))

_ROWS_AT_ONCE: Final = 500
#: From so many rows on the set-up of a COPY pays.
_COPIED_ROWS: Final = 8


class PostgresDatabase(Database):
    """An open PostgreSQL database.

    Args:
        url: with the driver psycopg. What libpq takes is taken from its query.

    Raises:
        StoreUnusable, StoreBusy, StoreAway: it cannot be opened.
    """

    kind: ClassVar[str] = "postgresql"

    def __init__(self, url: URL, *, read_only: bool) -> None:
        make_dialect: Any = url.get_dialect()
        dialect = make_dialect(paramstyle="format")
        positional, named = dialect.create_connect_args(url)
        self._arguments: dict[str, Any] = {**_PATIENCE, **named}
        self._conninfo = "".join(positional)
        super().__init__(_described(self._arguments), dialect, read_only=read_only)
        self._outage = Outage()
        self._lock = threading.Lock()
        self._readers = threading.local()
        self._open: set[psycopg.Connection[Row]] = set()
        self._closed = False
        self._writer: psycopg.Connection[Row] | None = None
        if not read_only:
            self._claim()

    # Sessions.

    def _connect(self, settings: Sequence[str]) -> psycopg.Connection[Row]:
        """A new session. While the database is gone, raises `StoreAway`, mostly at once."""
        self._outage.check()
        try:
            session = psycopg.connect(
                self._conninfo, autocommit=True, prepare_threshold=1, **self._arguments
            )
        except psycopg.Error as error:
            self._outage.failed(str(_typed(error, lost=True)))
            raise _typed(error, lost=True) from error
        try:
            session.execute("; ".join(settings).encode())
        except BaseException as error:
            session.close()
            if isinstance(error, psycopg.Error):
                raise _typed(error, lost=True) from error
            raise
        self._outage.over()
        return session

    def _claim(self) -> None:
        """Open the session that writes, or say who else does."""
        deadline = time.monotonic() + _LOCK_PATIENCE
        while True:
            session = self._connect(_WRITER)
            try:
                with _typed_errors(session):
                    if _take_lock(session):
                        self._writer = session
                        self.sessions += 1
                        return
            except BaseException:
                session.close()
                raise
            session.close()
            if self.sessions:
                # Most likely our own last session, of which the server does not know yet that it
                # has ended.
                error = f"another session holds the store at {self.name}"
                self._outage.failed(error)
                raise StoreAway(error)
            if time.monotonic() > deadline:
                raise StoreBusy(f"another process has the store at {self.name} open for writing")
            time.sleep(0.1)

    def _drop(self, session: psycopg.Connection[Row]) -> None:
        with self._lock:
            self._open.discard(session)
        session.close()

    # Reading.

    def query_among(self, statement: Any, column: Column[Any]) -> Query:
        values = bindparam("values", type_=ARRAY(LargeBinary))
        return self.query(statement.where(column == any_(values)))

    def _reader(self) -> psycopg.Cursor[Row]:
        cursor: psycopg.Cursor[Row] | None = getattr(self._readers, "cursor", None)
        if cursor is None or cursor.connection.closed:
            if self._closed:
                raise StoreUnusable("the store has been closed")
            session = self._connect(_READER)
            cursor = session.cursor(binary=True)
            self._readers.cursor = cursor
            with self._lock:
                self._open.add(session)
        return cursor

    def _read(self, sql: str, parameters: Sequence[object]) -> psycopg.Cursor[Row]:
        """Run a query. It is run again in a new session if the old one turns out to be lost, as it
        does after the server was restarted."""
        for last in (False, True):
            cursor = self._reader()
            try:
                return cursor.execute(cast(Any, sql), parameters)
            except psycopg.Error as error:
                lost = cursor.connection.broken or cursor.connection.closed
                if lost:
                    self._drop(cursor.connection)
                if last or not lost:
                    raise _typed(error, lost=lost) from error
        raise AssertionError("unreachable")

    def one(self, query: Query, parameters: Sequence[object] = ()) -> Any:
        return self._read(query.sql, (*parameters, *query.fixed)).fetchone()

    def all(self, query: Query, parameters: Sequence[object] = ()) -> list[Any]:
        return self._read(query.sql, (*parameters, *query.fixed)).fetchall()

    def among(self, query: Query, values: Sequence[object]) -> list[Any]:
        return self._read(query.sql, (list(values),)).fetchall()

    def moment(self) -> Moment:
        session = self._connect(_AUDITOR)
        with _typed_errors(session):
            session.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        return _PostgresMoment(session, self)

    def tables(self) -> set[str]:
        sql = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
        return {str(name) for (name,) in self._read(sql, ()).fetchall()}

    def size_bytes(self) -> int:
        sql = (
            "SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::bigint FROM pg_class "
            "WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'"
        )
        (row,) = self._read(sql, ()).fetchall()
        return int(row[0])

    # Writing.

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Writer]:
        if self.read_only:
            raise StoreUnusable("the store was opened to be read")
        session = self._begun()
        with _typed_errors(session):
            try:
                yield _PostgresWriter(session.cursor(binary=True))
                session.execute("COMMIT")
            except BaseException:
                _roll_back(session)
                raise

    def _begun(self) -> psycopg.Connection[Row]:
        """The writer's session with a transaction open, if need be in a new session."""
        for last in (False, True):
            if self._writer is None or self._writer.closed:
                if self._closed:
                    raise StoreUnusable("the store has been closed")
                self._claim()
            session = self._writer
            assert session is not None
            try:
                session.execute("BEGIN")
            except psycopg.Error as error:
                lost = session.broken or session.closed
                if lost:
                    session.close()
                if last or not lost:
                    raise _typed(error, lost=lost) from error
            else:
                return session
        raise AssertionError("unreachable")

    @contextlib.contextmanager
    def connection(self) -> Iterator[Connection]:
        def connect() -> psycopg.Connection[Row]:
            session = self._connect(_MIGRATION)
            session.autocommit = False
            return session

        engine = create_engine(
            URL.create("postgresql+psycopg"), creator=connect, poolclass=NullPool
        )
        with _typed_errors(None), engine.begin() as connection:
            yield connection

    def close(self) -> None:
        self._closed = True
        with self._lock:
            sessions, self._open = self._open, set()
        for session in sessions:
            session.close()
        self._readers = threading.local()
        if self._writer is not None:
            self._writer.close()
            self._writer = None


class _PostgresWriter(Writer):
    """Many rows go in by COPY, which is about three times as fast as an INSERT for each."""

    __slots__ = ()

    def many(self, query: Query, rows: Sequence[Sequence[object]]) -> None:
        if not query.columns or len(rows) < _COPIED_ROWS:
            super().many(query, rows)
            return
        names = ", ".join(f'"{column.name}"' for column in query.columns)
        table = query.columns[0].table.name
        with self._cursor.copy(f'COPY "{table}" ({names}) FROM STDIN (FORMAT BINARY)') as copy:
            copy.set_types([_copied_as(column) for column in query.columns])
            for row in rows:
                copy.write_row(row)


def _copied_as(column: Column[Any]) -> str:
    """The server's name for the type of a column."""
    if isinstance(column.type, LargeBinary):
        return "bytea"
    if isinstance(column.type, BigInteger):
        return "int8"
    return "int4" if isinstance(column.type, Integer) else "text"


class _PostgresMoment(Moment):
    """A read transaction in a session of its own."""

    def __init__(self, session: psycopg.Connection[Row], database: Database) -> None:
        self._session = session
        self._database = database
        self._count = 0

    def rows(self, statement: ClauseElement) -> Iterator[Row]:
        query = self._database.query(statement)
        self._count += 1
        with (
            _typed_errors(self._session),
            self._session.cursor(f"rows_{self._count}", binary=True) as cursor,
        ):
            cursor.itersize = _ROWS_AT_ONCE
            cursor.execute(cast(Any, query.sql), query.fixed)
            yield from cursor

    def integrity(self) -> list[str]:
        # A server checks its pages itself when it reads them, where it was set up with checksums.
        return []

    def close(self) -> None:
        self._session.close()


def _roll_back(session: psycopg.Connection[Row]) -> None:
    """End the open transaction. A session that cannot do that is of no more use: it is closed.

    One that the server ends between the statements of a pipeline stays in the pipeline and says of
    itself neither that it is closed nor that it is broken.
    """
    if not session.closed:
        try:
            session.rollback()
        except psycopg.Error:
            session.close()


def _take_lock(session: psycopg.Connection[Row]) -> bool:
    """Take the lock of the store in the session's schema; false if another session has it."""
    row = session.execute("SELECT current_schema()").fetchone()
    if row is None or row[0] is None:
        raise StoreUnusable("the database has no schema in which the store could be")
    name = sha256(b"health-ledger store in " + str(row[0]).encode()).digest()
    key = int.from_bytes(name[:8], "big", signed=True)
    taken = session.execute("SELECT pg_try_advisory_lock(%s)", (key,)).fetchone()
    return taken is not None and taken[0] is True


def _described(arguments: dict[str, Any]) -> str:
    """Where a database is, for messages: nothing but host, port and name."""
    host = str(arguments.get("host") or "localhost")
    port = f":{arguments['port']}" if "port" in arguments else ""
    database = arguments.get("dbname") or arguments.get("user") or ""
    return f"postgresql://{host}{port}/{database}"


@contextlib.contextmanager
def _typed_errors(session: psycopg.Connection[Row] | None) -> Iterator[None]:
    """Turn what the driver raises into our errors, and let go of a session that is lost."""
    try:
        yield
    except DBAPIError as error:
        raise _typed(error.orig, lost=error.connection_invalidated) from error
    except psycopg.Error as error:
        lost = session is not None and (session.broken or session.closed)
        if session is not None and lost:
            session.close()
        raise _typed(error, lost=lost) from error


def _typed(error: BaseException | None, *, lost: bool) -> StoreError:
    code = getattr(error, "sqlstate", None) or ""
    text = " ".join(str(error).split())
    if code in _FULL:
        return StoreFull(f"the disk or the database is full: {text}")
    if code in _BUSY:
        return StoreBusy(f"the store is in use by another process: {text}")
    if lost or code in _AWAY or code.startswith("08"):
        return StoreAway(f"the database cannot be reached or takes no writes: {text}")
    return StoreUnusable(f"the store cannot be used: {text}")
