"""Proofs that two logarithms are equal (DLEQ), for a batch of pairs at once: RFC 9497 section 2.2.

``prove`` shows that the same secret leads from the generator to a public key and from each element
of one list to its partner of another, and says nothing else about the secret. The transcript is the
RFC's, in VOPRF mode.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from hashlib import sha512
from typing import Final

from ledger.crypto.oprf import group
from ledger.crypto.oprf.group import Entropy

#: Challenge and response, 32 bytes each.
PROOF_SIZE: Final = 64
#: The place of a pair in its batch takes two bytes.
MAX_BATCH: Final = 65_535

CONTEXT: Final = b"OPRFV1-\x01-ristretto255-SHA512"
_TO_SCALAR: Final = b"HashToScalar-" + CONTEXT
_SEED: Final = b"Seed-" + CONTEXT
_GENERATOR_SCALAR: Final = group.of_int(1)


def framed(*parts: bytes) -> bytes:
    """Parts with their lengths in front, two bytes each, most significant first."""
    return b"".join(len(part).to_bytes(2, "big") + part for part in parts)


def _weights(public: bytes, inputs: Sequence[bytes], outputs: Sequence[bytes]) -> list[bytes]:
    seed = sha512(framed(public, _SEED)).digest()
    return [
        group.hash_to_scalar(
            framed(seed) + place.to_bytes(2, "big") + framed(one, other) + b"Composite", _TO_SCALAR
        )
        for place, (one, other) in enumerate(zip(inputs, outputs, strict=True))
    ]


def _challenge(public: bytes, m: bytes, z: bytes, t2: bytes, t3: bytes) -> bytes:
    return group.hash_to_scalar(framed(public, m, z, t2, t3) + b"Challenge", _TO_SCALAR)


def prove(
    secret: bytes,
    public: bytes,
    inputs: Sequence[bytes],
    outputs: Sequence[bytes],
    *,
    entropy: Entropy = secrets.token_bytes,
    nonce: bytes | None = None,
) -> bytes:
    """A proof that ``outputs`` are ``inputs`` times the secret behind ``public``.

    Args:
        secret: the scalar, not zero.
        public: the secret times the generator.
        inputs: 1 to `MAX_BATCH` elements.
        outputs: as many.
        nonce: the random scalar, for test vectors alone; used twice it gives the secret away.
    """
    m = group.weighted(zip(_weights(public, inputs, outputs), inputs, strict=True))
    z = group.multiply(secret, m)
    chance = group.random_scalar(entropy) if nonce is None else nonce
    challenge = _challenge(public, m, z, group.base(chance), group.multiply(chance, m))
    return challenge + group.minus(chance, group.times(challenge, secret))


def holds(proof: bytes, public: bytes, inputs: Sequence[bytes], outputs: Sequence[bytes]) -> bool:
    """Whether a proof is good. False for proofs and batches of the wrong size and for scalars that
    are not canonical; the elements must have passed `group.element`."""
    if len(proof) != PROOF_SIZE or not 0 < len(inputs) <= MAX_BATCH or len(inputs) != len(outputs):
        return False
    try:
        challenge, response = group.scalar(proof[:32]), group.scalar(proof[32:])
    except group.NotOfGroup:
        return False
    weights = _weights(public, inputs, outputs)
    m = group.weighted(zip(weights, inputs, strict=True))
    z = group.weighted(zip(weights, outputs, strict=True))
    if group.IDENTITY in (m, z):
        return False
    responded = group.IDENTITY if response == group.ZERO else group.base(response)
    t2 = group.add(responded, group.weighted([(challenge, public)]))
    t3 = group.weighted([(response, m), (challenge, z)])
    return _challenge(public, m, z, t2, t3) == challenge
