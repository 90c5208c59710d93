"""A core that is started again with the votes on its disk."""

import pytest

from ledger.chain.codec import Malformed
from ledger.chain.vote import Vote
from ledger.consensus.effects import BuildBlock, CheckBlock, Decide, SetTimer
from ledger.consensus.errors import ProtocolBug
from ledger.consensus.inputs import Timer
from ledger.consensus.messages import Commit, Prepare, ViewChange
from ledger.consensus.phases import Phase
from ledger.consensus.promises import Promises
from tests.support.consensus import CHAIN, PARAMETERS, signing_key
from tests.support.puppets import Puppets, only, sent, votes_of


def test_after_prepare_the_same_prepare_is_sent_and_no_other_block_accepted() -> None:
    before, after = Puppets(), Puppets()
    block = before.block()
    before.begin()
    before.give(before.propose(block))
    effects = before.checked(block)
    resumed = after.begin(votes_of(effects))
    assert sent(resumed, Prepare) == sent(effects, Prepare)
    assert after.give(after.propose(after.block(content=b"other"))) == []
    assert only(resumed, SetTimer)[-1] == SetTimer(Timer.VIEW, 1, 0, PARAMETERS.view_timeout)


def test_after_prepare_the_same_block_is_checked_and_prepared_again_without_a_new_vote() -> None:
    before, after = Puppets(), Puppets()
    block = before.block()
    before.begin()
    before.give(before.propose(block))
    after.begin(votes_of(before.checked(block)))
    assert only(after.give(after.propose(block)), CheckBlock)
    effects = after.checked(block)
    assert sent(effects, Prepare)
    assert not votes_of(effects)


def test_after_commit_block_and_certificate_are_back_and_the_height_is_finished() -> None:
    before, after = Puppets(), Puppets()
    block = before.block()
    before.begin()
    before.give(before.propose(block), before.prepare("n1", block), before.prepare("n2", block))
    effects = before.checked(block)
    assert sent(after.begin(votes_of(effects))) == sent(effects)
    assert after.status.phase is Phase.COMMITTING
    decided = after.give(after.commit("n1", block), after.commit("n2", block))
    assert only(decided, Decide)[0].block == block


def test_after_a_view_change_the_node_is_still_in_the_view_it_changed_to() -> None:
    before, after = Puppets(), Puppets()
    block = before.block()
    before.begin()
    before.give(before.propose(block), before.prepare("n1", block), before.prepare("n2", block))
    votes = votes_of(before.checked(block))
    effects = before.fire(Timer.VIEW)
    resumed = after.begin(votes + votes_of(effects))
    assert (after.status.view, after.status.phase) == (1, Phase.CHANGING)
    assert sent(resumed, ViewChange)[0] == sent(effects, ViewChange)[0]
    assert after.status.locked_view == 0
    assert only(after.give(after.commit("n1", block), after.commit("n2", block)), Decide)


def test_a_prepared_block_from_an_earlier_life_can_become_final_while_waiting() -> None:
    """It prepared in view 0, entered view 1 and prepared there, and lost all but its disk."""
    before, after = Puppets(), Puppets()
    block = before.block()
    before.begin()
    before.give(before.propose(block), before.prepare("n1", block), before.prepare("n2", block))
    votes = votes_of(before.checked(block))
    changes = [before.change(node, prepared=before.certificate(block)) for node in ("n1", "n2")]
    changes.append(before.change("n3"))
    votes += votes_of(before.give(before.new_view(block, "n2", changes)))
    after.begin(votes)
    assert (after.status.view, after.status.phase) == (1, Phase.WAITING)
    commits = [after.commit(node, block, view=1) for node in ("n1", "n2", "n3")]
    assert only(after.give(*commits), Decide)


def test_a_proposer_does_not_propose_twice_in_one_view() -> None:
    before, after = Puppets("n1"), Puppets("n1")
    before.begin()
    votes = votes_of(before.built(before.block()))
    resumed = after.begin(votes)
    assert not only(resumed, BuildBlock)
    assert only(resumed, SetTimer)[-1].timer is Timer.VIEW
    assert not only(after.fire(Timer.IDLE), BuildBlock)


def test_a_stored_vote_that_cannot_be_read_stops_the_node() -> None:
    with pytest.raises(Malformed):
        Puppets().begin([Vote(1, 0, "prepare", bytes(32), b"\xc1")])


def test_votes_of_another_node_or_height_are_not_taken_for_own_ones() -> None:
    others = Puppets("n3")
    block = others.block()
    others.begin()
    others.give(others.propose(block))
    votes = votes_of(others.checked(block))
    with pytest.raises(Malformed):
        Puppets("n0").begin(votes)
    with pytest.raises(Malformed):
        Puppets("n3").begin(votes, height=2)


def test_stored_votes_that_contradict_each_other_stop_the_node() -> None:
    puppets = Puppets()
    block = puppets.block()
    puppets.begin()
    puppets.give(puppets.propose(block), puppets.prepare("n1", block), puppets.prepare("n2", block))
    votes = votes_of(puppets.checked(block))
    other = Puppets()
    other.begin()
    votes += votes_of(other.fire(Timer.VIEW))
    with pytest.raises(ProtocolBug, match="contradict"):
        Puppets().begin(votes)


def promises(votes: tuple[Vote, ...] = ()) -> Promises:
    return Promises("n0", signing_key("n0"), CHAIN, 1, votes)


def test_a_second_promise_for_one_view_and_phase_is_a_bug() -> None:
    book = promises()
    book.prepare(0, bytes(32))
    with pytest.raises(ProtocolBug):
        book.prepare(0, bytes([1]) * 32)


def test_a_promise_below_a_view_change_is_a_bug() -> None:
    book = promises()
    book.view_change(2)
    with pytest.raises(ProtocolBug):
        book.prepare(1, bytes(32))


def test_a_promise_is_given_again_byte_for_byte() -> None:
    book = promises()
    first = book.prepare(0, bytes(32))
    stored = book.take_unsaved()
    assert book.prepare(0, bytes(32)) == first
    assert book.take_unsaved() == ()
    again = promises(stored)
    assert again.prepare(0, bytes(32)) == first
    assert again.take_unsaved() == ()


def test_a_commit_is_stored_together_with_the_block_it_locks() -> None:
    puppets = Puppets()
    block = puppets.block()
    book = promises()
    commit = book.commit(puppets.certificate(block), block)
    assert isinstance(commit, Commit)
    stored = book.take_unsaved()
    assert [vote.phase for vote in stored] == ["prepared", "commit"]
    lock = promises(stored).lock
    assert lock is not None
    assert lock.block == block
