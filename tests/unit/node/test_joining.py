"""When a validator that starts may vote."""

from __future__ import annotations

import pytest

from ledger.chain.block import Validator, ValidatorSet
from ledger.node.sync import may_vote


def validators(size: int) -> ValidatorSet:
    return ValidatorSet(
        tuple(Validator(f"n{place}", f"h{place}", bytes(33)) for place in range(size))
    )


@pytest.mark.parametrize(
    ("height", "claims", "may"),
    [
        (7, [7], False),
        (7, [7, 7], True),
        (6, [7, 7], False),
        (0, [7, 7, 7], False),
        (7, [0, 7, 7], True),
    ],
)
def test_of_four_a_quorum_must_be_in_touch_and_reached(
    height: int, claims: list[int], may: bool
) -> None:
    assert may_vote(height, claims, validators(4)) is may


def test_one_liar_in_four_cannot_hold_a_node_back() -> None:
    assert may_vote(7, [10**9, 7, 7], validators(4))


def test_two_that_are_ahead_in_seven_may_both_lie_but_three_may_not() -> None:
    assert may_vote(7, [9, 9, 7, 7], validators(7))
    assert not may_vote(7, [9, 9, 9, 7], validators(7))


def test_a_single_validator_waits_for_nobody() -> None:
    assert may_vote(0, [], validators(1))
