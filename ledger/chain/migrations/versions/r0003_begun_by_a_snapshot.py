"""Tables for stores that do not hold the chain from its beginning."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
automatic = True

_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "trail",
        sa.Column("height", _NUMBER, primary_key=True, autoincrement=False),
        sa.Column("header", sa.LargeBinary, nullable=False),
        sa.Column("ids", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "handovers",
        sa.Column("height", _NUMBER, primary_key=True, autoincrement=False),
        sa.Column("handover", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "incoming",
        sa.Column(
            "kind",
            sa.String(16).with_variant(sa.String(16, collation="C"), "postgresql"),
            primary_key=True,
        ),
        sa.Column("name", sa.LargeBinary(64), primary_key=True),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sqlite_with_rowid=False,
    )
