"""Who gets a record, and who learns which records there are: the holder's rules.

A holder believes nothing that it is told. The permit is proved by the receipt of the transaction
in which it was made (block certificate and inclusion proofs), against the genesis that the holder
itself has. Every refusal looks the same from outside and does not depend on whether the record
exists; the reason is for the holder's own log.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import msgspec

from ledger.chain import exchange
from ledger.chain.block import ValidatorSet
from ledger.chain.codec import Malformed, encode
from ledger.chain.exchange import PointerRequest, ReleaseRequest
from ledger.chain.pointer import Pointer, pointer_from_value
from ledger.chain.receipt import InvalidReceipt, decode_receipt, verify_receipt
from ledger.chain.result import Result
from ledger.chain.transaction import Transaction
from ledger.crypto.keys import key_id
from ledger.crypto.sealing import SealError
from ledger.node.answers import NotPermitted
from ledger.node.vault.connector import RecordUnavailable
from ledger.node.vault.vault import RecordAltered, Vault

#: Roles at the holder with which staff may learn what the holder has of a subject.
STAFF: Final = frozenset({"physician", "nurse", "emergency-physician", "records-officer"})

#: Looks up the ``registry`` entry of a key's hex text: ``whois`` of that contract.
WhoIs = Callable[[str], Mapping[str, Any] | None]


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


def release(
    raw: bytes,
    *,
    chain: bytes,
    validators: ValidatorSet,
    holder: str,
    now: int,
    vault: Vault,
) -> tuple[Grant, bytes]:
    """Answer a release request.

    Args:
        raw: an encoded `ReleaseRequest`.
        chain: id of the chain, from the holder's genesis.
        validators: the validator set of genesis.
        holder: the institution of this node.
        now: time of the newest block in milliseconds; no other clock decides about expiry.
        vault: the holder's records.

    Returns:
        The grant, for ``access.release`` and the log, and the encoded `SealedRecord`.

    Raises:
        Malformed: the request cannot be read.
        Refused: for any reason at all.
    """
    request = exchange.decode_release_request(raw)
    check_request(request, chain, holder)
    try:
        verified = verify_receipt(decode_receipt(request.receipt), chain, validators)
    except InvalidReceipt:
        raise Refused(Why.BAD_RECEIPT) from None
    grant = check_release(request, verified.transaction, verified.result, holder, now)
    return grant, _sealed(grant, chain, vault)


def check_request(request: ReleaseRequest | PointerRequest, chain: bytes, holder: str) -> None:
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


def _sealed(grant: Grant, chain: bytes, vault: Vault) -> bytes:
    entry = vault.lookup(grant.pointer.name())
    if entry is None:
        raise Refused(Why.UNKNOWN_RECORD)
    try:
        content = vault.read(entry)
        sealed = exchange.seal_record(
            chain, grant.decision, grant.reply_key, entry.pointer, entry.salts.digest, content
        )
    except RecordAltered:
        raise Refused(Why.ALTERED) from None
    except RecordUnavailable:
        raise Refused(Why.UNAVAILABLE) from None
    except SealError:
        raise Refused(Why.BAD_REPLY_KEY) from None
    return encode(sealed)


# --- pointers ----------------------------------------------------------------------------------


def pointers(raw: bytes, *, chain: bytes, holder: str, whois: WhoIs, vault: Vault) -> bytes:
    """Answer a question for the pointers of a subject.

    Args:
        raw: an encoded `PointerRequest`.
        chain, holder, vault: as for `release`.
        whois: the registry of the newest block.

    Returns:
        The encoded `SealedPointers`, also for a subject of whom the holder has nothing.

    Raises:
        Malformed: the question cannot be read.
        Refused: the asker is neither the subject nor staff of the holder.
    """
    request = exchange.decode_pointer_request(raw)
    check_request(request, chain, holder)
    check_standing(request, whois(key_id(request.requester)))
    found = vault.pointers_of(request.subject)
    page = found[request.skip : request.skip + exchange.MAX_POINTERS]
    try:
        return encode(exchange.seal_pointers(request, len(found), page))
    except SealError:
        raise Refused(Why.BAD_REPLY_KEY) from None


def check_standing(request: PointerRequest, person: Mapping[str, Any] | None) -> None:
    """Whether a registered person may learn of a subject's records at this holder.

    The subject may, and staff of the holder in a role of `STAFF` may: both could look into the
    holder's own system anyway. Everybody else gets a pointer from one of them.

    Raises:
        Refused: anybody else.
    """
    if person is None or person["status"] != "active":
        raise Refused(Why.NO_STANDING)
    if person["id"] == request.subject:
        return
    for affiliation in person["affiliations"]:
        if affiliation["institution"] == request.holder and STAFF & set(affiliation["roles"]):
            return
    raise Refused(Why.NO_STANDING)
