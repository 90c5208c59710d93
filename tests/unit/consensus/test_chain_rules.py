"""The rules of a header that need no state."""

import pytest
from msgspec.structs import replace

from ledger.chain.rules import InvalidHeader, check_successor, clock_doubt, proposer_of
from tests.support.consensus import PARAMETERS, genesis_header, make_block, validator_set

VALIDATORS = validator_set(4)
PARENT = genesis_header(VALIDATORS)
GOOD = make_block(PARENT, VALIDATORS, "n1").header


def test_a_good_header_follows_its_parent() -> None:
    check_successor(PARENT, GOOD, VALIDATORS, PARAMETERS)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("version", 2),
        ("chain", bytes(32)),
        ("height", 2),
        ("parent", bytes(32)),
        ("time", PARENT.time),
        ("time", PARENT.time - 1),
        ("validators", bytes(32)),
        ("proposer", "n2"),
        ("view", 1),
    ],
)
def test_a_header_that_breaks_one_rule_is_refused(field: str, value: object) -> None:
    with pytest.raises(InvalidHeader):
        check_successor(PARENT, replace(GOOD, **{field: value}), VALIDATORS, PARAMETERS)


def test_a_time_ahead_of_the_clock_breaks_no_rule_and_is_doubted_by_those_about_to_vote() -> None:
    late = replace(GOOD, time=PARENT.time + PARAMETERS.clock_ahead + 1)
    check_successor(PARENT, late, VALIDATORS, PARAMETERS)
    assert clock_doubt(late, PARENT, PARAMETERS, PARENT.time + 1) is None
    assert "ahead of this node's clock" in (
        clock_doubt(late, PARENT, PARAMETERS, PARENT.time) or ""
    )


def test_the_smallest_step_after_the_parent_is_never_doubted() -> None:
    """Once all clocks were a day ahead and are right again, blocks must go on."""
    yesterday = PARENT.time - 86_400_000
    assert clock_doubt(replace(GOOD, time=PARENT.time + 1), PARENT, PARAMETERS, yesterday) is None
    assert clock_doubt(replace(GOOD, time=PARENT.time + 2), PARENT, PARAMETERS, yesterday)


def test_the_proposer_goes_round_with_the_view() -> None:
    order = [proposer_of(PARENT, VALIDATORS, PARAMETERS, 1, view) for view in range(5)]
    assert order == ["n1", "n2", "n3", "n0", "n1"]


def test_the_proposer_stays_for_its_term() -> None:
    parent = replace(PARENT, proposer="n2")
    terms = [proposer_of(parent, VALIDATORS, PARAMETERS, height, 0) for height in (1, 2, 3)]
    assert terms == ["n2", "n2", "n3"]
