"""Statements: proof of what one entry of the state was, or that there was none, at a height.

"There was no consent in force" is proven in the same way as "there was this consent". Like a
receipt, a statement needs no node and no network: the genesis is enough to check it.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from ledger.chain import limits
from ledger.chain.block import Certificate, Header, ValidatorSet
from ledger.chain.codec import Malformed, Record, Value, decode, decode_value, encode
from ledger.chain.handover import Handover, InvalidProof, Trust, verify_final
from ledger.chain.statetree import StateProof, verify_state_proof
from ledger.chain.values import decode_base64, encode_base64

FORMAT = "health-ledger-state-1"


class Statement(Record, frozen=True, array_like=True):
    """What ``key`` had after the block of ``header``, and why that is so.

    ``value``: the canonical bytes of the value, None for an absent entry. ``handovers``: those that
    lead from the genesis to the validators who certified the header.
    """

    key: bytes
    value: bytes | None
    header: Header
    certificate: Certificate
    proof: StateProof
    handovers: tuple[Handover, ...]


@dataclass(frozen=True, slots=True)
class Proven:
    """What a good statement proves: ``value`` after the block of ``header``; ``present`` tells an
    entry that holds nothing from no entry. ``validators``: the set that made the block final."""

    key: bytes
    present: bool
    value: Value
    header: Header
    validators: ValidatorSet


def verify_statement(statement: Statement, trust: Trust) -> Proven:
    """Check a statement with nothing but the genesis; a pure function.

    Raises:
        InvalidProof: it proves nothing; the message says why.
    """
    header, raw = statement.header, statement.value
    validators = verify_final(trust, header, statement.certificate, statement.handovers)
    if not verify_state_proof(header.state_root, statement.key, raw, statement.proof):
        raise InvalidProof("the state of the block says something else")
    try:
        value = None if raw is None else decode_value(raw, limit=limits.MAX_STATE_VALUE_BYTES)
    except Malformed as error:
        raise InvalidProof(f"the proven value is none: {error}") from None
    return Proven(statement.key, raw is not None, value, header, validators)


class StatementFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The JSON envelope: ``key`` as text, ``statement`` as base64 of the canonical bytes."""

    format: str
    key: str
    statement: str


def statement_file(statement: Statement) -> StatementFile:
    """The statement as it is written to JSON."""
    return StatementFile(FORMAT, statement.key.decode(), encode_base64(encode(statement)))


def load_statement(raw: bytes) -> Statement:
    """Read a statement file; raises `Malformed`. Says nothing about whether it is good."""
    if len(raw) > 2 * limits.MAX_RECEIPT_BYTES:
        raise Malformed("the statement file is too large")
    try:
        file = msgspec.json.decode(raw, type=StatementFile)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise Malformed(f"not a statement file: {error}") from None
    if file.format != FORMAT:
        raise Malformed(f"a file of format {file.format!r}, this software reads {FORMAT}")
    statement = decode(decode_base64(file.statement), Statement, limit=limits.MAX_RECEIPT_BYTES)
    if statement.key != file.key.encode():
        raise Malformed("the statement is about another key than the file says")
    return statement
