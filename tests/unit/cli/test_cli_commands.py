"""Each command on real files and against a real node interface."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ledger.chain.receipt import build_receipt, dump_receipt
from ledger.cli.main import app
from tests.support.local_service import CONFIG

runner = CliRunner()

CONTRACT = '''"""Counts."""
from ledger.contracts.prelude import Value, export

total = Value("total")


@export
def add(amount: int) -> int:
    value = total.get(0) + amount
    total.set(value)
    return value
'''


def call(*arguments: object) -> tuple[int, str, str]:
    result = runner.invoke(app, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


# contract check


def test_a_valid_contract_is_valid(tmp_path):
    file = tmp_path / "good.py"
    file.write_text(CONTRACT)
    code, out, _ = call("contract", "check", file)
    assert code == 0
    assert "valid" in out
    assert "export" in out


def test_a_valid_contract_says_how_it_answers(tmp_path):
    file = tmp_path / "rule.py"
    file.write_text(
        "from ledger.contracts.prelude import forbids, permits, query\n"
        "@query\ndef decide(request: dict) -> dict:\n"
        '    return forbids("no-export") if request["purpose"] == "X" else permits("open")\n'
    )
    code, out, _ = call("contract", "check", file)
    assert code == 0
    assert out.index("forbids no-export") < out.index("permits open")
    found = json.loads(call("contract", "check", file, "--json")[1])
    assert found["contracts"][0]["verbs"] == {"forbids": ["no-export"], "permits": ["open"]}
    assert found["contracts"][0]["methods"][0]["signature"] == "decide(request: dict) -> dict"


def test_an_invalid_contract_is_named_by_line_and_code(tmp_path):
    file = tmp_path / "bad.py"
    file.write_text(CONTRACT.replace("amount\n", "1.5\n", 1))
    code, out, _ = call("contract", "check", file, "--json")
    found = json.loads(out)
    assert code == 1
    assert not found["valid"]
    assert found["problems"][0]["line"] == 9
    assert found["problems"][0]["code"].startswith("E")
    assert call("contract", "check", file)[0] == 1


def test_a_contract_that_is_no_text_cannot_be_checked(tmp_path):
    file = tmp_path / "binary.py"
    file.write_bytes(b"\xff\xfe")
    assert call("contract", "check", file)[0] == 3
    assert call("contract", "check", tmp_path / "missing.py")[0] == 2


# network init


def test_a_network_is_founded(tmp_path):
    code, out, _ = call(
        "network", "init", "--config", CONFIG, "--out", tmp_path / "n", "--insecure-keys", "--json"
    )
    found = json.loads(out)
    assert code == 0
    assert len(found["validators"]) == 4
    assert (tmp_path / "n" / "genesis.json").exists()


def test_keys_are_sealed_unless_somebody_says_otherwise(tmp_path, monkeypatch):
    monkeypatch.delenv("HEALTH_LEDGER_PASSPHRASE", raising=False)
    monkeypatch.delenv("HEALTH_LEDGER_PASSPHRASE_FILE", raising=False)
    code, _, err = call("network", "init", "--config", CONFIG, "--out", tmp_path / "n")
    assert code == 3
    assert "HEALTH_LEDGER_PASSPHRASE" in err
    assert not (tmp_path / "n").exists()


def test_a_faulty_configuration_is_named_by_line(tmp_path):
    config = tmp_path / "bad.toml"
    config.write_text(CONFIG.read_text().replace("[network]", "[network]\ncolour = 1", 1))
    code, _, err = call("network", "init", "--config", config, "--out", tmp_path / "n")
    assert code == 3
    assert "bad.toml:" in err
    assert "colour" in err


def test_a_place_that_is_taken_is_left_alone(consortium):
    code, _, err = call(
        "network", "init", "--config", CONFIG, "--out", consortium.home, "--insecure-keys"
    )
    assert code == 3
    assert "not empty" in err


# node status


def test_a_good_node_ends_with_0(node_url, service):
    code, out, _ = call("node", "status", "--url", node_url)
    assert code == 0
    assert service.node in out
    assert "All is well." in out


def test_a_node_that_commits_nothing_ends_with_1_and_says_why(node_url, service):
    service.is_ready = False
    code, out, _ = call("node", "status", "--url", node_url, "--json")
    assert code == 1
    assert json.loads(out)["reason"] == "2 of 4 validators are missing."


def test_a_node_that_does_not_answer_ends_with_3(monkeypatch):
    monkeypatch.setattr("ledger.client.http.FIRST_PAUSE_S", 0.001)
    code, _, err = call("node", "status", "--url", "http://127.0.0.1:1")
    assert code == 3
    assert "127.0.0.1:1" in err
    assert "Traceback" not in err


def test_the_address_is_read_from_the_home(consortium, monkeypatch):
    monkeypatch.setattr("ledger.client.http.FIRST_PAUSE_S", 0.001)
    home = consortium.home / "nodes" / "east-1"
    code, _, err = call("node", "status", "--home", home)
    assert code == 3  # nobody runs there, and the error names the address
    assert "http://127.0.0.1:" in err
    assert call("node", "status", "--home", consortium.home / "nowhere")[0] == 3


def test_a_node_is_named_in_one_way():
    assert call("node", "status")[0] == 2
    assert call("node", "status", "--url", "http://x", "--home", "y")[0] == 2


def test_a_home_without_its_files_cannot_run(tmp_path, monkeypatch):
    # The logging of a node process would outlive this test.
    monkeypatch.setattr("ledger.api.process._configure_logging", lambda: None)
    code, _, err = call("node", "run", "--home", tmp_path)
    assert code == 3
    assert "node.toml" in err


# tx submit


@pytest.fixture
def submit(consortium, node_url, pseudonym):
    def run(consent: str, *more: object, arguments: str | None = None):
        given = {"id": consent, "subject": pseudonym, "scope": {"purposes": ["TREAT"]}}
        return call(
            "tx", "submit", "--url", node_url, "--home", consortium.home, "--as", pseudonym,
            "--contract", "consent", "--method", "grant",
            "--args", arguments or json.dumps(given), *more,
        )  # fmt: skip

    return run


def test_a_transaction_is_signed_submitted_and_waited_for(submit, tmp_path, service):
    receipt = tmp_path / "receipt.json"
    code, out, _ = submit("c-cli", "--wait", 10, "--receipt", receipt, "--json")
    found = json.loads(out)
    assert code == 0
    assert found["final"]
    assert found["calls"][0]["ok"]
    assert json.loads(receipt.read_text())["transaction"] == found["id"]
    assert service.pending(bytes.fromhex(found["id"])) is False


def test_without_waiting_the_id_is_enough(submit, service):
    code, out, _ = submit("c-cli")
    assert code == 0
    assert service.pending(bytes.fromhex(out.split()[0]))


def test_a_call_that_fails_ends_with_1(submit):
    submit("c-twice", "--wait", 10)
    code, out, _ = submit("c-twice", "--wait", 10)
    assert code == 1
    assert "failed" in out


def test_a_refused_transaction_ends_with_1_and_says_why(submit, service):
    service.capacity = 0
    code, out, _ = submit("c-refused")
    assert code == 1
    assert "pool_full" in out


def test_arguments_can_come_from_a_file(submit, pseudonym, tmp_path):
    file = tmp_path / "arguments.json"
    file.write_text(
        json.dumps({"id": "c-file", "subject": pseudonym, "scope": {"purposes": ["TREAT"]}})
    )
    assert submit("", "--wait", 10, arguments=f"@{file}")[0] == 0
    assert submit("", arguments=f"@{tmp_path}/missing")[0] == 2


@pytest.mark.parametrize("arguments", ["{", "[]", "null", '{"a": 1.5}', '{"a": {"$bytes": "x"}}'])
def test_arguments_that_are_no_contract_values_are_wrong_usage(submit, arguments):
    code, _, err = submit("", arguments=arguments)
    assert code == 2
    assert "--args" in err


def test_strangers_cannot_sign(submit, consortium, node_url):
    code, _, err = call(
        "tx", "submit", "--url", node_url, "--home", consortium.home, "--as", "nobody",
        "--contract", "consent", "--method", "grant",
    )  # fmt: skip
    assert code == 3
    assert "nobody" in err


def test_signers_are_given_in_one_way(node_url, consortium):
    base = ["tx", "submit", "--url", node_url, "--contract", "c", "--method", "m"]
    assert call(*base)[0] == 2
    assert call(*base, "--as", "x")[0] == 2
    assert call(*base, "--home", consortium.home)[0] == 2
    assert call(*base, "--key", "missing.key")[0] == 3


def test_a_key_file_signs_too(node_url, consortium, pseudonym):
    key = consortium.home / "keys" / "people" / f"{pseudonym}.key"
    arguments = json.dumps({"id": "c-key", "subject": pseudonym, "scope": {"purposes": ["TREAT"]}})
    code, out, _ = call(
        "tx", "submit", "--url", node_url, "--key", key, "--contract", "consent",
        "--method", "grant", "--args", arguments, "--wait", 10,
    )  # fmt: skip
    assert code == 0
    assert "done" in out


def test_a_home_of_another_chain_is_noticed_before_signing(node_url, tmp_path):
    call("network", "init", "--config", CONFIG, "--out", tmp_path / "n", "--insecure-keys")
    people = json.loads((tmp_path / "n" / "people.json").read_text())["people"]
    code, _, err = call(
        "tx", "submit", "--url", node_url, "--home", tmp_path / "n", "--as", people[0]["key"],
        "--contract", "c", "--method", "m",
    )  # fmt: skip
    assert code == 3
    assert "another chain" in err


# audit


@pytest.fixture
async def audited(service, consent, consortium, tmp_path):
    """A chain of two blocks: its genesis, store, and one receipt."""
    transaction = consent()
    await service.submit([transaction.raw])
    await service.commit()
    await service.commit()
    receipt = tmp_path / "receipt.json"
    receipt.write_bytes(dump_receipt(build_receipt(service._store, transaction.id)))
    return consortium.home / "genesis.json", tmp_path / "ledger.db", receipt


def test_a_good_store_is_verified(audited):
    genesis, store, _ = audited
    code, out, _ = call("audit", "verify", "--genesis", genesis, "--store", store, "--json")
    found = json.loads(out)
    assert code == 0
    assert found["verified"]
    assert (found["blocks"], found["transactions"]) == (3, 1)
    assert "verified" in call("audit", "verify", "--genesis", genesis, "--store", store)[1]


def test_a_chain_goes_through_an_export(audited, tmp_path):
    genesis, store, _ = audited
    file = tmp_path / "chain.export"
    assert call("audit", "export", "--store", store, "--out", file)[0] == 0
    assert call("audit", "export", "--store", store, "--out", file)[0] == 3
    assert call("audit", "verify", "--genesis", genesis, "--export", file)[0] == 0


def test_a_changed_export_is_not_good_and_the_fault_is_located(audited, tmp_path):
    genesis, store, _ = audited
    file = tmp_path / "chain.export"
    call("audit", "export", "--store", store, "--out", file)
    raw = bytearray(file.read_bytes())
    place = raw.rindex(b"TREAT")
    raw[place] ^= 1
    file.write_bytes(raw)
    code, out, _ = call("audit", "verify", "--genesis", genesis, "--export", file, "--json")
    assert code == 1
    assert json.loads(out)["first_fault"]["height"] == 1
    assert "height 1" in call("audit", "verify", "--genesis", genesis, "--export", file)[1]


def test_a_receipt_is_verified_offline(audited):
    genesis, _, receipt = audited
    code, out, _ = call("audit", "verify", "--genesis", genesis, "--receipt", receipt, "--json")
    found = json.loads(out)
    assert code == 0
    assert found["calls"][0]["method"] == "grant"
    assert "verified" in call("audit", "verify", "--genesis", genesis, "--receipt", receipt)[1]


@pytest.mark.parametrize("as_json", [[], ["--json"]])
def test_a_receipt_of_another_chain_is_not_good(audited, tmp_path, as_json):
    _, _, receipt = audited
    call("network", "init", "--config", CONFIG, "--out", tmp_path / "n", "--insecure-keys")
    other = tmp_path / "n" / "genesis.json"
    code, out, _ = call("audit", "verify", "--genesis", other, "--receipt", receipt, *as_json)
    assert code == 1
    if as_json:
        assert json.loads(out)["verified"] is False


def test_what_cannot_be_audited_ends_with_3(audited, tmp_path):
    genesis, store, _ = audited
    missing: Path = tmp_path / "missing"
    assert call("audit", "verify", "--genesis", missing, "--store", store)[0] == 3
    assert call("audit", "verify", "--genesis", genesis, "--store", missing)[0] == 3
    assert call("audit", "verify", "--genesis", genesis, "--export", missing)[0] == 3
    assert call("audit", "verify", "--genesis", genesis, "--receipt", missing)[0] == 3
    assert call("audit", "verify", "--genesis", genesis)[0] == 2
