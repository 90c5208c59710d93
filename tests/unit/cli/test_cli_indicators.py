"""The command ``indicators`` on a store with real blocks."""

import json
import sqlite3

import msgspec
import pytest
from typer.testing import CliRunner

from ledger.chain.genesis import encode_genesis, read_genesis
from ledger.cli.main import app
from tests.support.founded import Chain

runner = CliRunner()


@pytest.fixture
def chain(consortium, tmp_path):
    """Six consents in three blocks."""
    chain = Chain(consortium, tmp_path)
    for block in range(3):
        chain.append(chain.grant(f"c{2 * block}"), chain.grant(f"c{2 * block + 1}"))
    yield chain
    chain.replica.store.close()


@pytest.fixture
def store(chain):
    return chain.directory / "replica-0" / "ledger.db"


def run(*arguments):
    return runner.invoke(app, ["indicators", *map(str, arguments)])


def told(*arguments):
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    value = json.loads(result.stdout)
    return value, {indicator["name"]: indicator for indicator in value["indicators"]}


def test_the_blocks_of_a_store_are_counted(store, chain):
    value, indicators = told("--store", store)
    assert (value["from_height"], value["height"]) == (1, 3)
    assert value["chain"] == chain.chain.hex()
    assert value["genesis_checked"] is False
    assert indicators["consents"]["number"] == 6
    assert indicators["requests"] == {
        "name": "requests", "unit": "requests for a record, by answer and purpose", "number": 0,
        "parts": {}, "shares": {}, "minutes": {},
    }  # fmt: skip


def test_a_small_number_is_hidden_in_both_ways_of_telling(store):
    _, indicators = told("--store", store, "--minimum-cell", 7)
    assert indicators["consents"]["number"] is None
    shown = run("--store", store, "--minimum-cell", 7).stdout
    assert "consents in force\n  total: –\n" in shown
    assert "consents in force\n  total: 6\n    in force: 6\n" in run("--store", store).stdout


def test_the_genesis_makes_sure_of_the_chain(store, consortium, tmp_path):
    genesis = consortium.home / "genesis.json"
    value, _ = told("--store", store, "--genesis", genesis)
    assert value["genesis_checked"] is True
    other = tmp_path / "other.json"
    agreed = read_genesis(genesis)
    later = msgspec.structs.replace(agreed, created=agreed.created + 1)
    other.write_bytes(encode_genesis(later))
    result = run("--store", store, "--genesis", other)
    assert result.exit_code == 3


def test_the_next_run_counts_the_new_blocks_only(store, chain, tmp_path):
    kept = tmp_path / "kept.json"
    _, first = told("--store", store, "--keep", kept)
    assert first["consents"]["number"] == 6
    # Something that only the kept counts know: it stays, so the old blocks were not read again.
    value = json.loads(kept.read_text())
    value["items"].append(["consents", "kept", "", [[0, "in force", 0]]])
    kept.write_text(json.dumps(value))
    chain.append(chain.grant("c7"))
    _, second = told("--store", store, "--keep", kept)
    assert second["consents"]["number"] == 8
    _, whole = told("--store", store)
    assert whole["consents"]["number"] == 7


def test_what_was_kept_of_another_chain_is_refused(store, tmp_path):
    kept = tmp_path / "kept.json"
    told("--store", store, "--keep", kept)
    value = json.loads(kept.read_text())
    for field in ("chain", "head"):
        kept.write_text(json.dumps({**value, field: "ab" * 32, "height": 2}))
        assert run("--store", store, "--keep", kept).exit_code == 3


def test_a_changed_result_is_noticed(store, chain):
    chain.replica.store.close()
    with sqlite3.connect(store) as database:
        database.execute(
            "update blocks set results = (select results from blocks where height = 1)"
        )
    database.close()
    result = run("--store", store)
    assert result.exit_code == 3
    assert "height" in result.stderr


@pytest.mark.parametrize(
    "wrong",
    [
        ("--by", "name"),
        ("--minimum-cell", 2),
        ("--from", "2026-13"),
        ("--to", "May"),
        ("--from", "2026-06", "--to", "2026-05"),
    ],
)
def test_a_wrong_question_is_refused(store, wrong):
    assert run("--store", store, *wrong).exit_code == 2
