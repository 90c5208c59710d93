"""The group ristretto255 (RFC 9496), its elements and scalars as their 32 canonical bytes.

The arithmetic is libsodium's, by `rbcl`. What comes from outside passes `element` or `scalar` once;
everything else here takes its arguments for granted. The identity is no element for us: RFC 9497
section 4.1 refuses it wherever one arrives, and no correct party ever makes it.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from hashlib import sha512
from typing import Final

import rbcl

SIZE: Final = 32
#: The prime order of the group (RFC 9496 section 4.4).
ORDER: Final = 2**252 + 27742317777372353535851937790883648493
IDENTITY: Final = bytes(SIZE)
ZERO: Final = bytes(SIZE)

Entropy = Callable[[int], bytes]


class NotOfGroup(ValueError):
    """Bytes that are no element or scalar in the one form that is accepted."""


def element(data: bytes) -> bytes:
    """An element from outside; raises `NotOfGroup` for the identity and for any other encoding."""
    if len(data) != SIZE or data == IDENTITY or not rbcl.crypto_core_ristretto255_is_valid_point(
        bytes(data)
    ):  # fmt: skip
        raise NotOfGroup("not the canonical encoding of an element other than the identity")
    return bytes(data)


def scalar(data: bytes) -> bytes:
    """A scalar from outside, zero among them; raises `NotOfGroup` unless it is below the order."""
    if len(data) != SIZE or int.from_bytes(data, "little") >= ORDER:
        raise NotOfGroup("not a scalar below the order of the group")
    return bytes(data)


def of_int(number: int) -> bytes:
    """The scalar that a whole number is congruent to."""
    return (number % ORDER).to_bytes(SIZE, "little")


def random_scalar(entropy: Entropy = secrets.token_bytes) -> bytes:
    """A uniform scalar other than zero."""
    while True:
        found = bytes(rbcl.crypto_core_ristretto255_scalar_reduce(entropy(64)))
        if found != ZERO:
            return found


def plus(one: bytes, other: bytes) -> bytes:
    """The sum of two scalars."""
    return bytes(rbcl.crypto_core_ristretto255_scalar_add(one, other))


def minus(one: bytes, other: bytes) -> bytes:
    """The difference of two scalars."""
    return bytes(rbcl.crypto_core_ristretto255_scalar_sub(one, other))


def times(one: bytes, other: bytes) -> bytes:
    """The product of two scalars."""
    return bytes(rbcl.crypto_core_ristretto255_scalar_mul(one, other))


def inverse(of: bytes) -> bytes:
    """The scalar whose product with another than zero is one."""
    return bytes(rbcl.crypto_core_ristretto255_scalar_invert(of))


def base(by: bytes) -> bytes:
    """A scalar other than zero times the generator."""
    return bytes(rbcl.crypto_scalarmult_ristretto255_base(by))


def multiply(by: bytes, point: bytes) -> bytes:
    """A scalar times an element, neither of them trivial."""
    return bytes(rbcl.crypto_scalarmult_ristretto255(by, point))


def add(one: bytes, other: bytes) -> bytes:
    """The sum of two elements; it may be the identity."""
    return bytes(rbcl.crypto_core_ristretto255_add(one, other))


def subtract(one: bytes, other: bytes) -> bytes:
    """The difference of two elements; it may be the identity."""
    return bytes(rbcl.crypto_core_ristretto255_sub(one, other))


def total(points: Iterable[bytes]) -> bytes:
    """The sum of elements, the identity for none."""
    found = IDENTITY
    for point in points:
        found = point if found == IDENTITY else add(found, point)
    return found


def weighted(pairs: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The sum of elements, each times its scalar; trivial ones add nothing."""
    return total(
        multiply(weight, point)
        for weight, point in pairs
        if weight != ZERO and point != IDENTITY
    )  # fmt: skip


# --- Hashing into the group --------------------------------------------------------------------

_BLOCK = 128
_DIGEST = 64


def expand(message: bytes, tag: bytes) -> bytes:
    """64 uniform bytes: ``expand_message_xmd`` with SHA-512 (RFC 9380 section 5.3.1).

    ``tag``: at most 255 bytes.
    """
    prime = tag + bytes([len(tag)])
    first = sha512(bytes(_BLOCK) + message + _DIGEST.to_bytes(2, "big") + b"\x00" + prime).digest()
    return sha512(first + b"\x01" + prime).digest()


def hash_to_group(message: bytes, tag: bytes) -> bytes:
    """An element whose logarithm nobody knows (RFC 9497 section 4.1, RFC 9496 section 4.3.4)."""
    return bytes(rbcl.crypto_core_ristretto255_from_hash(expand(message, tag)))


def hash_to_scalar(message: bytes, tag: bytes) -> bytes:
    """A scalar from a hash (RFC 9497 section 4.1)."""
    return bytes(rbcl.crypto_core_ristretto255_scalar_reduce(expand(message, tag)))
