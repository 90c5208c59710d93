"""Whom an event concerns: people, institutions, and the holder of a record.

Contracts name those whom an event is about in its fields; which fields name whom is said once,
here. An event about a decision names only the decision, so its parties are read from that. Who is
not named by the event itself is never added: while a decision is sealed its event names no subject,
and neither does this (docs/decisions/0034).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from ledger.chain import limits
from ledger.chain.codec import Malformed, decode_value

#: Reads the canonical bytes of a state entry, or None where there is none.
Read = Callable[[bytes], bytes | None]

#: Fields with the id of a person: staff, or a patient where the registry speaks of one.
PEOPLE: Final = frozenset({"subject", "person", "expert", "reader", "duplicate", "survivor"})
#: Fields with the id of an institution, whichever part it has.
INSTITUTIONS: Final = frozenset({
    "institution", "holder", "source", "target", "receiver", "clinic", "centre", "hospital",
    "insurer", "vendor", "place", "home", "board", "authority",
})  # fmt: skip
#: Fields that name an institution in these events and something else in others.
ELSEWHERE: Final = {
    ("cross_sector", "shared_with_department"): "department",
    ("emergency", "ordered"): "by",
    ("recognition", "marked"): "by",
    ("recognition", "unmarked"): "by",
}
HOLDER: Final = "holder"
#: The id of an access decision.
REQUEST: Final = "request"


@dataclass(frozen=True, slots=True)
class Parties:
    """Those whom an event concerns, by their ids."""

    people: frozenset[str]
    institutions: frozenset[str]
    holders: frozenset[str]


def parties_of(contract: str, name: str, fields: dict[str, Any], read: Read) -> Parties:
    """The parties of one event; ``read``: the state after its block."""
    people = _texts(fields, PEOPLE)
    institutions = _texts(fields, INSTITUTIONS)
    holders = _texts(fields, {HOLDER})
    extra = ELSEWHERE.get((contract, name))
    if extra is not None:
        institutions |= _texts(fields, {extra})
    request = fields.get(REQUEST)
    if isinstance(request, str) and request:
        decision = _decision(request, read)
        institutions |= _texts(decision, {"institution", HOLDER})
        holders |= _texts(decision, {HOLDER})
    return Parties(people, institutions, holders)


def _texts(fields: dict[str, Any], names: frozenset[str] | set[str]) -> frozenset[str]:
    found = (fields.get(name) for name in names)
    return frozenset(value for value in found if isinstance(value, str) and value)


def _decision(request: str, read: Read) -> dict[str, Any]:
    key = b"access/decisions/" + request.encode(errors="replace")
    if len(key) > limits.MAX_STATE_KEY_BYTES:
        return {}
    raw = read(key)
    if raw is None:
        return {}
    try:
        found = decode_value(raw, limit=limits.MAX_STATE_VALUE_BYTES)
    except Malformed:
        return {}
    return found if isinstance(found, dict) else {}
