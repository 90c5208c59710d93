"""Encrypting to somebody's public key: HPKE base mode (RFC 9180).

The suite is DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM. A sealed message is the 32-byte
encapsulated key followed by the ciphertext with its 16-byte tag. Base mode says nothing about who
sealed; whoever opens must check the content against something signed, as `ledger.chain.exchange`
does with the digest of a record.
"""

from __future__ import annotations

from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

KEY_SIZE: Final = 32
#: Bytes by which a sealed message is longer than its plaintext: encapsulated key and tag.
OVERHEAD: Final = 32 + 16

_SUITE: Final = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


class SealError(ValueError):
    """A key that cannot be used, or a sealed message that does not open."""


class SealingKey:
    """An X25519 private key held in memory. Its repr shows the public part only."""

    __slots__ = ("_key", "public")

    def __init__(self, secret: bytes) -> None:
        if len(secret) != KEY_SIZE:
            raise SealError(f"an X25519 private key has {KEY_SIZE} bytes")
        self._key = X25519PrivateKey.from_private_bytes(secret)
        #: The 32-byte raw public key to which others seal.
        self.public: bytes = self._key.public_key().public_bytes_raw()

    @classmethod
    def generate(cls) -> SealingKey:
        """A fresh key from the operating system's random source."""
        return cls(X25519PrivateKey.generate().private_bytes_raw())

    @property
    def secret(self) -> bytes:
        """The 32 secret bytes, for keeping a reply key across a restart. Keep it out of logs."""
        return self._key.private_bytes_raw()

    def open(self, sealed: bytes, info: bytes) -> bytes:
        """The plaintext that somebody sealed to this key with the same ``info``.

        Raises:
            SealError: sealed to another key, with other info, or changed on the way. Which of
                these it was cannot be told.
        """
        if len(sealed) < OVERHEAD:
            raise SealError("a sealed message is cut short")
        try:
            return _SUITE.decrypt(sealed, self._key, info)
        except (InvalidTag, ValueError):
            raise SealError("a sealed message does not open with this key and purpose") from None

    def __repr__(self) -> str:
        return f"SealingKey(public={self.public.hex()})"


def seal(public: bytes, plaintext: bytes, info: bytes) -> bytes:
    """Encrypt ``plaintext`` to a raw X25519 public key.

    Args:
        public: 32 bytes.
        plaintext: any length that fits in memory.
        info: what the message is for; opening needs the same bytes.

    Raises:
        SealError: the key has another length or is a point of small order (RFC 7748 section 6.1).
    """
    if len(public) != KEY_SIZE:
        raise SealError(f"an X25519 public key has {KEY_SIZE} bytes")
    try:
        return _SUITE.encrypt(plaintext, X25519PublicKey.from_public_bytes(public), info)
    except ValueError:
        raise SealError("an X25519 public key of small order") from None
