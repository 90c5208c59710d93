"""What AuditEvents there are for a caller: whose lists are read, and how a line becomes events.

Lines come from the index of the node (`ledger.node.reading`); what they are about is read from the
state, which is certified, so an event says what the chain says and not what an index remembers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from ledger.api.fhir.feeds import BATCH, Batch, Line, Read
from ledger.api.service import NodeService
from ledger.chain.codec import decode_value
from ledger.chain.limits import MAX_STATE_VALUE_BYTES
from ledger.fhir import auditevents
from ledger.fhir.auditevents import Decision, Occurrence
from ledger.fhir.auditids import EventId, What, consent_mark, write_id
from ledger.fhir.elements import Element
from ledger.node.reading.content import Access, Consent, Emergency
from ledger.node.reading.lists import Lists, Page

Row = Access | Emergency | Consent

#: Contract and map of what a decision, an enquiry and an emergency are kept in.
_KEYS: Final = {
    What.DECIDED: "access/decisions/",
    What.RELEASED: "access/decisions/",
    What.RECEIVED: "access/decisions/",
    What.ENQUIRED: "enquiry/enquiries/",
    What.GLASS_BROKEN: "emergency/emergencies/",
    What.REVIEWED: "emergency/emergencies/",
    What.OVERDUE: "emergency/emergencies/",
}


class Trail:
    """Events out of the state of a node's chain."""

    def __init__(self, service: NodeService) -> None:
        self._service = service
        self._chain = service.chain.hex()

    def entry(self, event: EventId) -> Any:
        """The state entry that an event is made of; None where there is none."""
        return self._value(_KEYS[event.what] + event.about)

    def consent(self, name: str) -> Any:
        return self._value(f"consent/consents/{name}")

    def _value(self, key: str) -> Any:
        raw = self._service.state(key.encode())
        return None if raw is None else decode_value(raw, limit=MAX_STATE_VALUE_BYTES)

    def events_of(self, row: Row) -> Iterator[tuple[EventId, Element]]:
        """The events of one line, the newest first."""
        for event in _events_in(row):
            made = self.made(event, row.id if isinstance(row, Consent) else "")
            if made is not None:
                yield event, made

    def made(self, event: EventId, consent: str = "") -> Element | None:
        """The AuditEvent of an id; None where nothing of the kind has happened, or the entry is not
        what is usually there. ``consent``: its id on the chain, which the event's id only hashes.
        """
        identity = write_id(event)
        if identity is None:
            return None
        try:
            if event.what in (What.DECLARED, What.WITHDRAWN):
                return self._consent_event(event, identity, consent)
            value = self.entry(event)
            return None if value is None else self._event(event, identity, value)
        except msgspec.ValidationError:
            return None

    def _event(self, event: EventId, identity: str, value: Any) -> Element | None:
        what = event.what
        if what is What.ENQUIRED:
            enquiry = auditevents.read_enquiry(value)
            return auditevents.enquired(self._at(identity, enquiry.time), enquiry)
        if what in (What.GLASS_BROKEN, What.REVIEWED, What.OVERDUE):
            return self._emergency_event(event, identity, auditevents.read_emergency(value))
        decision = auditevents.read_decision(value)
        if what is What.DECIDED:
            return auditevents.decided(self._at(identity, decision.time), decision)
        outcome = decision.released if what is What.RELEASED else decision.received
        if outcome is None:
            return None
        tell = auditevents.released if what is What.RELEASED else auditevents.received
        return tell(self._at(identity, outcome.time), decision, outcome)

    def _emergency_event(
        self, event: EventId, identity: str, emergency: auditevents.Emergency
    ) -> Element | None:
        if event.what is What.GLASS_BROKEN:
            name, time = "glass_broken", emergency.declared
        elif event.what is What.REVIEWED:
            if emergency.review is None:
                return None
            name, time = "reviewed", emergency.review.time
        else:
            ended = self._service.head().time if emergency.review is None else emergency.review.time
            if ended < emergency.due:
                return None
            name, time = "review_overdue", emergency.due
        here = self._at(identity, time)
        return auditevents.emergency_event(here, name, event.about, emergency)

    def _consent_event(self, event: EventId, identity: str, name: str) -> Element | None:
        found = self.consent(name)
        if not isinstance(found, dict) or found.get("subject") != event.about:
            return None
        if event.what is What.DECLARED:
            time, speakers, step = found["time"], found.get("given_by", []), "declared"
        else:
            withdrawn = found.get("withdrawn")
            if not isinstance(withdrawn, dict):
                return None
            time, speakers, step = withdrawn["time"], found.get("withdrawn_by", []), "withdrawn"
        return auditevents.consent_changed(
            self._at(identity, time), step, name, event.about, tuple(speakers)
        )

    def _at(self, identity: str, time: int) -> Occurrence:
        return Occurrence(identity, time, self._chain)


def read_decision_of(value: Any) -> Decision | None:
    """A decision, or None for what is none."""
    try:
        return auditevents.read_decision(value)
    except msgspec.ValidationError:
        return None


def _events_in(row: Row) -> list[EventId]:
    if isinstance(row, Consent):
        mark = consent_mark(row.id)
        declared = EventId(What.DECLARED, row.subject, mark)
        gone = [EventId(What.WITHDRAWN, row.subject, mark)] if row.withdrawn is not None else []
        return [*gone, declared]
    if isinstance(row, Emergency):
        # That it is overdue is known at the newest block; `made` finds out.
        steps = (What.REVIEWED, What.OVERDUE, What.GLASS_BROKEN)
        return [EventId(step, row.id) for step in steps]
    if row.what == "enquiry":
        return [EventId(What.ENQUIRED, row.id)]
    found = [(What.RECEIVED, row.received), (What.RELEASED, row.released)]
    done = [EventId(what, row.id) for what, time in found if time is not None]
    return [*done, EventId(What.DECIDED, row.id)]


# --- lists -------------------------------------------------------------------------------------


def told(lists: Lists, subject: str, until: int) -> Read:
    """What a patient was told of: her log of disclosures, newest first."""

    def look(cursor: Any) -> Batch:
        rows = lists.accesses_of(subject, before=cursor, limit=BATCH)
        last = rows[-1].entry if rows else None
        kept = [Line(row.time, row) for row in rows if row.time < until]
        return Batch(kept, last if len(rows) == BATCH and last else None)

    return lambda cursor: asyncio.to_thread(look, cursor)


def paged(page: Callable[[Any], Page[Any]]) -> Read:
    """A list that pages itself."""

    def look(cursor: Any) -> Batch:
        found = page(cursor)
        return Batch([Line(row.time, row) for row in found.lines], found.cursor)

    return lambda cursor: asyncio.to_thread(look, cursor)


def sealed(lists: Lists, subject: str) -> Read:
    """What a patient is not told of yet; never for her. There are few at a time, if any."""

    def look(cursor: Any) -> Batch:
        rows = sorted(lists.sealed_of(subject), key=lambda row: row.time, reverse=True)
        return Batch([Line(row.time, row) for row in rows], None)

    return lambda cursor: asyncio.to_thread(look, cursor)
