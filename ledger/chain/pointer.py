"""Record pointers: what the ledger knows of a record that stays with its holder.

A pointer commits to the record's exact bytes, to its exact type and to its finer labels, each with
a salt of its own that the holder keeps, and says in clear only what the sharing rules need. Many
pointers are anchored at once as the RFC 9162 root over their encodings; a pointer's RFC 9162 leaf
hash is the record's name on the chain.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import msgspec

from ledger.chain.codec import Malformed, encode
from ledger.crypto import hashing

SALT_SIZE = 16

#: Coarse classes that may stand on the chain in clear.
RECORD_CLASSES = (
    "laboratory", "imaging", "ecg", "pathology", "note", "prescription", "referral",
    "immunization", "procedure", "condition", "encounter", "careplan", "claim", "other",
)  # fmt: skip

#: v3-Confidentiality codes that may stand on the chain, least to most confidential.
CONFIDENTIALITY = ("N", "R", "V")


class Pointer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One record as the ledger sees it.

    ``holder``: institution id. ``subject``: pseudonym. ``kind``: one of `RECORD_CLASSES`.
    ``digest``: `record_digest`. ``size``: bytes. ``media``: media type. ``start``, ``end``:
    clinical period in milliseconds since 1970 UTC. ``confidentiality``: N, R or V. ``type``:
    `commitment` to the LOINC code. ``labels``: `tokens.tokens_root` of the tokens of its labels and
    codes, or a `commitment` to the labels that no contract can be shown. ``replaces``: leaf hash of
    the record that this one supersedes, or empty.
    """

    holder: str
    subject: str
    kind: str
    digest: bytes
    size: int
    media: str
    start: int
    end: int
    confidentiality: str
    type: bytes
    labels: bytes
    replaces: bytes

    def value(self) -> dict[str, Any]:
        """The pointer as the map that contracts receive."""
        return {name: getattr(self, name) for name in self.__struct_fields__}

    def leaf(self) -> bytes:
        """The canonical bytes that are a leaf of an anchored batch."""
        return encode(self.value())

    def name(self) -> bytes:
        """The RFC 9162 leaf hash, the record's name on the chain (32 bytes)."""
        return sha256(b"\x00" + self.leaf()).digest()


def pointer_from_value(value: object) -> Pointer:
    """Read a pointer from a decoded map; raises `Malformed`."""
    try:
        pointer = msgspec.convert(value, Pointer)
    except msgspec.ValidationError as error:
        raise Malformed(f"not a record pointer: {error}") from None
    if pointer.kind not in RECORD_CLASSES or pointer.confidentiality not in CONFIDENTIALITY:
        raise Malformed("record pointer with an unknown class or confidentiality")
    return pointer


def record_digest(salt: bytes, content: bytes) -> bytes:
    """Salted SHA-256 of a record's exact bytes: without the salt nothing can be guessed."""
    return hashing.RECORD(salt + content)


def commitment(salt: bytes, text: str) -> bytes:
    """A hiding commitment to a short text; opened by showing salt and text."""
    return hashing.COMMITMENT(salt + text.encode())
