"""Stories of a small consortium: what stops, what is lost, what lies, and what becomes of it."""

import pytest

from ledger.consensus.inputs import WorkPending
from ledger.consensus.messages import (
    MAX_VIEW,
    Commit,
    Message,
    NewView,
    PrePrepare,
    ViewChange,
)
from ledger.consensus.statements import view_change_statement
from tests.support.consensus import CHAIN, PARAMETERS, Node, World, signing_key


def views(node: Node) -> list[int]:
    """In which view each block of a node became final."""
    return [certificate.view for _, certificate in node.disk.chain]


@pytest.mark.parametrize("size", [1, 2, 3, 4, 7, 10])
def test_a_healthy_consortium_never_changes_its_view(size: int) -> None:
    world = World(size)
    world.start()
    assert world.reach(12)
    assert set(views(world["n0"])) == {0}


def test_the_proposer_changes_with_its_term() -> None:
    world = World(4)
    world.start()
    assert world.reach(9)
    proposers = [block.header.proposer for block, _ in world["n0"].disk.chain]
    assert proposers == ["n1", "n1", "n2", "n2", "n2", "n3", "n3", "n3", "n0"]


def test_an_idle_consortium_commits_an_empty_block_now_and_then() -> None:
    world = World(4)
    world.business = 0.0
    world.start()
    assert world.reach(3)
    assert 3_000 <= world.now < 4_000
    assert set(views(world["n0"])) == {0}


def test_an_idle_dead_proposer_is_found() -> None:
    world = World(4)
    world.business = 0.0
    world.start("n0", "n2", "n3")
    assert world.reach(1)
    assert views(world["n0"]) == [1]


def test_f_stopped_backups_cost_nothing() -> None:
    world = World(4)
    world.start("n1", "n2", "n3")
    assert world.reach(2)
    assert views(world["n1"])[:2] == [0, 0]


def test_a_stopped_proposer_costs_one_view_change() -> None:
    world = World(4)
    world.start()
    assert world.reach(3)
    proposer = world["n0"].disk.chain[-1][0].header.proposer
    world[proposer].crash()
    survivors = [name for name in world.names if name != proposer]
    start = world[survivors[0]].height
    assert world.reach(start + 4, *survivors)
    assert [view for view in views(world[survivors[0]])[start:] if view] == [1]


def test_a_timer_that_beats_the_messages_of_a_stall_costs_a_view_change() -> None:
    """Why a driver must not count the time in which its own process stood still.

    With one validator stopped, all the others are needed. The proposal is in the socket of the one
    that stalled, but its timer is taken first.
    """
    world = World(4)
    world.start("n0", "n1", "n2")
    assert world.reach(1)
    world["n0"].freeze(2 * PARAMETERS.view_timeout)
    goal = world["n0"].height + 2
    assert world.reach(goal, "n0", "n1", "n2")
    assert max(views(world["n0"])[:goal]) == 1


def test_a_transaction_that_the_proposer_never_got_costs_a_view_change_when_nobody_forwards() -> (
    None
):
    """Why a validator forwards what it has waiting before its timer runs out."""
    world = World(4)
    world.business = 0.0
    world.start("n0", "n1", "n2")
    for name in ("n0", "n2"):
        world[name].feed(WorkPending())
    assert world.reach(1, "n0", "n1", "n2")
    assert views(world["n0"])[0] == 1


@pytest.mark.parametrize("effects", range(1, 12))
@pytest.mark.parametrize("back", [False, True])
def test_a_proposer_that_crashes_between_any_two_effects_stops_nobody(
    effects: int, back: bool
) -> None:
    world = World(4, seed=effects)
    world.start()
    assert world.reach(3)
    proposer = world["n1"] if world["n1"].core.status().proposer == "n1" else world["n2"]
    proposer.crash_after = effects
    assert world.run(until=lambda: not proposer.alive, limit=5_000)
    if back:
        world.run(limit=50)
        proposer.start()
    goal = max(node.height for node in world.nodes) + 4
    assert world.reach(goal)


def test_messages_lost_once_are_sent_again_without_a_view_change() -> None:
    world = World(4)
    seen: set[tuple[str, str, type, int]] = set()

    def first_time(source: str, target: str, message: Message) -> bool:
        key = (source, target, type(message), message.height)
        known = key in seen
        seen.add(key)
        return not known

    world.drop = first_time
    world.start()
    assert world.reach(4)
    assert set(views(world["n0"])) == {0}


def test_a_prepared_block_survives_the_view_in_which_nobody_could_commit_it() -> None:
    world = World(4)
    world.drop = lambda _source, _target, message: isinstance(message, Commit) and not message.view
    world.start()
    assert world.reach(1)
    block, certificate = world["n0"].disk.chain[0]
    proposals = [
        message for _, _, message in world.sent if isinstance(message, PrePrepare | NewView)
    ]
    assert (block.header.view, block.header.proposer, certificate.view) == (0, "n1", 1)
    assert {proposal.node for proposal in proposals if proposal.height == 1} == {"n1", "n2"}


def test_a_power_cut_everywhere_loses_no_block_that_somebody_saw_final() -> None:
    """Only n0 gets the COMMITs; then the light goes out, and n0 stays away."""
    world = World(4)
    world.drop = lambda _source, target, message: isinstance(message, Commit) and target != "n0"
    world.start()
    assert world.reach(1, "n0")
    final = world["n0"].disk.chain[0][0]
    for node in world.nodes:
        node.crash()
    world.drop = lambda *_: False
    world.start("n1", "n2", "n3")
    assert world.reach(2)
    assert world["n1"].disk.chain[0][0] == final


@pytest.mark.parametrize("seed", range(10))
def test_power_cuts_at_any_moment_do_not_stop_the_chain(seed: int) -> None:
    world = World(4, seed)
    world.start()
    for _ in range(8):
        world.run(limit=world.random.randint(5, 120))
        for node in world.nodes:
            node.crash()
        world.start()
    assert world.reach(max(node.height for node in world.nodes) + 3)


def test_a_node_cut_off_neither_runs_away_nor_stays_behind() -> None:
    world = World(4)
    world.start()
    world.cut = {frozenset(("n3", other)) for other in ("n0", "n1", "n2")}
    assert world.reach(10, "n0", "n1", "n2")
    world.run(limit=20_000)
    status = world["n3"].core.status()
    assert status is not None
    assert status.view <= 1
    world.cut.clear()
    assert world.reach(world["n0"].height + 3)


def test_two_halves_make_no_progress_and_meet_again() -> None:
    world = World(4)
    world.start()
    assert world.reach(3)
    world.cut = {frozenset((left, right)) for left in ("n0", "n1") for right in ("n2", "n3")}
    world.run(limit=1_000)
    stuck = [node.height for node in world.nodes]
    world.run(limit=30_000)
    assert [node.height for node in world.nodes] == stuck
    world.cut.clear()
    assert world.reach(max(stuck) + 3, limit=10_000)


def test_a_liar_that_shouts_huge_views_delays_nobody() -> None:
    world = World(4, liars=["n3"])
    world.start("n0", "n1", "n2")
    key = signing_key("n3")
    for number in range(40):
        height = world["n0"].height + 1
        view = MAX_VIEW - number
        signature = key.sign(view_change_statement(CHAIN, height, view, None))
        for target in ("n0", "n1", "n2"):
            world.post("n3", target, ViewChange(height, view, None, "n3", signature, None))
        world.run(limit=20)
    before_its_turn = [
        certificate.view for block, certificate in world["n0"].disk.chain if block.header.height < 6
    ]
    assert len(before_its_turn) == 5
    assert set(before_its_turn) == {0}


@pytest.mark.parametrize("seed", range(8))
def test_an_equivocating_proposer_neither_splits_nor_stops_the_others(seed: int) -> None:
    world = World(4, seed, liars=["n1"])
    world.start()
    assert world.reach(12)
    assert {fault.accused for _, fault in world.accusations} <= {"n1"}


def test_equivocation_is_noticed_and_proven() -> None:
    rules = set()
    for seed in range(8):
        world = World(4, seed, liars=["n1"])
        world.start()
        world.reach(12)
        rules |= {fault.rule for _, fault in world.accusations if fault.evidence}
    assert "equivocation" in rules


def test_a_wiped_backup_is_brought_up_to_date_by_the_others() -> None:
    world = World(4)
    world.start("n0", "n1", "n2")
    assert world.reach(8)
    world["n3"].start()
    assert world.reach(world["n0"].height + 2)
