"""Signing keys held in memory."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from ledger.crypto import suites


class SigningKey:
    """A secret key of one suite. Its repr and str show the public part only."""

    __slots__ = ("_secret", "_seed", "_suite", "public")

    def __init__(self, seed: bytes, suite_number: int = suites.DEFAULT_SUITE) -> None:
        suite = suites.signing(suite_number)
        if len(seed) != suite.seed_size:
            raise suites.UnusableKey(f"a {suite.name} seed has {suite.seed_size} bytes")
        self._suite = suite
        self._seed = seed
        public, self._secret = suite.keypair(seed)
        #: The wire public key: suite number, then the raw key.
        self.public: bytes = bytes([suite_number]) + public

    @classmethod
    def generate(
        cls,
        suite_number: int = suites.DEFAULT_SUITE,
        *,
        entropy: Callable[[int], bytes] = secrets.token_bytes,
    ) -> SigningKey:
        """A fresh key from random bytes, by default those of the operating system."""
        return cls(entropy(suites.signing(suite_number).seed_size), suite_number)

    @property
    def seed(self) -> bytes:
        """The secret seed, for writing a key file. Keep it out of logs."""
        return self._seed

    def sign(self, message: bytes) -> bytes:
        """A detached signature over ``message``."""
        return self._suite.sign(self._secret, message)

    def __repr__(self) -> str:
        return f"SigningKey(public={self.public.hex()})"


def key_id(public_key: bytes) -> str:
    """The hex text by which contracts and people name a wire public key."""
    return public_key.hex()
