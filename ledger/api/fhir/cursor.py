"""Where the next page of a search begins, in a form that only this server can make and read.

A place in an index says how much lies between two entries, some of which the caller may not see. So
cursors are sealed, not just signed, and hold for one caller and one query.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from typing import Any, Final

import msgspec
from nacl.exceptions import CryptoError
from nacl.secret import Aead

from ledger.api.fhir.errors import FhirProblem
from ledger.fhir.outcome import Issue

_MAX_LENGTH: Final = 2_000


class Cursors:
    """Seals and opens places. The key lives as long as the process: after a restart, a client
    begins its search anew."""

    def __init__(self) -> None:
        self._box = Aead(secrets.token_bytes(Aead.KEY_SIZE))

    def seal(self, place: Any, *bound_to: str) -> str:
        """An opaque text for a place (of what JSON can say) that opens for the same binding."""
        sealed = self._box.encrypt(msgspec.json.encode(place), _binding(bound_to))
        return base64.urlsafe_b64encode(bytes(sealed)).rstrip(b"=").decode()

    def open(self, text: str, *bound_to: str) -> Any:
        """The place; a `FhirProblem` 410 for whatever this server did not make for this query."""
        try:
            if len(text) > _MAX_LENGTH:
                raise ValueError
            raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
            return msgspec.json.decode(self._box.decrypt(raw, _binding(bound_to)))
        except (ValueError, CryptoError):
            gone = Issue("expired", "The link to this page holds no more; begin the search anew")
            raise FhirProblem(410, gone) from None


def _binding(parts: tuple[str, ...]) -> bytes:
    return hashlib.sha256(msgspec.json.encode(parts)).digest()
