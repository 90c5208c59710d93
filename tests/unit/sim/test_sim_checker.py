"""The checker notices each breach, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from ledger.chain.block import Certificate, commit_digest
from ledger.chain.vote import Vote
from ledger.consensus.messages import (
    Commit,
    Message,
    Prepare,
    encode_message,
)
from ledger.consensus.statements import prepare_statement
from ledger.node.net.frames import Consensus, encode_frame
from ledger.sim.world import World


@pytest.fixture
def world() -> Iterator[World]:
    """Three blocks at peace."""
    with World(21) as made:
        made.start_all()
        for name in "ABC":
            ticket = made.submit(name)
            assert made.run_until(lambda ticket=ticket: ticket.final, 40_000)
        made.run(1_000)
        made.check()
        yield made


def certified(world: World, height: int):
    store = world.nodes["A"].store
    assert store is not None
    return store.block(height), store.certificate(height)


def say(world: World, sender: str, message: Message) -> None:
    world.checker.sent(sender, "B", encode_frame(Consensus(encode_message(message))))


def prepare(world: World, node: str, digest: bytes, height: int = 9) -> Prepare:
    statement = prepare_statement(world.consortium.chain, height, 0, digest)
    return Prepare(height, 0, digest, node, world.nodes[node].key.sign(statement))


def test_every_invariant_was_looked_at(world: World):
    looks = world.checker.looks
    assert looks["agreement"] >= 12
    assert {"certificates", "votes on disk", "votes on the wire", "acknowledged"} <= set(looks)
    assert world.complaints == []


def test_another_block_at_a_height_breaks_agreement(world: World):
    block, certificate = certified(world, 2)
    other = replace(block, header=replace(block.header, time=block.header.time + 1))
    world.checker.committed("B", other, certificate)
    assert "B has another block 2" in world.complaints[0]


def test_a_certificate_with_too_few_signatures_is_none(world: World):
    block, certificate = certified(world, 2)
    thin = Certificate(
        certificate.height, certificate.view, certificate.block, certificate.signatures[:2]
    )
    world.checker.committed("B", block, thin)
    assert "B stored block 2 uncertified" in world.complaints[0]


def test_a_certificate_that_is_good_is_good_with_other_signers_too(world: World):
    block, certificate = certified(world, 2)
    digest = commit_digest(
        block.header.chain, certificate.height, certificate.view, certificate.block
    )
    signed = tuple(
        replace(certificate.signatures[0], node=name, signature=world.nodes[name].key.sign(digest))
        for name in "BCD"
    )
    world.checker.committed("B", block, replace(certificate, signatures=signed))
    assert world.complaints == []


def test_two_words_for_one_view_on_the_wire_are_noticed(world: World):
    say(world, "A", prepare(world, "A", bytes(32)))
    say(world, "A", prepare(world, "A", bytes(32)))
    assert world.complaints == []
    say(world, "A", prepare(world, "A", bytes([1]) * 32))
    assert "A has said two things: prepare at height 9, view 0" in world.complaints[0]


def test_a_commit_beside_a_prepare_is_no_second_word(world: World):
    say(world, "A", prepare(world, "A", bytes(32)))
    signature = world.nodes["A"].key.sign(commit_digest(world.consortium.chain, 9, 0, bytes(32)))
    say(world, "A", Commit(9, 0, bytes(32), "A", signature))
    assert world.complaints == []


def test_speaking_for_somebody_else_is_noticed(world: World):
    say(world, "A", prepare(world, "B", bytes(32)))
    assert "A speaks for B" in world.complaints[0]


def test_nothing_is_expected_of_liars(world: World):
    world.checker.liars.add("A")
    say(world, "A", prepare(world, "A", bytes(32)))
    say(world, "A", prepare(world, "A", bytes([1]) * 32))
    assert world.complaints == []


def test_two_promises_on_one_disk_are_noticed(world: World):
    world.checker.voted("C", [Vote(9, 1, "commit", bytes(32), b"")])
    world.checker.voted("C", [Vote(9, 1, "prepare", bytes([1]) * 32, b"")])
    assert world.complaints == []
    world.checker.voted("C", [Vote(9, 1, "commit", bytes([1]) * 32, b"")])
    assert "C has written down two promises to commit" in world.complaints[0]


def test_a_node_that_forgot_a_block_is_noticed_unless_its_disk_is_bad(world: World):
    store = world.nodes["A"].store
    assert store is not None
    height = store.height()
    world.checker.durable["A"] = height + 1
    world.checker.started("A", store, damaged=True)
    assert world.complaints == []
    world.checker.durable["A"] = height + 1
    world.checker.started("A", store, damaged=False)
    assert (
        f"A starts at block {height} after having stored block {height + 1}"
        in (world.complaints[0])
    )
