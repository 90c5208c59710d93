"""Asking a validator to evaluate, and its answer: the bytes that both sides must agree about.

A question is signed by the asking node and names the holder it is for, so it may travel through
other nodes. What it holds is blinded and says nothing to them, nor does the answer; and the proof
in the answer is held against the chain, so an answer needs no signature.
"""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta

from ledger.chain import limits
from ledger.chain.codec import MAX_INT, Malformed, Record, decode, encode
from ledger.crypto import suites
from ledger.crypto.hashing import HASH_SIZE, Domain
from ledger.crypto.keys import SigningKey
from ledger.crypto.oprf import group
from ledger.crypto.oprf.proof import PROOF_SIZE

#: Elements in one question.
MAX_ELEMENTS: Final = 256
MAX_QUESTION_BYTES: Final = 12 * limits.KIB
MAX_REPLY_BYTES: Final = 12 * limits.KIB
#: A question is of use for so many heights after the block that it names.
WINDOW: Final = 1_000
NONCE_SIZE: Final = 16

QUESTION = Domain("evaluation-question")

Element = Annotated[bytes, Meta(min_length=group.SIZE, max_length=group.SIZE)]
Number = Annotated[int, Meta(ge=0, le=MAX_INT)]
Name = Annotated[str, Meta(min_length=1, max_length=128)]


class Question(Record, frozen=True, array_like=True):
    """Blinded elements for one holder of shares.

    ``asker`` and ``holder``: node ids. ``domain`` and ``epoch``: the key. ``height``: of the
    asker's newest block. ``nonce``: 16 random bytes. ``key``: the asker's wire public key.
    ``signature``: over `digest`.
    """

    chain: Annotated[bytes, Meta(min_length=HASH_SIZE, max_length=HASH_SIZE)]
    asker: Name
    holder: Name
    domain: Name
    epoch: Number
    height: Number
    nonce: Annotated[bytes, Meta(min_length=NONCE_SIZE, max_length=NONCE_SIZE)]
    elements: Annotated[tuple[Element, ...], Meta(min_length=1, max_length=MAX_ELEMENTS)]
    key: Annotated[bytes, Meta(min_length=1, max_length=128)]
    signature: Annotated[bytes, Meta(max_length=512)]

    def digest(self) -> bytes:
        """What the asker signs: everything but the signature. It also names the question."""
        return QUESTION(
            encode(
                (self.chain, self.asker, self.holder, self.domain, self.epoch, self.height,
                 self.nonce, self.elements, self.key)
            )
        )  # fmt: skip


class Reply(Record, frozen=True, array_like=True):
    """What a holder answers. ``refusal`` is empty, or a code, and then there are no elements.

    ``question``: the digest of the question. ``left``: how many more elements the asker's
    institution may ask this holder about today.
    """

    question: Annotated[bytes, Meta(min_length=HASH_SIZE, max_length=HASH_SIZE)]
    holder: Name
    elements: Annotated[tuple[Element, ...], Meta(max_length=MAX_ELEMENTS)]
    proof: Annotated[bytes, Meta(max_length=PROOF_SIZE)]
    refusal: Annotated[str, Meta(max_length=64)]
    left: Number


def ask(
    key: SigningKey,
    *,
    chain: bytes,
    asker: str,
    holder: str,
    domain: str,
    epoch: int,
    height: int,
    nonce: bytes,
    elements: tuple[bytes, ...],
) -> Question:
    """A signed question."""
    unsigned = Question(
        chain, asker, holder, domain, epoch, height, nonce, elements, key.public, b""
    )  # fmt: skip
    return Question(
        chain, asker, holder, domain, epoch, height, nonce, elements, key.public,
        key.sign(unsigned.digest()),
    )  # fmt: skip


def read_question(raw: bytes) -> Question:
    """A question from outside; raises `Malformed`. Its signature is checked by `is_signed`."""
    return decode(raw, Question, limit=MAX_QUESTION_BYTES)


def is_signed(question: Question) -> bool:
    """Whether the key that a question names has signed it."""
    return suites.verify(question.key, question.digest(), question.signature)


def read_reply(raw: bytes) -> Reply:
    """A reply from outside; raises `Malformed`, also where it is neither answer nor refusal."""
    reply = decode(raw, Reply, limit=MAX_REPLY_BYTES)
    if bool(reply.refusal) == bool(reply.elements):
        raise Malformed("a reply has elements, or says why not")
    return reply
