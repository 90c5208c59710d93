"""How much a proposer puts into a block."""

from ledger.chain import limits
from ledger.node.pace import CALM, LEAST_BYTES, Pace

FULL = 4 * limits.MIB


def test_a_calm_network_gets_whole_blocks() -> None:
    assert Pace().bytes(0, FULL) == FULL


def test_every_view_that_came_to_nothing_halves_the_next_proposal() -> None:
    assert [Pace().bytes(view, FULL) // limits.KIB for view in range(6)] == [
        4096, 2048, 1024, 512, 256, 256,
    ]  # fmt: skip


def test_later_blocks_stay_small_until_some_have_gone_well() -> None:
    pace = Pace()
    pace.final(view=2)
    assert pace.bytes(0, FULL) == FULL // 4
    for _ in range(CALM):
        pace.final(view=0)
    assert pace.bytes(0, FULL) == FULL // 2
    for _ in range(CALM):
        pace.final(view=0)
    assert pace.bytes(0, FULL) == FULL


def test_one_more_view_change_breaks_the_calm() -> None:
    pace = Pace()
    pace.final(view=1)
    for _ in range(CALM - 1):
        pace.final(view=0)
    pace.final(view=1)
    pace.final(view=0)
    assert pace.bytes(0, FULL) == FULL // 4


def test_the_largest_transaction_always_fits() -> None:
    pace = Pace()
    for _ in range(100):
        pace.final(view=2**31 - 1)
    assert pace.bytes(2**31 - 1, FULL) == LEAST_BYTES == limits.MAX_TRANSACTION_BYTES


def test_never_more_than_the_chain_allows() -> None:
    assert Pace().bytes(9, 64 * limits.KIB) == 64 * limits.KIB
