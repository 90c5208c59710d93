"""The simulated consortium runs the real classes, survives what it should, and tells the rest."""

from __future__ import annotations

import pytest

from ledger.chain.block import Block
from ledger.chain.database import StoreUnusable
from ledger.sim.world import Broken, Remains, World


def test_transactions_become_final_on_every_node():
    with World(1, followers=1) as world:
        world.start_all()
        tickets = [world.submit(name) for name in "ABCD"]
        assert world.run_until(lambda: all(ticket.final for ticket in tickets), 40_000)
        assert world.reach(tickets[-1].height, 5_000)
        world.check(audit=True)


def test_an_idle_hour_passes_in_a_moment_and_makes_idle_blocks():
    with World(2) as world:
        world.start_all()
        world.run(3_600_000)
        assert min(world.heights().values()) >= 100
        world.check()


@pytest.mark.parametrize("remains", list(Remains))
def test_a_node_that_lost_power_in_a_transaction_comes_back(remains: Remains):
    with World(3) as world:
        world.start_all()
        world.run(1_000)
        world.crash("B", mid_commit=remains, after=2)
        world.submit("A")
        world.run(5_000)
        assert not world.nodes["B"].running
        assert world.start("B")
        world.settle()
        world.check(audit=True)


def test_a_minority_stops_and_catches_up_when_the_network_heals():
    with World(4) as world:
        world.start_all()
        world.run(1_000)
        world.network.partition("A B C", "D")
        ticket = world.submit("A")
        assert world.run_until(lambda: ticket.final, 30_000)
        assert world.nodes["D"].height < ticket.height
        alone = world.submit("D")
        world.run(20_000)
        assert alone.accepted
        assert not alone.final
        assert "Quorum lost" in world.status("D").reason
        world.settle()
        world.check()


def test_the_metrics_say_in_which_view_a_node_is():
    with World(2) as world:
        world.start_all()
        assert world.reach(1, 60_000)

        def view() -> float | None:
            return world.node("A").metrics_.registry.get_sample_value("ledger_view")

        assert view() == 0
        world.network.partition(["A"], ["B", "C", "D"])
        assert world.run_until(lambda: view() == 1, 120_000)
        world.settle()
        assert world.run_until(lambda: view() == 0, 120_000)


def test_a_node_that_meets_damage_says_what_to_do_and_goes_on():
    with World(2, parameters={"empty_block_interval": 1_000}) as world:
        world.start_all()
        assert world.reach(3, 60_000)
        node = world.node("A")
        world.loop.inside(
            lambda: node.service.damaged(StoreUnusable("block 2 is damaged in the store: x")),
            world.nodes["A"].process,
        )
        status = world.status("A")
        assert status.reason.startswith("The store is damaged: block 2 is damaged in the store: x.")
        assert "health-ledger node repair" in status.reason
        assert status.committing
        world.settle()


def test_what_a_paused_node_missed_it_gets_when_it_goes_on():
    with World(5) as world:
        world.start_all()
        world.run(1_000)
        world.pause("A")
        ticket = world.submit("B")
        assert world.run_until(lambda: ticket.final, 30_000)
        world.resume("A")
        assert world.reach(ticket.height, 30_000)
        world.check()


def test_what_a_paused_node_had_yet_to_write_is_not_written_when_it_is_killed():
    with World(4) as world:
        world.start_all()
        world.run(1_000)
        for moment in range(0, 60, 4):
            world.submit("A")
            world.run(20 + moment)
            world.pause("D")
            world.run(50)
            world.restart("D")
            world.run(2_000)
        assert world.trace.mentions("D    starts at block")
        assert not world.trace.mentions("memory=older")


def test_an_invariant_that_breaks_is_told_with_the_seed_and_the_trace():
    with World(6) as world:
        world.start_all()
        ticket = world.submit("A")
        assert world.run_until(lambda: ticket.final, 40_000)
        ticket.height += 1  # as if the node had told its client something else
        with pytest.raises(Broken, match=r"(?s)seed 6.*acknowledged.*stores block 1") as broken:
            world.check()
        assert "the last" in str(broken.value)


@pytest.mark.parametrize("whole", [False, True])
def test_a_node_whose_disk_was_put_back_does_not_sign_twice_and_comes_back(whole: bool):
    with World(7) as world:
        world.start_all()
        first = world.submit("A")
        assert world.run_until(lambda: first.final, 40_000)
        old = world.disk["B"].backup(whole=whole)
        for name in "ACD":
            ticket = world.submit(name)
            assert world.run_until(lambda ticket=ticket: ticket.final, 40_000)
        world.run(5_000)
        world.crash("B")
        world.disk["B"].restore(old)
        assert world.start("B")
        world.settle()
        world.check(audit=True)


def test_a_reference_that_disagrees_about_the_state_is_heard():
    class Contrary:
        def apply(self, block: Block) -> bytes:
            return bytes(32)

    with World(8, reference=Contrary()) as world:
        world.start_all()
        world.submit("A")
        with pytest.raises(Broken, match="block 1 has the state root"):
            world.run(5_000)


def test_a_node_that_ends_by_itself_is_a_breach_and_one_on_a_bad_disk_is_not():
    with World(9) as world:
        world.start_all()
        world.run(1_000)
        world.crash("B")
        path = world.disk["B"].path
        content = bytearray(path.read_bytes())
        content[4096:] = bytes(len(content) - 4096)
        path.write_bytes(content)
        world.disk["B"].damaged = True
        assert not world.start("B")
        assert world.nodes["B"].ended
        ticket = world.submit("A")
        assert world.run_until(lambda: ticket.final, 30_000)
        world.disk["C"].full()
        world.run(5_000)
        world.check()
        world.crash("A")
        world.nodes["A"].home.path.joinpath("genesis.json").unlink()
        assert not world.start("A")
        with pytest.raises(Broken, match="A does not start"):
            world.run(1)
