"""A validator signs two things; its institution ends up named on the chain, once."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.chain.codec import decode_value
from ledger.consensus.messages import Prepare, encode_message
from ledger.consensus.statements import prepare_statement
from ledger.node.net.frames import Consensus
from ledger.sim.world import World

LIAR = "D"
LIVELY = {"empty_block_interval": 1_000}


def prepares(world: World, digest: bytes, height: int) -> Consensus:
    """A PREPARE that the liar's key has signed."""
    chain, key = world.consortium.chain, world.consortium.seats[LIAR].key
    signature = key.sign(prepare_statement(chain, height, 0, digest))
    return Consensus(encode_message(Prepare(height, 0, digest, LIAR, signature)))


def says_two_things(world: World, *hearers: str) -> int:
    """Let the hearers have two PREPAREs of the liar for the height that is open; which it is."""
    height = world.node(hearers[0]).replica.head.height + 1
    for hearer in hearers:
        for digest in (bytes([1]) * 32, bytes([2]) * 32):
            world.node(hearer).seat.received(LIAR, prepares(world, digest, height))
    return height


def value(world: World, name: str, key: str) -> Any:
    raw = world.node(name).store.value(key.encode())
    return None if raw is None else decode_value(raw, limit=2**20)


@pytest.mark.parametrize("seed", [1, 2])
def test_one_finding_names_the_institution_of_an_equivocator(seed: int) -> None:
    with World(seed, parameters=LIVELY) as world:
        world.start_all()
        assert world.reach(3, 60_000)
        height = says_two_things(world, "A", "B", "C")
        assert world.run_until(lambda: value(world, "B", "evidence/findings/1"), 120_000)
        finding = value(world, "B", "evidence/findings/1")
        seat = world.consortium.seats[LIAR]
        assert (finding["rule"], finding["node"]) == ("equivocation", LIAR)
        assert finding["institution"] == seat.home.institution
        assert (finding["height"], finding["view"]) == (height, 0)
        assert finding["reporter"] in {"A", "B", "C"}
        world.run(60_000)
        assert value(world, "A", "evidence/finding_count") == 1
        world.check()


def test_the_fault_that_one_node_alone_has_seen_is_told_by_that_node() -> None:
    with World(3, parameters=LIVELY) as world:
        world.start_all()
        assert world.reach(3, 60_000)
        says_two_things(world, "C")
        assert world.run_until(lambda: value(world, "A", "evidence/findings/1"), 120_000)
        assert value(world, "A", "evidence/findings/1")["reporter"] == "C"
