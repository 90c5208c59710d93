"""The revision of the tables is Alembic's; before, a row of ``meta`` had it."""

from alembic import op

revision = "0002"
down_revision = "0001"
automatic = True


def upgrade() -> None:
    op.execute("DELETE FROM meta WHERE name = 'schema'")
