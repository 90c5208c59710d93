"""One member of four keeps its store in PostgreSQL, and the server goes and comes."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator

import pytest
from consortium import Consortium, command, config, until

from tests.support.postgres import PASSWORD, PostgresServer

NODE = "west-1"


@pytest.fixture(scope="module")
def address(postgres: PostgresServer) -> str:
    return postgres.database()


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory, address: str) -> Iterator[Consortium]:
    directory = tmp_path_factory.mktemp("postgres")
    with Consortium(directory, config(observer=False)) as consortium:
        settings = consortium.node_home(NODE) / "node.toml"
        settings.write_text(settings.read_text().replace("sqlite:///data/ledger.db", address))
        consortium.start()
        consortium.anchor("east-1", 5)
        yield consortium


def events(network: Consortium, name: str) -> list[dict[str, object]]:
    return [line for line in network.log(NODE) if line["event"] == name]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_node_outlives_its_database(
    network: Consortium, postgres: PostgresServer, how: signal.Signals
) -> None:
    network.agreement()
    known = network.anchor(NODE)
    failures = len(events(network, "store_away"))
    postgres.stop(how)
    try:
        # Three of four go on without it.
        known += network.anchor("east-1", 3)
        until(lambda: len(events(network, "store_away")) > failures, "the node noticing")
        status = network.status(NODE)
        assert not status["committing"]
        assert status["reason"].startswith("The database cannot be reached")
        assert "(since 20" in status["reason"]
        known += network.anchor("east-1", 3)
        behind = network.height(NODE)
        assert behind < network.height("east-1")
    finally:
        postgres.start()
    network.agreement()
    until(lambda: network.status(NODE)["committing"], "the node being well again")
    assert events(network, "store_back")
    known += network.anchor(NODE)
    network.agreement()
    for identity in known:
        for node in (NODE, "east-1"):
            assert network.client(node).receipt(identity), (node, identity.hex())


def test_the_network_makes_blocks_with_its_vote_when_another_is_away(
    network: Consortium, postgres: PostgresServer
) -> None:
    """After all that happened to its database its votes still count, and it counts on them."""
    other = next(node for node in network.validators if node not in (NODE, network.proposer()))
    network.stop(other)
    try:
        network.anchor(NODE, 3)
        postgres.restart(signal.SIGKILL)
        network.anchor("east-1" if other != "east-1" else "south-1", 3)
    finally:
        network.start(other)
    network.agreement()


def test_an_outsider_finds_nothing_wrong_with_the_store(network: Consortium, address: str) -> None:
    genesis = str(network.home / "genesis.json")
    done = command("audit", "verify", "--genesis", genesis, "--store", address, "--json")
    report = json.loads(done.stdout)
    assert report["verified"], report
    assert report["blocks"] > 5
    assert report["blocks"] <= network.height(NODE) + 1


def test_a_second_node_on_the_same_database_is_refused_in_a_sentence(
    network: Consortium, address: str
) -> None:
    with_its_store = network.node_home("south-1") / "node.toml"
    network.stop("south-1")
    before = with_its_store.read_text()
    with_its_store.write_text(before.replace("sqlite:///data/ledger.db", address))
    try:
        done = command("node", "run", "--home", str(network.node_home("south-1")))
    finally:
        with_its_store.write_text(before)
    assert done.returncode == 3
    assert "another process has the store at postgresql://127.0.0.1" in done.stderr
    assert "Traceback" not in done.stderr
    assert PASSWORD not in done.stderr + done.stdout
    network.start("south-1")


def test_the_password_is_nowhere_to_be_read(network: Consortium) -> None:
    assert PASSWORD in (network.node_home(NODE) / "node.toml").read_text()
    assert PASSWORD not in (network.node_home(NODE) / "node.log").read_text()
    assert PASSWORD not in json.dumps(network.status(NODE))
