"""What joining by a snapshot takes does not depend on how long the chain is."""

from __future__ import annotations

from ledger.bench.sync import measure


def test_joining_takes_as_much_for_a_long_chain_as_for_a_short_one() -> None:
    short, long = measure([50, 500], entries=600, window=16)
    assert (short.blocks, long.blocks) == (50, 500)
    assert long.requests == short.requests
    # Heights, times and entries that were rewritten have other digits; nothing else differs.
    assert abs(long.bytes - short.bytes) < short.bytes // 10


def test_joining_takes_longer_for_a_larger_state() -> None:
    (small,) = measure([20], entries=600, window=16)
    (large,) = measure([20], entries=6_000, window=16)
    assert large.bytes > 2 * small.bytes
