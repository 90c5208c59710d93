"""SHA-256 with domain separation.

Every hash that is not part of an RFC 9162 tree starts with a domain tag, so that bytes which mean
one thing can never be passed off as another. The tag is ``b"health-ledger/" + name + b"\\x00"``;
no tag is a prefix of another because the zero byte occurs only at its end.
"""

from __future__ import annotations

import hmac
from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hashlib import _Hash as Hash

HASH_SIZE = 32
ZERO_HASH = bytes(HASH_SIZE)


class Domain:
    """A named hash domain; calling it hashes bytes inside that domain."""

    __slots__ = ("_prefix", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self._prefix = b"health-ledger/" + name.encode("ascii") + b"\x00"

    def __call__(self, data: bytes) -> bytes:
        """The 32-byte SHA-256 of ``tag || data``."""
        return sha256(self._prefix + data).digest()

    def begin(self) -> Hash:
        """A hash inside that domain which gets its bytes piece by piece."""
        return sha256(self._prefix)


GENESIS = Domain("genesis")
TRANSACTION = Domain("transaction")
HEADER = Domain("header")
IDENTITIES = Domain("identities")
VALIDATORS = Domain("validators")
STATE_KEY = Domain("state-key")
STATE_VALUE = Domain("state-value")
MESSAGE = Domain("message")
PREPARED = Domain("prepared-certificate")
SOURCE = Domain("contract-source")
RECORD = Domain("record")
COMMITMENT = Domain("commitment")
RELEASE_REQUEST = Domain("release-request")
IMPACT = Domain("impact-report")
POINTER_REQUEST = Domain("pointer-request")
ENQUIRY_REQUEST = Domain("enquiry-request")
RELEASE_HEADER = Domain("release-header")
SIGN_IN = Domain("sign-in")


def same(left: bytes, right: bytes) -> bool:
    """Compare two byte strings in a time that does not depend on where they differ."""
    return hmac.compare_digest(left, right)
