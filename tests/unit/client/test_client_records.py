"""Records and pointers, sealed by a holder and opened by who asked."""

import httpx
import pytest

from ledger.chain import merkle
from ledger.chain.codec import Malformed, encode
from ledger.chain.exchange import (
    Mismatch,
    Shown,
    decode_pointer_request,
    decode_release_request,
    is_signed,
    seal_pointers,
)
from ledger.chain.pointer import Pointer, record_digest
from ledger.chain.receipt import build_receipt
from ledger.chain.streaming import seal_stream
from ledger.client import records
from ledger.client.http import Client, NodeRefused
from ledger.crypto.keys import SigningKey
from ledger.crypto.sealing import SealError, SealingKey

SALT = b"s" * 16
CONTENT = b'{"resourceType":"Observation"}'
OTHER = CONTENT.replace(b"n", b"m")
DECISION = "aa-0"


def pointer_to(content: bytes, subject: str, holder: str = "east") -> Pointer:
    return Pointer(
        holder=holder, subject=subject, kind="laboratory", digest=record_digest(SALT, content),
        size=len(content), media="application/fhir+json", start=0, end=0, confidentiality="N",
        type=bytes(32), labels=bytes(32), replaces=b"",
    )  # fmt: skip


@pytest.fixture
def pointer(pseudonym):
    return pointer_to(CONTENT, pseudonym)


@pytest.fixture
async def receipt(service, consent):
    transaction = consent()
    await service.submit([transaction.raw])
    await service.commit()
    return build_receipt(service._store, transaction.id)


def answered(chain, reply, pointer, content) -> bytes:
    """A holder's whole answer, with these bytes in it."""
    return b"".join(
        seal_stream(chain, DECISION, reply.public, pointer, SALT, SigningKey(bytes(32)), [content])
    )


def holder(answer) -> Client:
    return Client(
        "http://localhost",
        transport=httpx.MockTransport(
            lambda request: httpx.Response(200, content=answer(request.content))
        ),
    )


async def test_a_permitted_record_is_opened_and_its_hash_compared(
    service, patient, receipt, pointer
):
    reply = SealingKey.generate()

    def release(raw):
        asked = decode_release_request(raw)
        assert is_signed(asked)
        assert (asked.decision, asked.holder) == (DECISION, "east")
        return answered(asked.chain, reply, pointer, CONTENT)

    question = records.release(patient, service.chain, DECISION, receipt, reply, pointer)
    assert holder(release).send(question) == CONTENT


async def test_other_bytes_than_the_anchored_ones_are_noticed(service, patient, receipt, pointer):
    reply = SealingKey.generate()

    def release(_raw):
        return answered(service.chain, reply, pointer, OTHER)

    question = records.release(patient, service.chain, DECISION, receipt, reply, pointer)
    with pytest.raises(Mismatch) as caught:
        holder(release).send(question)
    assert caught.value.digest == record_digest(SALT, OTHER)


async def test_an_answer_for_somebody_else_does_not_open(service, patient, receipt, pointer):
    stranger = SealingKey.generate()
    sealed = answered(service.chain, stranger, pointer, CONTENT)
    question = records.release(
        patient, service.chain, DECISION, receipt, SealingKey.generate(), pointer
    )
    with pytest.raises(SealError):
        holder(lambda _raw: sealed).send(question)


def test_pointers_come_with_proofs_that_hold(service, patient, pointer, pseudonym):
    proof = {"root": merkle.root([pointer.leaf()]), "index": 0, "size": 1, "path": []}

    def answer(raw):
        asked = decode_pointer_request(raw)
        assert is_signed(asked)
        return encode(seal_pointers(asked, asked.reply_key, 1, [Shown(pointer, proof)]))

    question = records.pointers(patient, service.chain, "east", pseudonym)
    assert holder(answer).send(question) == ([Shown(pointer, proof)], 1)


def test_pointers_of_somebody_else_are_refused(service, patient, pseudonym):
    other = pointer_to(CONTENT, "p-" + "0" * 32)
    proof = {"root": merkle.root([other.leaf()]), "index": 0, "size": 1, "path": []}

    def answer(raw):
        asked = decode_pointer_request(raw)
        return encode(seal_pointers(asked, asked.reply_key, 1, [Shown(other, proof)]))

    with pytest.raises(Mismatch):
        holder(answer).send(records.pointers(patient, service.chain, "east", pseudonym))


def test_a_refusal_and_nonsense_are_told_apart(service, patient, pseudonym):
    question = records.pointers(patient, service.chain, "east", pseudonym)
    refusing = Client(
        "http://localhost",
        transport=httpx.MockTransport(
            lambda _request: httpx.Response(403, json={"code": "not-permitted", "detail": ""})
        ),
    )
    with pytest.raises(NodeRefused, match="not-permitted"):
        refusing.send(question)
    with pytest.raises(Malformed):
        holder(lambda _raw: b"not sealed").send(question)
