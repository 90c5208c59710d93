"""The tables of version 0.1.0."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
automatic = True

_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def _word(length: int) -> sa.String:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "meta",
        sa.Column("name", _word(16), primary_key=True),
        sa.Column("value", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "blocks",
        sa.Column("height", _NUMBER, primary_key=True, autoincrement=False),
        sa.Column("tree", sa.BigInteger, nullable=False),
        sa.Column("total", sa.BigInteger, nullable=False),
        sa.Column("header", sa.LargeBinary, nullable=False),
        sa.Column("certificate", sa.LargeBinary, nullable=False),
        sa.Column("results", sa.LargeBinary, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "transactions",
        sa.Column("id", sa.LargeBinary(32), primary_key=True),
        sa.Column("height", sa.BigInteger, nullable=False),
        sa.Column("place", sa.Integer, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "state",
        sa.Column("id", _NUMBER, primary_key=True, autoincrement=False),
        sa.Column("name", sa.BigInteger, nullable=False),
        sa.Column("map", sa.Integer, nullable=False),
        sa.Column("height", sa.BigInteger, nullable=False),
        sa.Column("key", sa.LargeBinary, nullable=False),
        sa.Column("value", sa.LargeBinary),
    )
    op.create_index("state_by_name", "state", ["name", "height"])
    op.create_index("state_by_map", "state", ["map", "id"])
    op.create_table(
        "tiles",
        sa.Column("height", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("path", sa.LargeBinary, primary_key=True),
        sa.Column("tile", sa.LargeBinary, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "log",
        sa.Column("level", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("place", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("hash", sa.LargeBinary(32), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "votes",
        sa.Column("height", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("view", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("phase", _word(32), primary_key=True),
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
        sa.Column("message", sa.LargeBinary, nullable=False),
    )
