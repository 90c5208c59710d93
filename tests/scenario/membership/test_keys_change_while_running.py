"""Keys change at their height while nodes run, and the chain is believed from the genesis on."""

from __future__ import annotations

from ledger.chain.genesis import read_genesis
from ledger.chain.receipt import build_receipt
from ledger.client.builder import Account, call
from ledger.client.verify import check_receipt, trust_in
from ledger.crypto.keys import SigningKey
from ledger.sim.world import World

LIVELY = {"empty_block_interval": 1_000}


def governor_of(world: World, node: str) -> Account:
    """The account of the governor of a node's institution."""
    place = list(world.consortium.seats).index(node)
    return world.consortium.governors[place]


def test_each_validator_in_turn_signs_with_a_new_key_and_receipts_follow() -> None:
    with World(5, parameters=LIVELY) as world:
        world.start_all()
        assert world.reach(3, 60_000)
        trust = trust_in(read_genesis(world.consortium.path / "genesis.json"))
        for number, node in enumerate(world.validators):
            key = SigningKey(bytes([number + 1]) * 32)
            at = max(world.heights().values()) + 12
            world.node(node).keys.add(key)
            ticket = world.submit(
                "A",
                call("governance", "rotate_key", node=node, key=key.public.hex(), activation=at),
                signer=governor_of(world, node),
            )
            assert world.reach(at + 2, 600_000)
            member = world.node("A").replica.validators.find(node)
            assert member is not None
            assert member.key == key.public
            outcome = world.node("B").service.outcome(ticket.transaction.id)
            assert outcome is not None
            assert outcome[2].calls[0].ok, outcome[2].calls[0].error
        store = world.node("C").store
        last = world.submit("A")
        assert world.run_until(
            lambda: world.node("C").service.outcome(last.transaction.id), 120_000
        )
        receipt = build_receipt(store, last.transaction.id)
        assert receipt is not None
        assert len(receipt.handovers) == len(world.validators)
        assert check_receipt(receipt, trust).transaction.id == last.transaction.id
        world.check()


def test_a_node_without_its_new_key_stays_silent_until_it_has_it() -> None:
    with World(6, parameters=LIVELY) as world:
        world.start_all()
        assert world.reach(3, 60_000)
        key = SigningKey(bytes([9]) * 32)
        at = max(world.heights().values()) + 8
        world.submit(
            "A",
            call("governance", "rotate_key", node="D", key=key.public.hex(), activation=at),
            signer=governor_of(world, "D"),
        )
        assert world.reach(at + 1, 600_000)
        assert "does not hold the signing key" in world.status("D").reason
        world.loop.inside(lambda: world.node("D").hold(key), world.nodes["D"].process)
        world.crash("C")
        height = max(world.heights().values())
        assert world.reach(height + 3, 600_000, "A", "B", "D")
        assert "signing key" not in world.status("D").reason
