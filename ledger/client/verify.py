"""Believing nothing but the genesis file: receipts and state entries checked offline."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from ledger.chain.block import Validator, ValidatorSet
from ledger.chain.codec import Malformed
from ledger.chain.constitution import validators_at
from ledger.chain.genesis import Genesis
from ledger.chain.handover import InvalidProof, Trust
from ledger.chain.receipt import Receipt, Verified, verify_receipt
from ledger.chain.statement import Proven, verify_statement
from ledger.client.requests import Entry
from ledger.contracts.machine import Machine
from ledger.crypto.hashing import HASH_SIZE

#: The form of a trust file.
TRUST_FORMAT: Final = "health-ledger-trust-1"

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


def trust_file(trust: Trust) -> dict[str, Any]:
    """The trust as a JSON file for clients that cannot run the genesis: browsers, telephones."""
    return {
        "format": TRUST_FORMAT,
        "chain": trust.chain.hex(),
        "validators": [
            {"node": member.node, "institution": member.institution, "key": member.key.hex()}
            for member in trust.validators.members
        ],
    }


class _TrustedValidator(msgspec.Struct, forbid_unknown_fields=True):
    node: str
    institution: str
    key: str


class _TrustFile(msgspec.Struct, forbid_unknown_fields=True):
    format: str
    chain: str
    validators: list[_TrustedValidator]


def read_trust_file(raw: bytes) -> Trust:
    """The trust in a file that `trust_file` made; raises `Malformed`."""
    try:
        file = msgspec.json.decode(raw, type=_TrustFile)
        chain = bytes.fromhex(file.chain)
        members = tuple(
            Validator(member.node, member.institution, bytes.fromhex(member.key))
            for member in file.validators
        )
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        raise Malformed(f"not a trust file: {error}") from None
    if file.format != TRUST_FORMAT or len(chain) != HASH_SIZE or not members:
        raise Malformed("not a trust file")
    return Trust(chain, ValidatorSet(members))
