"""Stories of view changes that go wrong themselves."""

from __future__ import annotations

import pytest

from ledger.consensus.messages import (
    MAX_VIEW,
    Commit,
    Message,
    NewView,
    Prepare,
    PrePrepare,
    ViewChange,
)
from tests.support import voices
from tests.support.consensus import PARAMETERS, Node, World


def views(node: Node) -> list[int]:
    return [certificate.view for _, certificate in node.disk.chain]


def view_of(node: Node) -> int:
    status = node.core.status()
    assert status is not None
    return status.view


@pytest.mark.parametrize(("size", "liars"), [(4, ["n3"]), (7, ["n5", "n6"]), (10, ["n4", "n8"])])
def test_f_liars_that_claim_huge_views_together_move_nobody(size: int, liars: list[str]) -> None:
    world = World(size, liars=liars)
    honest = [name for name in world.names if name not in liars]
    world.start(*honest)
    for number in range(30):
        height = world[honest[0]].height + 1
        for liar in liars:
            for view in (MAX_VIEW, MAX_VIEW - number, 3):
                for target in honest:
                    world.post(liar, target, voices.view_change(liar, height, view))
        world.run(limit=20)
        assert max(view_of(node) for node in world.honest) <= size
    assert world.reach(8, *honest)


def test_f_plus_one_liars_could_move_everybody() -> None:
    """What the rule rests on: with one more liar than there may be, views are theirs to choose."""
    world = World(4, liars=["n2", "n3"])
    world.start("n0", "n1")
    for liar in ("n2", "n3"):
        world.post(liar, "n0", voices.view_change(liar, 1, MAX_VIEW))
    world.run(limit=50)
    assert view_of(world["n0"]) == MAX_VIEW


def driven_apart(size: int, seed: int) -> World:
    """Nobody gets a proposal or a COMMIT, and some no late VIEW-CHANGE: the views drift apart."""
    world = World(size, seed)
    laggards = world.names[-world.validators.faults :]

    def lost(_source: str, target: str, message: Message) -> bool:
        if isinstance(message, PrePrepare | NewView | Commit):
            return True
        return target in laggards and isinstance(message, ViewChange) and message.view > 3

    world.drop = lost
    world.start()
    world.run(limit=20_000)
    return world


@pytest.mark.parametrize("size", [4, 7])
@pytest.mark.parametrize("seed", range(3))
def test_nodes_that_restart_in_different_views_find_each_other(size: int, seed: int) -> None:
    world = driven_apart(size, seed)
    for node in world.nodes:
        node.crash()
    for node in world.nodes:
        world.run(limit=700)
        node.start()
    stored = {max(vote.view for vote in node.disk.votes) for node in world.nodes}
    assert len(stored) > 1
    world.drop = lambda *_: False
    assert world.reach(3, limit=4 * PARAMETERS.view_timeout_cap)


def test_time_grows_only_to_its_cap_and_starts_anew_at_the_next_height() -> None:
    world = driven_apart(4, 0)
    before = max(view_of(node) for node in world.nodes)
    world.run(limit=10 * PARAMETERS.view_timeout_cap)
    gone = max(view_of(node) for node in world.nodes) - before
    assert 5 <= gone <= 10
    world.drop = lambda *_: False
    assert world.reach(2, limit=4 * PARAMETERS.view_timeout_cap)
    proposer = world["n0"].disk.chain[-1][0].header.proposer
    world[proposer].crash()
    rest = [name for name in world.names if name != proposer]
    height = max(world[name].height for name in rest)
    assert world.reach(height + 2, *rest, limit=4 * PARAMETERS.view_timeout)


@pytest.mark.parametrize("size", [4, 7])
@pytest.mark.parametrize("lucky", range(7))
def test_a_proposer_that_sends_its_block_only_to_some_stops_nobody(size: int, lucky: int) -> None:
    world = World(size)
    chosen = set(world.names[2 : 2 + lucky])

    def withheld(source: str, target: str, message: Message) -> bool:
        return source == "n1" and isinstance(message, PrePrepare | NewView) and target not in chosen

    world.drop = withheld
    world.start()
    assert world.reach(7)


@pytest.mark.parametrize("view", [1, 2, 4])
def test_a_validator_that_starts_in_the_middle_of_a_height_joins_the_view_of_the_others(
    view: int,
) -> None:
    world = World(4)
    world.drop = lambda _source, _target, message: isinstance(message, Commit)
    world.start("n0", "n1", "n2")
    assert world.run(until=lambda: view_of(world["n0"]) >= view, limit=60_000)
    world["n3"].start()
    world.run(limit=2 * PARAMETERS.view_timeout_cap)
    assert world["n3"].height == 0
    assert abs(view_of(world["n3"]) - view_of(world["n0"])) <= 1
    world.drop = lambda *_: False
    assert world.reach(2)
    assert len({node.disk.chain[0][0] for node in world.nodes}) == 1


def test_a_new_view_that_was_lost_is_sent_again_within_its_view() -> None:
    world = World(4)
    seen: set[tuple[str, int, int]] = set()

    def first_time(_source: str, target: str, message: Message) -> bool:
        if not isinstance(message, NewView):
            return False
        key = (target, message.height, message.view)
        known = key in seen
        seen.add(key)
        return not known

    world.drop = first_time
    world.start("n0", "n2", "n3")
    assert world.reach(2)
    assert seen
    assert max(views(world["n0"])) == 1


@pytest.mark.parametrize("alive", [("n0", "n1"), ("n2", "n3")])
def test_what_is_sent_again_while_nothing_moves_is_little(alive: tuple[str, ...]) -> None:
    world = World(4)
    world.start(*alive)
    world.run(limit=10_000)
    start = len(world.sent)
    minute = 60_000
    world.run(limit=minute)
    rounds = len(alive) * 2 * minute / PARAMETERS.view_timeout
    # To each of the three others, the few statements of the present view.
    assert len(world.sent) - start <= 3 * 3 * rounds
    assert all(view_of(world[name]) <= 1 for name in alive)


def test_a_liar_that_leaves_view_after_view_pulls_nobody_along() -> None:
    world = World(4, liars=["n3"])
    world.start("n0", "n1", "n2")
    for view in range(1, 40):
        height = world["n0"].height + 1
        for target in ("n0", "n1", "n2"):
            world.post("n3", target, voices.view_change("n3", height, view))
        world.run(limit=5)
        assert {view_of(node) for node in world.honest} == {0}


def test_a_prepare_for_a_view_that_is_yet_to_come_is_kept_for_it() -> None:
    world = World(4)
    world.drop = lambda _source, _target, message: (
        isinstance(message, Prepare | Commit) and message.view == 0
    )
    world.start()
    assert world.reach(1)
    assert views(world["n0"])[0] == 1
