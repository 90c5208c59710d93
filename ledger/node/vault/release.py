"""Who gets a record: the holder's rules.

A holder believes nothing that it is told. The permit is proved by the receipt of the transaction
in which it was made (block certificate and inclusion proofs), against the genesis that the holder
itself has. Every refusal looks the same from outside and does not depend on whether the record
exists; the reason is for the holder's own log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import msgspec

from ledger.chain import exchange
from ledger.chain.block import ValidatorSet
from ledger.chain.codec import Malformed
from ledger.chain.exchange import Question, ReleaseRequest
from ledger.chain.pointer import Pointer, pointer_from_value
from ledger.chain.receipt import InvalidReceipt, decode_receipt, verify_receipt
from ledger.chain.result import Result
from ledger.chain.streaming import CHUNK, is_chunk, seal_stream
from ledger.chain.transaction import Transaction
from ledger.crypto.keys import SigningKey, key_id
from ledger.crypto.sealing import SealError
from ledger.node.answers import NotPermitted
from ledger.node.vault.connector import RecordUnavailable
from ledger.node.vault.opened import OpenedRecord, RecordAltered
from ledger.node.vault.vault import Vault

#: More chunks than the largest pointer can have are not asked for, 2^53 bytes.
MAX_CHUNKS: Final = 2**53 // CHUNK


#: Looks up the ``registry`` entry of a key's hex text, and raises `Refused` for who is not in good
#: standing, or `TooOften` for who asks too often.
Admit = Callable[[str], Mapping[str, Any]]


class Why(StrEnum):
    """Reasons for refusing, for the log of the holder and nobody else."""

    ANOTHER_CHAIN = "another-chain"
    ANOTHER_HOLDER = "another-holder"
    BAD_SIGNATURE = "bad-signature"
    BAD_RECEIPT = "bad-receipt"
    NO_DECISION = "no-decision"
    ANOTHER_REQUESTER = "another-requester"
    DENIED = "denied"
    EXPIRED = "expired"
    BAD_REPLY_KEY = "bad-reply-key"
    NO_STANDING = "no-standing"
    UNKNOWN_RECORD = "unknown-record"
    UNAVAILABLE = "unavailable"
    ALTERED = "altered"
    NO_CHUNK = "no-chunk"
    NO_ENQUIRY = "no-enquiry"


class Refused(NotPermitted):
    """The one answer to all who do not get what they asked for.

    ``why`` is for the holder's log; the text of the exception is always the same.
    """

    def __init__(self, why: Why) -> None:
        super().__init__("not permitted")
        self.why = why


@dataclass(frozen=True, slots=True)
class Grant:
    """A permit that the holder has proved to itself, and what it needs to act on it and log it.

    ``decision``: id. ``pointer``: of the record. ``reply_key``: raw X25519 key. ``requester``:
    person id. ``institution``: for which that person acts, or empty. ``purpose``: v3-PurposeOfUse;
    BTG for a break-glass. ``expires``: milliseconds of block time.
    """

    decision: str
    pointer: Pointer
    reply_key: bytes
    requester: str
    institution: str
    purpose: str
    expires: int


class _Decision(msgspec.Struct, frozen=True):
    """The fields of a decision (``access.request``) on which a release depends."""

    id: str
    outcome: str
    requester: str
    institution: str
    record: bytes
    holder: str
    purpose: str
    reply_key: bytes
    expires: int


# --- records -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Release:
    """A permitted record, opened and sealed as it is read.

    ``answer``: the pieces of the answer (`ledger.chain.streaming`); reading them raises
    `RecordAltered` or `RecordUnavailable` where the source gives way. ``record``: to be closed.
    """

    grant: Grant
    record: OpenedRecord
    answer: Iterator[bytes]


def release(
    raw: bytes,
    *,
    chain: bytes,
    validators: ValidatorSet,
    holder: str,
    now: int,
    vault: Vault,
    officer: SigningKey,
    admit: Admit,
    first: int = 0,
) -> Release:
    """Answer a release request.

    Args:
        raw: an encoded `ReleaseRequest`.
        chain: id of the chain, from the holder's genesis.
        validators: the validator set of genesis.
        holder: the institution of this node.
        now: time of the newest block in milliseconds; no other clock decides about expiry.
        vault: the holder's records.
        officer: key of a records officer of the holder, who signs for what is handed out.
        admit: asked as soon as the signature is found good, before anything costly.
        first: number of the chunk with which to begin.

    Raises:
        Malformed: the request cannot be read, or asks for a chunk that no record has.
        Refused: for any reason at all.
    """
    request = exchange.decode_release_request(raw)
    if not 0 <= first <= MAX_CHUNKS:
        raise Malformed("no record has a chunk of that number")
    check_request(request, chain, holder)
    admit(key_id(request.requester))
    transaction, result = proven(request.receipt, chain, validators)
    grant = check_release(request, transaction, result, holder, now)
    return _opened(grant, chain, vault, officer, first)


def proven(receipt: bytes, chain: bytes, validators: ValidatorSet) -> tuple[Transaction, Result]:
    """A transaction and what came out of it, proved by its receipt; `Refused` without proof."""
    try:
        verified = verify_receipt(decode_receipt(receipt), chain, validators)
    except InvalidReceipt:
        raise Refused(Why.BAD_RECEIPT) from None
    return verified.transaction, verified.result


def check_request(request: ReleaseRequest | Question, chain: bytes, holder: str) -> None:
    """Whether a request is meant for this holder and signed by whom it names; else `Refused`."""
    if request.chain != chain:
        raise Refused(Why.ANOTHER_CHAIN)
    if request.holder != holder:
        raise Refused(Why.ANOTHER_HOLDER)
    if not exchange.is_signed(request):
        raise Refused(Why.BAD_SIGNATURE)


def check_release(
    request: ReleaseRequest, transaction: Transaction, result: Result, holder: str, now: int
) -> Grant:
    """Find the permit in a proved transaction; a pure function.

    Args:
        request: signed, and for this holder.
        transaction: proved to be on the chain.
        result: proved to be that transaction's.
        holder: the institution that decides.
        now: time of the newest block in milliseconds.

    Raises:
        Refused: there is no permit in it for this requester, this holder and this time.
    """
    decision, pointer = _decision(request.decision, transaction, result)
    if transaction.body.signers[0] != request.requester:
        raise Refused(Why.ANOTHER_REQUESTER)
    if decision.outcome != "permit":
        raise Refused(Why.DENIED)
    if decision.holder != holder or pointer.holder != holder:
        raise Refused(Why.ANOTHER_HOLDER)
    if decision.expires <= now:
        raise Refused(Why.EXPIRED)
    return Grant(
        decision.id, pointer, decision.reply_key, decision.requester, decision.institution,
        decision.purpose, decision.expires,
    )  # fmt: skip


def _decision(wanted: str, transaction: Transaction, result: Result) -> tuple[_Decision, Pointer]:
    """The decision of an id among the calls of a transaction, and the pointer it is about."""
    for call, outcome in zip(transaction.body.calls, result.calls, strict=True):
        if call.contract != "access" or call.method not in ("request", "break_glass"):
            continue
        if not outcome.ok:
            continue
        try:
            decision = msgspec.convert(outcome.value, _Decision)
            pointer = pointer_from_value(call.arguments.get("pointer"))
        except (msgspec.ValidationError, Malformed):
            continue
        if decision.id == wanted and decision.record == pointer.name():
            return decision, pointer
    raise Refused(Why.NO_DECISION)


def _opened(grant: Grant, chain: bytes, vault: Vault, officer: SigningKey, first: int) -> Release:
    entry = vault.lookup(grant.pointer.name())
    if entry is None:
        raise Refused(Why.UNKNOWN_RECORD)
    if not is_chunk(first, entry.pointer.size):
        raise Refused(Why.NO_CHUNK)
    try:
        record = vault.retrieve(entry)
    except RecordAltered:
        raise Refused(Why.ALTERED) from None
    except RecordUnavailable:
        raise Refused(Why.UNAVAILABLE) from None
    try:
        answer = seal_stream(
            chain, grant.decision, grant.reply_key, entry.pointer, entry.salts.digest, officer,
            record.pieces(first * CHUNK), first=first,
        )  # fmt: skip
    except SealError:
        record.close()
        raise Refused(Why.BAD_REPLY_KEY) from None
    return Release(grant, record, answer)
