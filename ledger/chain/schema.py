"""The tables of the store.

Only ``meta``, ``blocks`` and ``votes`` hold what nothing else can give back; every other table is
computed from the blocks, and the auditor compares each of its rows. A store does not have to hold
the chain from its beginning: ``base`` says from where on it does, ``trail`` and ``handovers`` hold
what stays needed of the blocks before. Tables that grow with every
transaction are written at their end: a row of ``state`` or ``tiles`` never changes, and the one
random access that a state write costs is in a narrow index of numbers.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
)

#: The newest revision in `ledger.chain.migrations`: what the tables below are.
REVISION: Final = "0004"

metadata = MetaData()

#: Alembic's own table: the revision of the store, in one row.
revision = Table(
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), primary_key=True),
)

#: In SQLite only a key of the type INTEGER is the row's own number and needs no index.
_ROW = BigInteger().with_variant(Integer, "sqlite")


def _word(length: int) -> String:
    """A short name in ASCII, ordered by its bytes whatever the language of the database."""
    return String(length).with_variant(String(length, collation="C"), "postgresql")


#: ``genesis``: the genesis file; ``chain``: its hash. ``base``: the height of the oldest block
#: whose body is here, as 8 bytes big-endian; absent for 0.
#: ``swept-state``, ``swept-tiles``: see `ledger.chain.pruning`. ``numbered``: the height of the
#: snapshot by which the rows of ``state`` were numbered; absent where the store has all blocks.
meta = Table(
    "meta",
    metadata,
    Column("name", _word(16), primary_key=True),
    Column("value", LargeBinary, nullable=False),
)

#: ``header``, ``certificate``: canonical records, the certificate empty at height 0.
#: ``body``, ``results``: arrays of the raw envelopes and of the encoded results.
#: ``tree``: the height of the root tile in force. ``total``: transactions up to here.
blocks = Table(
    "blocks",
    metadata,
    Column("height", _ROW, primary_key=True, autoincrement=False),
    Column("tree", BigInteger, nullable=False),
    Column("total", BigInteger, nullable=False),
    Column("header", LargeBinary, nullable=False),
    Column("certificate", LargeBinary, nullable=False),
    Column("results", LargeBinary, nullable=False),
    Column("body", LargeBinary, nullable=False),
)

#: Where a transaction stands: the block and the place in it.
transactions = Table(
    "transactions",
    metadata,
    Column("id", LargeBinary(32), primary_key=True),
    Column("height", BigInteger, nullable=False),
    Column("place", Integer, nullable=False),
    sqlite_with_rowid=False,
)

#: One row for each write of an entry, numbered from 1 in the order of writing; ``value`` is null
#: where it was deleted.
#: ``name``: first 8 bytes of the key's hash, ``map``: first 4 bytes of the hash of its
#: contract/map, both as signed numbers. Two keys may share a number, so a reader compares ``key``.
state = Table(
    "state",
    metadata,
    Column("id", _ROW, primary_key=True, autoincrement=False),
    Column("name", BigInteger, nullable=False),
    Column("map", Integer, nullable=False),
    Column("height", BigInteger, nullable=False),
    Column("key", LargeBinary, nullable=False),
    Column("value", LargeBinary),
)
Index("state_by_name", state.c.name, state.c.height)
Index("state_by_map", state.c.map, state.c.id)

#: Versions of the tiles of the state tree; ``path`` has one byte for every four bits.
tiles = Table(
    "tiles",
    metadata,
    Column("height", BigInteger, primary_key=True, autoincrement=False),
    Column("path", LargeBinary, primary_key=True),
    Column("tile", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

#: Complete nodes of the RFC 9162 tree over header hashes; level 0 holds the leaf hashes.
log = Table(
    "log",
    metadata,
    Column("level", Integer, primary_key=True, autoincrement=False),
    Column("place", BigInteger, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary(32), nullable=False),
    sqlite_with_rowid=False,
)

#: Of blocks below the base whose transactions could be sent again: the header, and the ids of the
#: transactions, one after the other.
trail = Table(
    "trail",
    metadata,
    Column("height", _ROW, primary_key=True, autoincrement=False),
    Column("header", LargeBinary, nullable=False),
    Column("ids", LargeBinary, nullable=False),
)

#: The handovers at heights below the base: encoded records of `ledger.chain.handover`.
handovers = Table(
    "handovers",
    metadata,
    Column("height", _ROW, primary_key=True, autoincrement=False),
    Column("handover", LargeBinary, nullable=False),
)

#: The archive files that hold blocks below the base, and when (ms since 1970) each was written.
archives = Table(
    "archives",
    metadata,
    Column("first", _ROW, primary_key=True, autoincrement=False),
    Column("last", BigInteger, nullable=False),
    Column("file", _word(128), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("time", BigInteger, nullable=False),
)

#: What has arrived of a snapshot that is not complete yet; see `ledger.chain.staging`.
incoming = Table(
    "incoming",
    metadata,
    Column("kind", _word(16), primary_key=True),
    Column("name", LargeBinary(64), primary_key=True),
    Column("content", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

#: What this validator has promised; see `ledger.chain.vote`.
votes = Table(
    "votes",
    metadata,
    Column("height", BigInteger, primary_key=True, autoincrement=False),
    Column("view", BigInteger, primary_key=True, autoincrement=False),
    Column("phase", _word(32), primary_key=True),
    Column("digest", LargeBinary(32), nullable=False),
    Column("message", LargeBinary, nullable=False),
)
