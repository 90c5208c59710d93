"""One core leaving a view: timers, support, justification, the prepared block handed on."""

import pytest

from ledger.chain.block import Block
from ledger.consensus.effects import Accuse, Behind, BuildBlock, CheckBlock, Decide, Send, SetTimer
from ledger.consensus.inputs import Timer
from ledger.consensus.messages import MAX_VIEW, Commit, NewView, Prepare, ViewChange
from ledger.consensus.phases import Phase
from tests.support.consensus import PARAMETERS
from tests.support.puppets import Puppets, only, sent, votes_of


def locked(me: str = "n0") -> tuple[Puppets, Block]:
    """A core that committed in view 0 and knows of no other COMMIT."""
    puppets = Puppets(me)
    block = puppets.block()
    puppets.begin()
    puppets.give(puppets.propose(block))
    puppets.checked(block)
    puppets.give(puppets.prepare("n1", block), puppets.prepare("n2", block))
    assert puppets.status.phase is Phase.COMMITTING
    return puppets, block


def test_a_view_that_had_its_time_is_left() -> None:
    puppets = Puppets()
    puppets.begin()
    effects = puppets.fire(Timer.VIEW)
    (change,) = sent(effects, ViewChange)
    assert (change.view, change.prepared) == (1, None)
    assert [vote.phase for vote in votes_of(effects)] == ["view-change"]


def test_a_timer_of_a_view_left_long_ago_means_nothing() -> None:
    puppets = Puppets()
    puppets.begin()
    puppets.fire(Timer.VIEW)
    assert puppets.fire(Timer.VIEW, view=0) == []


def test_the_clock_of_the_new_view_starts_when_a_quorum_has_come_along() -> None:
    puppets = Puppets()
    puppets.begin()
    assert not only(puppets.fire(Timer.VIEW), SetTimer)
    assert not only(puppets.give(puppets.change("n1")), SetTimer)
    effects = puppets.give(puppets.change("n2"))
    assert only(effects, SetTimer) == [SetTimer(Timer.VIEW, 1, 1, 2 * PARAMETERS.view_timeout)]
    (change,) = sent(puppets.fire(Timer.VIEW), ViewChange)
    assert change.view == 2


def test_timeouts_double_up_to_the_cap() -> None:
    puppets = Puppets()
    puppets.begin()
    delays = {}
    for view in range(1, 8):
        effects = puppets.give(puppets.change("n1", view), puppets.change("n2", view))
        delays |= {timer.view: timer.delay_ms for timer in only(effects, SetTimer)}
    assert list(delays.values()) == [400, 800, 1600, 3200, 3200, 3200, 3200]


def test_f_plus_one_view_changes_pull_a_node_along() -> None:
    puppets = Puppets()
    puppets.begin()
    assert not sent(puppets.give(puppets.change("n1", 3)), ViewChange)
    (change,) = sent(puppets.give(puppets.change("n2", 2)), ViewChange)
    assert change.view == 2


def test_a_liar_in_a_huge_view_moves_nobody_and_is_not_counted_for_lower_views_to_come() -> None:
    puppets = Puppets()
    puppets.begin()
    puppets.give(puppets.change("n3", MAX_VIEW))
    assert puppets.status.view == 0
    block = puppets.block()
    puppets.give(puppets.propose(block))
    puppets.checked(block)
    puppets.give(puppets.prepare("n1", block), puppets.prepare("n2", block))
    effects = puppets.give(puppets.commit("n1", block), puppets.commit("n2", block))
    assert only(effects, Decide)


def test_leaving_a_view_shows_the_prepared_block_and_gives_it_to_the_new_proposer_alone() -> None:
    puppets, block = locked()
    effects = puppets.fire(Timer.VIEW)
    stripped, full = sent(effects, ViewChange)
    assert stripped.prepared is not None
    assert (stripped.prepared.digest, stripped.block) == (block.header.hash(), None)
    assert full.block == block
    assert [effect.node for effect in only(effects, Send)] == ["n2"]


def test_nothing_is_voted_for_in_a_view_that_was_left() -> None:
    puppets = Puppets()
    block = puppets.block()
    puppets.begin()
    puppets.fire(Timer.VIEW)
    votes = [puppets.prepare(node, block) for node in ("n1", "n2", "n3")]
    assert puppets.give(puppets.propose(block), *votes) == []


def test_commits_of_a_view_that_was_left_still_decide() -> None:
    puppets, block = locked()
    puppets.fire(Timer.VIEW)
    effects = puppets.give(puppets.commit("n1", block), puppets.commit("n2", block))
    (decision,) = only(effects, Decide)
    assert decision.certificate.view == 0


def test_the_elected_proposer_builds_a_block_when_none_was_prepared() -> None:
    puppets = Puppets("n2")
    puppets.begin()
    puppets.fire(Timer.VIEW)
    effects = puppets.give(puppets.change("n0"), puppets.change("n3"))
    assert only(effects, BuildBlock) == [BuildBlock(1, 1)]
    (message,) = sent(puppets.built(puppets.block("n2", view=1), view=1), NewView)
    assert [left.node for left in message.departures] == ["n0", "n2", "n3"]


def test_the_elected_proposer_hands_on_the_prepared_block_that_it_did_not_know() -> None:
    puppets = Puppets("n2")
    puppets.begin()
    puppets.fire(Timer.VIEW)
    block = puppets.block()
    bare = puppets.change("n0", prepared=puppets.certificate(block))
    assert not sent(puppets.give(bare, puppets.change("n3")), NewView)
    full = puppets.change("n0", prepared=puppets.certificate(block), block=block)
    effects = puppets.give(full)
    (message,) = sent(effects, NewView)
    assert message.pre_prepare.block == block
    assert only(effects, CheckBlock)
    assert sent(puppets.checked(block), Prepare)


def test_the_block_of_the_highest_prepared_view_is_handed_on() -> None:
    puppets = Puppets("n3")
    old, newer = puppets.block(), puppets.block("n2", view=1)
    puppets.begin()
    puppets.give(
        puppets.change("n0", 2, puppets.certificate(old), old),
        puppets.change("n1", 2, puppets.certificate(newer, view=1), newer),
    )
    puppets.give(puppets.change("n2", 2))
    assert puppets.status.proposal == newer.header.hash()


def test_a_block_handed_on_and_checked_before_is_not_executed_again() -> None:
    puppets, block = locked()
    puppets.fire(Timer.VIEW)
    changes = [puppets.change(node, prepared=puppets.certificate(block)) for node in ("n1", "n2")]
    changes.append(puppets.change("n3"))
    effects = puppets.give(puppets.new_view(block, "n2", changes))
    assert not only(effects, CheckBlock)
    (prepare,) = sent(effects, Prepare)
    assert prepare.view == 1
    effects = puppets.give(*(puppets.prepare(node, block, view=1) for node in ("n1", "n2")))
    assert [message.view for message in sent(effects, Commit)] == [1]


def test_a_node_that_missed_the_view_changes_enters_by_the_new_view() -> None:
    puppets = Puppets()
    puppets.begin()
    block = puppets.block("n2", view=1)
    changes = [puppets.change(node) for node in ("n1", "n2", "n3")]
    assert only(puppets.give(puppets.new_view(block, "n2", changes)), CheckBlock)
    assert puppets.status.view == 1


def forge(puppets: Puppets, how: str) -> NewView:
    """A NEW-VIEW for view 1 that is not justified."""
    prepared, fresh = puppets.block(), puppets.block("n2", view=1)
    certificate = puppets.certificate(prepared)
    plain = [puppets.change(node) for node in ("n1", "n2", "n3")]
    match how:
        case "too few":
            return puppets.new_view(fresh, "n2", plain[:2])
        case "passes over":
            changes = [puppets.change("n1", prepared=certificate), *plain[1:]]
            return puppets.new_view(fresh, "n2", changes)
        case "not prepared":
            return puppets.new_view(prepared, "n2", plain)
        case "forged change":
            forged = ViewChange(1, 1, None, "n3", plain[0].signature, None)
            return puppets.new_view(fresh, "n2", [*plain[:2], forged])
        case "forged certificate":
            short = puppets.certificate(prepared, nodes=("n1", "n2"))
            changes = [puppets.change("n1", prepared=short), *plain[1:]]
            return puppets.new_view(prepared, "n2", changes)
        case "stranger":
            return puppets.new_view(fresh, "n2", [*plain[:2], puppets.change("n8")])
    raise AssertionError(how)


@pytest.mark.parametrize(
    "how",
    ["too few", "passes over", "not prepared", "forged change", "forged certificate", "stranger"],
)
def test_an_unjustified_new_view_is_refused_and_its_proposer_accused(how: str) -> None:
    puppets = Puppets()
    puppets.begin()
    puppets.fire(Timer.VIEW)
    effects = puppets.give(forge(puppets, how))
    (accusation,) = only(effects, Accuse)
    assert (accusation.fault.accused, accusation.fault.rule) == ("n2", "unjustified")
    assert not only(effects, CheckBlock)
    assert puppets.status.view == 2


def test_an_unjustified_new_view_for_a_higher_view_does_not_move_the_node() -> None:
    puppets = Puppets()
    puppets.begin()
    effects = puppets.give(forge(puppets, "too few"))
    assert only(effects, Accuse)
    assert (puppets.status.view, puppets.status.phase) == (0, Phase.WAITING)


def test_a_pre_prepare_above_view_0_without_view_changes_is_refused() -> None:
    puppets = Puppets()
    puppets.begin()
    block = puppets.block("n2", view=1)
    effects = puppets.give(puppets.propose(block, 1, "n2"))
    assert only(effects, Accuse)[0].fault.rule == "unjustified"


def test_a_claim_of_a_prepared_block_needs_a_quorum_of_signatures() -> None:
    puppets = Puppets()
    puppets.begin()
    short = puppets.certificate(puppets.block(), nodes=("n1", "n2"))
    effects = puppets.give(puppets.change("n1", prepared=short))
    (accusation,) = only(effects, Accuse)
    assert (accusation.fault.rule, len(accusation.fault.evidence)) == ("unproven-prepared", 2)
    assert puppets.status.changing == ()


def test_whoever_hides_what_it_committed_is_accused_with_both_statements() -> None:
    puppets = Puppets()
    block = puppets.block()
    puppets.begin()
    effects = puppets.give(puppets.commit("n1", block), puppets.change("n1"))
    (accusation,) = only(effects, Accuse)
    assert (accusation.fault.rule, len(accusation.fault.evidence)) == ("amnesia", 2)


def test_a_wrong_block_beside_a_view_change_is_not_taken() -> None:
    puppets = Puppets("n2")
    puppets.begin()
    puppets.fire(Timer.VIEW)
    certificate = puppets.certificate(puppets.block())
    wrong = puppets.change("n0", prepared=certificate, block=puppets.block(content=b"other"))
    effects = puppets.give(wrong, puppets.change("n3"))
    assert only(effects, Accuse)[0].fault.rule == "wrong-block"
    assert not sent(effects, NewView)


def test_a_handed_on_block_that_fails_here_accuses_nobody() -> None:
    puppets = Puppets()
    puppets.begin()
    block = puppets.block()
    changes = [puppets.change(node, prepared=puppets.certificate(block)) for node in ("n1", "n2")]
    changes.append(puppets.change("n3"))
    puppets.give(puppets.new_view(block, "n2", changes))
    effects = puppets.checked(block, "the state roots differ")
    assert not only(effects, Accuse)
    assert puppets.status.view == 2


def test_a_block_that_only_this_node_doubts_is_refused_without_accusing_its_proposer() -> None:
    puppets = Puppets()
    puppets.begin()
    block = puppets.block()
    puppets.give(puppets.propose(block))
    effects = puppets.checked(block, doubt="its time is ahead of the clock here")
    assert not only(effects, Accuse)
    (change,) = sent(effects, ViewChange)
    assert change.view == 1
    assert puppets.status.refusal == "its time is ahead of the clock here"


def test_a_block_that_a_quorum_prepared_is_voted_for_whatever_the_clock_here_says() -> None:
    """Of the quorum that prepared it, an honest one found its time good by a clock of its own."""
    puppets = Puppets()
    puppets.begin()
    block = puppets.block()
    puppets.give(puppets.propose(block))
    puppets.checked(block, doubt="its time is ahead of the clock here")
    changes = [puppets.change(node, prepared=puppets.certificate(block)) for node in ("n1", "n2")]
    changes.append(puppets.change("n3"))
    effects = puppets.give(puppets.new_view(block, "n2", changes))
    (prepare,) = sent(effects, Prepare)
    assert (prepare.view, prepare.digest) == (1, block.header.hash())


def test_votes_and_view_changes_are_sent_again_until_something_comes_of_them() -> None:
    puppets, _ = locked()
    assert [type(message) for message in sent(puppets.fire(Timer.RESEND))] == [
        Prepare,
        Commit,
    ]
    puppets.fire(Timer.VIEW)
    assert sent(puppets.fire(Timer.RESEND), ViewChange)


def test_a_proposal_is_sent_again_only_to_those_who_did_not_answer() -> None:
    puppets = Puppets("n1")
    block = puppets.block()
    puppets.begin()
    puppets.built(block)
    puppets.give(puppets.prepare("n2", block))
    effects = puppets.fire(Timer.RESEND)
    assert [effect.node for effect in only(effects, Send)] == ["n0", "n3"]


def test_a_quorum_that_committed_a_block_we_never_got_is_asked_for_it() -> None:
    puppets = Puppets()
    block = puppets.block()
    puppets.begin()
    puppets.give(*(puppets.commit(node, block) for node in ("n1", "n2", "n3")))
    assert only(puppets.fire(Timer.RESEND), Behind) == [Behind(1, ("n1", "n2", "n3"))]


def test_an_elected_proposer_accepts_a_decision_taken_while_it_builds() -> None:
    """A block of view 0 that nobody prepared in time can become final in a later view."""
    puppets = Puppets("n2")
    block = puppets.block()
    puppets.begin()
    puppets.give(puppets.propose(block))
    puppets.checked(block)
    puppets.fire(Timer.VIEW)
    puppets.give(puppets.change("n0"), puppets.change("n3"))
    assert puppets.status.phase is Phase.BUILDING
    effects = puppets.give(*(puppets.commit(node, block, 2) for node in ("n0", "n1", "n3")))
    assert only(effects, Decide)
