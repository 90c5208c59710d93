"""The one sentence that says why nothing is committed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ledger.consensus.phases import Phase
from ledger.consensus.status import Status
from ledger.node.condition import Situation, explain, validator_statuses

NODES = ("a", "b", "c", "d")
CALM = Situation(
    now=1_000_000, height=7, block_time=999_000, target=7, trouble="", pending=0,
    idle_interval=30_000, validators=NODES, quorum=3, connected=("b", "c", "d"), sources=(),
    node="a", core=None,
)  # fmt: skip
LATE = replace(CALM, now=CALM.block_time + 90_000)


def core(**changes: object) -> Status:
    values: dict[str, object] = {
        "height": 8, "view": 0, "phase": Phase.WAITING, "node": "a", "proposer": "b",
        "validators": NODES, "quorum": 3, "proposal": None, "locked_view": None, "prepared": (),
        "committed": (), "changing": (), "ahead": None, "work_pending": True, "refusal": None,
    }  # fmt: skip
    return Status(**{**values, **changes})


def test_all_is_well() -> None:
    assert explain(CALM) == (True, "Blocks are being made. Nothing to do.")
    busy = replace(CALM, pending=3, connected=("b", "c"))
    assert explain(busy) == (
        True,
        "Blocks are being made. 3 transactions are waiting. Not connected: d.",
    )


def test_trouble_of_the_node_itself_comes_first() -> None:
    full = replace(CALM, trouble="the disk is full", connected=())
    assert explain(full) == (False, "The disk is full")


def test_damage_is_told_in_front_of_whatever_else_there_is_to_say() -> None:
    damage = "The store is damaged: block 3."
    assert explain(replace(CALM, damage=damage)) == (True, f"{damage} {explain(CALM)[1]}")
    assert explain(replace(LATE, damage=damage)) == (False, f"{damage} {explain(LATE)[1]}")


def test_catching_up_is_no_stall() -> None:
    good, sentence = explain(replace(CALM, target=107))
    assert good
    assert sentence == "Catching up: 100 blocks behind the highest peer."
    fetching = replace(CALM, target=7 + 100, progress="taking a snapshot of block 9")
    assert explain(fetching)[1].endswith("highest peer; taking a snapshot of block 9.")
    assert explain(replace(CALM, target=8))[1].startswith("Blocks are being made.")


def test_a_lost_quorum_names_who_is_missing() -> None:
    assert explain(replace(CALM, connected=("c",))) == (
        False,
        "Quorum lost: 2 of 4 validators can be reached and 3 are needed; missing: b, d.",
    )


def test_an_observer_needs_only_somebody_to_follow() -> None:
    observer = replace(CALM, node="o", connected=("d",))
    assert explain(observer)[0]
    assert explain(replace(observer, connected=())) == (
        False,
        "Cut off: none of the nodes that feed this one can be reached.",
    )
    stale = replace(observer, now=LATE.now)
    assert explain(stale) == (False, "No block for 90 seconds; asking d.")


def test_a_stall_says_whose_message_is_waited_for() -> None:
    start = "No block for 90 seconds. Height 8, view 0: "
    assert explain(replace(LATE, core=core()))[1] == start + "waiting for a proposal of b."
    preparing = core(proposal=bytes(32), prepared=("a", "b"))
    assert explain(replace(LATE, core=preparing))[1] == start + "2 prepared; nothing from c, d."
    committing = core(proposal=bytes(32), prepared=("a", "b", "c"), committed=("a", "c"))
    assert explain(replace(LATE, core=committing))[1] == start + "2 committed; nothing from b, d."
    refusing = core(refusal="state root differs")
    assert explain(replace(LATE, core=refusing))[1] == (
        start + "this node refuses the proposal of b: state root differs"
    )
    changing = core(changing=(("c", 1), ("d", 1)))
    assert explain(replace(LATE, core=changing))[1] == (
        start + "waiting for a proposal of b; changing: c to view 1, d to view 1."
    )


def test_a_changed_view_with_work_waiting_is_a_stall_at_once() -> None:
    good, sentence = explain(replace(CALM, core=core(view=2)))
    assert not good
    assert "view 2" in sentence
    assert explain(replace(CALM, core=core(view=2, work_pending=False)))[0]


def test_validators_are_shown_with_what_they_have_voted_and_since_when_they_are_missing() -> None:
    state = core(
        proposal=bytes(32), prepared=("a", "b"), committed=("b",), changing=(("c", 1), ("d", 0))
    )
    institutions = {node: f"hospital-{node}" for node in NODES}
    found = validator_statuses(state, institutions, ("b", "c"), {"d": 5}, "a")
    assert [each.voted for each in found] == [
        ("prepare",),
        ("pre-prepare", "prepare", "commit"),
        ("view-change",),
        (),
    ]
    assert [each.connected for each in found] == [True, True, True, False]
    assert [each.missing_since for each in found] == [None, None, None, 5]
    assert [each.institution for each in found] == list(institutions.values())
    assert all(each.voted == () for each in validator_statuses(None, institutions, (), {}, "a"))


def test_a_follower_that_other_followers_feed_is_not_cut_off():
    fed = replace(CALM, node="o", connected=("f1", "f2"), sources=("f1", "f2"))
    assert explain(fed)[0]
    late = replace(fed, now=fed.now + 10 * fed.idle_interval)
    assert "asking f1, f2" in explain(late)[1]


def test_who_is_missing_is_told_with_how_long():
    gone = replace(CALM, connected=("c",), missing_since={"b": CALM.now - 40_000})
    assert "missing: b (for 40 seconds), d." in explain(gone)[1]


@pytest.mark.parametrize(
    ("off", "words"), [(31_000, "31 seconds behind"), (-8_000, "8 seconds ahead of")]
)
def test_a_wrong_clock_is_told_while_blocks_come_and_is_the_reason_when_they_do_not(off, words):
    wrong = replace(CALM, clock_behind=off, clock_ahead=10_000)
    assert explain(wrong)[0]
    assert words in explain(wrong)[1]
    stuck = replace(wrong, now=wrong.now + 10 * wrong.idle_interval)
    assert not explain(stuck)[0]
    assert explain(stuck)[1].startswith(f"This node's clock is {words}")


def test_a_clock_that_is_a_little_off_is_not_worth_a_word():
    assert "clock" not in explain(replace(CALM, clock_behind=4_000, clock_ahead=10_000))[1]
