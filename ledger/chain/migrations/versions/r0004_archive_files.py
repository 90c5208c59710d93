"""A table of the archive files that hold what a store has pruned."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
automatic = True


def upgrade() -> None:
    op.create_table(
        "archives",
        sa.Column(
            "first",
            sa.BigInteger().with_variant(sa.Integer, "sqlite"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("last", sa.BigInteger, nullable=False),
        sa.Column(
            "file",
            sa.String(128).with_variant(sa.String(128, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("time", sa.BigInteger, nullable=False),
    )
