"""``audit document``: a proof of a record checked from the command line."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from ledger.chain.document import dump_document
from ledger.cli.main import app
from tests.support.anchored import CONTENT, SALT, Anchored


@pytest.fixture
async def files(service, consortium, pseudonym, tmp_path):
    anchored = await Anchored(service, consortium, pseudonym).begin()
    proof, record = tmp_path / "proof.json", tmp_path / "record.json"
    proof.write_bytes(dump_document(anchored.proof()))
    record.write_bytes(CONTENT)
    return proof, record, consortium.home / "genesis.json"


def run(proof, genesis, *more):
    arguments = ["audit", "document", str(proof), "--genesis", str(genesis), *map(str, more)]
    return CliRunner().invoke(app, arguments)


def test_a_record_with_its_salt_is_verified_step_by_step(files):
    proof, record, genesis = files
    shown = run(proof, genesis, "--content", record, "--salt", SALT.hex())
    assert shown.exit_code == 0, shown.output
    assert "verified" in shown.output
    found = run(proof, genesis, "--content", record, "--salt", SALT.hex(), "--json")
    told = json.loads(found.output)
    assert told["verified"]
    assert told["status"] == "anchored"
    assert [step["verdict"] for step in told["steps"]] == ["good"] * 5


def test_an_altered_record_ends_with_1_and_says_which_step(files):
    proof, record, genesis = files
    record.write_bytes(CONTENT.swapcase())
    found = run(proof, genesis, "--content", record, "--salt", SALT.hex(), "--json")
    assert found.exit_code == 1
    told = json.loads(found.output)
    assert {step["name"]: step["verdict"] for step in told["steps"]}["content"] == "bad"


def test_a_salt_that_is_no_hex_is_wrong_usage_and_a_proof_that_is_none_cannot_be_read(files):
    proof, record, genesis = files
    assert run(proof, genesis, "--content", record, "--salt", "zz").exit_code == 2
    assert run(record, genesis).exit_code == 3
    assert run(proof.with_name("none.json"), genesis).exit_code == 3
