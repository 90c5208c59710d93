"""What patients say of a record, as FHIR extensions: that it is wrong, that it be destroyed.

FHIR has no element for either. A dispute travels with the DocumentReference and the Provenance of
its record, so whoever is shown the record is shown that it is disputed, also after the holder has
refused to correct it. Words are on no chain: each side's are named by their SHA-256, by which
whoever is given them later knows that they are the ones.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Final

from ledger.fhir import elements
from ledger.fhir.elements import EXTENSION, Element

DISPUTE_EXTENSION: Final = EXTENSION + "dispute"
ERASURE_EXTENSION: Final = EXTENSION + "erasure"


@dataclass(frozen=True, slots=True)
class Dispute:
    """One that stands beside a record: open, or refused by the holder.

    ``id``: of the dispute. ``status``: ``open`` or ``refused``. ``reason``: a code of the contract
    `corrections`. ``time``, ``due``, ``answered``: when it was raised, until when the holder has to
    answer and when it did, block times in milliseconds; 0 where it has not. ``statement``,
    ``answer``: SHA-256 of the patient's words and of the holder's reasons; the latter may be empty.
    """

    id: str
    status: str
    reason: str
    time: int
    due: int
    statement: bytes
    answered: int = 0
    answer: bytes = b""

    @property
    def changed(self) -> int:
        return max(self.time, self.answered)


def dispute_extension(dispute: Dispute) -> Element:
    """A dispute as one extension of several parts."""
    parts: list[Element] = [
        {"url": "id", "valueString": dispute.id},
        {"url": "status", "valueCode": dispute.status},
        {"url": "reason", "valueCode": dispute.reason},
        {"url": "date", "valueInstant": elements.instant(dispute.time)},
        {"url": "statement", "valueBase64Binary": _base64(dispute.statement)},
    ]
    if dispute.answered:
        parts += [
            {"url": "answered", "valueInstant": elements.instant(dispute.answered)},
            {"url": "answer", "valueBase64Binary": _base64(dispute.answer)},
        ]
    else:
        parts.append({"url": "due", "valueInstant": elements.instant(dispute.due)})
    return {"url": DISPUTE_EXTENSION, "extension": parts}


def erasure_extension(since: int) -> Element:
    """That the patient has asked for the record to be destroyed; since when, in milliseconds."""
    parts = [
        {"url": "status", "valueCode": "requested"},
        {"url": "date", "valueInstant": elements.instant(since)},
    ]
    return {"url": ERASURE_EXTENSION, "extension": parts}


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
