"""The members vote on who validates: one steps back, one joins, and the chain goes on."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from consortium import PATIENCE, Consortium, config, signers_of, until

from ledger.client.builder import call
from ledger.client.verify import check_entry, check_receipt

LEAVES, JOINS = "east-1", "centre-1"
LATER = ["south-1", "west-1", "north-1", JOINS]


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Consortium]:
    settings = config(observer=True)
    with Consortium(tmp_path_factory.mktemp("change"), settings) as consortium:
        consortium.start()
        _await_readiness(consortium)
        yield consortium


def _await_readiness(network: Consortium) -> None:
    """Vote for a newcomer only when it is ready, as docs/operators/membership.md asks operators to.

    It becomes so with a block that follows on what the validators had when they greeted it.
    """
    deadline = time.monotonic() + PATIENCE
    network.anchor(LEAVES)
    while not network.status(JOINS)["ready_to_vote"]:
        assert time.monotonic() < deadline, f"{JOINS} does not become ready to vote"
        network.anchor(LEAVES)


@pytest.fixture(scope="module")
def activation(network: Consortium) -> int:
    """The height from which on the centre validates in place of East."""
    height = network.height("south-1") + 8
    governors = [network.account(f"{name}-governor") for name in ("east", "south", "west")]
    payload = {"nodes": LATER}
    proposed = network.send(
        "south-1",
        [call("governance", "propose", kind="set_validators", payload=payload, activation=height)],
        governors[0],
    )
    assert proposed.outcome is not None
    assert proposed.outcome.ok, proposed.outcome
    number = proposed.outcome.calls[0].value
    for governor in governors:
        voted = network.send(
            "south-1", [call("governance", "vote", proposal=number, approve=True)], governor
        )
        assert voted.outcome is not None
        assert voted.outcome.ok, voted.outcome
    assert voted.outcome.calls[0].value == "passed"
    while network.height("south-1") < height + 1:
        network.anchor("south-1")
    return height


def test_the_new_set_validates_from_the_agreed_height_on(
    network: Consortium, activation: int
) -> None:
    network.agreement()
    before, after = network.block("south-1", activation - 1), network.block("south-1", activation)
    assert signers_of(before) <= {LEAVES, *LATER} - {JOINS}
    assert signers_of(after) <= set(LATER)
    assert before["header"]["validators"] != after["header"]["validators"]
    assert network.status(JOINS)["role"] == "validator"


def test_the_one_who_stepped_back_follows_on(network: Consortium, activation: int) -> None:
    assert network.height("south-1") > activation
    head = network.agreement()
    assert LEAVES in network.fleet.running
    status = network.status(LEAVES)
    assert (status["role"], status["phase"]) == ("observer", "following")
    network.anchor(LEAVES)
    assert network.agreement().height > head.height
    assert not any(line["level"] == "error" for line in network.log(LEAVES))


def test_the_new_one_is_needed_and_votes(network: Consortium, activation: int) -> None:
    assert network.height("south-1") > activation
    network.fleet.kill("west-1")
    network.anchor("south-1")
    assert JOINS in signers_of(network.block("south-1"))
    assert not any(line["event"] == "votes_withheld" for line in network.log(JOINS))
    network.start("west-1")
    network.agreement()


def test_both_come_back_after_a_restart(network: Consortium, activation: int) -> None:
    assert network.height("south-1") > activation
    for node in (LEAVES, JOINS):
        network.stop(node)
        network.start(node)
    network.anchor(JOINS)
    network.agreement()
    until(lambda: network.status(JOINS)["role"] == "validator", "the centre voting")


def test_proofs_reach_back_to_the_genesis_over_the_change(
    network: Consortium, activation: int
) -> None:
    (identity,) = network.anchor(LEAVES)
    network.agreement()
    for node in network.nodes:
        receipt = network.client(node).receipt(identity)
        assert receipt.header.height > activation
        assert check_receipt(receipt, network.trust).transaction.id == identity
    key = "registry/people/east-1"
    entry = network.client(JOINS).state("registry", "people/east-1", proof=True)
    assert check_entry(entry, network.trust, key).present
    assert network.audit(LEAVES)["verified"]
    assert network.audit(JOINS)["verified"]
