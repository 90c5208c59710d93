"""No changed byte of a receipt goes unnoticed, and none causes another error."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.chain.receipt import (
    InvalidReceipt,
    build_receipt,
    decode_receipt,
    dump_receipt,
    encode_receipt,
    load_receipt,
    verify_receipt,
)
from tests.support.chain import HandmadeChain


@pytest.fixture(scope="module")
def evidence(tmp_path_factory):
    """The bytes of a receipt with a handover, and what it takes to verify it."""
    chain = HandmadeChain(tmp_path_factory.mktemp("chain") / "ledger.db")
    chain.append([chain.transaction()], {b"a/b": b"\x01"})
    chain.hand_over("n2", "n3", "n4", "n5")
    transactions = [chain.transaction("alice", "bob", calls=2) for _ in range(6)]
    chain.append(transactions)
    receipt = build_receipt(chain.store, transactions[4].id)
    assert receipt is not None
    verify_receipt(receipt, chain.chain, chain.founders)
    chain.store.close()
    return chain, encode_receipt(receipt), dump_receipt(receipt)


def test_every_flipped_byte_is_refused(evidence):
    chain, raw, _ = evidence
    for place in range(len(raw)):
        for flip in (0x01, 0x80):
            damaged = bytearray(raw)
            damaged[place] ^= flip
            with pytest.raises(InvalidReceipt):
                verify_receipt(decode_receipt(bytes(damaged)), chain.chain, chain.founders)


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_a_changed_receipt_is_refused(evidence, data):
    chain, raw, _ = evidence
    start = data.draw(st.integers(0, len(raw) - 1))
    stop = data.draw(st.integers(start, min(len(raw), start + 8)))
    damaged = raw[:start] + data.draw(st.binary(max_size=8)) + raw[stop:]
    if damaged == raw:
        return
    with pytest.raises(InvalidReceipt):
        verify_receipt(decode_receipt(damaged), chain.chain, chain.founders)


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_a_changed_receipt_file_is_refused(evidence, data):
    chain, _, file = evidence
    place = data.draw(st.integers(0, len(file) - 1))
    damaged = bytearray(file)
    damaged[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(InvalidReceipt):
        verify_receipt(load_receipt(bytes(damaged)), chain.chain, chain.founders)


@given(st.binary(max_size=200))
@settings(max_examples=100, deadline=None)
def test_random_bytes_are_no_receipt(raw):
    for read in (decode_receipt, load_receipt):
        with pytest.raises(InvalidReceipt):
            read(raw)
