"""Believing nothing but the genesis file: receipts and state entries checked offline."""

from __future__ import annotations

from ledger.chain.codec import Malformed
from ledger.chain.constitution import validators_at
from ledger.chain.genesis import Genesis
from ledger.chain.handover import InvalidProof, Trust
from ledger.chain.receipt import Receipt, Verified, verify_receipt
from ledger.chain.statement import Proven, verify_statement
from ledger.client.requests import Entry
from ledger.contracts.machine import Machine

_known: dict[bytes, Trust] = {}


def trust_in(genesis: Genesis) -> Trust:
    """What a holder of the genesis starts from. Runs its contracts once per process.

    Raises:
        Malformed: no chain can start from this genesis.
    """
    chain = genesis.chain_id()
    if chain not in _known:
        try:
            written = Machine().genesis(genesis).writes
        except ValueError as error:
            raise Malformed(f"the genesis does not run: {error}") from None
        _known[chain] = Trust(chain, validators_at(written.get, 1))
    return _known[chain]


def check_receipt(receipt: Receipt, trust: Trust) -> Verified:
    """What a receipt proves; raises `InvalidReceipt`."""
    return verify_receipt(receipt, trust.chain, trust.validators)


def check_entry(entry: Entry, trust: Trust, key: str, height: int | None = None) -> Proven:
    """What a node's answer about a state entry proves.

    Args:
        entry: the answer to ``state(..., proof=True)``.
        trust: from `trust_in`.
        key: what was asked for, ``contract/name`` or ``contract/map/key``.
        height: what was asked for; None accepts the height that the node chose, which may be old.

    Raises:
        InvalidProof: no proof, not a good one, or one of something else.
    """
    if entry.statement is None:
        raise InvalidProof("the answer has no proof")
    proven = verify_statement(entry.statement, trust)
    if proven.key != key.encode() or entry.key != key:
        raise InvalidProof("the proof is about another entry")
    if proven.header.height != entry.height or height not in (None, entry.height):
        raise InvalidProof("the proof is about another height")
    if (proven.present, proven.value) != (entry.present, entry.value):
        raise InvalidProof("the node says something else than it proves")
    return proven
