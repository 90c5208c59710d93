"""Labels and codes of records that can be decided by, and not read.

A patient's sensitivity labels and the codes of her records never stand on the chain in clear, nor
as plain hashes, which anybody could test guesses against. Each becomes a **token**: HMAC-SHA-256
under a key of this one patient, cut to 16 bytes. A record's pointer commits to the list of its
tokens; a consent names tokens of the same key. Whoever has the chain alone cannot make the token of
a guess, and the tokens of two patients have nothing in common.

The list of a record has always the same length. Beside its real tokens it has one that says under
which key its labels were made, one that says the same of its codes, one that no other record has,
which hides equal lists, and decoys out of a pool of the patient, so that neither their number nor
what two lists share says how many are real.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from ledger.chain.codec import encode

KEY_SIZE: Final = 32
TOKEN_SIZE: Final = 16
#: Tokens in the list of every record.
LIST_SIZE: Final = 16
#: Decoys that a patient has, of which each record gets what its list still needs.
DECOYS: Final = 24
#: Real tokens that fit beside those of the key and the record's own.
ROOM: Final = LIST_SIZE - 3

_DOMAIN: Final = b"health-ledger/label-token\x00"


@dataclass(frozen=True, slots=True)
class LabelKey:
    """The secret under which one patient's labels become tokens; 32 bytes.

    All holders of a patient's records need the same key. A record labelled under another one counts
    as a record whose labels are not shown.

    Raises:
        ValueError: not 32 bytes.
    """

    secret: bytes

    def __post_init__(self) -> None:
        if len(self.secret) != KEY_SIZE:
            raise ValueError(f"a label key has {KEY_SIZE} bytes")

    def __repr__(self) -> str:
        return "LabelKey(…)"

    @classmethod
    def generate(cls, entropy: Callable[[int], bytes] = secrets.token_bytes) -> LabelKey:
        return cls(entropy(KEY_SIZE))

    def _token(self, kind: str, text: str) -> bytes:
        message = _DOMAIN + kind.encode() + b"\x00" + text.encode()
        return hmac.digest(self.secret, message, "sha256")[:TOKEN_SIZE]

    @property
    def for_labels(self) -> bytes:
        """In every list made with this key. A rule that names labels names it as ``label_key``."""
        return self._token("key", "labels")

    @property
    def for_codes(self) -> bytes:
        """In every list that has all codes of its record. A rule that names codes, or codes and
        labels, names it as ``label_key``: its denial reaches records whose codes had no room."""
        return self._token("key", "codes")

    def label(self, code: str) -> bytes:
        """The token of a sensitivity code of v3-ActCode."""
        return self._token("label", code)

    def code(self, system: str, code: str) -> bytes:
        """The token of a code that says what a record is, such as one of LOINC."""
        return self._token("code", f"{system}|{code}")

    def opening(
        self, labels: Iterable[str], codes: Iterable[tuple[str, str]], salt: bytes
    ) -> tuple[bytes, ...]:
        """The sorted list of a record's tokens; the same input gives the same list again.

        Args:
            labels: its sensitivity codes and what subsumes them.
            codes: (system, code) pairs that say what it is.
            salt: the record's own.

        Returns:
            16 tokens. Codes that have no room are left out, all of them, and the list lacks
            `for_codes`. Nothing where the labels alone have no room: such a record is treated as
            one whose labels are not shown.
        """
        named = {self.label(label) for label in labels}
        coded = {self.code(*code) for code in codes}
        if len(named) > ROOM:
            return ()
        tokens = {self.for_labels, self._token("record", salt.hex()), *named}
        if len(named) + len(coded) <= ROOM:
            tokens |= {self.for_codes, *coded}
        pool = sorted(range(DECOYS), key=lambda decoy: self._token("pick", f"{salt.hex()} {decoy}"))
        for decoy in pool[: LIST_SIZE - len(tokens)]:
            tokens.add(self._token("decoy", str(decoy)))
        return tuple(sorted(tokens))


def tokens_root(tokens: Iterable[bytes]) -> bytes:
    """What a pointer says of a list of tokens, as contracts compute it (32 bytes)."""
    return sha256(encode(list(tokens))).digest()
