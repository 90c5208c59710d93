"""Seats, keys and parameters change again and again; the genesis file alone is enough to follow."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from ledger.chain.genesis import read_genesis
from ledger.chain.receipt import build_receipt
from ledger.client.builder import call
from ledger.client.verify import check_receipt, trust_in
from ledger.crypto.keys import SigningKey
from ledger.node.reads import ChainReads
from ledger.sim.world import World

LIVELY = {"empty_block_interval": 1_000}
ROUNDS = 8


def done(world: World, governor: int, method: str, **arguments: Any) -> Any:
    """A governor's call of governance, final and good; its value."""
    ticket = world.submit(
        "A", call("governance", method, **arguments), signer=world.consortium.governors[governor]
    )
    reads: ChainReads = world.node("A").service
    assert world.run_until(lambda: reads.outcome(ticket.transaction.id), 300_000)
    outcome = reads.outcome(ticket.transaction.id)
    assert outcome is not None
    assert outcome[2].calls[0].ok, outcome[2].calls[0].error
    return outcome[2].calls[0].value


def voted(world: World, kind: str, payload: dict[str, Any]) -> int:
    at = max(world.heights().values()) + 16
    names = list(world.validators)
    seated = [member.node for member in world.node("A").replica.validators.members]
    voters = [names.index(name) for name in seated]
    number = done(world, voters[0], "propose", kind=kind, payload=payload, activation=at)
    status = "open"
    while status == "open":
        status = done(world, voters.pop(), "vote", proposal=number, approve=True)
    assert status == "passed"
    return at


@pytest.mark.parametrize("seed", [10, 11])
def test_receipts_of_every_age_are_believed_from_the_genesis_on(seed: int) -> None:
    rng = Random(seed)
    with World(seed, validators=5, parameters=LIVELY) as world:
        world.start_all()
        assert world.reach(2, 60_000)
        names = list(world.validators)
        tickets = [world.submit("B")]
        for turn in range(ROUNDS):
            kind = ("rotate", "seats", "parameters")[turn % 3]
            if kind == "rotate":
                node = rng.choice(names)
                key = SigningKey(bytes([turn + 1]) * 32)
                world.node(node).keys.add(key)
                at = max(world.heights().values()) + rng.randint(6, 20)
                public = key.public.hex()
                done(world, names.index(node), "rotate_key", node=node, key=public, activation=at)
            elif kind == "seats":
                seated = rng.sample(names, rng.choice([4, 5]))
                at = voted(world, "set_validators", {"nodes": seated})
            else:
                values = {"proposer_term": rng.randint(1, 20)}
                at = voted(world, "set_parameters", {"values": values})
            assert world.reach(at + 1, 900_000)
            tickets.append(world.submit(rng.choice(names)))
            assert world.run_until(lambda: tickets[-1].final, 300_000)
        assert world.reach(max(world.heights().values()), 300_000)
        trust = trust_in(read_genesis(world.consortium.path / "genesis.json"))
        store = world.node("C").store
        most = 0
        for ticket in tickets:
            receipt = build_receipt(store, ticket.transaction.id)
            assert receipt is not None
            assert check_receipt(receipt, trust).transaction.id == ticket.transaction.id
            most = max(most, len(receipt.handovers))
        assert most >= 4
        world.check(audit=True)
