"""A long message in sealed chunks: the STREAM construction over AES-256-GCM.

Hoang, Reyhanitabar, Rogaway and Vizár, "Online Authenticated-Encryption and its Nonce-Reuse
Misuse-Resistance" (CRYPTO 2015): every chunk is sealed under its own number and a mark for the last
one, so chunks that are changed, left out, repeated, put in another order or cut off at the end are
noticed at the chunk where it happens. A key seals one message and is never used again.
"""

from __future__ import annotations

from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ledger.crypto.sealing import SealError

KEY_SIZE: Final = 32
#: Bytes by which a sealed chunk is longer than its plaintext.
TAG_SIZE: Final = 16
#: The nonce is the chunk's number in 11 bytes, big-endian, and one byte: 1 for the last chunk.
_NUMBER_SIZE: Final = 11


class ChunkKey:
    """The key of one message. Not shown by repr."""

    __slots__ = ("_cipher",)

    def __init__(self, secret: bytes) -> None:
        if len(secret) != KEY_SIZE:
            raise SealError(f"a chunk key has {KEY_SIZE} bytes")
        self._cipher = AESGCM(secret)

    def seal(self, number: int, last: bool, plaintext: bytes) -> bytes:
        """The sealed chunk of a number, counted from 0."""
        return self._cipher.encrypt(_nonce(number, last), plaintext, None)

    def open(self, number: int, last: bool, sealed: bytes) -> bytes:
        """The plaintext of a chunk.

        Raises:
            SealError: it is not that chunk of this message, or not the last, or not its last.
        """
        try:
            return self._cipher.decrypt(_nonce(number, last), sealed, None)
        except (InvalidTag, ValueError):
            raise SealError("a chunk is not the next of its message") from None


def _nonce(number: int, last: bool) -> bytes:
    return number.to_bytes(_NUMBER_SIZE, "big") + (b"\x01" if last else b"\x00")
