"""The messages by which records and pointers move between a holder and those who may have them.

Nothing of this goes on the chain; it is written down here, below nodes and clients, because both
sides must agree about every byte. A request is signed by the key of the person who asks. An answer
is sealed (`ledger.crypto.sealing`) to a reply key which that person fixed beforehand: for a record
in the permitted request itself, for pointers in the signed question. So an answer is of use to
nobody else, a request that is sent again gives nothing new, and neither needs a clock.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import msgspec

from ledger.chain import limits, merkle
from ledger.chain.codec import Malformed, Record, decode, decode_value, encode
from ledger.chain.pointer import Pointer, pointer_from_value
from ledger.chain.tokens import tokens_root
from ledger.crypto import hashing, suites
from ledger.crypto.keys import SigningKey
from ledger.crypto.sealing import SealingKey, seal

MAX_REQUEST_BYTES: Final = limits.MAX_RECEIPT_BYTES + 64 * limits.KIB
MAX_ANSWER_BYTES: Final = limits.MAX_FRAME_BYTES
#: Pointers in one answer; who has more asks again with a larger ``skip``.
MAX_POINTERS: Final = 10_000


class Mismatch(ValueError):
    """An answer that opens, and is not what the pointer or the question promised.

    ``digest`` is what the record's bytes give, to be written down in ``access.receipt``; empty
    where there is none.
    """

    def __init__(self, message: str, digest: bytes = b"") -> None:
        super().__init__(message)
        self.digest = digest


class ReleaseRequest(Record, frozen=True, array_like=True):
    """Asking a holder for a record that a decision on the chain permits.

    ``chain``: 32 bytes. ``holder``: institution id. ``decision``: id of the access decision.
    ``receipt``: encoded receipt of the transaction in which it was made. ``requester``: wire
    public key, the same that signed that transaction first. ``signature``: over
    `release_digest`.
    """

    chain: bytes
    holder: str
    decision: str
    receipt: bytes
    requester: bytes
    signature: bytes


class PointerRequest(Record, frozen=True, array_like=True):
    """Asking a holder which records of a subject it has.

    ``subject``: pseudonym. ``skip``: how many pointers to leave out from the beginning.
    ``reply_key``: raw X25519 key, 32 bytes. ``requester``: wire public key of the subject or of
    staff of the holder. ``signature``: over `pointers_digest`.
    """

    chain: bytes
    holder: str
    subject: str
    skip: int
    reply_key: bytes
    requester: bytes
    signature: bytes


class EnquiryRequest(Record, frozen=True, array_like=True):
    """Asking a holder which records of a subject it may show on an enquiry.

    ``enquiry``: id of an enquiry on the chain. ``subject``: pseudonym, that of the enquiry.
    ``receipt``: encoded receipt of the transaction in which it was made. ``skip``: how many
    pointers to leave out from the beginning. ``requester``: wire public key, the same that signed
    that transaction first. ``signature``: over `enquiry_digest`.
    """

    chain: bytes
    holder: str
    subject: str
    enquiry: str
    receipt: bytes
    skip: int
    requester: bytes
    signature: bytes


Question = PointerRequest | EnquiryRequest


class SealedPointers(Record, frozen=True, array_like=True):
    """A holder's answer: the canonical ``{"total": n, "pointers": [{"pointer", "proof", "labels"},
    …]}``, sealed to the reply key of the question."""

    holder: str
    sealed: bytes


class Shown(NamedTuple):
    """A pointer as a holder shows it: with its proof for `records.find`, and the tokens that open
    what it says of labels and codes, for `access.request`; none where they cannot be opened."""

    pointer: Pointer
    proof: dict[str, Any]
    labels: tuple[bytes, ...] = ()


class _Proof(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    root: bytes
    index: int
    size: int
    path: tuple[bytes, ...]


class _PointerEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pointer: dict[str, Any]
    proof: _Proof
    labels: tuple[bytes, ...]


class _PointerList(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    total: int
    pointers: tuple[_PointerEntry, ...]


def release_digest(request: ReleaseRequest) -> bytes:
    """What the requester signs: everything in the request but the signature."""
    return hashing.RELEASE_REQUEST(
        encode(
            (request.chain, request.holder, request.decision, request.receipt, request.requester)
        )
    )


def pointers_digest(request: PointerRequest) -> bytes:
    """What the asker signs: everything in the question but the signature."""
    return hashing.POINTER_REQUEST(
        encode(
            (request.chain, request.holder, request.subject, request.skip, request.reply_key,
             request.requester)
        )
    )  # fmt: skip


def enquiry_digest(request: EnquiryRequest) -> bytes:
    """What the asker signs: everything in the question but the signature."""
    return hashing.ENQUIRY_REQUEST(
        encode(
            (request.chain, request.holder, request.subject, request.enquiry, request.receipt,
             request.skip, request.requester)
        )
    )  # fmt: skip


def ask_release(
    key: SigningKey, chain: bytes, holder: str, decision: str, receipt: bytes
) -> ReleaseRequest:
    """A signed request for a record; ``receipt`` is the encoded receipt of the permit."""
    unsigned = ReleaseRequest(chain, holder, decision, receipt, key.public, b"")
    return ReleaseRequest(
        chain, holder, decision, receipt, key.public, key.sign(release_digest(unsigned))
    )


def ask_pointers(
    key: SigningKey, chain: bytes, holder: str, subject: str, reply_key: bytes, skip: int = 0
) -> PointerRequest:
    """A signed question for the pointers of a subject."""
    unsigned = PointerRequest(chain, holder, subject, skip, reply_key, key.public, b"")
    signature = key.sign(pointers_digest(unsigned))
    return PointerRequest(chain, holder, subject, skip, reply_key, key.public, signature)


def ask_enquiry(
    key: SigningKey, chain: bytes, holder: str, subject: str, enquiry: str, receipt: bytes,
    skip: int = 0,
) -> EnquiryRequest:  # fmt: skip
    """A signed question on an enquiry; ``receipt`` is the encoded receipt of the enquiry."""
    unsigned = EnquiryRequest(chain, holder, subject, enquiry, receipt, skip, key.public, b"")
    return EnquiryRequest(
        chain, holder, subject, enquiry, receipt, skip, key.public,
        key.sign(enquiry_digest(unsigned)),
    )  # fmt: skip


def decode_release_request(raw: bytes) -> ReleaseRequest:
    """Read a release request from outside; raises `Malformed`. Says nothing about permission."""
    return decode(raw, ReleaseRequest, limit=MAX_REQUEST_BYTES)


def decode_pointer_request(raw: bytes) -> PointerRequest:
    """Read a question for pointers from outside; raises `Malformed`."""
    request = decode(raw, PointerRequest, limit=MAX_REQUEST_BYTES)
    if request.skip < 0 or len(request.reply_key) != 32:
        raise Malformed("a negative skip, or a reply key that is not 32 bytes")
    return request


def decode_enquiry_request(raw: bytes) -> EnquiryRequest:
    """Read a question on an enquiry from outside; raises `Malformed`."""
    request = decode(raw, EnquiryRequest, limit=MAX_REQUEST_BYTES)
    if request.skip < 0:
        raise Malformed("a negative skip")
    return request


def question_digest(request: Question) -> bytes:
    """What the asker of either question signs, to which its answer is bound."""
    if isinstance(request, EnquiryRequest):
        return enquiry_digest(request)
    return pointers_digest(request)


def is_signed(request: ReleaseRequest | Question) -> bool:
    """Whether the request is signed by the key that it names."""
    digest = (
        release_digest(request) if isinstance(request, ReleaseRequest) else question_digest(request)
    )
    return suites.verify(request.requester, digest, request.signature)


def seal_pointers(
    request: Question, reply_key: bytes, total: int, pointers: list[Shown]
) -> SealedPointers:
    """Seal pointers with their proofs and openings to the reply key of a question."""
    content = {
        "total": total,
        "pointers": [
            {"pointer": shown.pointer.value(), "proof": shown.proof, "labels": list(shown.labels)}
            for shown in pointers
        ],
    }
    sealed = seal(reply_key, encode(content), question_digest(request))
    return SealedPointers(request.holder, sealed)


def open_pointers(raw: bytes, key: SealingKey, request: Question) -> tuple[list[Shown], int]:
    """The pointers in an answer, and how many there are for the asker in all.

    That a proof's root is anchored is for the ``records`` contract to say.

    Raises:
        Malformed: not such an answer.
        SealError: it does not open with this key, or answers another question.
        Mismatch: a pointer of another subject or holder, one whose proof does not hold, or tokens
            that are not those of the pointer.
    """
    answer = decode(raw, SealedPointers, limit=MAX_ANSWER_BYTES)
    plain = key.open(answer.sealed, question_digest(request))
    try:
        content = msgspec.convert(decode_value(plain, limit=MAX_ANSWER_BYTES), _PointerList)
    except msgspec.ValidationError as error:
        raise Malformed(f"not an answer to a question for pointers: {error}") from None
    found = []
    for entry in content.pointers:
        pointer, proof = pointer_from_value(entry.pointer), entry.proof
        if (pointer.subject, pointer.holder) != (request.subject, request.holder):
            raise Mismatch("a pointer that was not asked for")
        root = merkle.root_from_inclusion(pointer.name(), proof.index, proof.size, proof.path)
        if root is None or root != proof.root:
            raise Mismatch("a pointer whose proof does not hold")
        if entry.labels and tokens_root(entry.labels) != pointer.labels:
            raise Mismatch("tokens that the pointer does not commit to")
        shape = {**msgspec.structs.asdict(proof), "path": list(proof.path)}
        found.append(Shown(pointer, shape, entry.labels))
    return found, content.total
