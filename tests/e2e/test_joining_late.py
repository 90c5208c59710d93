"""Nodes that join or come back by a snapshot: new, killed on the way, or with old blocks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from consortium import Consortium, config, until

from ledger.chain.store import Store
from ledger.client.verify import check_entry, check_receipt
from ledger.node.setup.home import load_home

OBSERVER = "centre-1"
#: Blocks that the observer may miss before it takes a snapshot.
GAP = 5


def take_snapshots(network: Consortium, node: str, after: int = GAP) -> None:
    settings = network.node_home(node) / "node.toml"
    settings.write_text(settings.read_text() + f"\n[sync]\nsnapshot_after = {after}\n")
    assert load_home(network.node_home(node)).settings.sync.snapshot_after == after


def events(network: Consortium, node: str, name: str) -> list[dict[str, object]]:
    return [line for line in network.log(node) if line.get("event") == name]


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Consortium]:
    parameters = {"validity_window": 600, "empty_block_interval": 1_000}
    with Consortium(tmp_path, config(observer=True, **parameters)) as network:
        network.start(*network.validators)
        take_snapshots(network, OBSERVER)
        for _ in range(GAP + 3):
            network.anchor("east-1", 3)
        yield network


def has_caught_up(network: Consortium, node: str) -> None:
    until(
        lambda: network.height(node) >= network.height("east-1") > 0,
        f"{node} at the others' height",
    )


def is_at_the_head(network: Consortium) -> None:
    """The observer has the chain, and proves what it says, from the snapshot on."""
    has_caught_up(network, OBSERVER)
    (identity,) = network.anchor("east-1")
    head = network.agreement()
    assert network.head(OBSERVER, head.height) == head
    receipt = network.client(OBSERVER).receipt(identity)
    assert check_receipt(receipt, network.trust).result.calls[0].ok
    entry = network.client(OBSERVER).state("registry", "people/centre-1", proof=True)
    assert check_entry(entry, network.trust, "registry/people/centre-1").present


def test_a_new_node_joins_by_a_snapshot(network: Consortium) -> None:
    before = network.height("east-1")
    network.start(OBSERVER)
    is_at_the_head(network)
    (adopted,) = events(network, OBSERVER, "snapshot_adopted")
    assert int(str(adopted["height"])) >= before
    store = Store.open(str(network.store(OBSERVER)), read_only=True)
    assert store.base() == int(str(adopted["height"])) + 1
    store.close()


def test_a_node_that_was_away_comes_back_by_a_snapshot(network: Consortium) -> None:
    network.start(OBSERVER)
    has_caught_up(network, OBSERVER)
    network.stop(OBSERVER)
    for _ in range(GAP + 3):
        network.anchor("east-1", 2)
    network.start(OBSERVER)
    is_at_the_head(network)
    assert len(events(network, OBSERVER, "snapshot_adopted")) == 2


def test_a_node_that_is_killed_again_and_again_gets_there(network: Consortium) -> None:
    for _ in range(4):
        network.fleet.start([OBSERVER])
        until(
            lambda: (
                events(network, OBSERVER, "snapshot_begun")
                or events(network, OBSERVER, "snapshot_adopted")
            ),
            "the snapshot to begin",
        )
        network.fleet.kill(OBSERVER)
    network.start(OBSERVER)
    is_at_the_head(network)


def test_a_validator_that_lost_its_store_is_replaced_by_a_snapshot(network: Consortium) -> None:
    network.stop("west-1")
    for file in network.store("west-1").parent.glob("ledger.db*"):
        file.unlink()
    take_snapshots(network, "west-1")
    for _ in range(GAP + 3):
        network.anchor("east-1")
    network.start("west-1")
    until(
        lambda: events(network, "west-1", "snapshot_adopted"), "a snapshot at the fourth validator"
    )
    has_caught_up(network, "west-1")
    network.anchor("east-1")
    network.agreement(*network.validators)
