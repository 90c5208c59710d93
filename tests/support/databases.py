"""Fixtures of the tests that run on every database a store can have."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy

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
