"""Fetching records and pointers from their holder.

Each function makes a request for `Client.send` or `AsyncClient.send`. Reading the answer opens the
seal and compares the hash, so what `send` returns is what the chain commits to, or it raises.
"""

from __future__ import annotations

from ledger.chain.codec import encode
from ledger.chain.exchange import Shown, ask_enquiry, ask_pointers, ask_release, open_pointers
from ledger.chain.pointer import Pointer
from ledger.chain.receipt import Receipt
from ledger.chain.streaming import open_whole
from ledger.client.builder import Account
from ledger.client.requests import Request, sealed
from ledger.crypto.sealing import SealingKey

#: Pointers with their proofs, and how many the holder has of the subject in all.
PointerPage = tuple[list[Shown], int]


def release(
    requester: Account,
    chain: bytes,
    decision: str,
    receipt: Receipt,
    reply: SealingKey,
    pointer: Pointer,
) -> Request[bytes]:
    """Ask the holder's node for a record that fits in memory.

    Args:
        requester: the first signer of the permitted request.
        chain: id of the chain.
        decision: id of the access decision.
        receipt: of the transaction in which it was made.
        reply: the private half of the reply key in that transaction.
        pointer: the record that was asked for.

    Sending it returns the record's exact bytes. Beside what sending any request raises:
        SealError: sealed to another key, or for another decision or record.
        Mismatch: not the bytes to which the pointer commits; it carries their digest.
    """
    question = ask_release(requester.key, chain, pointer.holder, decision, encode(receipt))
    return sealed(
        "/v1/records/release",
        encode(question),
        lambda raw: open_whole(raw, reply, chain, decision, pointer),
    )


def pointers(
    asker: Account, chain: bytes, holder: str, subject: str, skip: int = 0
) -> Request[PointerPage]:
    """Ask a holder which records of a subject it has.

    Sending it returns the pointers with proofs and openings, of which `skip` were left out, and how
    many there are. Beside what sending any request raises: SealError, or Mismatch for a pointer of
    somebody else or one whose proof does not hold.
    """
    reply = SealingKey.generate()
    question = ask_pointers(asker.key, chain, holder, subject, reply.public, skip)
    return sealed(
        "/v1/records/pointers",
        encode(question),
        lambda raw: open_pointers(raw, reply, question),
    )


def enquired(
    asker: Account,
    chain: bytes,
    holder: str,
    subject: str,
    enquiry: str,
    receipt: Receipt,
    reply: SealingKey,
    skip: int = 0,
) -> Request[PointerPage]:
    """Ask a holder which records of a subject it may show on an enquiry.

    Args:
        asker: the first signer of the enquiry.
        enquiry: its id; ``receipt``: of the transaction in which it was made.
        reply: the private half of the reply key in that transaction.

    Sending it returns what `pointers` does, and raises as it does.
    """
    question = ask_enquiry(asker.key, chain, holder, subject, enquiry, encode(receipt), skip)
    return sealed(
        "/v1/records/enquired",
        encode(question),
        lambda raw: open_pointers(raw, reply, question),
    )
