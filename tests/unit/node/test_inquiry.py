"""A node that cannot reproduce a block finds out where it differs from the others."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ledger.chain.codec import encode
from ledger.contracts import blocks
from ledger.contracts.blocks import BlockFault, Executed
from ledger.node.driver import Diverged
from ledger.node.executor import Executor
from ledger.node.inquiry import Dispute, Inquiry, answer
from ledger.node.net.frames import GetOutcome, Outcome
from tests.support.chain import certify
from tests.support.notes import NotesChain


class Peers:
    """Other nodes; each answers with what it is given, or not at all."""

    def __init__(self) -> None:
        self.answers: dict[str, Outcome] = {}
        self.asked: list[str] = []
        self.inquiry: Inquiry | None = None

    def send(self, peer: str, request: GetOutcome) -> bool:
        self.asked.append(peer)
        given = self.answers.get(peer)
        if given is not None and self.inquiry is not None:
            asyncio.get_running_loop().call_soon(self.inquiry.arrived, peer, given)
        return given is not None


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[NotesChain]:
    chain = NotesChain(tmp_path / "notes.db")
    yield chain
    chain.store.close()


@pytest.fixture
def executor(chain: NotesChain) -> Iterator[Executor]:
    executor = Executor(chain.replica, lambda _raw: None)
    yield executor
    executor.close()


@pytest.fixture
def peers(executor: Executor) -> Peers:
    peers = Peers()
    peers.inquiry = Inquiry(executor, peers.send)
    return peers


def elsewhere(chain: NotesChain) -> Executed:
    """A block as nodes build it whose counter stands at 41."""
    tip = chain.replica.tip()
    counted = {b"notes/count": encode(41)}
    return blocks.candidate(
        replace(tip, read=lambda key: counted.get(key, tip.read(key))),
        chain.replica.machine,
        proposer="n2",
        view=0,
        time=tip.header.time + 1_000,
        transactions=[chain.note("x")],
    )


def told(executed: Executed) -> Outcome:
    return answer(executed, GetOutcome(executed.block.header.hash()))


def diverged(executed: Executed) -> Diverged:
    certificate = certify(executed.block.header, ["n1", "n2", "n3"])
    return Diverged(executed.block, certificate, BlockFault("state root"))


async def test_the_difference_is_told_with_the_peer_that_has_it(
    chain: NotesChain, peers: Peers
) -> None:
    theirs = elsewhere(chain)
    peers.answers["n2"] = told(theirs)
    assert peers.inquiry is not None
    found = await peers.inquiry.about(theirs.block, ["n1", "n2", "n3"])
    assert found is not None
    assert (found[0], found[1].what, found[1].theirs) == ("n2", "notes/count", "42")
    assert peers.asked == ["n1", "n2"]


async def test_an_answer_that_does_not_have_the_header_s_roots_is_passed_over(
    chain: NotesChain, peers: Peers
) -> None:
    theirs = elsewhere(chain)
    good = told(theirs)
    peers.answers = {"n1": replace_writes(good), "n2": empty(good), "n3": good}
    assert peers.inquiry is not None
    found = await peers.inquiry.about(theirs.block, ["n1", "n2", "n3"])
    assert found is not None
    assert found[0] == "n3"


def replace_writes(good: Outcome) -> Outcome:
    return Outcome(good.block, good.results, ((b"notes/count", encode(7)),))


def empty(good: Outcome) -> Outcome:
    return answer(None, GetOutcome(good.block))


async def test_a_halted_node_says_what_differs_and_where(chain: NotesChain, peers: Peers) -> None:
    theirs = elsewhere(chain)
    peers.answers["n3"] = told(theirs)
    assert peers.inquiry is not None
    dispute = Dispute(peers.inquiry, lambda job: job.close())
    await dispute.lost(diverged(theirs))
    assert dispute.halted.startswith("diverged: a quorum decided block 1")
    assert "notes/count is 1 here and 42 there" in dispute.halted
    assert dispute.difference is not None
    assert dispute.difference.place.startswith("notes:")


async def test_a_halted_node_whose_peers_know_nothing_still_says_that_it_diverged(
    chain: NotesChain, peers: Peers
) -> None:
    assert peers.inquiry is not None
    dispute = Dispute(peers.inquiry, lambda job: job.close())
    await dispute.lost(diverged(elsewhere(chain)))
    assert "cannot reproduce: state root." in dispute.halted
    assert dispute.difference is None


async def test_a_node_tells_what_came_of_the_newest_block_and_of_proposals(
    chain: NotesChain, executor: Executor
) -> None:
    tip = chain.replica.tip()
    block = await executor.build(1, 0, "n2", tip.header.time + 1, [chain.note("x")])
    assert block is not None
    digest = block.header.hash()
    assert executor.outcome(digest) is not None
    await executor.commit(block, certify(block.header, ["n1", "n2", "n3"]))
    newest = executor.outcome(digest)
    assert newest is not None
    assert told(newest).results == newest.encoded_results
    assert executor.outcome(bytes(32)) is None
