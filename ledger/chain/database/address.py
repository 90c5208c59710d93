"""From what an operator writes as the address of a store to an open database."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from ledger.chain.database.errors import StoreUnusable
from ledger.chain.database.interface import Database


def parse_address(text: str) -> URL:
    """The URL of a store: ``sqlite:///path`` or ``postgresql://user@host/database``.

    Raises:
        ValueError: it is none. The message never repeats the address, which may hold a password.
    """
    try:
        url = make_url(text)
        kind = url.get_backend_name()
    except (ArgumentError, NoSuchModuleError, ValueError):
        raise ValueError(
            "must be a database URL such as sqlite:///data/ledger.db or "
            "postgresql://ledger@localhost/ledger"
        ) from None
    if kind == "postgres":
        kind = "postgresql"
    if kind not in ("sqlite", "postgresql"):
        raise ValueError(f"stores on {kind} are not supported, only on sqlite and postgresql")
    if kind == "sqlite" and url.database in (None, "", ":memory:"):
        raise ValueError("a store needs a file")
    return url.set(drivername="sqlite" if kind == "sqlite" else "postgresql+psycopg")


def open_database(url: str, *, create: bool = False, read_only: bool = False) -> Database:
    """Open the database at a path or a URL.

    Args:
        url: a path, or what `parse_address` takes.
        create: whether to make the file where there is none. A PostgreSQL database must exist.
        read_only: never write, create or change anything.

    Raises:
        StoreUnusable, StoreBusy, StoreAway: it cannot be opened.
    """
    # Loaded when needed: psycopg and its libraries are not small.
    if "://" not in url:
        from ledger.chain.database.sqlite import SqliteDatabase

        return SqliteDatabase(Path(url), create=create, read_only=read_only)
    try:
        parsed = parse_address(url)
    except ValueError as error:
        raise StoreUnusable(f"not the address of a store: {error}") from None
    if parsed.get_backend_name() == "sqlite":
        from ledger.chain.database.sqlite import SqliteDatabase

        return SqliteDatabase(Path(str(parsed.database)), create=create, read_only=read_only)
    from ledger.chain.database.postgres import PostgresDatabase

    return PostgresDatabase(parsed, read_only=read_only)
