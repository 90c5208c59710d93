"""Lines that delay, lose and cut, under the production transport."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ledger.node.net.frames import NewHead, Ping, encode_frame
from ledger.sim.traffic import kind_of
from ledger.sim.weather import Line, Weather
from ledger.sim.world import World


@pytest.fixture
def world() -> Iterator[World]:
    with World(11) as made:
        made.start_all()
        made.run(2_000)
        yield made


def connected(world: World, node: str) -> set[str]:
    return {peer.node for peer in world.node(node).links.peers()}


def test_all_nodes_find_each_other_and_greet(world: World):
    assert {name: connected(world, name) for name in "ABCD"} == {
        name: set("ABCD") - {name} for name in "ABCD"
    }
    # Of two connections in one direction the newer stays: each pair has exactly one.
    assert world.network.traffic.by_kind()["Hello"][0] == 12


def test_who_is_cut_off_is_dropped_for_silence_and_found_again(world: World):
    world.network.partition("A", "B C D")
    world.run(5_000)
    assert connected(world, "A") == {"B", "C", "D"}, "a short cut costs no connection"
    world.run(12_000)
    assert connected(world, "A") == set()
    world.network.heal()
    world.run(10_000)
    assert connected(world, "A") == {"B", "C", "D"}


def test_what_a_cut_line_held_up_arrives_in_order_when_it_opens(world: World):
    seen: list[int] = []
    heard = world.node("B").sync.heard
    world.node("B").sync.heard = lambda node, height: (seen.append(height), heard(node, height))
    world.network.link("A", "B", cut=True)
    for height in (101, 102, 103):
        world.network.inject("A", "B", encode_frame(NewHead(height, bytes(32))))
    world.run(1_000)
    assert not {101, 102, 103} & set(seen)
    world.network.heal()
    world.run(100)
    assert [height for height in seen if height > 100] == [101, 102, 103]


def test_a_one_way_cut_lets_the_other_direction_through(world: World):
    world.network.link("A", "B", cut=True, one_way=True)
    world.network.traffic.clear()
    world.run(4_000)
    # B hears no heartbeat of A any more, and A hears those of B.
    assert world.network.traffic.received["A", "Ping"] > world.network.traffic.received["B", "Ping"]
    world.run(10_000)
    assert "B" not in connected(world, "A"), "whom the other end has dropped is told so"


def test_a_frame_takes_as_long_as_its_line(world: World):
    world.network.link("A", "B", delay=(250, 250))
    before = world.network.traffic.received["B", "NewHead"]
    world.network.inject("A", "B", encode_frame(NewHead(0, bytes(32))))
    world.run(249)
    assert world.network.traffic.received["B", "NewHead"] == before
    world.run(2)
    assert world.network.traffic.received["B", "NewHead"] == before + 1


def test_a_thin_line_takes_as_long_as_the_bytes_need(world: World):
    frame = encode_frame(NewHead(0, bytes(32)))
    world.network.link("A", "B", delay=(0, 0), rate=len(frame))  # one of them a second
    before = world.network.traffic.received["B", "NewHead"]
    for _ in range(3):
        world.network.inject("A", "B", frame)
    world.run(2_500)
    assert world.network.traffic.received["B", "NewHead"] == before + 2


def test_a_line_that_loses_everything_lets_nothing_but_the_greeting_through(world: World):
    world.network.weather.usual = Line(loss=1.0)
    world.network.traffic.clear()
    world.run(30_000)
    kinds = {kind for (_node, kind), count in world.network.traffic.received.items() if count}
    assert kinds == {"Hello"}


def test_a_line_that_doubles_brings_everything_twice(world: World):
    world.network.link("A", "B", duplication=1.0)
    before = world.network.traffic.received["B", "NewHead"]
    world.network.inject("A", "B", encode_frame(NewHead(0, bytes(32))))
    world.run(200)
    assert world.network.traffic.received["B", "NewHead"] == before + 2


def test_malformed_frames_cost_the_connection(world: World):
    garbage = (5).to_bytes(4, "big") + b"\x07junk"
    assert world.network.inject("A", "B", garbage)
    world.run(60)
    assert any("malformed" in line for line in world.trace.mentions("peer_connection_ended"))
    world.run(5_000)
    assert "B" in connected(world, "A"), "an honest dialler comes back"


def test_an_expired_certificate_opens_no_new_connection(world: World):
    three_years = 3 * 365 * 86_400_000
    for clock in world.clocks.values():
        clock.jump(three_years)
    world.run(5_000)
    assert connected(world, "A") == {"B", "C", "D"}, "time alone does not end a connection"
    world.restart("A")
    world.run(20_000)
    assert connected(world, "A") == set()


def test_frames_can_be_rewritten_on_their_way_out(world: World):
    ping = encode_frame(Ping(77, 0))
    world.checker.liars.add("A")
    world.network.rewriters["A"] = lambda _peer, frame: (
        [ping] if kind_of(frame) == "Ping" else [frame]
    )
    world.run(4_000)
    assert "claims a chain that it does not have" in world.trace.last(100)


def test_partitions_and_single_lines_are_kept_apart():
    weather = Weather(Line())
    weather.partition(["A B", ["C"]])
    assert weather.is_open("A", "B")
    assert not weather.is_open("B", "C")
    assert weather.is_open("D", "E"), "those that are not named form a group"
    assert not weather.is_open("A", "D")
    weather.change("A", "B", cut=True, loss=0.5)
    weather.heal()
    assert weather.is_open("A", "C")
    assert weather.is_open("A", "B")
    assert weather.line("A", "B").loss == 0.5
    weather.calm()
    assert weather.line("A", "B").loss == 0
