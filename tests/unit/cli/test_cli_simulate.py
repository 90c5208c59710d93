"""``health-ledger contract simulate``: another source on a copy of a chain."""

import json

import pytest
from typer.testing import CliRunner

from ledger.chain.pointer import Pointer, record_digest
from ledger.chain.store import Store
from ledger.chain.values import to_json
from ledger.cli.main import app
from ledger.client.builder import Account, build, call

FORBIDDING = '''"""Nobody sees anything."""
from ledger.contracts.prelude import forbids, query

@query
def decide(request: dict) -> dict:
    return forbids("closed")
'''
FAILING = '''"""Fails."""
from ledger.contracts.prelude import Value, permits, query

settings = Value("settings")

@query
def decide(request: dict) -> dict:
    return permits(settings.get()["rule"])
'''


def simulate(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["contract", "simulate", *map(str, arguments)])
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def pointer(service, pseudonym):
    return Pointer(
        holder=service.institution, subject=pseudonym, kind="laboratory", size=1,
        media="text/plain", digest=record_digest(b"salt" * 4, b"x"), start=1, end=2,
        confidentiality="N", type=bytes(32), labels=bytes(32), replaces=b"",
    ).value()  # fmt: skip


@pytest.fixture
async def decided(service, consortium, patient, pseudonym, pointer):
    """The id of a permit that a physician got by a consent, which was withdrawn later."""

    async def make(account, *calls):
        transaction = build(service.chain, service.head().height, 100, list(calls), [account])
        await service.submit([transaction.raw])
        await service.commit()
        return transaction.id.hex()

    node = next(iter(consortium.nodes))
    await make(Account(consortium.nodes[node]), call("records", "anchor", pointer=pointer))
    scope = {"purposes": ["TREAT"]}
    await make(patient, call("consent", "grant", id="c-1", subject=pseudonym, scope=scope))
    request = call(
        "access", "request", pointer=pointer, proof={}, purpose="TREAT",
        institution=consortium.people["east-physician"].institution, reply_key=bytes(32),
    )  # fmt: skip
    name = await make(consortium.account("east-physician"), request)
    await make(patient, call("consent", "withdraw", id="c-1"))
    return f"{name}-0"


@pytest.fixture
def source(tmp_path):
    file = tmp_path / "closing.py"
    file.write_text(FORBIDDING)
    return file


def test_a_decision_is_repeated_as_it_was_and_with_the_source(decided, source, tmp_path):
    store = tmp_path / "ledger.db"
    code, out, _ = simulate(source, "--store", store, "--decision", decided, "--json")
    found = json.loads(out)
    assert code == 0
    assert found["before"]["decision"]["rule"] == "consent:patient-permits"
    assert found["before"]["decision"]["id"] == decided
    assert found["after"]["decision"]["rule"] == "closing:closed"
    assert found["differs"] is True
    code, out, _ = simulate(source, "--store", store, "--decision", decided)
    assert "as it is: permit consent:patient-permits" in out
    assert "with closing: deny closing:closed" in out
    assert "forbid closed: closing v1, line 6" in out
    assert "The decision would be another one." in out


def test_a_source_can_stand_for_a_contract_of_the_chain(decided, source, tmp_path):
    where = ["--store", tmp_path / "ledger.db", "--decision", decided, "--name", "referral"]
    _, out, _ = simulate(source, *where, "--json")
    after = json.loads(out)["after"]["decision"]
    assert after["rule"] == "referral:closed"
    assert after["path"][-1]["version"] == 2


def test_the_chains_own_source_makes_no_difference(decided, tmp_path):
    _, out, _ = simulate("consent", "--store", tmp_path / "ledger.db", "--decision", decided)
    assert "No difference." in out


def test_a_request_is_decided_on_the_newest_state_or_an_older_one(
    decided, consortium, pointer, source, tmp_path
):
    person = consortium.people["east-physician"]
    wanted = {
        "requester": person.id, "pointer": to_json(pointer), "purpose": "TREAT",
        "institution": person.institution,
    }  # fmt: skip
    file = tmp_path / "request.json"
    file.write_text(json.dumps(wanted))
    where = ["--store", tmp_path / "ledger.db", "--json"]
    _, out, _ = simulate(source, *where, "--request", json.dumps(wanted))
    assert json.loads(out)["before"]["decision"]["rule"] == "access:nothing-permits"
    _, out, _ = simulate(source, *where, "--request", f"@{file}", "--height", 3)
    assert json.loads(out)["before"]["decision"]["rule"] == "consent:patient-permits"


def test_a_contract_that_fails_on_this_state_is_shown_to_fail(decided, tmp_path):
    file = tmp_path / "failing.py"
    file.write_text(FAILING)
    code, out, _ = simulate(file, "--store", tmp_path / "ledger.db", "--decision", decided)
    assert code == 0
    assert "with failing: failed type_error" in out


def test_nothing_is_written(decided, source, tmp_path):
    path = tmp_path / "ledger.db"

    def content():
        store = Store.open(str(path), read_only=True)
        try:
            return store.head(), store.newest_row()
        finally:
            store.close()

    before = content()
    simulate(source, "--store", path, "--decision", decided)
    assert content() == before


def test_what_cannot_be_tried_ends_with_its_code(decided, source, tmp_path):
    where = ["--store", tmp_path / "ledger.db"]
    broken = tmp_path / "broken.py"
    broken.write_text("import os\n")
    assert simulate(broken, *where, "--decision", decided)[0] == 1
    assert simulate(source, *where, "--decision", "ab" * 32)[0] == 1
    assert simulate(source, *where, "--decision", "c-1")[0] == 2
    assert simulate(source, *where)[0] == 2
    assert simulate(source, *where, "--request", "{")[0] == 2
    assert simulate(source, *where, "--request", '{"purpose": "TREAT"}')[0] == 2
    assert simulate(source, *where, "--request", '{"requester": "nobody"}')[0] == 2
    assert simulate(source, "--store", tmp_path / "none.db", "--decision", decided)[0] == 3


def test_a_store_of_another_chain_is_refused(decided, source, tmp_path, consortium):
    where = ["--store", tmp_path / "ledger.db", "--decision", decided, "--genesis"]
    assert simulate(source, *where, consortium.home / "genesis.json")[0] == 0
    CliRunner().invoke(
        app,
        ["network", "init", "--config", "network-configs/dev.toml", "--out", str(tmp_path / "n"),
         "--insecure-keys"],
    )  # fmt: skip
    code, _, err = simulate(source, *where, tmp_path / "n" / "genesis.json")
    assert code == 1
    assert "another chain" in err
