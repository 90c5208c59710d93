"""Whole nodes make a key of pseudonyms, with faults, and the same way each time for one seed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from ledger.chain.ceremonies import Board, check_epoch
from ledger.crypto.oprf import group
from ledger.sim.world import World

KEY = b"pseudonyms/current/patients.1"


@pytest.fixture
def no_shares_of_before() -> Iterator[None]:
    """The homes of simulated nodes are made once for all worlds of a size."""
    yield
    with World(1, followers=1) as world:
        for member in world.nodes.values():
            shutil.rmtree(member.home.path / "pseudonyms", ignore_errors=True)


def begin(world: World, name: str) -> None:
    node = world.node(name)
    process = world.nodes[name].process
    assert process is not None
    world.loop.inside(lambda: node._jobs.spawn(_begun(node)), process)


async def _begun(node: object) -> None:
    await node._pseudonyms.begin("patients.1")  # type: ignore[attr-defined]


def has_key(world: World, *names: str) -> bool:
    return all(world.node(name).store.value(KEY) is not None for name in names)


def board(world: World, name: str) -> Board:
    node = world.node(name)
    return Board(node.store.value, node.chain)


@pytest.mark.usefixtures("no_shares_of_before")
def test_validators_make_a_key_when_a_follower_asks_for_it() -> None:
    with World(5, followers=1) as world:
        world.start_all()
        world.run(2_000)
        begin(world, sorted(set(world.nodes) - set(world.validators))[0])
        assert world.run_until(lambda: has_key(world, *world.nodes), 120_000)
        world.run(5_000)
        found = board(world, "A")
        epoch = found.epoch("patients.1")
        assert epoch is not None
        check_epoch(found, epoch)
        assert set(epoch.nodes.values()) == set(world.validators)
        for index, name in epoch.nodes.items():
            held = world.node(name)._pseudonyms._conduct._party.share(found, "patients.1")
            assert held is not None
            assert group.base(held[2]) == epoch.holders.verification[index]
        world.check()


@pytest.mark.usefixtures("no_shares_of_before")
def test_a_validator_that_crashes_in_the_middle_is_left_out_and_gets_a_share_when_it_is_back() -> (
    None
):
    with World(6, followers=1) as world:
        world.start_all()
        world.run(2_000)
        begin(world, "A")
        assert world.run_until(
            lambda: world.node("A").store.value(b"pseudonyms/keys/1/D") is not None, 60_000
        )
        world.crash("D")
        assert world.run_until(lambda: has_key(world, "A", "B", "C"), 900_000)
        assert world.start("D")
        world.settle()

        def whole() -> bool:
            epoch = board(world, "A").epoch("patients.1")
            held = world.node("D")._pseudonyms._conduct._party.share(
                board(world, "D"), "patients.1"
            )
            return epoch is not None and len(epoch.nodes) == 4 and held is not None

        assert world.run_until(whole, 900_000)
        world.check()
