"""The tables of a vault."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from ledger.chain.codec import decode_value
from ledger.chain.pointer import Pointer, pointer_from_value

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
    # Sealed under a key in `ledger.node.vault.keysafe`; empty once the record was erased.
    sa.Column("salts", sa.LargeBinary, nullable=False),
    sa.Column("taken", sa.BigInteger, nullable=False),
    sa.Column("current", sa.Boolean, nullable=False),
    sa.Column("announced", sa.Boolean, nullable=False),  # its successor is known to the chain
    sa.Column("batch", sa.ForeignKey("batches.id"), index=True),
    sa.Column("place", sa.Integer),
    # By what a pass sees that it need not read the record again: the source's stamp, the patient
    # reference in it, a print of the patient's label key.
    sa.Column("stamp", sa.Text, nullable=False, server_default=""),
    sa.Column("reference", sa.Text, nullable=False, server_default=""),
    sa.Column("labelled", sa.Text, nullable=False, server_default=""),
    # When it was destroyed at the patient's request. The row stays: it is not taken in again.
    sa.Column("erased", sa.BigInteger),
)
sa.Index("erased", records.c.source, sqlite_where=records.c.erased.is_not(None))
sa.Index("outdated", records.c.id, sqlite_where=sa.and_(~records.c.current, ~records.c.announced))

#: The lists of tokens that open what pointers say of labels and codes, as canonical bytes.
openings = sa.Table(
    "openings",
    metadata,
    sa.Column("name", sa.LargeBinary, primary_key=True),
    sa.Column("tokens", sa.LargeBinary, nullable=False),
)


#: The records that the pass which is running has met.
seen = sa.Table("seen", metadata, sa.Column("record", sa.Integer, primary_key=True))

#: One row for each pass over the source, kept up to date while it runs.
passes = sa.Table(
    "passes",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("began", sa.BigInteger, nullable=False),  # ms since 1970 UTC, as all times here
    sa.Column("changed", sa.BigInteger, nullable=False),
    sa.Column("ended", sa.BigInteger),
    sa.Column("phase", sa.Text, nullable=False),
    sa.Column("counts", sa.Text, nullable=False),  # JSON
    sa.Column("error", sa.Text, nullable=False, server_default=""),
)

#: What was handed out; see `ledger.node.vault.handed`.
handed = sa.Table(
    "handed",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("decision", sa.Text, nullable=False, index=True),
    sa.Column("name", sa.LargeBinary, nullable=False),
    sa.Column("digest", sa.LargeBinary, nullable=False),
    sa.Column("requester", sa.Text, nullable=False),
    sa.Column("institution", sa.Text, nullable=False),
    sa.Column("purpose", sa.Text, nullable=False),
    sa.Column("began", sa.BigInteger, nullable=False, index=True),
    sa.Column("ended", sa.BigInteger),
    sa.Column("first", sa.BigInteger, nullable=False),
    sa.Column("sent", sa.BigInteger, nullable=False),
    sa.Column("complete", sa.Boolean, nullable=False),
)

_POINTER_LIMIT: Final = 4096


def pointer_of(leaf: bytes) -> Pointer:
    """The pointer in a row."""
    return pointer_from_value(decode_value(leaf, limit=_POINTER_LIMIT))


def tokens_of(stored: bytes | None) -> tuple[bytes, ...]:
    """The tokens in a row of `openings`, if there is one."""
    if stored is None:
        return ()
    return msgspec.convert(decode_value(stored, limit=_POINTER_LIMIT), tuple[bytes, ...])


class VaultUnusable(Exception):
    """A vault file that cannot be opened or is not one."""


def open_tables(path: Path) -> sa.Engine:
    """Open or make the file, readable by its owner only; raises `VaultUnusable`."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        path.chmod(0o600)
        engine = sa.create_engine(f"sqlite:///{path}")
        sa.event.listen(engine, "connect", prepare)
        metadata.create_all(engine)
        _add_columns(engine)
    except (OSError, sa.exc.DBAPIError) as error:
        raise VaultUnusable(f"{path}: {error}") from None
    return engine


def _add_columns(engine: sa.Engine) -> None:
    """Give a vault of an earlier version the columns that it lacks."""
    present = {column["name"] for column in sa.inspect(engine).get_columns("records")}
    with engine.begin() as connection:
        if "erased" not in present:
            connection.exec_driver_sql("ALTER TABLE records ADD COLUMN erased BIGINT")
        for name in ("stamp", "reference", "labelled"):
            if name not in present:
                connection.exec_driver_sql(
                    f"ALTER TABLE records ADD COLUMN {name} TEXT NOT NULL DEFAULT ''"
                )


def prepare(connection: Any, _record: object) -> None:
    """Set a new connection up: nothing that was committed is ever lost."""
    # FULL: a salt that is lost after its pointer was anchored is lost for good.
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=10000"):
        connection.execute(f"PRAGMA {pragma}")
