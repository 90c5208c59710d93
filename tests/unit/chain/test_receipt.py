"""Receipts: what they prove, and all the ways in which they do not."""

import msgspec
import pytest

from ledger.chain.block import CommitSignature
from ledger.chain.codec import encode
from ledger.chain.receipt import (
    InvalidReceipt,
    Receipt,
    build_receipt,
    decode_receipt,
    dump_receipt,
    encode_receipt,
    load_receipt,
    verify_receipt,
)
from ledger.crypto.hashing import ZERO_HASH
from tests.support.chain import HandmadeChain, certify, committee, invented_result


@pytest.fixture
def chain(tmp_path):
    chain = HandmadeChain(tmp_path / "ledger.db")
    yield chain
    chain.store.close()


def receipt_of(chain, transaction) -> Receipt:
    receipt = build_receipt(chain.store, transaction.id)
    assert receipt is not None
    return receipt


def verified(chain, receipt):
    return verify_receipt(receipt, chain.chain, chain.founders)


def changed(receipt, **fields):
    return msgspec.structs.replace(receipt, **fields)


def refused(chain, receipt, match):
    with pytest.raises(InvalidReceipt, match=match):
        verified(chain, receipt)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8])
def test_every_transaction_of_a_block_has_a_receipt(chain, size):
    transactions = [chain.transaction() for _ in range(size)]
    header = chain.append(transactions)
    for transaction in transactions:
        proved = verified(chain, receipt_of(chain, transaction))
        assert proved.header == header
        assert proved.transaction.raw == transaction.raw
        assert proved.result.transaction == transaction.id


def test_a_transaction_that_is_not_on_the_chain_has_none(chain):
    chain.append([chain.transaction()])
    assert build_receipt(chain.store, chain.transaction().id) is None


def test_a_receipt_survives_its_file(chain):
    transaction = chain.transaction("alice", "bob", calls=3)
    chain.append([chain.transaction(), transaction])
    receipt = receipt_of(chain, transaction)
    assert load_receipt(dump_receipt(receipt)) == receipt
    assert decode_receipt(encode_receipt(receipt)) == receipt


def test_a_receipt_follows_the_validators_from_the_genesis_on(chain):
    for nodes in (("n2", "n3", "n4", "n5"), ("n2", "n3", "n4"), ("m1", "m2", "m3", "m4")):
        chain.append([chain.transaction()])
        chain.hand_over(*nodes)
        chain.append()
    transaction = chain.transaction()
    chain.append([transaction])
    receipt = receipt_of(chain, transaction)
    assert len(receipt.handovers) == 3
    proved = verified(chain, receipt)
    assert proved.validators == committee("m1", "m2", "m3", "m4")
    for missing in range(3):
        fewer = receipt.handovers[:missing] + receipt.handovers[missing + 1 :]
        refused(chain, changed(receipt, handovers=fewer), "validator set")
    doubled = receipt.handovers[:1] + receipt.handovers
    refused(chain, changed(receipt, handovers=doubled), "out of order")


def test_a_change_of_schedule_that_changes_no_validator_is_no_handover(chain):
    chain.hand_over(*(member.node for member in chain.validators.members))
    transaction = chain.transaction()
    chain.append([transaction])
    assert receipt_of(chain, transaction).handovers == ()


def test_the_validators_of_tomorrow_cannot_certify_today(chain):
    """A receipt under a set that the schedule names for later is not good."""
    first = chain.hand_over("m1", "m2", "m3", "m4")
    chain.append([chain.transaction()])
    transaction = chain.transaction()
    chain.append([transaction])
    receipt = receipt_of(chain, transaction)
    assert receipt.handovers[0].header == first
    early = changed(receipt.header, height=first.height)
    forged = changed(receipt, header=early, certificate=certify(early, ["m1", "m2", "m3", "m4"]))
    refused(chain, forged, "out of order")


def test_a_receipt_of_another_chain_is_refused(chain):
    transaction = chain.transaction()
    chain.append([transaction])
    receipt = receipt_of(chain, transaction)
    with pytest.raises(InvalidReceipt, match="another chain"):
        verify_receipt(receipt, ZERO_HASH, chain.founders)
    with pytest.raises(InvalidReceipt, match="another validator set"):
        verify_receipt(receipt, chain.chain, committee("m1", "m2", "m3", "m4"))


def test_too_few_signatures_prove_nothing(chain):
    transaction = chain.transaction()
    chain.append([transaction])
    receipt = receipt_of(chain, transaction)
    few = changed(receipt, certificate=certify(receipt.header, ["n1", "n2"]))
    refused(chain, few, "quorum")
    strangers = changed(receipt, certificate=certify(receipt.header, ["n1", "n2", "x"]))
    refused(chain, strangers, "not a validator")
    forged = CommitSignature("n3", receipt.certificate.signatures[0].signature)
    signatures = (*receipt.certificate.signatures[:2], forged)
    certificate = changed(receipt.certificate, signatures=signatures)
    refused(chain, changed(receipt, certificate=certificate), "signature of n3")


def test_the_result_of_another_transaction_is_refused(chain):
    one, other = chain.transaction(), chain.transaction()
    chain.append([one, other])
    receipt, wrong = receipt_of(chain, one), receipt_of(chain, other)
    mixed = changed(receipt, result=wrong.result, result_path=wrong.result_path)
    refused(chain, mixed, "result is not in the block")
    invented = encode(invented_result(other))
    refused(chain, changed(receipt, result=invented), "result is not in the block")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{}",
        b"\xff",
        b'{"format":"health-ledger-receipt-1","transaction":"","receipt":"!"}',
        b'{"format":"health-ledger-receipt-1","transaction":"","receipt":"AAAA"}',
        b'{"format":"health-ledger-receipt-1","transaction":"","receipt":"","more":1}',
    ],
)
def test_a_file_that_is_no_receipt_is_refused(raw):
    with pytest.raises(InvalidReceipt):
        load_receipt(raw)
