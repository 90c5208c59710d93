"""Agreement, no double vote and progress, under trouble made from seeds.

A failing seed is named in the assertion; `tests.support.trouble.run(seed, size)` plays it again,
message by message. No seed is ever left out.
"""

import pytest

from ledger.consensus.phases import TRANSITIONS
from tests.support.consensus import TAKEN
from tests.support.trouble import run


@pytest.mark.slow
@pytest.mark.parametrize("size", [4, 7])
@pytest.mark.parametrize("decade", range(16))
def test_no_seed_breaks_a_promise_or_stops_the_chain(size: int, decade: int) -> None:
    for seed in range(10 * decade, 10 * decade + 10):
        run(seed, size)


def test_one_seed_is_one_story() -> None:
    first, second = run(5, 4), run(5, 4)
    assert (first.height, first.recovery) == (second.height, second.recovery)
    assert first.world.sent == second.world.sent


def test_every_step_taken_is_in_the_table() -> None:
    for seed in range(3):
        run(seed, 4)
    assert set(TRANSITIONS) >= TAKEN
