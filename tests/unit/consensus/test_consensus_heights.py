"""Messages for other heights than the own one: early, late, far ahead."""

from ledger.chain import limits
from ledger.consensus.effects import Behind, CheckBlock, Lagging
from ledger.consensus.horizon import Horizon
from ledger.consensus.inputs import Timer
from ledger.consensus.messages import Commit, Prepare, PrePrepare
from ledger.consensus.statements import pre_prepare_statement
from tests.support.consensus import make_block, signing_key
from tests.support.puppets import Puppets, only


def far(node: str, height: int) -> Prepare:
    return Prepare(height, 0, bytes(32), node, bytes(64))


def test_messages_for_the_next_height_wait_for_it() -> None:
    puppets = Puppets()
    puppets.begin()
    first = make_block(puppets.parent, puppets.validators, "n1")
    block = make_block(first.header, puppets.validators, "n1")
    digest = block.header.hash()
    signature = signing_key("n1").sign(pre_prepare_statement(puppets.parent.chain, 2, 0, digest))
    assert puppets.give(PrePrepare(2, 0, digest, "n1", signature, block)) == []
    assert only(puppets.begin(height=2), CheckBlock)


def test_a_moments_lead_of_the_others_is_not_being_behind() -> None:
    puppets = Puppets()
    puppets.begin()
    assert puppets.give(far("n1", 2), far("n2", 2), far("n3", 2)) == []
    assert only(puppets.fire(Timer.RESEND), Behind) == [Behind(1, ("n1", "n2", "n3"))]


def test_being_two_heights_behind_is_noticed_at_once_and_said_once() -> None:
    puppets = Puppets()
    puppets.begin()
    assert puppets.give(far("n1", 9)) == []
    assert puppets.give(far("n2", 7)) == [Behind(6, ("n1", "n2"))]
    assert puppets.give(far("n3", 8)) == []
    assert only(puppets.fire(Timer.RESEND), Behind) == [Behind(7, ("n1", "n3"))]


def test_one_liar_far_ahead_is_not_followed() -> None:
    puppets = Puppets()
    puppets.begin()
    puppets.give(far("n3", 10**9))
    assert not only(puppets.fire(Timer.RESEND), Behind)
    assert puppets.status.ahead is None


def test_a_stranger_ahead_is_not_counted() -> None:
    puppets = Puppets()
    puppets.begin()
    assert puppets.give(far("n8", 9), far("n9", 9)) == []


def test_the_last_votes_of_a_height_are_not_taken_for_a_laggard() -> None:
    puppets = Puppets()
    puppets.begin(height=3)
    late = Commit(2, 0, bytes(32), "n3", bytes(64))
    assert puppets.give(late, far("n3", 2)) == []
    assert puppets.give(late) == [Lagging("n3", 2)]


def test_a_node_further_back_or_changing_its_view_is_helped_at_once() -> None:
    puppets = Puppets()
    puppets.begin(height=3)
    assert puppets.give(far("n3", 1)) == [Lagging("n3", 1)]
    assert only(puppets.give(puppets.change("n2")), Lagging)


def test_status_names_those_who_are_ahead() -> None:
    puppets = Puppets()
    puppets.begin()
    puppets.give(far("n1", 9), far("n2", 9))
    assert "n1, n2 reached height 9" in puppets.status.explain()


def test_messages_too_big_to_wait_are_left_to_be_sent_again() -> None:
    puppets = Puppets()
    horizon = Horizon()
    half = bytes(limits.MAX_BLOCK_BYTES // 2)
    block = make_block(puppets.parent, puppets.validators, "n1", transactions=(half,))
    for number in range(20):
        message = puppets.propose(block, node=f"n{number}")
        horizon.see_ahead(message.node, message, 0)
    waiting = horizon.begin(1, [f"n{number}" for number in range(20)])
    assert len(waiting) == 16
