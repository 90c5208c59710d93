"""The verifiable oblivious pseudorandom function of RFC 9497: ristretto255-SHA512, mode VOPRF.

Whoever asks blinds the input, so that the blinded element says nothing about it; whoever has the
key multiplies it, with a proof that the key of the public key was used; who asked removes the
blinding and hashes. `ledger.crypto.oprf.threshold` puts several holders of shares in the place of
the one with the key.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha512
from typing import Final

from ledger.crypto.oprf import group, proof
from ledger.crypto.oprf.group import Entropy, NotOfGroup

OUTPUT_SIZE: Final = 64
MAX_INPUT: Final = 65_535
_TO_GROUP: Final = b"HashToGroup-" + proof.CONTEXT
_DERIVE: Final = b"DeriveKeyPair" + proof.CONTEXT


class ProofFailed(ValueError):
    """An evaluation that was not made with the key that it should have been made with."""


def derive_key(seed: bytes, info: bytes) -> bytes:
    """The secret key of a 32-byte seed and a public text (RFC 9497 section 3.2.1)."""
    material = seed + proof.framed(info)
    for counter in range(256):
        found = group.hash_to_scalar(material + bytes([counter]), _DERIVE)
        if found != group.ZERO:
            return found
    raise ValueError("this seed gives no key")


def point_of(text: bytes) -> bytes:
    """The element that an input stands for; raises `ValueError` for one of no or too many bytes."""
    if not 0 < len(text) <= MAX_INPUT:
        raise ValueError(f"an input has 1 to {MAX_INPUT} bytes")
    found = group.hash_to_group(text, _TO_GROUP)
    if found == group.IDENTITY:
        raise ValueError("this input has no element")
    return found


@dataclass(frozen=True, slots=True, repr=False)
class Blinded:
    """An input that was blinded. ``element`` is for others, ``text`` and ``blind`` for nobody."""

    text: bytes
    blind: bytes
    element: bytes


def blind(
    text: bytes, *, entropy: Entropy = secrets.token_bytes, chosen: bytes | None = None
) -> Blinded:
    """Blind an input. ``chosen``: the scalar, where the blinding need not hide anything."""
    factor = group.random_scalar(entropy) if chosen is None else chosen
    return Blinded(text, factor, group.multiply(factor, point_of(text)))


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Elements times one key, in the order in which they were asked for, and the proof of it."""

    elements: tuple[bytes, ...]
    proof: bytes


def evaluate(
    secret: bytes,
    public: bytes,
    elements: Sequence[bytes],
    *,
    entropy: Entropy = secrets.token_bytes,
    nonce: bytes | None = None,
) -> Evaluation:
    """Multiply blinded elements by a key.

    Raises:
        NotOfGroup: one is not a canonical element other than the identity.
    """
    asked = [group.element(point) for point in elements]
    answers = [group.multiply(secret, point) for point in asked]
    shown = proof.prove(secret, public, asked, answers, entropy=entropy, nonce=nonce)
    return Evaluation(tuple(answers), shown)


def check(evaluation: Evaluation, public: bytes, asked: Sequence[bytes]) -> None:
    """Check an evaluation from outside against the elements that were asked about.

    Raises:
        ProofFailed: elements that are none, another number of them, or a proof that does not hold.
    """
    try:
        answers = [group.element(point) for point in evaluation.elements]
    except NotOfGroup as error:
        raise ProofFailed(str(error)) from None
    if not proof.holds(evaluation.proof, public, asked, answers):
        raise ProofFailed("the proof of an evaluation does not hold")


def finalize(question: Blinded, answer: bytes) -> bytes:
    """The 64 bytes that the function gives for an input, from a checked answer."""
    return output(question.text, group.multiply(group.inverse(question.blind), answer))


def output(text: bytes, unblinded: bytes) -> bytes:
    """The hash that ends the function (RFC 9497 section 3.3.1)."""
    return sha512(proof.framed(text, unblinded) + b"Finalize").digest()
