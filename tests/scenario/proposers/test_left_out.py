"""Transactions that a proposer does not include, on whole simulated nodes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from ledger.chain.transaction import Transaction
from ledger.node.node import Node
from ledger.sim.client import Ticket
from ledger.sim.world import World


def certified(world: World, ticket: Ticket) -> tuple[str, int]:
    """Who proposed the block with the transaction, and in which view it became final."""
    store = world.node("A").store
    block, certificate = store.block(ticket.height), store.certificate(ticket.height)
    assert block is not None
    assert certificate is not None
    return block.header.proposer, certificate.view


def running(world: World) -> str:
    """Let the network begin; its proposer."""
    world.start_all()
    ticket = world.submit("A")
    assert world.run_until(lambda: ticket.final, 40_000)
    return certified(world, ticket)[0]


@pytest.mark.parametrize("seed", [1, 2])
def test_a_proposer_that_never_got_a_transaction_gets_it_from_the_others(seed: int) -> None:
    with World(seed) as world:
        proposer = running(world)
        name = next(name for name in "ABCD" if world.node(name).node != proposer)
        target = next(name for name in "ABCD" if world.node(name).node == proposer)
        world.network.cut(name, target, one_way=True)
        ticket = world.submit(name)
        assert world.run_until(lambda: ticket.final, 40_000)
        world.network.heal()
        assert world.reach(ticket.height, 20_000)
        assert certified(world, ticket) == (proposer, 0)
        world.check()


def leaving_out(node: Node, victim: Callable[[], bytes | None]) -> None:
    """Let a node put everything into its blocks but one transaction."""
    take = node.mempool.take

    def selective(max_bytes: int, max_count: int, height: int) -> Sequence[Transaction]:
        return [one for one in take(max_bytes, max_count, height) if one.id != victim()]

    node.mempool.take = selective  # type: ignore[assignment, method-assign]


def test_a_proposer_that_includes_everything_but_one_transaction_loses_its_place() -> None:
    with World(3, parameters={"proposer_term": 1_000_000}) as world:
        proposer = running(world)
        censor = next(name for name in "ABCD" if world.node(name).node == proposer)
        other = next(name for name in "ABCD" if name != censor)
        shut_out: list[bytes] = []
        leaving_out(world.node(censor), lambda: shut_out[0] if shut_out else None)
        victim = world.submit(other)
        shut_out.append(victim.transaction.id)
        fillers = []
        for _ in range(40):
            fillers.append(world.submit(censor))
            if world.run_until(lambda: victim.final, 500):
                break
        assert victim.final
        assert any(filler.final for filler in fillers)
        by, view = certified(world, victim)
        assert by != proposer
        assert view == 1
        world.check()
