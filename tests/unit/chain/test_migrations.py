"""Stores of older versions: their tables become those of today, and what is in them stays."""

import pytest
import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from ledger.chain import migrations, schema
from ledger.chain.database import StoreUnusable, open_database
from ledger.chain.store import Store
from tests.support.databases import make_old, run_sql

SCRIPTS = ScriptDirectory(str(migrations.__path__[0]))
#: From the first to the newest.
REVISIONS = [step.revision for step in SCRIPTS.walk_revisions()][::-1]

KEPT = {
    "blocks": "SELECT height, header, certificate, body FROM blocks ORDER BY height",
    "votes": "SELECT height, view, phase, digest, message FROM votes",
    "meta": "SELECT value FROM meta WHERE name IN ('genesis', 'chain') ORDER BY name",
}


def content(address):
    """The rows of `KEPT`."""
    engine = sqlalchemy.create_engine(address)
    with engine.connect() as connection:
        found = {
            name: [tuple(row) for row in connection.exec_driver_sql(sql)]
            for name, sql in KEPT.items()
        }
    engine.dispose()
    return found


def tables(address):
    """Everything about the tables that the database can tell."""
    engine = sqlalchemy.create_engine(address)
    inspector = sqlalchemy.inspect(engine)
    found = {
        name: (
            [{**column, "type": str(column["type"])} for column in inspector.get_columns(name)],
            inspector.get_pk_constraint(name)["constrained_columns"],
            inspector.get_indexes(name),
            inspector.get_foreign_keys(name),
            inspector.get_unique_constraints(name),
            inspector.get_table_options(name),
        )
        for name in inspector.get_table_names()
    }
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, schema.metadata) == []
    engine.dispose()
    return found


def migrate(address):
    database = open_database(address)
    try:
        return migrations.migrate(database, automatically=False)
    finally:
        database.close()


def test_there_is_one_line_of_revisions_and_the_tables_are_its_end():
    assert SCRIPTS.get_heads() == [schema.REVISION]
    assert sorted(REVISIONS) == REVISIONS


@pytest.fixture
def fresh(address, request, tmp_path):
    """The tables of a store that was made today, on the same database."""
    if address.startswith("sqlite"):
        other = f"sqlite:///{tmp_path / 'fresh.db'}"
    else:
        other = request.getfixturevalue("postgres").database()
    Store.open(other, create=True).close()
    return tables(other)


@pytest.mark.parametrize("revision", REVISIONS)
def test_an_old_store_gets_the_tables_of_a_fresh_one_and_keeps_its_rows(address, fresh, revision):
    make_old(address, revision)
    before = content(address)
    assert migrate(address) == (revision, schema.REVISION)
    assert content(address) == before
    assert tables(address) == fresh
    assert migrate(address) == (schema.REVISION, schema.REVISION)


def test_a_store_that_cannot_be_migrated_stays_as_it_was(address):
    make_old(address, "0001")
    run_sql(address, "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
    with pytest.raises(StoreUnusable, match="not a store"):
        migrate(address)
    run_sql(address, "DROP TABLE alembic_version", "DROP TABLE votes")
    before = sorted(set(inspect_names(address)))
    with pytest.raises(StoreUnusable, match="not a store"):
        migrate(address)
    assert sorted(set(inspect_names(address))) == before


def inspect_names(address):
    engine = sqlalchemy.create_engine(address)
    names = sqlalchemy.inspect(engine).get_table_names()
    engine.dispose()
    return names


def test_a_step_that_wants_to_be_asked_for_is_not_taken_at_start(address, monkeypatch):
    make_old(address, "0001")
    monkeypatch.setattr(migrations, "_automatic", lambda module: module.revision == "0001")
    with pytest.raises(StoreUnusable, match="health-ledger node migrate"):
        Store.open(address)
    assert "alembic_version" not in inspect_names(address)
    assert migrate(address) == ("0001", schema.REVISION)


def test_steps_that_only_add_are_taken_when_the_store_is_opened(address, monkeypatch):
    monkeypatch.setattr(migrations, "_automatic", lambda _module: True)
    make_old(address, "0001")
    run_sql(address, "DELETE FROM meta WHERE name <> 'schema'", "DELETE FROM blocks")
    Store.open(address).close()
    database = open_database(address, read_only=True)
    assert migrations.revision_of(database) == schema.REVISION
    database.close()


def test_an_old_store_is_not_changed_by_being_read(address):
    make_old(address, "0001")
    with pytest.raises(StoreUnusable, match="revision 0001"):
        Store.open(address, read_only=True)
    assert "alembic_version" not in inspect_names(address)


def test_a_step_that_fails_half_way_leaves_the_store_as_it_was(address):
    make_old(address, "0001")
    before = content(address)

    def run_half(database):
        with database.connection() as connection:
            connection.exec_driver_sql("CREATE TABLE half_done (id INTEGER)")
            connection.exec_driver_sql("DELETE FROM votes")
            raise InterruptedError

    database = open_database(address)
    with pytest.raises(InterruptedError):
        run_half(database)
    database.close()
    assert "half_done" not in inspect_names(address)
    assert content(address) == before
