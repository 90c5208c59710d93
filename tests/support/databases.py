"""Fixtures of the tests that run on every database a store can have."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy
from alembic import command
from alembic.config import Config

from ledger.chain import migrations
from tests.support.postgres import NoServer, PostgresServer

#: How the reason begins for which a test is skipped that needs a server.
NO_SERVER = "PostgreSQL is not tested, there is no server here: "


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A server for the whole run; it may be restarted."""
    try:
        server = PostgresServer()
    except NoServer as error:
        pytest.skip(f"{NO_SERVER}{error}")
    with server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a store can be made, for one database after the other."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store.db'}"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.database()


def run_sql(address: str, *statements: str) -> None:
    """Do something to a database that no store would."""
    engine = sqlalchemy.create_engine(address)
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    engine.dispose()


#: One row of each kind that nothing else can give back, as SQL for both databases.
_ROWS = (
    "INSERT INTO meta (name, value) VALUES ('genesis', {a}), ('chain', {b})",
    "INSERT INTO blocks (height, tree, total, header, certificate, results, body)"
    " VALUES (0, 0, 0, {a}, {b}, {a}, {b}), (1, 0, 2, {b}, {a}, {b}, {a})",
    "INSERT INTO votes (height, view, phase, digest, message) VALUES (2, 0, 'prepare', {a}, {b})",
)


def make_old(address: str, revision: str) -> None:
    """A store with the tables of an old revision, and some rows in them."""
    engine = sqlalchemy.create_engine(address)
    config = Config()
    config.set_main_option("script_location", str(migrations.__path__[0]))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        if revision == "0001":
            # As version 0.1.0 has left it, which did not know Alembic.
            connection.exec_driver_sql("DROP TABLE alembic_version")
            one = "x'31'" if address.startswith("sqlite") else r"'\x31'"
            connection.exec_driver_sql(f"INSERT INTO meta (name, value) VALUES ('schema', {one})")
    engine.dispose()
    first, second = (
        ("x'0a00'", "x'ff27'") if address.startswith("sqlite") else (r"'\x0a00'", r"'\xff27'")
    )
    run_sql(address, *(statement.format(a=first, b=second) for statement in _ROWS))
