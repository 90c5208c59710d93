"""The tables of a vault."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import sqlalchemy as sa

metadata = sa.MetaData()

batches = sa.Table(
    "batches",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("root", sa.LargeBinary, nullable=False, unique=True),
    sa.Column("size", sa.Integer, nullable=False),
    sa.Column("height", sa.Integer),  # of the block that anchored it
)

records = sa.Table(
    "records",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.LargeBinary, nullable=False, unique=True),
    sa.Column("source", sa.Text, nullable=False, index=True),
    sa.Column("subject", sa.Text, nullable=False, index=True),
    sa.Column("pointer", sa.LargeBinary, nullable=False),
    sa.Column("salts", sa.LargeBinary, nullable=False),
    sa.Column("taken", sa.BigInteger, nullable=False),
    sa.Column("current", sa.Boolean, nullable=False),
    sa.Column("announced", sa.Boolean, nullable=False),  # its successor is known to the chain
    sa.Column("batch", sa.ForeignKey("batches.id"), index=True),
    sa.Column("place", sa.Integer),
)

#: The lists of tokens that open what pointers say of labels and codes, as canonical bytes.
openings = sa.Table(
    "openings",
    metadata,
    sa.Column("name", sa.LargeBinary, primary_key=True),
    sa.Column("tokens", sa.LargeBinary, nullable=False),
)


class VaultUnusable(Exception):
    """A vault file that cannot be opened or is not one."""


def open_tables(path: Path) -> sa.Engine:
    """Open or make the file, readable by its owner only; raises `VaultUnusable`."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        path.chmod(0o600)
        engine = sa.create_engine(f"sqlite:///{path}")
        sa.event.listen(engine, "connect", _prepare)
        metadata.create_all(engine)
    except (OSError, sa.exc.DBAPIError) as error:
        raise VaultUnusable(f"{path}: {error}") from None
    return engine


def _prepare(connection: Any, _record: object) -> None:
    # FULL: a salt that is lost after its pointer was anchored is lost for good.
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=10000"):
        connection.execute(f"PRAGMA {pragma}")
