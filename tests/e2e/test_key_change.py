"""A running node takes a new certificate, CA and signing key as its operator makes them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest
from consortium import Consortium, command, config, signers_of, until

from ledger.client.builder import call
from ledger.node.setup.home import load_home

NODE = "south-1"
PATIENCE = 120.0


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Consortium]:
    with Consortium(tmp_path_factory.mktemp("keys"), config(observer=False)) as consortium:
        consortium.start()
        consortium.anchor(NODE)
        yield consortium


def logged(network: Consortium, event: str) -> bool:
    return any(line["event"] == event for line in network.log(NODE))


def test_a_certificate_from_a_second_ca_is_taken_while_the_node_runs(network: Consortium) -> None:
    home, ca = network.node_home(NODE), network.home / "ca" / "south-2"
    made = command(
        "node", "new-ca", "--institution", "south", "--out", str(ca), "--insecure-keys", "--json"
    )
    assert made.returncode == 0, made.stderr
    added = network.send(
        NODE,
        [call("authorities", "add", **json.loads((ca / "add.json").read_text()))],
        network.account("south-governor"),
    )
    assert added.outcome is not None
    assert added.outcome.calls[0].value == json.loads(made.stdout)["authority"]
    renewed = command("node", "renew-tls", "--home", str(home), "--ca", str(ca), "--insecure-keys")
    assert renewed.returncode == 0, renewed.stderr
    until(lambda: logged(network, "tls_files_taken"), "the new certificate", PATIENCE)
    # The others meet it when a connection is made anew.
    network.stop("east-1")
    network.start("east-1")
    network.agreement()
    kinds = [entry["kind"] for entry in network.status("east-1")["certificates"]]
    assert kinds.count("peer") >= 1
    assert kinds.count("member-authority") == 4


def test_a_validator_signs_with_its_new_key_from_the_height_on(network: Consortium) -> None:
    home = load_home(network.node_home(NODE))
    old = home.signing_key(str).public
    height = network.height(NODE) + 12
    made = command(
        "node", "rotate-key", "--home", str(home.path), "--activation", str(height),
        "--insecure-keys", "--json",
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    told = json.loads(made.stdout)
    until(lambda: logged(network, "next_key_taken"), "the next key", PATIENCE)
    sent = network.send(
        NODE,
        [call(told["contract"], told["method"], **told["arguments"])],
        network.account("south-governor"),
    )
    assert sent.outcome is not None
    assert sent.outcome.ok, sent.outcome
    deadline = time.monotonic() + PATIENCE
    while network.height("east-1") < height + 2 and time.monotonic() < deadline:
        network.anchor("east-1")
    until(lambda: logged(network, "signing_key_changed"), "the change of keys", PATIENCE)
    assert home.signing_key(str).public.hex() == told["arguments"]["key"] != old.hex()
    assert not home.next_key.exists()
    network.fleet.kill("west-1")  # now its vote is needed
    network.anchor(NODE)
    assert NODE in signers_of(network.block("east-1"))
    network.start("west-1")
    network.stop(NODE)
    network.start(NODE)
    network.anchor(NODE)
    network.agreement()
    assert network.audit(NODE)["verified"]
