"""What a block costs as followers are added: counted in the simulator, not timed."""

from __future__ import annotations

from functools import lru_cache

import pytest

from ledger.bench.growth import Clients, Size, measure, percentile, province
from ledger.bench.meter import Meter
from ledger.node.relay import FAN_OUT, PATHS

FOLLOWERS = (8, 24, 60)
#: A validator is the first choice of at most FAN_OUT followers and the second of twice as many; in
#: a small tree the second choices of those right below it are other followers.
FED = PATHS * FAN_OUT


@lru_cache
def measured(followers: int) -> Size:
    return measure(4, followers, blocks=5)


@pytest.mark.parametrize("followers", FOLLOWERS)
def test_what_a_validator_sends_to_followers_for_a_block_has_a_bound_of_its_own(followers: int):
    frames, size = measured(followers).sent.down_largest
    announced_and_sent = 2
    assert 0 < frames <= announced_and_sent * FED
    kinds = measured(followers).sent.kinds
    a_block = kinds["Blocks"][1] / kinds["Blocks"][0]
    assert 0 < size <= FED * (a_block + 100)


def test_consensus_costs_the_same_however_many_follow():
    def votes(followers: int) -> dict[str, float]:
        kinds = measured(followers).sent.kinds
        return {kind: kinds[kind][0] for kind in ("PrePrepare", "Prepare", "Commit")}

    assert votes(0) == votes(60) == {"PrePrepare": 3.0, "Prepare": 12.0, "Commit": 12.0}


@pytest.mark.parametrize("followers", FOLLOWERS)
def test_a_follower_is_sent_each_block_once_and_told_of_it_by_those_above_it(followers: int):
    kinds = measured(followers).sent.kinds
    assert kinds["GetBlocks"][0] == kinds["Blocks"][0] == followers
    assert followers <= kinds["NewHead"][0] <= PATHS * followers


def test_the_last_follower_has_a_block_after_so_many_steps_as_the_tree_is_deep():
    near, far = measured(8).spread_worst, measured(60).spread_worst
    assert near is not None
    assert far is not None
    # Told, asked, answered: three ways of at most 120 ms for each of one and two levels, and work.
    assert near <= 3 * 120 + 50
    assert near < far <= 2 * (3 * 120 + 50)


def test_the_meter_counts_what_the_network_counts():
    with province(4, 2) as world:
        meter, clients = Meter(world), Clients(world)
        world.network.traffic.clear()
        clients.singly("AB")
        by_node = world.network.traffic.by_node()
        for name in world.nodes:
            assert meter.total(node=name, kinds=lambda _kind: True) == by_node[name]


def test_every_follower_gets_every_block_though_a_feeder_dies_in_between():
    with province(4, 24) as world:
        clients = Clients(world)
        feeders = [
            world.node(name).neighbourhood.relay.choices[:PATHS]
            for name in world.consortium.followers
        ]
        # Somebody who feeds others as their first and as their second choice.
        dead = max(
            world.consortium.followers, key=lambda name: sum(name in pair for pair in feeders)
        )
        assert sum(dead in pair for pair in feeders) >= 1
        clients.singly("A")
        world.crash(dead, power=True)
        clients.singly("BC")  # raises unless everybody who runs gets the blocks
        fed = {
            name for name, member in world.nodes.items() if member.height == world.checker.height
        }
        assert fed == set(world.nodes) - {dead}
        world.start(dead)
        clients.singly("D")
        assert set(world.heights().values()) == {world.checker.height}
        world.check()


def test_percentiles_are_values_that_were_measured():
    assert percentile([3.0, 1.0, 2.0, 4.0], 0.5) == 2.0
    assert percentile([3.0, 1.0, 2.0, 4.0], 0.99) == percentile([4.0], 0.5) == 4.0
