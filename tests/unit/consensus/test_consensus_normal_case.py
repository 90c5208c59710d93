"""One core through a view in which nothing goes wrong, and through the wrongs of a view."""

import pytest

from ledger.chain.block import verify_certificate
from ledger.consensus.effects import (
    Accuse,
    Broadcast,
    BuildBlock,
    CheckBlock,
    Decide,
    Persist,
    SetTimer,
)
from ledger.consensus.errors import ProtocolBug
from ledger.consensus.inputs import BlockBuilt, Received, Timer, WorkPending
from ledger.consensus.messages import Commit, Prepare, PrePrepare, ViewChange, decode_message
from ledger.consensus.phases import Phase
from tests.support import voices
from tests.support.consensus import PARAMETERS, make_block
from tests.support.puppets import Puppets, only, sent, votes_of


def test_a_lone_validator_decides_at_once() -> None:
    puppets = Puppets("n0", size=1)
    assert only(puppets.begin(), BuildBlock) == [BuildBlock(1, 0)]
    block = puppets.block("n0")
    (decision,) = only(puppets.built(block), Decide)
    verify_certificate(block.header, decision.certificate, puppets.validators)


def test_a_backup_prepares_commits_and_decides() -> None:
    puppets = Puppets()
    block = puppets.block()
    puppets.begin()
    assert only(puppets.give(puppets.propose(block)), CheckBlock)
    assert sent(puppets.checked(block), Prepare)
    assert not sent(puppets.give(puppets.prepare("n1", block)), Commit)
    assert sent(puppets.give(puppets.prepare("n2", block)), Commit)
    assert not only(puppets.give(puppets.commit("n1", block)), Decide)
    (decision,) = only(puppets.give(puppets.commit("n2", block)), Decide)
    verify_certificate(block.header, decision.certificate, puppets.validators)
    assert puppets.status.phase is Phase.DECIDED


def test_votes_that_overtake_the_proposal_count() -> None:
    puppets = Puppets()
    block = puppets.block()
    puppets.begin()
    puppets.give(*(puppets.prepare(node, block) for node in ("n1", "n2")))
    puppets.give(*(puppets.commit(node, block) for node in ("n1", "n2")))
    puppets.give(puppets.propose(block))
    effects = puppets.checked(block)
    assert [type(message) for message in sent(effects)] == [Prepare, Commit]
    assert only(effects, Decide)


def test_a_quorum_of_commits_is_final_even_while_the_block_is_being_checked() -> None:
    puppets = Puppets()
    block = puppets.block()
    puppets.begin()
    puppets.give(puppets.propose(block))
    effects = puppets.give(*(puppets.commit(node, block) for node in ("n1", "n2", "n3")))
    assert only(effects, Decide)
    assert puppets.checked(block) == []


def test_nothing_is_prepared_before_the_block_is_checked() -> None:
    puppets = Puppets()
    block = puppets.block()
    puppets.begin()
    votes = [puppets.prepare(node, block) for node in ("n1", "n2", "n3")]
    assert not votes_of(puppets.give(puppets.propose(block), *votes))
    assert puppets.status.phase is Phase.CHECKING


def test_every_vote_is_persisted_before_it_is_sent() -> None:
    puppets = Puppets()
    block = puppets.block()
    puppets.begin()
    puppets.give(puppets.propose(block), puppets.prepare("n1", block), puppets.prepare("n2", block))
    order = [type(effect) for effect in puppets.checked(block)]
    assert order == [Persist, Broadcast, Persist, Broadcast]


def test_the_proposer_builds_when_there_is_work_and_prepares_its_own_block() -> None:
    puppets = Puppets("n1")
    begun = puppets.begin(work=False)
    assert not only(begun, BuildBlock)
    assert SetTimer(Timer.IDLE, 1, 0, PARAMETERS.empty_block_interval) in begun
    assert only(puppets.core.handle(WorkPending()), BuildBlock) == [BuildBlock(1, 0)]
    assert puppets.core.handle(WorkPending()) == []
    effects = puppets.built(puppets.block())
    assert [type(message) for message in sent(effects)] == [PrePrepare, Prepare]
    assert [vote.phase for vote in votes_of(effects)] == ["pre-prepare", "prepare"]


def test_an_idle_proposer_makes_an_empty_block_after_the_interval() -> None:
    puppets = Puppets("n1")
    puppets.begin(work=False)
    assert only(puppets.fire(Timer.IDLE), BuildBlock)


def test_a_backup_gives_an_idle_proposer_the_interval_and_a_busy_one_the_view_timeout() -> None:
    puppets = Puppets()
    longer = PARAMETERS.empty_block_interval + PARAMETERS.view_timeout
    assert SetTimer(Timer.VIEW, 1, 0, longer) in puppets.begin(work=False)
    effects = puppets.core.handle(WorkPending())
    assert effects == [SetTimer(Timer.VIEW, 1, 0, PARAMETERS.view_timeout)]


def test_a_block_built_for_a_view_that_was_left_is_dropped() -> None:
    puppets = Puppets("n1")
    puppets.begin()
    puppets.fire(Timer.VIEW)
    assert puppets.built(puppets.block()) == []


@pytest.mark.parametrize("block", ["n2", "view"])
def test_a_block_of_ours_that_nobody_may_accept_is_our_bug(block: str) -> None:
    puppets = Puppets("n1")
    puppets.begin()
    wrong = puppets.block("n2") if block == "n2" else puppets.block("n1", view=4)
    with pytest.raises(ProtocolBug):
        puppets.core.handle(BlockBuilt(1, 0, wrong))


def test_a_block_that_fails_the_check_is_refused_and_its_proposer_accused() -> None:
    puppets = Puppets()
    block = puppets.block()
    puppets.begin()
    puppets.give(puppets.propose(block))
    effects = puppets.checked(block, "the state roots differ")
    (accusation,) = only(effects, Accuse)
    assert (accusation.fault.accused, accusation.fault.rule) == ("n1", "invalid-proposal")
    assert accusation.fault.evidence
    assert sent(effects, ViewChange)
    assert puppets.status.refusal == "the state roots differ"


def test_a_header_that_breaks_a_rule_is_refused_without_executing_it() -> None:
    puppets = Puppets()
    puppets.begin()
    block = puppets.block("n2")
    effects = puppets.give(puppets.propose(block))
    assert not only(effects, CheckBlock)
    assert only(effects, Accuse)[0].fault.rule == "invalid-proposal"
    assert sent(effects, ViewChange)


def test_swapped_transactions_are_not_held_against_the_header() -> None:
    """Else a liar could make this node refuse a block that the others prepare."""
    puppets = Puppets()
    block = puppets.block()
    puppets.begin()
    swapped = type(block)(block.header, (b"another",))
    effects = puppets.give(puppets.propose(swapped))
    assert only(effects, Accuse)[0].fault.rule == "wrong-block"
    changes = [puppets.change(node, prepared=puppets.certificate(block)) for node in ("n1", "n2")]
    changes.append(puppets.change("n3"))
    assert only(puppets.give(puppets.new_view(block, "n2", changes)), CheckBlock)


def test_two_proposals_for_one_view_are_evidence_that_others_can_read() -> None:
    puppets = Puppets()
    puppets.begin()
    puppets.give(puppets.propose(puppets.block()))
    effects = puppets.give(puppets.propose(puppets.block(content=b"other")))
    (accusation,) = only(effects, Accuse)
    fault = accusation.fault
    assert (fault.accused, fault.rule, len(fault.evidence)) == ("n1", "equivocation", 2)
    assert not only(effects, CheckBlock)


def test_two_prepares_or_commits_for_one_view_are_evidence() -> None:
    puppets = Puppets()
    puppets.begin()
    one, other = puppets.block(), puppets.block(content=b"other")
    first, second = puppets.prepare("n2", one), puppets.prepare("n2", other)
    (accusation,) = only(puppets.give(first, second), Accuse)
    evidence = [decode_message(raw) for raw in accusation.fault.evidence]
    assert evidence == [first, second]
    effects = puppets.give(puppets.commit("n3", one), puppets.commit("n3", other))
    assert only(effects, Accuse)[0].fault.rule == "equivocation"


def test_a_peer_is_accused_of_one_thing_once_per_height() -> None:
    puppets = Puppets()
    puppets.begin()
    blocks = [puppets.block(content=bytes([number])) for number in range(5)]
    effects = puppets.give(*(puppets.prepare("n2", block) for block in blocks))
    assert len(only(effects, Accuse)) == 1


def test_a_repeated_message_changes_nothing() -> None:
    puppets = Puppets()
    block = puppets.block()
    puppets.begin()
    puppets.give(puppets.propose(block))
    puppets.checked(block)
    prepare = puppets.prepare("n1", block)
    puppets.give(prepare)
    assert puppets.give(prepare, prepare, puppets.propose(block)) == []
    assert puppets.status.prepared == ("n0", "n1")


@pytest.mark.parametrize("peer", ["n2", "n0", "stranger"])
def test_validators_speak_for_themselves_alone(peer: str) -> None:
    puppets = Puppets()
    block = puppets.block()
    puppets.begin()
    message = puppets.prepare("n0" if peer == "n0" else "n1", block)
    (accusation,) = only(puppets.core.handle(Received(peer, message)), Accuse)
    assert (accusation.fault.accused, accusation.fault.rule) == (peer, "impersonation")


def test_a_stranger_has_no_vote() -> None:
    puppets = Puppets()
    block = puppets.block()
    puppets.begin()
    (accusation,) = only(puppets.give(puppets.prepare("n9", block)), Accuse)
    assert accusation.fault.rule == "stranger"


def test_a_forged_signature_counts_for_nothing() -> None:
    puppets = Puppets()
    block = puppets.block()
    puppets.begin()
    good = puppets.prepare("n1", block)
    forged = Prepare(good.height, good.view, good.digest, "n2", good.signature)
    (accusation,) = only(puppets.give(forged), Accuse)
    assert (accusation.fault.accused, accusation.fault.rule) == ("n2", "bad-signature")
    assert puppets.status.prepared == ()


def test_only_the_proposer_of_the_view_may_propose() -> None:
    puppets = Puppets()
    puppets.begin()
    effects = puppets.give(puppets.propose(puppets.block("n2"), node="n2"))
    assert only(effects, Accuse)[0].fault.rule == "not-proposer"
    assert puppets.status.phase is Phase.WAITING


def test_a_signature_for_another_view_is_a_bad_signature() -> None:
    puppets = Puppets()
    puppets.begin()
    good = puppets.commit("n1", puppets.block())
    other = Commit(1, 1, good.digest, "n1", good.signature)
    assert only(puppets.give(other), Accuse)[0].fault.rule == "bad-signature"


def test_a_node_that_sees_transactions_left_out_asks_for_another_proposer_at_once() -> None:
    puppets = Puppets()
    (change,) = sent(puppets.begin(neglected=True), ViewChange)
    assert change.view == 1


def test_a_proposer_that_leaves_transactions_out_is_not_saved_by_being_quick() -> None:
    """Its next block has come before this node begins the height."""
    puppets = Puppets()
    puppets.begin()
    second = make_block(puppets.block().header, puppets.validators, "n1")
    puppets.give(voices.pre_prepare("n1", 2, 0, second))
    effects = puppets.begin(height=2, neglected=True)
    assert sent(effects, ViewChange)
    assert not only(effects, CheckBlock)


def test_a_proposer_does_not_complain_of_itself() -> None:
    effects = Puppets("n1").begin(neglected=True)
    assert only(effects, BuildBlock)
    assert not sent(effects, ViewChange)


def test_a_node_that_comes_back_keeps_to_its_votes_rather_than_complain() -> None:
    puppets = Puppets()
    block = puppets.block()
    puppets.begin()
    puppets.give(puppets.propose(block))
    votes = votes_of(puppets.checked(block))
    assert not sent(Puppets().begin(votes, neglected=True), ViewChange)


def test_inputs_before_the_first_height_are_ignored() -> None:
    puppets = Puppets()
    assert puppets.core.handle(WorkPending()) == []
    assert puppets.give(puppets.propose(puppets.block())) == []
    assert puppets.core.status() is None


def test_a_height_begins_once_and_with_the_right_key() -> None:
    puppets = Puppets()
    puppets.begin()
    with pytest.raises(ProtocolBug):
        puppets.begin()
    with pytest.raises(ProtocolBug):
        Puppets("n7").begin()
