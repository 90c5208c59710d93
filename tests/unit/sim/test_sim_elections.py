"""Who may be hit for good while the members elect others."""

from __future__ import annotations

from ledger.chain.constitution import validator_changes
from ledger.sim.elections import Elections
from ledger.sim.explore import explore
from ledger.sim.world import World


def test_a_set_with_more_than_f_faulty_is_not_proposed():
    elections = Elections("ABCD")
    assert elections.propose("ABEF", {"A"})
    assert not elections.propose("ABEF", {"A", "B"})
    assert elections.propose("ABCDEFG", {"A", "B"})


def test_every_set_that_may_be_in_force_counts_when_somebody_is_hit():
    elections = Elections("ABCD")
    assert elections.bears({"A"})
    assert elections.propose("ABEF", set())
    assert elections.bears({"C", "E"})
    assert not elections.bears({"B", "E"})


def test_what_was_not_proposed_is_no_constraint():
    elections = Elections("ABCD")
    assert not elections.propose("ABEF", {"A", "E"})
    assert elections.bears({"A", "E"})


def test_the_governors_do_put_other_validators_in_force(monkeypatch):
    found: list[int] = []
    check = World.check

    def looked_at(world: World, *, audit: bool = False) -> None:
        head = max(world.running, key=lambda member: member.height)
        assert head.node is not None
        changes = validator_changes(head.node.replica.read)
        found.append(sum(0 < height <= head.height for height in changes))
        check(world, audit=audit)

    monkeypatch.setattr(World, "check", looked_at)
    outcome = explore(1, followers=2, faults=("membership",), heights=40, trouble_ms=120_000)
    assert not outcome.broken, outcome.broken
    assert found[0] > 0
