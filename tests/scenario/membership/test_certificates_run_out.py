"""Certificates run out, one or all at once, and everybody gets back in alone."""

from __future__ import annotations

import datetime

import pytest

from ledger.node.net.admission import PeerIdentity, UntrustedPeer
from ledger.node.net.pki import TlsKey
from ledger.sim.world import World

LIVELY = {"empty_block_interval": 1_000}
DAY = 86_400_000


def years_pass(world: World, days: int) -> None:
    for name in world.validators:
        world.crash(name)
        world.clocks[name].jump(days * DAY)
    world.start_all()


def renewed(world: World, name: str) -> TlsKey:
    """What the institution's officer makes from the CA key alone, by the clock of today."""
    home = world.consortium.seats[name].home
    now = datetime.datetime.fromtimestamp(world.clocks[name]() / 1000, datetime.UTC)
    authority = world.consortium.authorities[home.institution]
    return authority.issue(PeerIdentity(home.institution, name), ["127.0.0.1"], now=now)


def present(world: World, name: str, key: TlsKey) -> None:
    world.nodes[name].tls = key
    world.loop.inside(lambda: world.node(name).membership.present(key), world.nodes[name].process)


@pytest.mark.parametrize("days", [800, 4_000], ids=["all nodes", "all nodes and all CAs"])
def test_all_ran_out_at_new_year_and_each_member_comes_back_alone(days: int) -> None:
    with World(7, parameters=LIVELY) as world:
        world.start_all()
        assert world.reach(3, 60_000)
        years_pass(world, days)
        height = max(world.heights().values())
        world.run(60_000)
        assert max(world.heights().values()) == height
        mine = world.status("A").certificates[0]
        assert mine.soon
        assert mine.days_left < 0
        assert "renew it with health-ledger node renew-tls" in world.status("A").reason
        for name in world.validators[:3]:
            present(world, name, renewed(world, name))
        assert world.reach(height + 3, 600_000, "A", "B", "C")
        assert world.heights()["D"] <= height + 1
        present(world, "D", renewed(world, "D"))
        assert world.reach(height + 6, 600_000)


def test_a_network_whose_certificates_run_out_while_it_runs_goes_on() -> None:
    with World(8, parameters=LIVELY) as world:
        world.start_all()
        assert world.reach(3, 60_000)
        for name in world.validators:
            world.clocks[name].jump(800 * DAY)
        assert world.reach(max(world.heights().values()) + 5, 600_000)


def test_a_node_does_not_show_what_the_others_would_turn_away() -> None:
    with World(9, parameters=LIVELY) as world:
        world.start_all()
        authority = world.consortium.authorities[world.consortium.seats["B"].home.institution]
        now = datetime.datetime.fromtimestamp(world.clocks["A"]() / 1000, datetime.UTC)
        home = world.consortium.seats["A"].home
        forged = authority.issue(PeerIdentity(home.institution, "A"), ["127.0.0.1"], now=now)
        with pytest.raises(UntrustedPeer):
            present(world, "A", forged)
        before = world.node("A").membership.key
        late = now - datetime.timedelta(days=900)
        own = world.consortium.authorities[home.institution]
        with pytest.raises(UntrustedPeer, match="ran out"):
            present(
                world, "A",
                own.issue(PeerIdentity(home.institution, "A"), ["127.0.0.1"], now=late),
            )  # fmt: skip
        assert world.node("A").membership.key is before
