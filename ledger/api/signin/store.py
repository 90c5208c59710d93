"""What sign-in has to remember over a restart: sessions, and assertions that were used."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import sqlalchemy as sa

metadata = sa.MetaData()

#: ``hash``: SHA-256 of the secret that the caller holds; the secret itself is nowhere. ``handle``:
#: how lists and logs call the session. Times are seconds since 1970-01-01 UTC.
sessions = sa.Table(
    "sessions",
    metadata,
    sa.Column("hash", sa.LargeBinary, primary_key=True),
    sa.Column("handle", sa.Text, nullable=False, unique=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("person", sa.Text, nullable=False, index=True),
    sa.Column("institution", sa.Text, nullable=False),
    sa.Column("scopes", sa.Text, nullable=False),
    sa.Column("method", sa.Text, nullable=False),
    sa.Column("created", sa.BigInteger, nullable=False),
    sa.Column("seen", sa.BigInteger, nullable=False),
    sa.Column("ends", sa.BigInteger, nullable=False, index=True),
)

#: Client assertions that were accepted, until they end by themselves (RFC 7523 §3, item 7).
used = sa.Table(
    "used",
    metadata,
    sa.Column("hash", sa.LargeBinary, primary_key=True),
    sa.Column("ends", sa.BigInteger, nullable=False, index=True),
)


class StoreUnusable(Exception):
    """The file cannot be opened, or is none of ours."""


def open_store(path: Path) -> sa.Engine:
    """Open or make the file, readable by its owner only; raises `StoreUnusable`."""
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        path.chmod(0o600)
        engine = sa.create_engine(f"sqlite:///{path}")
        sa.event.listen(engine, "connect", _prepare)
        sa.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
        metadata.create_all(engine)
    except (OSError, sa.exc.DBAPIError) as error:
        raise StoreUnusable(f"{path}: {error}") from None
    return engine


def _prepare(connection: Any, _record: object) -> None:
    # NORMAL: after a power cut a few seconds of sign-ins are done again. A session that was ended
    # and comes back has its absolute end all the same.
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=5000"):
        connection.execute(f"PRAGMA {pragma}")
