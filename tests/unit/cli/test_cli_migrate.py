"""``node migrate``: the tables of a store of an older version."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from ledger.chain import schema
from ledger.chain.store import Store
from ledger.cli.main import app
from ledger.node.setup.founding import node_home
from ledger.node.setup.home import claim_home, load_home
from tests.support.databases import make_old, run_sql


@pytest.fixture
def home(consortium, address: str, tmp_path: Path) -> Path:
    """A node home whose store is to be at the address."""
    source = node_home(consortium.home, "east-1")
    home = tmp_path / "home"
    home.mkdir()
    text = (source / "node.toml").read_text()
    (home / "node.toml").write_text(text.replace("sqlite:///data/ledger.db", address))
    return home


def call(home: Path) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["node", "migrate", "--home", str(home)])
    return result.exit_code, result.stdout + result.stderr


def test_a_store_of_today_stays_as_it_is(home: Path, address: str) -> None:
    Store.open(address, create=True).close()
    assert call(home) == (
        0,
        f"The store is up to date: its tables are of revision {schema.REVISION}.\n",
    )


def test_a_store_of_an_older_version_is_brought_up_to_date(home: Path, address: str) -> None:
    make_old(address, "0001")
    code, said = call(home)
    assert code == 0
    assert f"were of revision 0001, now of {schema.REVISION}" in said
    assert call(home)[1].startswith("The store is up to date")


def test_a_store_of_a_newer_version_is_refused(home: Path, address: str) -> None:
    Store.open(address, create=True).close()
    run_sql(address, "UPDATE alembic_version SET version_num = '9999'")
    code, said = call(home)
    assert code == 3
    assert "revision 9999" in said
    assert "newer version" in said


def test_the_store_of_a_running_node_is_left_alone(home: Path) -> None:
    with claim_home(load_home(home)):
        code, said = call(home)
    assert code == 3
    assert "already runs" in said
