"""How blocks get to those who do not vote."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.node.relay import (
    BARREN_SECONDS,
    FAN_OUT,
    PATHS,
    PATIENCE_SECONDS,
    Relay,
    feeders,
    placed,
)

VALIDATORS = ["v1", "v2", "v3", "v4"]


def names(count):
    return [f"f{number:03}" for number in range(count)]


@given(st.integers(1, 30), st.integers(0, 400))
def test_no_node_feeds_more_than_its_share_however_many_follow(size, count):
    validators, followers = [f"v{number}" for number in range(size)], names(count)
    first, second = Counter(), Counter()
    for node in followers:
        ways = feeders(node, validators, followers)
        first[ways[0]] += 1
        second.update(ways[1:2])
    assert max(first.values(), default=0) <= FAN_OUT
    assert max(second.values(), default=0) <= 2 * FAN_OUT


@given(st.integers(1, 30), st.integers(1, 400))
def test_every_way_leads_up_and_ends_at_the_validators(size, count):
    validators, followers = [f"v{number}" for number in range(size)], names(count)
    for place, node in enumerate(followers):
        ways = feeders(node, validators, followers)
        assert set(validators) <= set(ways)
        assert len(set(ways)) == len(ways)
        assert all(followers.index(way) < place for way in ways if way in followers)


def test_the_depth_grows_with_the_logarithm_of_the_followers():
    followers = names(253)

    def depth(node):
        above = feeders(node, VALIDATORS, followers)[0]
        return 1 if above in VALIDATORS else 1 + depth(above)

    assert max(map(depth, followers)) == 3


def test_a_validator_and_a_stranger_know_the_validators_only():
    assert feeders("v2", VALIDATORS, names(9)) == ("v1", "v3", "v4")
    assert feeders("new", VALIDATORS, names(9)) == tuple(VALIDATORS)


def test_every_pair_of_nodes_has_at_most_one_dialler():
    followers = names(60)
    dials = set()
    for node in VALIDATORS + followers:
        relay = Relay(node)
        relay.arrange(VALIDATORS, followers)
        dials.update((node, other) for other in relay.dial(0.0))
    assert not any((other, node) in dials for node, other in dials)
    pairs = {frozenset(pair) for pair in dials}
    assert all(frozenset((a, b)) in pairs for a in VALIDATORS for b in VALIDATORS if a != b)


@pytest.fixture
def relay():
    relay = Relay("f040")
    relay.arrange(VALIDATORS, names(60))
    return relay


def test_a_follower_keeps_two_ways_open(relay):
    assert relay.dial(0.0) == set(relay.choices[:PATHS])


def test_while_those_above_do_not_answer_it_climbs_on_and_comes_back_when_they_do(relay):
    first, second, third, fourth, *_ = relay.choices
    relay.met(first)
    relay.dial(0.0)
    assert relay.dial(PATIENCE_SECONDS) == {first, second, third}
    assert relay.dial(3 * PATIENCE_SECONDS) == {first, second, third, fourth}
    relay.met(third)
    assert relay.dial(4 * PATIENCE_SECONDS) == {first, second, third}
    assert relay.sources == (first, third)
    relay.met(second)
    assert relay.dial(5 * PATIENCE_SECONDS) == {first, second}


def test_with_everybody_above_gone_it_tries_all_validators(relay):
    for step in range(len(relay.choices) + 1):
        relay.dial(step * PATIENCE_SECONDS)
    assert set(VALIDATORS) <= relay.dial(len(relay.choices) * PATIENCE_SECONDS)


def test_a_node_feeds_only_those_below_it(relay):
    for node in (*relay.choices[:2], "v1", "f055", "newcomer"):
        relay.met(node)
    assert relay.fed == ["f055", "newcomer"]
    relay.lost("f055")
    assert relay.fed == ["newcomer"]


def test_township_centres_stand_at_the_leaves():
    kinds = {"a": "township-centre", "b": "county-hospital", "c": "township-centre", "d": "insurer"}
    assert placed(kinds) == ("b", "d", "a", "c")


def test_a_follower_that_will_validate_keeps_connections_to_all_validators(relay):
    relay.arrange(VALIDATORS, names(60), elected=True)
    assert relay.dial(0.0) == set(VALIDATORS)
    relay.arrange(VALIDATORS, names(60))
    assert relay.dial(0.0) == set(relay.choices[:PATHS])


def test_a_follower_that_has_to_hear_from_all_validators_goes_round_them_once(relay):
    relay.curious = True
    assert relay.dial(0.0) == {*VALIDATORS, *relay.choices[:PATHS]}
    for node in VALIDATORS[1:]:
        relay.met(node)
        relay.lost(node)
    assert relay.dial(0.0) == {VALIDATORS[0], *relay.choices[:PATHS]}
    relay.curious = False
    assert relay.dial(0.0) == set(relay.choices[:PATHS])


def test_a_validator_dials_those_who_leave_it_waiting_to_be_dialled():
    relay = Relay("v2")
    relay.arrange(VALIDATORS, [])
    after = {node for node in VALIDATORS if node > "v2"}
    before = {node for node in VALIDATORS if node < "v2"}
    assert before
    assert relay.dial(0.0) == after
    relay.met(min(before))
    waited = before - {min(before)}
    assert relay.dial(PATIENCE_SECONDS) == after | waited
    for node in waited:
        relay.met(node)
    assert relay.dial(2 * PATIENCE_SECONDS) == after | waited  # that connection is kept
    relay.arrange([*VALIDATORS, "v9"], [])
    assert relay.dial(3 * PATIENCE_SECONDS) == after | {"v9"}


def test_a_follower_whose_feeders_do_not_feed_it_climbs_on_though_they_are_connected(relay):
    first, second, third, fourth, *_ = relay.choices
    for node in (first, second):
        relay.met(node)
    assert relay.dial(0.0) == {first, second}
    relay.starve(1.0)
    assert relay.dial(1.0) == {first, second, third, fourth}
    for node in (third, fourth):
        relay.met(node)
    assert relay.dial(2.0) == {first, second, third, fourth}
    assert relay.dial(1.0 + BARREN_SECONDS) == {first, second}
