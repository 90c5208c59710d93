"""The registry of signature suites and the keys that carry a suite's number.

A public key on the wire is one byte of suite number followed by the suite's raw key, so that the
suite is always inside whatever bytes are signed or hashed. There are two:

1. Ed25519 with SHA-256 (RFC 8032), for nodes, institutions and their staff, verified by libsodium
   alone: libraries disagree on small-order and non-canonical keys, and a second verifier would be a
   fork;
2. passkeys (WebAuthn, ES256), for patients: see `ledger.crypto.passkey`.

Which of them the people of a chain may have is said by the arguments of the contract ``registry``
in its genesis. Keys of nodes are of suite 1: a validator signs by itself, and a passkey only where
a person is present.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Final

from nacl import bindings
from nacl.exceptions import BadSignatureError

from ledger.crypto import passkey


class UnusableKey(ValueError):
    """A key that no registered suite can use."""


class Suite(ABC):
    """One signature algorithm: how to tell a good signature. Sizes in bytes; ``signature_size`` is
    the largest that a signature has."""

    number: ClassVar[int]
    name: ClassVar[str]
    public_size: ClassVar[int]
    signature_size: ClassVar[int]

    @abstractmethod
    def verify(self, public: bytes, message: bytes, signature: bytes) -> bool:
        """Whether the signature is good. Never raises for hostile input of the right types."""


class SigningSuite(Suite):
    """A suite whose secrets this software can hold, and sign with."""

    seed_size: ClassVar[int]

    @abstractmethod
    def keypair(self, seed: bytes) -> tuple[bytes, bytes]:
        """The raw public key and the expanded secret of a seed."""

    @abstractmethod
    def sign(self, secret: bytes, message: bytes) -> bytes:
        """A detached signature of at most ``signature_size`` bytes."""


class Ed25519(SigningSuite):
    """Ed25519 (RFC 8032) as libsodium decides it: cofactorless, small-order keys refused."""

    number = 1
    name = "ed25519-sha256"
    public_size = 32
    seed_size = 32
    signature_size = 64

    def keypair(self, seed: bytes) -> tuple[bytes, bytes]:
        public, secret = bindings.crypto_sign_seed_keypair(seed)
        return bytes(public), bytes(secret)

    def sign(self, secret: bytes, message: bytes) -> bytes:
        return bytes(bindings.crypto_sign(message, secret)[: self.signature_size])

    def verify(self, public: bytes, message: bytes, signature: bytes) -> bool:
        if len(signature) != self.signature_size or len(public) != self.public_size:
            return False
        try:
            bindings.crypto_sign_open(signature + message, public)
        except BadSignatureError:
            return False
        return True


class Passkey(Suite):
    """WebAuthn assertions under ES256. The secret never leaves the authenticator."""

    number = 2
    name = "webauthn-es256"
    public_size = passkey.PUBLIC_SIZE
    signature_size = passkey.SIGNATURE_SIZE

    def verify(self, public: bytes, message: bytes, signature: bytes) -> bool:
        return passkey.verify(public, message, signature)


_SUITES: Final[dict[int, Suite]] = {suite.number: suite for suite in (Ed25519(), Passkey())}
DEFAULT_SUITE: Final = Ed25519.number


def by_number(number: int) -> Suite:
    """The suite registered under a number; raises `UnusableKey` for an unknown one."""
    suite = _SUITES.get(number)
    if suite is None:
        raise UnusableKey(f"no signature suite has the number {number}")
    return suite


def signing(number: int) -> SigningSuite:
    """The suite of a number, to make keys of; raises `UnusableKey` where only devices can."""
    suite = by_number(number)
    if not isinstance(suite, SigningSuite):
        raise UnusableKey(f"keys of {suite.name} are held by the devices that make them")
    return suite


def suite_of(public_key: bytes) -> Suite:
    """The suite that a wire public key names.

    Raises:
        UnusableKey: the suite is unknown or the key has another length than the suite's.
    """
    suite = _SUITES.get(public_key[0]) if public_key else None
    if suite is None:
        raise UnusableKey("public key names no known signature suite")
    if len(public_key) != 1 + suite.public_size:
        raise UnusableKey(f"a {suite.name} public key has {1 + suite.public_size} bytes")
    return suite


def verify(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether a signature over ``message`` is good under a wire public key; false for odd keys."""
    suite = _SUITES.get(public_key[0]) if public_key else None
    if suite is None or len(public_key) != 1 + suite.public_size:
        return False
    return suite.verify(public_key[1:], message, signature)
