"""``health-ledger explain`` from a store and from a node, believed and verified."""

import json

import pytest
from typer.testing import CliRunner

from ledger.chain.pointer import Pointer, record_digest
from ledger.cli.main import app
from ledger.client.builder import build, call


def explain(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["explain", *map(str, arguments)])
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
async def decided(service, consortium, patient, pseudonym, tmp_path):
    """The id of a transaction in which a physician got a permit; in the store of the service."""
    physician = consortium.people["east-physician"]
    node = next(iter(consortium.nodes))
    holder = service.institution
    pointer = Pointer(
        holder=holder, subject=pseudonym, kind="laboratory", size=1, media="text/plain",
        digest=record_digest(b"salt" * 4, b"x"), start=1, end=2, confidentiality="N",
        type=bytes(32), labels=bytes(32), replaces=b"",
    ).value()  # fmt: skip

    async def make(account, *calls):
        transaction = build(service.chain, service.head().height, 100, list(calls), [account])
        await service.submit([transaction.raw])
        await service.commit()
        return transaction.id.hex()

    from ledger.client.builder import Account

    await make(Account(consortium.nodes[node]), call("records", "anchor", pointer=pointer))
    scope = {"purposes": ["TREAT"]}
    grant = call("consent", "grant", id="c-1", subject=pseudonym, scope=scope)
    await make(patient, grant)
    request = call(
        "access", "request", pointer=pointer, proof={}, purpose="TREAT",
        institution=physician.institution, reply_key=bytes(32),
    )  # fmt: skip
    return await make(consortium.account("east-physician"), request)


def test_a_store_tells_the_patient_in_both_languages(decided, tmp_path):
    code, out, _ = explain(decided, "--store", tmp_path / "ledger.db")
    assert code == 0
    assert "because you consented to it (consent c-1)." in out.splitlines()[0]
    code, out, _ = explain(f"{decided}-0", "--store", tmp_path / "ledger.db", "--lang", "zh")
    assert code == 0
    assert "原因：您已授权（授权书 c-1）。" in out


@pytest.mark.parametrize("source", ["store", "url"])
def test_with_the_genesis_nothing_else_is_believed(decided, consortium, tmp_path, node_url, source):
    where = ["--store", tmp_path / "ledger.db"] if source == "store" else ["--url", node_url]
    genesis = ["--genesis", consortium.home / "genesis.json"]
    code, out, _ = explain(decided, *where, *genesis, "--for", "auditor")
    assert code == 0
    assert "verified against the genesis" in out
    assert "return permits(" in out
    code, out, _ = explain(decided, *where, *genesis, "--json")
    (found,) = json.loads(out)["decisions"]
    assert found["verified"] is True
    assert found["rule"] == "consent:patient-permits"
    assert found["sentence"]["zh"].startswith("20")
    code, out, _ = explain(decided, *where, "--json")
    assert json.loads(out)["decisions"][0]["verified"] is False


@pytest.mark.parametrize("source", ["store", "url"])
def test_another_chains_genesis_proves_nothing(decided, tmp_path, node_url, source):
    CliRunner().invoke(
        app,
        ["network", "init", "--config", "network-configs/dev.toml", "--out", str(tmp_path / "n"),
         "--insecure-keys"],
    )  # fmt: skip
    where = ["--store", tmp_path / "ledger.db"] if source == "store" else ["--url", node_url]
    code, _, err = explain(decided, *where, "--genesis", tmp_path / "n" / "genesis.json")
    assert code == 1
    assert "not proven" in err


def test_what_was_asked_wrongly_ends_with_its_code(decided, tmp_path, node_url):
    store = ["--store", tmp_path / "ledger.db"]
    assert explain("ab" * 32, *store)[0] == 1
    assert explain("ab" * 32, "--url", node_url)[0] == 1
    assert explain("c-1", *store)[0] == 2
    assert explain(decided)[0] == 2
    assert explain(decided, *store, "--url", node_url)[0] == 2
    assert explain(decided, "--store", tmp_path / "none.db")[0] == 3
