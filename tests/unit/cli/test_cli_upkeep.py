"""``node check``, ``node repair`` and ``node vouch`` on the home of a node that does not run."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ledger.chain.genesis import read_genesis
from ledger.chain.store import Store
from ledger.cli.main import app
from ledger.cli.output import ExitCode
from ledger.contracts.replica import Replica
from ledger.node.setup.home import NodeHome, claim_home, load_home
from ledger.node.signing.register import Register
from ledger.node.signing.standing import Memory, Standing
from ledger.node.signing.watermark import Watermark
from tests.support.local_service import Consortium
from tests.support.rows import execute

NODE = "east-1"


@pytest.fixture
def home(consortium: Consortium, tmp_path: Path) -> NodeHome:
    """A node's home with a chain that has just begun, vouched for."""
    place = tmp_path / NODE
    shutil.copytree(consortium.home / "nodes" / NODE, place)
    shutil.copy(consortium.home / "genesis.json", place / "genesis.json")
    found = load_home(place)
    store = Store.open(found.store_url, create=True)
    Replica.found(store, read_genesis(place / "genesis.json"))
    store.close()
    standing(found, vouch=True)
    return found


def standing(home: NodeHome, *, vouch: bool = False) -> Standing:
    store = Store.open(home.store_url)
    try:
        register = Register(
            store, Watermark(home.signer, home.genesis().chain_id(), NODE), was_empty=False
        )
        if vouch:
            register.vouch(0)
        return register.standing
    finally:
        store.close()


def path_of(home: NodeHome) -> Path:
    return home.path / "data" / "ledger.db"


def run(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["node", *arguments])
    return done.exit_code, done.output


def as_json(*arguments: str) -> tuple[int, dict[str, object]]:
    code, output = run(*arguments, "--json")
    return code, json.loads(output)


@pytest.mark.parametrize("extent", [[], ["--whole"]])
def test_a_good_home_is_found_good(home: NodeHome, extent: list[str]) -> None:
    code, found = as_json("check", "--home", str(home.path), *extent)
    assert code == ExitCode.GOOD
    assert found["good"] is True
    assert found["height"] == 0
    assert found["faults"] == []
    assert found["remarks"] == []


def test_a_row_that_was_changed_is_found_by_the_whole_check(home: NodeHome) -> None:
    assert execute(path_of(home), "UPDATE transactions SET place = 1") == 0
    assert execute(path_of(home), "DELETE FROM state WHERE id = 5") == 1
    assert run("check", "--home", str(home.path))[0] == ExitCode.GOOD
    code, output = run("check", "--home", str(home.path), "--whole")
    assert code == ExitCode.NO
    assert "a row is missing" in output


def test_a_check_changes_nothing_and_works_while_the_node_runs(home: NodeHome) -> None:
    before = path_of(home).read_bytes()
    with claim_home(home):
        assert run("check", "--home", str(home.path))[0] == ExitCode.GOOD
        assert run("repair", "--home", str(home.path))[0] == ExitCode.FAILED
    assert path_of(home).read_bytes() == before


def test_a_damaged_store_is_set_aside_and_kept(home: NodeHome) -> None:
    path = path_of(home)
    content = b"no database" * 1_000
    path.write_bytes(content)
    assert run("check", "--home", str(home.path))[0] == ExitCode.NO
    code, found = as_json("repair", "--home", str(home.path))
    assert code == ExitCode.GOOD
    assert not path.exists()
    assert (Path(str(found["set_aside"])) / path.name).read_bytes() == content


def test_a_good_store_is_left_alone_unless_somebody_insists(home: NodeHome) -> None:
    assert run("repair", "--home", str(home.path))[0] == ExitCode.NO
    assert path_of(home).exists()
    assert run("repair", "--home", str(home.path), "--anyhow")[0] == ExitCode.GOOD
    assert not path_of(home).exists()


def test_a_home_without_its_watermark_is_vouched_for_on_demand(home: NodeHome) -> None:
    execute(path_of(home), "INSERT INTO votes VALUES (1, 0, 'prepare', zeroblob(32), zeroblob(10))")
    (home.signer / "watermark").unlink()
    assert standing(home) == Standing(Memory.UNKNOWN)
    code, found = as_json("check", "--home", str(home.path))
    assert code == ExitCode.GOOD
    code, found = as_json("vouch", "--home", str(home.path), "--yes")
    assert code == ExitCode.GOOD
    assert (found["height"], found["votes"]) == (1, 1)
    assert standing(home) == Standing(Memory.WHOLE)


def test_nobody_vouches_by_mistake(home: NodeHome) -> None:
    (home.signer / "watermark").unlink()
    done = CliRunner().invoke(app, ["node", "vouch", "--home", str(home.path)], input="n\n")
    assert done.exit_code != ExitCode.GOOD
    assert not (home.signer / "watermark").exists()


def test_a_watermark_that_was_put_back_is_remarked(home: NodeHome) -> None:
    (home.signer / "watermark").write_bytes(b"?" * 8192)
    code, found = as_json("check", "--home", str(home.path))
    assert code == ExitCode.GOOD
    assert "vouches for nothing" in str(found["remarks"])


def test_the_lists_of_a_stopped_node_are_made_anew(home: NodeHome) -> None:
    code, done = as_json("reindex", "--home", str(home.path))
    assert code == ExitCode.GOOD
    assert (done["height"], done["unread"]) == (0, 0)
    assert done["size"] > 0
    assert run("reindex", "--home", str(home.path))[0] == ExitCode.GOOD
    with claim_home(home):
        assert run("reindex", "--home", str(home.path))[0] == ExitCode.FAILED


def test_a_damaged_index_is_thrown_away_and_never_the_store(home: NodeHome) -> None:
    index = home.path / "data" / "reading.db"
    index.write_bytes(b"no database at all" * 100)
    assert run("reindex", "--home", str(home.path))[0] == ExitCode.GOOD
    settings = home.path / "node.toml"
    settings.write_text(
        settings.read_text() + '\n[reading]\nurl = "sqlite:///data/../data/ledger.db"\n'
    )
    assert run("reindex", "--home", str(home.path))[0] == ExitCode.FAILED
    with closing(Store.open(home.store_url, read_only=True)) as store:
        assert store.height() == 0
    with closing(sqlite3.connect(home.path / "data" / "ledger.db")) as found:
        names = {name for (name,) in found.execute("SELECT name FROM sqlite_master")}
    assert "blocks" in names
    assert not any("reading" in name for name in names)
