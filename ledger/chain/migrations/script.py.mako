"""${message}"""

import sqlalchemy as sa
from alembic import op

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
# Whether a node may take this step by itself when it starts: it only adds, in a moment.
automatic = False


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}
