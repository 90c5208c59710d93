"""The consensus as a small relation: no state that it can reach breaks a promise, it finds out when
a rule is missing, and what real cores do is allowed by it.

`python -m tests.model` explores more than fits here; see docs/protocol/model.md.
"""

import os
from collections import Counter
from collections.abc import Callable

import pytest

from ledger.chain.block import ValidatorSet
from ledger.consensus.ballots import Ballots
from ledger.consensus.messages import Commit, ViewChange
from ledger.consensus.promises import Promises
from tests.model.acceptance import Refused, accept, votes
from tests.model.conformance import Walk
from tests.model.explorer import Setting, explore, explore_heights, explore_mixed, made_in
from tests.support.consensus import World
from tests.support.trouble import run

LIARS = range(4)


@pytest.mark.parametrize("liar", LIARS)
def test_no_run_of_two_heights_and_two_views_breaks_a_promise(liar: int) -> None:
    found = explore_heights(Setting(views=2, liar=liar))
    assert found.breach is None
    assert found.states > 1_000
    assert {made_in(block) for block in found.outcomes} == {0, 1}


@pytest.mark.slow
@pytest.mark.skipif(
    os.environ.get("LEDGER_MODEL") != "full", reason="minutes; LEDGER_MODEL=full runs it"
)
@pytest.mark.parametrize("liar", LIARS)
def test_no_run_of_two_heights_and_three_views_breaks_a_promise(liar: int) -> None:
    found = explore_heights(Setting(views=3, liar=liar))
    assert found.breach is None
    assert {made_in(block) for block in found.outcomes} == {0, 1, 2}


@pytest.mark.slow
def test_no_run_of_three_views_breaks_a_promise_while_the_liar_is_a_backup() -> None:
    found = explore(Setting(views=3, liar=3))
    assert (found.breach, found.states) == (None, 80_814)


@pytest.mark.parametrize("liar", [2, 3])
def test_mixing_the_steps_of_two_heights_leads_nowhere_else(liar: int) -> None:
    setting, above = Setting(views=2, liar=liar), Setting(views=1, liar=liar)
    mixed = explore_mixed(setting, views=1)
    assert mixed.breach is None
    places = {made_in(block) for block in explore(setting).outcomes}
    assert mixed.outcomes == set().union(*(explore(above, place).outcomes for place in places))


@pytest.mark.parametrize(
    "setting",
    [
        Setting(views=1, liar=0, quorum=2),
        Setting(views=2, liar=3, quorum=2),
        Setting(views=1, liar=0, liars=2),
        Setting(views=2, liar=2, liars=2),
        Setting(views=3, liar=3, show_the_lock=False),
        Setting(views=3, liar=3, obey_the_lock=False),
        Setting(views=3, liar=3, nothing_below=False),
        Setting(views=3, liar=0, show_the_lock=False),
        Setting(views=3, liar=0, obey_the_lock=False),
        Setting(views=3, liar=0, nothing_below=False),
    ],
)
def test_the_checker_finds_what_goes_wrong_without_a_rule(setting: Setting) -> None:
    found = explore(setting)
    assert found.breach in (
        "two blocks are certified at one height",
        *(f"two blocks are prepared in view {view}" for view in range(3)),
    )
    assert found.run


@pytest.mark.parametrize("size", [4, 7])
@pytest.mark.parametrize("seed", range(5))
def test_what_real_cores_write_down_in_trouble_is_a_run_of_the_model(size: int, seed: int) -> None:
    assert accept(run(seed, size).world) > 20


@pytest.mark.parametrize("liar", LIARS)
def test_real_cores_follow_a_walk_through_the_model(liar: int) -> None:
    taken: Counter[str] = Counter()
    for seed in range(40):
        walk = Walk(Setting(views=3, liar=liar), seed)
        for _ in range(60):
            if not walk.step():
                break
        taken.update(vote.phase for votes in walk.stored.values() for vote in votes)
    assert min(taken[phase] for phase in ("pre-prepare", "prepare", "commit", "view-change")) > 25


def in_a_view_change() -> World:
    """A block is prepared in view 0, and becomes final in view 1."""
    world = World(4)
    world.drop = lambda _source, _target, message: isinstance(message, Commit) and not message.view
    world.start()
    world.reach(1)
    return world


def test_a_view_change_of_real_cores_is_a_run_of_the_model() -> None:
    world = in_a_view_change()
    assert {vote.phase for _, vote in votes(world)} >= {"pre-prepare", "commit", "view-change"}
    assert accept(world) == len(votes(world))


def hidden_lock(patch: pytest.MonkeyPatch) -> None:
    view_change = Promises.view_change

    def forgetful(self: Promises, view: int) -> ViewChange:
        lock, self.lock = self.lock, None
        try:
            return view_change(self, view)
        finally:
            self.lock = lock

    patch.setattr(Promises, "view_change", forgetful)
    # A core holds its own statements against each other too, and would stop at this one.
    patch.setattr(Ballots, "confront", lambda *_: None)


def small_quorum(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ValidatorSet, "quorum", property(lambda self: self.size - self.faults - 1))


@pytest.mark.parametrize("breaking", [hidden_lock, small_quorum])
def test_the_model_refuses_the_run_of_a_broken_core(
    breaking: Callable[[pytest.MonkeyPatch], None],
) -> None:
    world = World(4, seed=3)
    world.drop = lambda _source, _target, message: isinstance(message, Commit) and not message.view
    with pytest.MonkeyPatch.context() as patch:
        breaking(patch)
        world.start()
        try:
            world.reach(1, limit=2_000)
        except AssertionError as noticed:
            assert "accuses an honest node" in str(noticed)  # noqa: PT017
    with pytest.raises(Refused):
        accept(world)


@pytest.mark.parametrize("phase", ["prepare", "commit", "pre-prepare"])
def test_the_model_refuses_a_run_in_which_a_vote_is_missing(phase: str) -> None:
    world = in_a_view_change()
    first = next(entry for entry in votes(world) if entry[1].phase == phase)
    world.journal.remove(first)
    with pytest.raises(Refused):
        accept(world)


def test_the_model_refuses_a_vote_that_comes_too_early() -> None:
    world = in_a_view_change()
    early = next(entry for entry in votes(world) if entry[1].phase == "commit")
    world.journal.remove(early)
    world.journal.insert(2, early)
    with pytest.raises(Refused, match="must not commit"):
        accept(world)
