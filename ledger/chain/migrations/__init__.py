"""From the tables of an older version of this software to those of today, by Alembic.

``README.md`` beside this file says how a revision is added. Consensus data never change: a
revision may move the bytes of blocks, certificates and votes, not touch them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import select

from ledger.chain import schema
from ledger.chain.database import Database, StoreUnusable, Writer, open_database

#: What stores were before they were migrated by Alembic: they say so in ``meta``.
_FIRST = "0001"


def revision_of(database: Database) -> str | None:
    """The revision of a store's tables; None where there are no tables at all.

    Raises:
        StoreUnusable: the tables are not those of a store.
    """
    tables = database.tables()
    if not tables:
        return None
    if schema.revision.name in tables:
        row = database.one(database.query(select(schema.revision.c.version_num)))
    elif {"meta", "blocks", "votes"} <= tables:
        value, name = schema.meta.c.value, schema.meta.c.name
        row = database.one(database.query(select(value).where(name == "schema")))
        row = (_FIRST,) if row is not None and row[0] == b"1" else None
    else:
        row = None
    if row is None:
        raise StoreUnusable(f"{database.name} is not a store of this software")
    return str(row[0])


def create(database: Database, writer: Writer) -> None:
    """Make the tables of today in an empty database."""
    database.create(schema.metadata, writer)
    database.create(schema.revision.metadata, writer)
    writer.run(database.query(schema.revision.insert()), (schema.REVISION,))


def migrate(database: Database, *, automatically: bool) -> tuple[str, str]:
    """Bring the tables of a store up to date, in one transaction.

    Args:
        automatically: go only where every step says that nobody has to be asked: it adds
            something, takes a moment, and loses nothing.

    Returns:
        The revision before and after.

    Raises:
        StoreUnusable: the store is newer than this software, or a step wants to be asked for.
        StoreError: the database could not do it; the store is as it was.
    """
    found = revision_of(database)
    if found is None:
        raise StoreUnusable(f"there is no store in {database.name}")
    if found == schema.REVISION:
        return found, found
    if database.read_only:
        raise StoreUnusable(
            f"the store {database.name} has tables of revision {found}, this software reads "
            f"{schema.REVISION}: open it with the version that wrote it, or migrate it"
        )
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory
    from alembic.script.revision import RevisionError
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    scripts = ScriptDirectory.from_config(config)
    try:
        steps = list(scripts.iterate_revisions(schema.REVISION, found))
    except (CommandError, RevisionError):
        raise StoreUnusable(
            f"the store {database.name} has tables of revision {found}, which this software "
            f"(revision {schema.REVISION}) does not know: it was used with a newer version"
        ) from None
    asking = [step.revision for step in steps if not _automatic(step.module)]
    if automatically and asking:
        raise StoreUnusable(
            f"the store {database.name} has tables of revision {found}; going to "
            f"{schema.REVISION} rewrites some of them. Make a backup, then run "
            "`health-ledger node migrate`"
        )
    with database.connection() as connection:
        config.attributes["connection"] = connection
        if found == _FIRST:
            command.stamp(config, _FIRST)
        command.upgrade(config, schema.REVISION)
    return found, schema.REVISION


def _automatic(module: Any) -> bool:
    return getattr(module, "automatic", False) is True


def migrate_store(url: str) -> tuple[str, str]:
    """Bring the store at an address up to date, whatever it takes; see `migrate`."""
    database = open_database(url)
    try:
        return migrate(database, automatically=False)
    finally:
        database.close()
