"""Logical ids of AuditEvents: which event of which entry of the state, or of a node's own log.

An event is not stored; it is told anew from what the chain says. So its id must lead back there, in
the 64 letters, digits, hyphens and dots that FHIR allows: a letter for what happened, then the id
of a decision (or enquiry, or emergency), or a patient and the hash of a consent's id, in base 32;
or the number of a log entry.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from enum import StrEnum
from typing import Final, NamedTuple


class What(StrEnum):
    """What happened."""

    DECIDED = "d"
    RELEASED = "e"
    RECEIVED = "i"
    ENQUIRED = "q"
    GLASS_BROKEN = "b"
    REVIEWED = "v"
    OVERDUE = "o"
    DECLARED = "g"
    WITHDRAWN = "w"
    LOGGED = "l"


class EventId(NamedTuple):
    """``about``: id of the decision, enquiry or emergency; of a consent's event the pseudonym of
    the patient, of a log's its number. ``mark``: `consent_mark`, otherwise empty."""

    what: What
    about: str
    mark: bytes = b""


_LETTERS: Final = frozenset(what.value for what in What)
_CONSENT: Final = frozenset({What.DECLARED, What.WITHDRAWN})
_PLACE: Final = re.compile(r"([0-9a-f]{64})-(0|[1-9][0-9]{0,4})", re.ASCII)
_PSEUDONYM: Final = re.compile(r"p-([0-9a-f]{32})", re.ASCII)
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)
_MARK_BYTES: Final = 16
_MAX_CALL: Final = 65_535


def consent_mark(consent: str) -> bytes:
    """What stands for the id of a consent, which may be any text."""
    return hashlib.sha256(consent.encode()).digest()[:_MARK_BYTES]


def write_id(event: EventId) -> str | None:
    """The logical id; None for what has no id of the usual form, and so no AuditEvent."""
    if event.what is What.LOGGED:
        return f"{event.what}.{event.about}" if _NUMBER.fullmatch(event.about) else None
    if event.what in _CONSENT:
        patient = _PSEUDONYM.fullmatch(event.about)
        if patient is None or len(event.mark) != _MARK_BYTES:
            return None
        return f"{event.what}.{_text(bytes.fromhex(patient[1]) + event.mark)}"
    place = _PLACE.fullmatch(event.about)
    if place is None or int(place[2]) > _MAX_CALL:
        return None
    return f"{event.what}.{_text(bytes.fromhex(place[1]) + int(place[2]).to_bytes(2, 'big'))}"


def read_id(text: str) -> EventId | None:
    """What an id leads to; None for any text that `write_id` does not write."""
    letter, dot, rest = text.partition(".")
    if not dot or letter not in _LETTERS:
        return None
    what = What(letter)
    if what is What.LOGGED:
        found = EventId(what, rest)
    else:
        try:
            raw = base64.b32decode(rest.upper() + "=" * (-len(rest) % 8))
        except (binascii.Error, ValueError):
            return None
        if what in _CONSENT:
            found = EventId(what, f"p-{raw[:16].hex()}", raw[16:])
        else:
            found = EventId(what, f"{raw[:32].hex()}-{int.from_bytes(raw[32:], 'big')}")
    # One event, one id: base 32 has letters of two cases and unused bits.
    return found if write_id(found) == text else None


def _text(raw: bytes) -> str:
    return base64.b32encode(raw).decode("ascii").rstrip("=").lower()
