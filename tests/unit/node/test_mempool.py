"""Transactions that wait for a block."""

from __future__ import annotations

import pytest

from ledger.chain.codec import encode
from ledger.chain.transaction import (
    Body,
    Call,
    Envelope,
    Transaction,
    decode_transaction,
    sign_transaction,
)
from ledger.crypto.keys import SigningKey
from ledger.node.mempool import Mempool, PoolLimits

CHAIN = bytes(32)
WINDOW = 100
ALICE, BOB = SigningKey(bytes([1]) * 32), SigningKey(bytes([2]) * 32)


def rule(transaction: Transaction, height: int) -> str | None:
    body = transaction.body
    if body.chain != CHAIN:
        return "wrong_chain"
    if body.valid_until - body.valid_from > WINDOW:
        return "window_too_wide"
    if height > body.valid_until:
        return "expired"
    return "not_yet_valid" if height < body.valid_from else None


def transaction(
    number: int,
    *keys: SigningKey,
    chain: bytes = CHAIN,
    window: tuple[int, int] = (1, 50),
    size: int = 10,
) -> Transaction:
    keys = keys or (ALICE,)
    call = Call("consent", "grant", {"text": "x" * size})
    nonce = number.to_bytes(4, "big")
    body = Body(chain, nonce, *window, False, (call,), tuple(key.public for key in keys))
    return sign_transaction(body, *keys)


def forged(number: int) -> Transaction:
    honest = transaction(number)
    return decode_transaction(encode(Envelope(honest.envelope.body, (bytes(64),))))


def pool(recorded: set[bytes] | None = None, **bounds: int) -> Mempool:
    return Mempool(rule, (recorded or set()).__contains__, bounds=PoolLimits(**bounds))


def numbers(transactions: list[Transaction]) -> list[int]:
    return [int.from_bytes(item.body.nonce, "big") for item in transactions]


def test_transactions_are_taken_in_order_of_arrival_and_stay_until_they_are_committed():
    mempool = pool()
    for number in (3, 1, 2):
        assert mempool.add(transaction(number), 5).accepted
    assert numbers(mempool.take(10_000, 10, 5)) == [3, 1, 2]
    assert numbers(mempool.take(10_000, 2, 5)) == [3, 1]
    mempool.remove([transaction(3).id, b"unknown"])
    assert numbers(mempool.take(10_000, 10, 6)) == [1, 2]


@pytest.mark.parametrize(
    ("offered", "reason"),
    [
        (transaction(1, chain=bytes([7]) * 32), "wrong_chain"),
        (transaction(1, window=(1, 4)), "expired"),
        (transaction(1, window=(1, 102)), "window_too_wide"),
        (transaction(1, window=(70, 80)), "not_yet_valid"),
        (transaction(1, size=3000), "too_large"),
        (forged(1), "bad_signature"),
    ],
)
def test_what_may_not_enter_is_refused_with_its_code(offered, reason):
    mempool = pool(transaction_bytes=2000)
    assert mempool.add(offered, 5) == (False, reason)
    assert len(mempool) == mempool.size_bytes == 0
    assert mempool.verified(offered.raw) is None


def test_a_transaction_is_admitted_once():
    mempool = pool({transaction(9).id})
    assert mempool.add(transaction(1), 5).accepted
    assert mempool.add(transaction(1), 5).reason == "duplicate"
    assert mempool.add(transaction(9), 5).reason == "duplicate"
    mempool.remove([transaction(1).id])
    assert mempool.add(transaction(1), 5).reason == "duplicate"


def test_the_pool_is_bounded_by_count_and_by_bytes():
    one = transaction(1)
    by_count, by_bytes = pool(transactions=1), pool(bytes=2 * len(one.raw) - 1)
    for mempool in (by_count, by_bytes):
        assert mempool.add(one, 5).accepted
        assert mempool.add(transaction(2, BOB), 5).reason == "pool_full"
        mempool.remove([one.id])
        assert mempool.size_bytes == 0
        assert mempool.add(transaction(2, BOB), 5).accepted


def test_one_signer_cannot_take_the_place_of_others():
    mempool = pool(signer_transactions=2)
    assert [mempool.add(transaction(number), 5).reason for number in (1, 2, 3)] == [
        "", "", "signer_limit",
    ]  # fmt: skip
    assert mempool.add(transaction(4, BOB), 5).accepted
    mempool.remove([transaction(1).id])
    assert mempool.add(transaction(3), 5).accepted
    by_bytes = pool(signer_bytes=len(transaction(1).raw))
    assert by_bytes.add(transaction(1), 5).accepted
    assert by_bytes.add(transaction(2), 5).reason == "signer_limit"


def test_a_co_signer_is_not_charged():
    mempool = pool(signer_transactions=1)
    assert mempool.add(transaction(1, ALICE, BOB), 5).accepted
    assert mempool.add(transaction(2, BOB), 5).accepted


def test_expired_transactions_leave_with_the_block_that_outdates_them():
    mempool = pool()
    short, long = transaction(1, window=(1, 10)), transaction(2, window=(1, 11))
    mempool.add(short, 5)
    mempool.add(long, 5)
    assert mempool.advance(10) == []
    assert mempool.advance(11) == [short.id]
    assert short.id not in mempool
    assert mempool.verified(short.raw) is None
    assert numbers(list(mempool)) == [2]


def test_a_transaction_slightly_ahead_waits_for_its_window():
    mempool = pool(ahead=4)
    assert mempool.add(transaction(1, window=(9, 20)), 5).accepted
    assert mempool.add(transaction(2, window=(10, 20)), 5).reason == "not_yet_valid"
    assert mempool.take(10_000, 10, 8) == []
    assert numbers(mempool.take(10_000, 10, 9)) == [1]


def test_a_waiting_transaction_can_be_committed_or_expire():
    mempool = pool()
    committed, passed_by = transaction(1, window=(9, 20)), transaction(2, window=(9, 20))
    mempool.add(committed, 5)
    mempool.add(passed_by, 5)
    mempool.remove([committed.id])
    assert mempool.advance(30) == [passed_by.id]
    assert len(mempool) == mempool.size_bytes == 0


def test_the_list_ends_where_the_block_is_full():
    mempool = pool()
    small, large, last = transaction(1), transaction(2, size=900), transaction(3)
    for item in (small, large, last):
        mempool.add(item, 5)
    assert mempool.take(len(small.raw) + len(large.raw), 10, 5) == [small, large]
    assert mempool.take(len(large.raw), 10, 5) == [small]


def test_what_fits_into_no_block_holds_nobody_up():
    mempool = pool()
    mempool.add(transaction(1, size=900), 5)
    mempool.add(transaction(2), 5)
    assert numbers(mempool.take(600, 10, 5)) == [2]


def test_signatures_are_checked_once_and_only_after_everything_else():
    asked: list[bytes] = []

    def verify(item: Transaction) -> bool:
        asked.append(item.id)
        return True

    mempool = Mempool(rule, lambda _identity: False, verify=verify)
    mempool.add(transaction(1), 5)
    mempool.add(transaction(1), 5)
    mempool.add(transaction(2, window=(1, 2)), 5)
    mempool.add(transaction(3), 5, verified=True)
    assert asked == [transaction(1).id]
    assert mempool.verified(transaction(3).raw).id == transaction(3).id


def test_the_memory_of_good_signatures_is_for_the_exact_bytes():
    mempool = pool()
    mempool.add(transaction(1), 5)
    assert mempool.verified(transaction(1).raw) is mempool.get(transaction(1).id)
    assert mempool.verified(forged(1).raw) is None


def test_the_chain_is_asked_only_about_what_may_be_older_than_the_pool_remembers() -> None:
    asked: list[bytes] = []

    def recorded(identity: bytes) -> bool:
        asked.append(identity)
        return False

    waiting = Mempool(rule, recorded, since=10)
    assert waiting.add(transaction(1, window=(9, 60)), 10).accepted
    assert waiting.add(transaction(2, window=(10, 60)), 10).accepted
    assert asked == [transaction(1, window=(9, 60)).id]


def test_what_the_pool_forgot_is_looked_up_in_the_chain_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ledger.node.mempool._RECENT_IDS", 2)
    asked: list[bytes] = []

    def recorded(identity: bytes) -> bool:
        asked.append(identity)
        return True

    waiting = Mempool(rule, recorded, since=1)
    for height in range(1, 5):
        waiting.remove([bytes([height, place]) * 16 for place in range(2)], height)
    assert waiting.add(transaction(1, window=(1, 50)), 5).reason == "duplicate"
    assert waiting.add(transaction(2, window=(5, 50)), 5).accepted
    assert asked == [transaction(1, window=(1, 50)).id]
