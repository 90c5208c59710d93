"""Nodes that are killed, frozen or cut off: what the others do meanwhile, and what happens after.

The tests share one network and leave it whole; each names what it breaks.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from consortium import Consortium, config, signers_of, until


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Consortium]:
    # Nobody hands the place of the proposer over by turns, so that the tests know who has it.
    settings = config(observer=False, view_timeout=5_000, proposer_term=1_000_000)
    with Consortium(tmp_path_factory.mktemp("failures"), settings) as consortium:
        consortium.start()
        consortium.anchor(consortium.validators[0])
        yield consortium
        assert set(consortium.fleet.running) == set(consortium.validators)
        consortium.agreement()


def a_follower(network: Consortium) -> str:
    """A validator that is not the proposer."""
    proposer = network.proposer()
    return next(node for node in network.validators if node != proposer)


def others(network: Consortium, *nodes: str) -> list[str]:
    return [node for node in network.validators if node not in nodes]


def everything_there(network: Consortium, ids: list[bytes]) -> None:
    """Every node has every acknowledged transaction, in the same block."""
    network.agreement()
    for identity in ids:
        receipts = [network.client(node).receipt(identity) for node in network.validators]
        assert len({receipt.header.hash() for receipt in receipts}) == 1


def test_a_killed_validator_rejoins_catches_up_and_votes_again(network: Consortium) -> None:
    victim = a_follower(network)
    rest = others(network, victim)
    acknowledged = network.anchor(victim, 20)
    network.fleet.kill(victim)
    for node in rest:
        acknowledged += network.anchor(node, 5)
    missed = network.height(rest[0])

    network.start(victim)
    until(lambda: network.height(victim) >= missed, f"{victim} catching up")
    everything_there(network, acknowledged)

    # With another one gone, nothing becomes final without the vote of the one that came back.
    absent = next(node for node in rest if node != network.proposer())
    network.fleet.kill(absent)
    acknowledged += network.anchor(victim)
    assert victim in signers_of(network.block(victim))
    network.start(absent)
    network.agreement()
    everything_there(network, acknowledged)


def test_killing_the_proposer_loses_nothing_that_was_acknowledged(network: Consortium) -> None:
    proposer = network.proposer()
    rest = others(network, proposer)
    acknowledged = network.anchor(proposer, 20)
    height = network.height(rest[0])
    under_way = network.anchors(proposer, 50)
    network.client(proposer).submit(*under_way)
    network.fleet.kill(proposer)

    acknowledged += network.anchor(rest[0], 5)
    later = network.block(rest[0])["header"]
    assert later["height"] > height
    assert later["proposer"] in rest

    network.start(proposer)
    network.agreement()
    everything_there(network, acknowledged)


def test_a_stopped_proposer_costs_one_view_change(network: Consortium) -> None:
    network.agreement()
    proposer = network.proposer()
    rest = others(network, proposer)
    before = network.height(rest[0])
    changes = {node: network.status(node)["view_changes"] for node in rest}

    network.fleet.pause(proposer)
    try:
        network.anchor(rest[0])
        first = network.block(rest[0], before + 1)
        assert first["certificate"]["view"] == 1
        assert first["header"]["proposer"] in rest

        # The one who took over goes on; the stopped one is not waited for again.
        network.anchor(rest[1])
        network.anchor(rest[2])
        until(lambda: len({network.height(node) for node in rest}) == 1, "equal heights")
        for height in range(before + 2, network.height(rest[0]) + 1):
            following = network.block(rest[0], height)
            assert following["certificate"]["view"] == 0
            assert following["header"]["proposer"] == first["header"]["proposer"]
        for node in rest:
            assert network.status(node)["view_changes"] == changes[node] + 1
    finally:
        network.fleet.resume(proposer)

    network.agreement()
    absent = next(node for node in rest if node != network.proposer())
    network.fleet.kill(absent)
    network.anchor(proposer)
    assert proposer in signers_of(network.block(proposer))
    network.start(absent)


def test_without_a_quorum_nothing_is_committed_and_the_status_names_who_is_missing(
    network: Consortium,
) -> None:
    network.agreement()
    gone = [a_follower(network)]
    gone += [node for node in others(network, *gone) if node != network.proposer()][:1]
    rest = others(network, *gone)
    for node in gone:
        network.fleet.kill(node)
    until(lambda: not network.status(rest[0])["committing"], "the status noticing")
    before = network.head(rest[0])
    (submitted,) = network.client(rest[0]).submit(*network.anchors(rest[0], 1), wait=3)

    assert submitted.accepted
    assert submitted.outcome is None
    status = network.status(rest[0])
    assert not status["committing"]
    assert status["reason"].startswith("Quorum lost: 2 of 4 validators")
    assert all(node in status["reason"] for node in gone)
    assert status["pending_transactions"] == 1
    missing = {each["node"]: each["missing_since"] for each in status["validators"]}
    assert {node for node in missing if missing[node] is not None} == set(gone)
    assert network.head(rest[0]) == before

    network.start(gone[0])
    identity = bytes.fromhex(submitted.id or "")
    assert network.client(rest[0]).receipt(identity, wait=60).header.height > before.height
    until(lambda: network.status(rest[0])["committing"], "blocks being made again")
    network.start(gone[1])
    everything_there(network, [identity])


def test_a_chain_whose_nodes_all_lose_power_at_once_goes_on_where_it_was(
    network: Consortium,
) -> None:
    acknowledged = network.anchor(network.validators[0], 10)
    network.client(network.validators[1]).submit(*network.anchors(network.validators[1], 50))
    for node in network.validators:
        network.fleet.kill(node)
    network.start()
    head = network.agreement()
    everything_there(network, acknowledged)
    acknowledged += network.anchor(network.validators[2])
    assert network.agreement().height > head.height


def test_a_node_that_is_told_to_stop_ends_cleanly_and_comes_back(network: Consortium) -> None:
    node = a_follower(network)
    network.stop(node)
    assert network.log(node)[-1]["event"] == "node_stopped"
    assert not any(line["level"] == "error" for line in network.log(node))
    acknowledged = network.anchor(others(network, node)[0])
    network.start(node)
    everything_there(network, acknowledged)


def test_an_outsider_replays_the_whole_chain_after_all_that(network: Consortium) -> None:
    head = network.agreement()
    for node in network.validators[:2]:
        report = network.audit(node)
        assert report["verified"], report
        # An idle network makes an empty block now and then, also while somebody audits it.
        assert report["height"] >= head.height
        audited = network.block(node, report["height"])["header"]
        assert report["state_root"] == audited["state_root"]
