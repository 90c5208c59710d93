"""New keys and certificates from the command line, in a home that exists or is to be."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ledger.cli.main import app
from ledger.node.net.admission import Roll, authorise, peer_identity
from ledger.node.net.pki import TlsKey
from ledger.node.setup.config import load_config
from ledger.node.setup.founding import found_network, node_home
from ledger.node.setup.home import load_home
from ledger.node.setup.replacing import authority_name

ROOT = Path(__file__).parents[3]
THEN = 1_600_000_000_000  # 2020-09-13: every certificate of the network has run out


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("network") / "home"
    config = load_config(ROOT / "network-configs" / "dev.toml")
    found_network(config, out, passphrase=None, insecure=True, now_ms=THEN)
    return out


def run(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, [*arguments, "--insecure-keys"])
    assert result.exit_code == code, result.output
    return result.output


def test_a_certificate_that_ran_out_is_renewed_with_the_ca_key_alone(network: Path) -> None:
    home = load_home(node_home(network, "east-1"))
    before = datetime.datetime.now(datetime.UTC).timestamp()
    told = json.loads(
        run(
            "node", "renew-tls", "--home", str(home.path), "--ca", str(network / "ca" / "east"),
            "--days", "400", "--json",
        )
    )  # fmt: skip
    after = datetime.datetime.now(datetime.UTC).timestamp()
    assert told["node"] == "east-1"
    # Certificates know whole seconds.
    assert before - 1 <= told["valid_until"] / 1000 - 400 * 86_400 <= after
    pem = (network / "ca" / "east" / "ca.crt").read_text()
    roll = Roll({"east": (pem,)}, {"east-1": "east"})
    assert authorise(home.tls_key(str).certificate, roll, int(after * 1000)).node == "east-1"
    assert not list(home.path.glob("*.new"))


def test_the_next_signing_key_waits_beside_the_present_one(network: Path) -> None:
    home = load_home(node_home(network, "south-1"))
    present = home.signing_key(str).public
    told = json.loads(
        run("node", "rotate-key", "--home", str(home.path), "--activation", "90", "--json")
    )
    assert told["method"] == "rotate_key"
    assert told["arguments"]["node"] == "south-1"
    assert told["arguments"]["key"] != present.hex()
    assert home.signing_key(str).public == present
    again = run("node", "rotate-key", "--home", str(home.path), "--activation", "95", code=3)
    assert "is there already" in again


def test_a_new_ca_comes_with_what_is_to_be_submitted(tmp_path: Path) -> None:
    out = tmp_path / "ca"
    text = run("node", "new-ca", "--institution", "east", "--out", str(out))
    arguments = json.loads((out / "add.json").read_text())
    assert arguments["institution"] == "east"
    assert authority_name(arguments["certificate"]) in text.replace("\n", "")
    authority = TlsKey.load(out / "ca.key", out / "ca.crt", str)
    assert authority.pem == arguments["certificate"]
    run("node", "new-ca", "--institution", "east", "--out", str(out), code=3)


def test_the_home_of_a_node_that_joins_is_complete(network: Path, tmp_path: Path) -> None:
    ca, out = tmp_path / "ca", tmp_path / "node"
    run("node", "new-ca", "--institution", "clinic", "--out", str(ca))
    run(
        "network", "join", "--node", "clinic-1", "--institution", "clinic", "--out", str(out),
        "--genesis", str(network / "genesis.json"), "--ca", str(ca),
        "--peer", "east-1=10.0.0.1:7100", "--peer-port", "7109", "--api-port", "8109",
    )  # fmt: skip
    home = load_home(out)
    assert (home.node, home.institution) == ("clinic-1", "clinic")
    assert home.settings.peers == {"east-1": "10.0.0.1:7100"}
    assert home.genesis().chain_id()
    payload = json.loads((out / "add-node.json").read_text())
    assert payload["key"] == home.signing_key(str).public.hex()
    assert peer_identity(home.tls_key(str).certificate).node == "clinic-1"
