"""What waits for one peer, and what is dropped when too much does."""

from __future__ import annotations

import pytest

from ledger.node.net.connection import TransportSettings
from ledger.node.net.frames import Blocks, Consensus, NewHead, Ping, Transactions
from ledger.node.net.outbox import Outbox
from ledger.node.net.throttle import LogThrottle


def test_urgent_frames_leave_first_and_each_kind_in_order():
    outbox = Outbox(100, {})
    for kind, data in (
        (Transactions, b"t1"), (Blocks, b"b1"), (Consensus, b"c1"), (Transactions, b"t2"),
        (Consensus, b"c2"), (Ping, b"p"),
    ):  # fmt: skip
        assert outbox.put(kind, data)
    assert outbox.take(100) == b"pc1c2b1t1t2"
    assert outbox.take(100) == b""
    assert outbox.size == 0


def test_gossip_is_dropped_first_then_the_oldest_votes():
    dropped: dict[str, int] = {}
    outbox = Outbox(4, dropped)
    for kind, data in ((Transactions, b"t"), (Transactions, b"u"), (Consensus, b"1")):
        assert outbox.put(kind, data)
    assert outbox.put(Consensus, b"222")
    assert dropped == {"Transactions": 2}
    assert outbox.put(Consensus, b"3")
    assert dropped == {"Transactions": 2, "Consensus": 1}
    assert outbox.take(10) == b"2223"


def test_new_gossip_pushes_nothing_out():
    dropped: dict[str, int] = {}
    outbox = Outbox(2, dropped)
    assert outbox.put(Transactions, b"t1")
    assert not outbox.put(Transactions, b"t2")
    assert outbox.take(10) == b"t1"
    assert dropped == {"Transactions": 1}


def test_answers_push_out_gossip_but_no_votes_and_are_never_pushed_out():
    outbox = Outbox(4, {})
    assert outbox.put(Consensus, b"c1")
    assert outbox.put(Transactions, b"t1")
    assert outbox.put(Blocks, b"b1")
    assert not outbox.put(Blocks, b"b2")
    assert outbox.put(Consensus, b"c2")
    assert outbox.take(10) == b"c2b1"


def test_the_newest_state_replaces_the_one_before():
    outbox = Outbox(0, {})
    assert outbox.put(NewHead, b"head 1")
    assert outbox.put(NewHead, b"head 2")
    assert outbox.size == 6
    assert outbox.take(10) == b"head 2"


def test_a_long_frame_leaves_in_pieces_that_nothing_interrupts():
    outbox = Outbox(20, {})
    outbox.put(Blocks, b"0123456789")
    assert outbox.take(4) == b"0123"
    assert outbox.size == 6
    outbox.put(Consensus, b"vote")
    assert outbox.take(4) == b"4567"
    assert outbox.take(100) == b"89vote"
    assert outbox.size == 0


def test_a_frame_longer_than_the_queue_is_refused_without_dropping_others():
    outbox = Outbox(3, {})
    outbox.put(Transactions, b"t1")
    assert not outbox.put(Consensus, b"1234")
    assert outbox.take(10) == b"t1"


def test_repeated_log_lines_are_counted_and_keys_are_bounded():
    throttle = LogThrottle(interval=10, capacity=2)
    assert throttle.allow("a", 0) == 0
    assert throttle.allow("a", 5) is None
    assert throttle.allow("a", 9) is None
    assert throttle.allow("a", 10) == 2
    assert throttle.allow("b", 10) == 0
    assert throttle.allow("c", 10) == 0
    assert throttle.allow("a", 11) == 0  # forgotten, as only two keys are kept


@pytest.mark.parametrize("wrong", [{"queue_bytes": 1000}, {"silence_timeout": 1.0}])
def test_settings_that_cannot_work_are_refused(wrong):
    with pytest.raises(ValueError, match="must"):
        TransportSettings(**wrong)
