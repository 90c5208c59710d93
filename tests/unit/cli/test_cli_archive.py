"""``health-ledger archive``: what each command says, writes and ends with."""

import json

import pytest

from tests.unit.cli.test_cli_commands import call


@pytest.fixture
async def written(service, consent, consortium, tmp_path):
    """Three blocks with one transaction each, and an archive of the last two."""
    ids = []
    for _ in range(3):
        transaction = consent()
        await service.submit([transaction.raw])
        await service.commit()
        ids.append(transaction.id.hex())
    genesis, directory = consortium.home / "genesis.json", tmp_path / "archive"
    store = tmp_path / "ledger.db"
    code, out, _ = call(
        "archive", "write", "--store", store, "--genesis", genesis,
        "--first", "2", "--last", "3", "--out", directory, "--json",
    )  # fmt: skip
    assert code == 0
    return genesis, directory, ids, json.loads(out)


def test_a_written_archive_is_verified_and_listed(written):
    genesis, directory, _, answer = written
    assert (answer["first"], answer["last"], answer["transactions"]) == (2, 3, 2)
    code, out, _ = call("archive", "verify", directory, "--genesis", genesis, "--json")
    assert code == 0
    assert json.loads(out) == {"verified": True, "archives": [answer]}
    assert "blocks 2 to 3" in call("archive", "verify", answer["file"], "--genesis", genesis)[1]
    code, out, _ = call("archive", "list", directory, "--json")
    assert [entry["file"] for entry in json.loads(out)["archives"]] == [answer["file"]]
    assert answer["file"] in call("archive", "list", directory)[1]


@pytest.mark.parametrize("as_json", [[], ["--json"]])
def test_a_changed_archive_is_not_good(written, tmp_path, as_json):
    genesis, directory, _, _ = written
    (path,) = directory.iterdir()
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)
    code, out, _ = call("archive", "verify", directory, "--genesis", genesis, *as_json)
    assert code == 1
    if as_json:
        assert json.loads(out)["verified"] is False


def test_an_archive_of_another_chain_is_not_good(written, tmp_path):
    _, directory, _, _ = written
    config = "network-configs/dev.toml"
    call("network", "init", "--config", config, "--out", tmp_path / "n", "--insecure-keys")
    other = tmp_path / "n" / "genesis.json"
    assert call("archive", "verify", directory, "--genesis", other)[0] == 1


def test_a_receipt_out_of_an_archive_verifies_offline(written, tmp_path):
    genesis, directory, ids, _ = written
    out = tmp_path / "old.json"
    found = call("archive", "receipt", directory, "--transaction", ids[1], "--out", out)
    assert found[0] == 0
    code, text, _ = call("audit", "verify", "--genesis", genesis, "--receipt", out, "--json")
    assert code == 0
    assert json.loads(text)["transaction"] == ids[1]
    assert json.loads(text)["height"] == 2
    again = call("archive", "receipt", directory, "--transaction", ids[1], "--out", out)
    assert again[0] == 3


def test_what_is_not_in_the_archive_ends_with_1(written):
    _, directory, ids, _ = written
    assert call("archive", "receipt", directory, "--transaction", ids[0])[0] == 1
    assert call("archive", "show", directory, "--height", "1")[0] == 1
    assert call("archive", "receipt", directory, "--transaction", "abc")[0] == 2


def test_a_block_is_shown_with_what_came_of_it(written):
    _, directory, ids, _ = written
    code, out, _ = call("archive", "show", directory, "--height", "3")
    shown = json.loads(out)
    assert code == 0
    assert shown["header"]["height"] == 3
    (transaction,) = shown["transactions"]
    assert transaction["id"] == ids[2]
    assert transaction["calls"][0]["method"] == "grant"
    assert transaction["calls"][0]["ok"]


def test_what_cannot_be_read_or_written_ends_with_3(written, tmp_path):
    genesis, directory, _, _ = written
    missing = tmp_path / "missing"
    assert call("archive", "verify", missing, "--genesis", genesis)[0] == 3
    assert call("archive", "verify", directory, "--genesis", missing)[0] == 3
    assert call("archive", "list", genesis)[0] == 3
    assert call("archive", "list", tmp_path / "archive" / "..")[0] == 3
    beyond = [
        "archive", "write", "--store", tmp_path / "ledger.db", "--genesis", genesis,
        "--first", "3", "--out", missing, "--last",
    ]  # fmt: skip
    assert call(*beyond, "9")[0] == 3
    assert call(*beyond, "1")[0] == 2


def test_archives_are_audited_alone_and_gaps_are_said(written, tmp_path):
    genesis, directory, _, _ = written
    verify = ["audit", "verify", "--genesis", genesis]
    # The file begins at block 2: what it holds cannot be replayed without block 1.
    code, out, _ = call(*verify, "--archives", directory)
    assert code == 1
    assert "not checked" in out
    call(
        "archive", "write", "--store", tmp_path / "ledger.db", "--genesis", genesis,
        "--first", "1", "--last", "1", "--out", directory,
    )  # fmt: skip
    code, out, _ = call(*verify, "--archives", directory, "--json")
    assert code == 0
    assert json.loads(out)["blocks"] == 4
    store = tmp_path / "ledger.db"
    assert call(*verify, "--archives", directory, "--store", store)[0] == 0
    assert call(*verify, "--archives", directory, "--export", store)[0] == 2
