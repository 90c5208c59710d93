"""A validator signs two things; its institution ends up named on the chain, once."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from ledger.audit.report import AuditReport
from ledger.audit.source import open_store
from ledger.audit.verify import verify_chain
from ledger.chain.block import Block
from ledger.chain.codec import decode_value
from ledger.chain.genesis import read_genesis
from ledger.chain.rules import proposer_of
from ledger.consensus.messages import Prepare, PrePrepare, encode_message
from ledger.consensus.statements import pre_prepare_statement, prepare_statement
from ledger.contracts import blocks
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
    world.checker.liars.add(LIAR)
    height = world.node(hearers[0]).replica.head.height + 1
    for hearer in hearers:
        for digest in (bytes([1]) * 32, bytes([2]) * 32):
            world.node(hearer).seat.received(LIAR, prepares(world, digest, height))
    return height


def value(world: World, name: str, key: str) -> Any:
    raw = world.node(name).store.value(key.encode())
    return None if raw is None else decode_value(raw, limit=2**20)


def audited(world: World, name: str) -> AuditReport:
    """What an auditor with the genesis file alone finds in a node's store."""
    world.stop(name)
    source = open_store(str(world.disk[name].path))
    try:
        return verify_chain(source, read_genesis(world.consortium.path / "genesis.json"))
    finally:
        source.close()


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
        (told,) = audited(world, "C").findings
        assert (told.institution, told.rule) == (seat.home.institution, "equivocation")
        assert seat.home.institution in str(told)


def test_the_fault_that_one_node_alone_has_seen_is_told_by_that_node() -> None:
    with World(3, parameters=LIVELY) as world:
        world.start_all()
        assert world.reach(3, 60_000)
        says_two_things(world, "C")
        assert world.run_until(lambda: value(world, "A", "evidence/findings/1"), 120_000)
        assert value(world, "A", "evidence/findings/1")["reporter"] == "C"


def test_an_invalid_proposal_is_found_once_enough_validators_have_refused_it() -> None:
    with World(4, parameters=LIVELY) as world:
        world.start_all()
        assert world.reach(3, 60_000)
        proposal, height = bad_proposal(world)
        for name in ("A", "B", "C"):
            world.node(name).seat.received(LIAR, Consensus(encode_message(proposal)))
        assert world.run_until(lambda: value(world, "A", "evidence/findings/1"), 120_000)
        finding = value(world, "A", "evidence/findings/1")
        assert (finding["rule"], finding["node"]) == ("invalid-proposal", LIAR)
        assert finding["height"] == height
        assert len(finding["witnesses"]) == 2
        assert LIAR not in {witness["node"] for witness in finding["witnesses"]}


def bad_proposal(world: World) -> tuple[PrePrepare, int]:
    """A block with a wrong state root for the open height, proposed by the liar in its turn."""
    world.checker.liars.add(LIAR)
    replica = world.node("A").replica
    assert world.run_until(lambda: _proposer(world) == LIAR, 120_000)
    world.crash(LIAR)
    world.run(50)
    key = world.consortium.seats[LIAR].key
    height = replica.head.height + 1
    executed = blocks.candidate(
        world.node("A").replica.tip(), replica.machine, proposer=LIAR, view=0,
        time=replica.head.time + 1, transactions=(),
    ).block  # fmt: skip
    header = msgspec.structs.replace(executed.header, state_root=bytes(32))
    digest = header.hash()
    signature = key.sign(pre_prepare_statement(replica.head.chain, height, 0, digest))
    return PrePrepare(height, 0, digest, LIAR, signature, Block(header, ())), height


def _proposer(world: World) -> str:
    replica = world.node("A").replica
    return proposer_of(
        replica.head, replica.validators, replica.parameters, replica.head.height + 1, 0
    )
