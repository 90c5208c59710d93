"""Who learns which records a holder has of a subject.

The subject, and staff of the holder, are shown all pointers. Anybody else has asked on the chain
first (contract `enquiry`), and is shown the pointers of those records that she would be permitted
to have now; what else there is shows in nothing that she gets, not in a number either.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any, Final

import msgspec

from ledger.chain import exchange
from ledger.chain.block import ValidatorSet
from ledger.chain.codec import encode
from ledger.chain.exchange import EnquiryRequest, PointerRequest, Question, Shown
from ledger.chain.result import Result
from ledger.chain.transaction import Transaction
from ledger.crypto.keys import key_id
from ledger.crypto.sealing import SealError
from ledger.node.vault.release import Admit, Refused, Why, check_request, proven
from ledger.node.vault.vault import Vault

#: Roles at the holder with which staff may learn what the holder has of a subject.
STAFF: Final = frozenset({"physician", "nurse", "emergency-physician", "records-officer"})
#: Pointers of one subject that are looked at for one enquiry, the newest first.
MAX_EXAMINED: Final = 10_000


class Enquiry(msgspec.Struct, frozen=True):
    """The fields of an enquiry (``enquiry.ask``) on which an answer depends."""

    id: str
    subject: str
    purpose: str
    institution: str
    case: str
    reply_key: bytes
    expires: int


#: Whether ``access.preview`` permits a record to who holds a key (hex), on an enquiry.
Preview = Callable[[Shown, Enquiry, str], bool]


def pointers(raw: bytes, *, chain: bytes, holder: str, admit: Admit, vault: Vault) -> bytes:
    """Answer a question for the pointers of a subject.

    Args:
        raw: an encoded `PointerRequest`.
        chain, holder, admit, vault: as for `release.release`.

    Returns:
        The encoded `SealedPointers`, also for a subject of whom the holder has nothing.

    Raises:
        Malformed: the question cannot be read.
        Refused: the asker is neither the subject nor staff of the holder.
    """
    request = exchange.decode_pointer_request(raw)
    check_request(request, chain, holder)
    check_standing(request, admit(key_id(request.requester)))
    return _page(request, request.reply_key, vault.pointers_of(request.subject))


def check_standing(request: PointerRequest, person: Mapping[str, Any]) -> None:
    """Whether a registered person may learn of a subject's records at this holder.

    The subject may, and staff of the holder in a role of `STAFF` may: both could look into the
    holder's own system anyway. Everybody else gets a pointer from one of them.

    Raises:
        Refused: anybody else.
    """
    if person["id"] == request.subject:
        return
    for affiliation in person["affiliations"]:
        if affiliation["institution"] == request.holder and STAFF & set(affiliation["roles"]):
            return
    raise Refused(Why.NO_STANDING)


# --- on an enquiry -------------------------------------------------------------------------------


def enquired(
    raw: bytes,
    *,
    chain: bytes,
    validators: ValidatorSet,
    holder: str,
    now: int,
    vault: Vault,
    admit: Admit,
    preview: Preview,
) -> bytes:
    """Answer a question on an enquiry.

    Args:
        raw: an encoded `EnquiryRequest`.
        chain, validators, holder, now, vault, admit: as for `release.release`.
        preview: what the contracts say, at the newest height.

    Returns:
        The encoded `SealedPointers`, also where nothing may be shown.

    Raises:
        Malformed: the question cannot be read.
        Refused: there is no such enquiry of this asker, or not any more.
    """
    request = exchange.decode_enquiry_request(raw)
    check_request(request, chain, holder)
    admit(key_id(request.requester))
    enquiry = check_enquiry(request, *proven(request.receipt, chain, validators), now)
    asker = key_id(request.requester)
    newest = islice(reversed(vault.pointers_of(enquiry.subject)), MAX_EXAMINED)
    shown = [each for each in newest if preview(each, enquiry, asker)]
    return _page(request, enquiry.reply_key, shown[::-1])


def check_enquiry(
    request: EnquiryRequest, transaction: Transaction, result: Result, now: int
) -> Enquiry:
    """Find the enquiry in a proved transaction; a pure function.

    Raises:
        Refused: there is none in it for this asker, this subject and this time.
    """
    enquiry = _enquiry(request.enquiry, transaction, result)
    if transaction.body.signers[0] != request.requester:
        raise Refused(Why.ANOTHER_REQUESTER)
    if enquiry.subject != request.subject:
        raise Refused(Why.NO_ENQUIRY)
    if enquiry.expires <= now:
        raise Refused(Why.EXPIRED)
    return enquiry


def _enquiry(wanted: str, transaction: Transaction, result: Result) -> Enquiry:
    for call, outcome in zip(transaction.body.calls, result.calls, strict=True):
        if call.contract != "enquiry" or call.method not in ("ask", "ask_in_emergency"):
            continue
        if not outcome.ok:
            continue
        try:
            enquiry = msgspec.convert(outcome.value, Enquiry)
        except msgspec.ValidationError:
            continue
        if enquiry.id == wanted:
            return enquiry
    raise Refused(Why.NO_ENQUIRY)


def _page(request: Question, reply_key: bytes, found: list[Shown]) -> bytes:
    page = found[request.skip : request.skip + exchange.MAX_POINTERS]
    try:
        return encode(exchange.seal_pointers(request, reply_key, len(found), page))
    except SealError:
        raise Refused(Why.BAD_REPLY_KEY) from None
