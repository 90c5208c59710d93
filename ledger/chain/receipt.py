"""Receipts: proof that a transaction is on the chain, and of what came out of it.

A receipt needs no node and no network: who has the genesis file checks it offline. It proves the
transaction and its result under the roots of a certified header, and carries the handovers that
lead from the validators of the genesis to those who certified that header.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from ledger.chain import limits, merkle
from ledger.chain.block import Certificate, Header, ValidatorSet
from ledger.chain.codec import Malformed, Record, decode, encode
from ledger.chain.database import StoreUnusable
from ledger.chain.handover import Handover, InvalidProof, Trust, handovers, verify_final
from ledger.chain.reader import StoreReader
from ledger.chain.result import Result, decode_result
from ledger.chain.transaction import Transaction, decode_transaction, verify_signatures
from ledger.chain.values import decode_base64, encode_base64

__all__ = [
    "Handover",
    "InvalidReceipt",
    "Receipt",
    "Verified",
    "assemble_receipt",
    "build_receipt",
    "decode_receipt",
    "dump_receipt",
    "encode_receipt",
    "handovers",
    "load_receipt",
    "verify_receipt",
]

FORMAT = "health-ledger-receipt-1"


class InvalidReceipt(ValueError):
    """A receipt that proves nothing, with the reason."""


class Receipt(Record, frozen=True, array_like=True):
    """Everything that proves one transaction and its result.

    ``envelope``, ``result``: the exact bytes that are leaves under the header's roots.
    ``transaction_path``, ``result_path``: their RFC 9162 inclusion paths. Both trees have the same
    shape, so ``sides`` is said once: bit i is set where the i-th entry of the paths stands left.
    """

    header: Header
    certificate: Certificate
    envelope: bytes
    result: bytes
    sides: int
    transaction_path: tuple[bytes, ...]
    result_path: tuple[bytes, ...]
    handovers: tuple[Handover, ...]


@dataclass(frozen=True, slots=True)
class Verified:
    """What a good receipt proves. ``validators``: the set that made the block final."""

    header: Header
    transaction: Transaction
    result: Result
    validators: ValidatorSet


def verify_receipt(
    receipt: Receipt, genesis_chain_id: bytes, genesis_validators: ValidatorSet
) -> Verified:
    """Check a receipt with nothing but the genesis; a pure function.

    Args:
        receipt: from anybody.
        genesis_chain_id: the hash of the genesis that the verifier holds.
        genesis_validators: the set that this genesis names for height 1.

    Raises:
        InvalidReceipt: it proves nothing; the message says why.
    """
    header = receipt.header
    try:
        validators = verify_final(
            Trust(genesis_chain_id, genesis_validators),
            header,
            receipt.certificate,
            receipt.handovers,
        )
        transaction = decode_transaction(receipt.envelope)
        result = decode_result(receipt.result)
    except (InvalidProof, Malformed) as error:
        raise InvalidReceipt(str(error)) from None
    for leaf, path, root, what in (
        (receipt.envelope, receipt.transaction_path, header.transactions_root, "transaction"),
        (receipt.result, receipt.result_path, header.results_root, "result"),
    ):
        if merkle.root_from_sides(merkle.leaf_hash(leaf), receipt.sides, path) != root:
            raise InvalidReceipt(f"the {what} is not in the block")
    if result.transaction != transaction.id or len(result.calls) != len(transaction.body.calls):
        raise InvalidReceipt("the result is of another transaction")
    if transaction.body.chain != header.chain or not verify_signatures(transaction):
        raise InvalidReceipt("the transaction is not signed for this chain by whom it names")
    return Verified(header, transaction, result, validators)


def build_receipt(store: StoreReader, tx_id: bytes) -> Receipt | None:
    """The receipt of a transaction, or None where the store does not hold it (any more).

    Raises:
        StoreUnusable: the store lacks what it should hold.
    """
    found = store.locate(tx_id)
    if found is None or found[0] < store.base():
        return None
    height, place = found
    block, certificate = store.block(height), store.certificate(height)
    results = store.results(height)
    if block is None or certificate is None or results is None:
        raise StoreUnusable(f"there is no block {height}")
    return assemble_receipt(
        block.header, certificate, block.transactions, results, place, handovers(store, height)
    )


def assemble_receipt(
    header: Header,
    certificate: Certificate,
    envelopes: tuple[bytes, ...],
    results: tuple[bytes, ...],
    place: int,
    leading: tuple[Handover, ...],
) -> Receipt:
    """The receipt of one transaction, out of its block and all that belongs to it.

    Args:
        place: of the transaction in the block.
        leading: the handovers to the validators of the block.

    Raises:
        StoreUnusable: the block has no such transaction, or not one result for each.
    """
    if not place < len(envelopes) == len(results):
        raise StoreUnusable(f"block {header.height} has no transaction {place}")
    return Receipt(
        header=header,
        certificate=certificate,
        envelope=envelopes[place],
        result=results[place],
        sides=merkle.inclusion_sides(place, len(envelopes)),
        transaction_path=merkle.inclusion_path(_leaves(envelopes), place),
        result_path=merkle.inclusion_path(_leaves(results), place),
        handovers=leading,
    )


def _leaves(data: tuple[bytes, ...]) -> list[bytes]:
    return [merkle.leaf_hash(item) for item in data]


def encode_receipt(receipt: Receipt) -> bytes:
    """The canonical bytes of a receipt."""
    return encode(receipt)


def decode_receipt(raw: bytes) -> Receipt:
    """Read a receipt; raises `InvalidReceipt`. Says nothing about whether it is good."""
    try:
        return decode(raw, Receipt, limit=limits.MAX_RECEIPT_BYTES)
    except Malformed as error:
        raise InvalidReceipt(f"not a receipt: {error}") from None


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The JSON envelope of a receipt file."""

    format: str
    transaction: str
    receipt: str


def dump_receipt(receipt: Receipt) -> bytes:
    """The receipt as a JSON file that names its transaction."""
    identity = decode_transaction(receipt.envelope).id.hex()
    text = encode_base64(encode_receipt(receipt))
    return msgspec.json.encode(_File(FORMAT, identity, text))


def load_receipt(raw: bytes) -> Receipt:
    """Read a receipt file; raises `InvalidReceipt`. Says nothing about whether it is good."""
    if len(raw) > 2 * limits.MAX_RECEIPT_BYTES:
        raise InvalidReceipt("the receipt file is too large")
    try:
        file = msgspec.json.decode(raw, type=_File)
        receipt = decode_receipt(decode_base64(file.receipt))
        identity = decode_transaction(receipt.envelope).id.hex()
    except (msgspec.DecodeError, UnicodeError, Malformed) as error:
        raise InvalidReceipt(f"not a receipt file: {error}") from None
    if file.format != FORMAT:
        raise InvalidReceipt(f"a file of format {file.format!r}, this software reads {FORMAT}")
    if file.transaction != identity:
        raise InvalidReceipt("the receipt is of another transaction than the file says")
    return receipt
