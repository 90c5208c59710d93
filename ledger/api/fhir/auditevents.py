"""AuditEvent at ``/fhir``: who did what with whose records (IHE ATNA with BALP, ITI-81).

A patient sees her own, without what a legal duty has her told of later. Staff see what they did
themselves; the privacy officers of an institution what concerns it; auditors of a commission
everything, about the patient, person or institution that they name. Whoever looks at anything but
her own doings is written down in the node's log, and that log's entries about a caller are events
of hers too.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any, Final

from ledger.api.fhir import people
from ledger.api.fhir.auditparameters import (
    AGENT,
    AGENT_IDENTIFIER,
    DATE,
    PARAMETERS,
    PATIENT,
    PATIENT_IDENTIFIER,
    patients,
    whos,
)
from ledger.api.fhir.errors import FhirProblem
from ledger.api.fhir.feeds import BATCH, Batch, Line, Merged, Read
from ledger.api.fhir.offer import Caller, Offer, Page, Resource
from ledger.api.fhir.trail import Trail, paged, read_decision_of, sealed, told
from ledger.api.lists import PRIVACY_OFFICERS, REGULATORS
from ledger.api.principal import Kind, Principal
from ledger.api.service import NodeService
from ledger.api.signin.signin import note_reading, signin_of
from ledger.fhir import auditlog, auditparts, r5records
from ledger.fhir.auditevents import Occurrence
from ledger.fhir.auditids import EventId, What, read_id, write_id
from ledger.fhir.outcome import Issue
from ledger.fhir.search import LAST_UPDATED, Parameter, Query
from ledger.node.journal import Journal
from ledger.node.reading.lists import Lists
from ledger.node.reading.packing import StaleCursor
from ledger.node.reading.room import IndexBehind

#: Seconds that a search waits for the index to come to the newest block.
PATIENCE: Final = 2.0
#: Lines that one page looks at; a search that selects little has pages with few entries.
MAX_EXAMINED: Final = 1_000
#: Entries of the node's own log that are looked through for those of a caller, newest first.
MAX_LOGGED: Final = 5_000
#: Longer than any permit lasts: how long after a decision its release and receipt may come, ms.
_AFTERWARDS: Final = 60 * 86_400_000
_CONSENTS: Final = (What.DECLARED, What.WITHDRAWN)


class AuditEvents:
    """Handlers of AuditEvent."""

    def __init__(self, service: NodeService) -> None:
        self._service = service
        self._trail = Trail(service)

    def offer(self) -> Offer:
        return Offer(
            "AuditEvent",
            "Decisions, disclosures, enquiries, emergencies, consents and sign-ins",
            mandatory=("type", "recorded", "agent", "source"),
            summary=("type", "subtype", "action", "recorded", "outcome", "purposeOfEvent", "agent"),
            parameters=PARAMETERS,
            profiles=tuple(
                auditparts.BALP + name
                for name in ("AuthZconsent", "PrivacyDisclosure.Source",
                             "PrivacyDisclosure.Recipient", "PatientQuery", "PatientCreate",
                             "PatientUpdate")
            ),
            read=self.read,
            search=self.search,
            to_r5=r5records.audit_event,
        )  # fmt: skip

    # --- reading ---------------------------------------------------------------------------------

    async def read(self, caller: Caller, name: str) -> Resource | None:
        event = read_id(name)
        if event is None:
            return None
        found = await self._read(caller, event)
        if found is not None:
            _note(caller, f"AuditEvent/{name}", _own(caller.principal, found))
        return found

    async def _read(self, caller: Caller, event: EventId) -> Resource | None:
        """An event, as far as the caller, or a patient for whom she speaks, may see it."""
        found = await asyncio.to_thread(self._found, caller, caller.principal, event)
        if found is not None or caller.principal.kind is not Kind.PATIENT:
            return found
        subject = event.about if event.what in _CONSENTS else self._subject(event)
        if not await people.speaks_for(self._service, caller.principal.id, subject):
            return None
        herself = replace(caller.principal, id=subject)
        return await asyncio.to_thread(self._found, caller, herself, event)

    def _subject(self, event: EventId) -> str:
        """The patient whom an event of the chain is about."""
        value = None if event.what is What.LOGGED else self._trail.entry(event)
        return str(value.get("subject", "")) if isinstance(value, dict) else ""

    def _found(self, caller: Caller, who: Principal, event: EventId) -> Resource | None:
        if event.what is What.LOGGED:
            return self._logged(caller, int(event.about))
        if event.what in _CONSENTS:
            return self._consent_found(who, event)
        value = self._trail.entry(event)
        if not isinstance(value, dict) or not _may_see(who, event.what, value):
            return None
        return self._trail.made(event)

    def _consent_found(self, who: Principal, event: EventId) -> Resource | None:
        reading = self._service.reading
        if reading is None or not (_regulates(who) or who.id == event.about):
            return None
        cursor = None
        while True:
            page = reading.lists.consents_of(event.about, cursor=cursor)
            for row in page.lines:
                for found, made in self._trail.events_of(row):
                    if found == event:
                        return made
            if page.cursor is None:
                return None
            cursor = page.cursor

    def _logged(self, caller: Caller, number: int) -> Resource | None:
        journal = _journal(caller)
        if journal is None or number > journal.head.entries:
            return None
        entries = journal.entries(number - 1, 1)
        mine = [each for each in entries if each["n"] == number and _is_about(caller, each)]
        return self._log_event(mine[0]) if mine else None

    def _log_event(self, entry: dict[str, Any]) -> Resource | None:
        identity = write_id(EventId(What.LOGGED, str(entry["n"])))
        if identity is None:
            return None
        here = Occurrence(identity, entry["time"], self._service.chain.hex())
        return auditlog.logged(here, entry, self._service.node)

    # --- searching -------------------------------------------------------------------------------

    async def search(self, caller: Caller, query: Query, place: Any) -> Page:
        reading = self._service.reading
        if reading is None:
            text = "This node keeps no lists; ask another node of the institution"
            raise FhirProblem(503, Issue("not-supported", text))
        try:
            await reading.reach(PATIENCE)
        except IndexBehind as error:
            text = f"The lists are at height {error.height} so far"
            raise FhirProblem(503, Issue("transient", text)) from None
        # What is new since the first page shifts nothing on the next ones.
        until = self._service.head().time + 1 if place is None else place["until"]
        logged = _entries_now(caller) if place is None else place["logged"]
        lists = await self._lists(caller, query, reading.lists, until, logged)
        _note(caller, f"AuditEvent?{'&'.join(f'{n}={v}' for n, v in query.used)}", lists.own)
        merged = Merged(lists.reads, None if place is None else place["lists"])
        matches: list[Resource] = []
        examined = 0
        over: list[list[Any]] = [] if place is None else place["over"]
        try:
            # What a line had too much for the page before comes first.
            matches, over = await self._rest(caller, query, over)
            while len(matches) < query.count and examined < MAX_EXAMINED:
                found = await merged.next()
                if found is None:
                    break
                examined += 1
                events = await asyncio.to_thread(self._line_events, found[1].value)
                fitting = [each for each in events if query.met_by(each)]
                room = query.count - len(matches)
                matches += fitting[:room]
                over = [[each["id"]] for each in fitting[room:]]
            further = await merged.place()
        except StaleCursor:
            gone = Issue("expired", "The link to this page holds no more; begin the search anew")
            raise FhirProblem(410, gone) from None
        more = None
        if further is not None or over:
            more = {"until": until, "logged": logged, "lists": further or {}, "over": over}
        return Page(matches, more)

    async def _rest(
        self, caller: Caller, query: Query, over: list[list[Any]]
    ) -> tuple[list[Resource], list[list[Any]]]:
        found = []
        for (name,) in over[: query.count]:
            event = read_id(name)
            made = None if event is None else await self._read(caller, event)
            if made is not None:
                found.append(made)
        return found, over[query.count :]

    def _line_events(self, value: Any) -> list[Resource]:
        if isinstance(value, dict):
            made = self._log_event(value)
            return [] if made is None else [made]
        return [made for _, made in self._trail.events_of(value)]

    async def _lists(
        self, caller: Caller, query: Query, lists: Lists, until: int, logged: int
    ) -> _Chosen:
        """Whose lists answer a search; a `FhirProblem` 403 or 400 where none may or can."""
        who = caller.principal
        patient = _one(query, PATIENT, PATIENT_IDENTIFIER, "Patient")
        since, end = _period(query, until)
        if who.kind is Kind.PATIENT:
            if patient not in ("", who.id):
                if not await people.speaks_for(self._service, who.id, patient):
                    raise _not_for_you()
                return _Chosen(_about_patient(lists, patient, since, end))
            reads = _about_patient(lists, who.id, since, end)
            return _Chosen(reads | _log(caller, logged), own=True)
        if who.kind not in (Kind.STAFF, Kind.SYSTEM):
            raise _not_for_you()
        agent = _one(query, AGENT, AGENT_IDENTIFIER, "")
        if _regulates(who):
            if patient:
                hidden = {"sealed": sealed(lists, patient)}
                return _Chosen(_about_patient(lists, patient, since, end) | hidden)
            if agent:
                return _Chosen(
                    _by(lists, "person", agent, since, end)
                    | _by(lists, "institution", agent, since, end)
                    | _by(lists, "holder", agent, since, end),
                    own=agent == who.id,
                )
            text = "Name a patient or an agent; for an institution, agent=Organization/id"
            raise FhirProblem(400, Issue("required", text))
        if agent != who.id and _answers_for_institution(who):
            return _Chosen(
                _by(lists, "institution", who.institution, since, end)
                | _by(lists, "holder", who.institution, since, end)
            )
        reads = _by(lists, "person", who.id, since, end)
        return _Chosen(reads | _log(caller, logged), own=True)


class _Chosen:
    """The lists that answer a search. ``own``: they are about the caller alone."""

    def __init__(self, reads: dict[str, Read], *, own: bool = False) -> None:
        self.reads = reads
        self.own = own


def _about_patient(lists: Lists, subject: str, since: int, until: int) -> dict[str, Read]:
    return {
        "told": told(lists, subject, until),
        "emergencies": paged(
            lambda cursor: lists.emergencies(
                subject=subject, since=since, until=until, cursor=cursor, limit=BATCH
            )
        ),
        "consents": paged(lambda cursor: lists.consents_of(subject, cursor=cursor, limit=BATCH)),
    }


def _by(lists: Lists, what: str, who: str, since: int, until: int) -> dict[str, Read]:
    """What a person or an institution did, or what was asked of a holder."""
    reads = {
        what: paged(
            lambda cursor: lists.opened_by(
                **{what: who}, since=since, until=until, cursor=cursor, limit=BATCH
            )
        )
    }
    if what != "holder":
        reads[f"{what} emergencies"] = paged(
            lambda cursor: lists.emergencies(
                **{what: who}, since=since, until=until, cursor=cursor, limit=BATCH
            )
        )
    return reads


def _period(query: Query, until: int) -> tuple[int, int]:
    """The block times of the lines that can have events of the dates asked for."""
    since, end = 0, until
    for criterion in (*query.all(DATE.name), *query.all(LAST_UPDATED.name)):
        moments = criterion.values
        if all(moment.prefix in ("eq", "ge", "gt", "sa") for moment in moments):
            since = max(since, min(moment.first for moment in moments) - _AFTERWARDS)
        if all(moment.prefix in ("eq", "le", "lt", "eb") for moment in moments):
            end = min(end, max(moment.last for moment in moments) + 1)
    return max(since, 0), max(end, 0)


def _one(query: Query, by_reference: Parameter, by_token: Parameter, kind: str) -> str:
    """The one id that a pair of parameters names; empty for none, `FhirProblem` 400 for several."""
    named: set[str] = set()
    for criterion in query.all(by_reference.name):
        named |= {ref.rpartition("/")[2] for refs in criterion.values for ref in refs}
    for criterion in query.all(by_token.name):
        named |= {code or "" for _system, code in criterion.values}
    if len(named) > 1:
        raise FhirProblem(400, Issue("invalid", f"{by_reference.name}: one at a time"))
    return named.pop() if named else ""


def _regulates(who: Principal) -> bool:
    return who.kind is Kind.STAFF and not REGULATORS.isdisjoint(who.roles)


def _answers_for_institution(who: Principal) -> bool:
    """A privacy officer, or a system of the institution, such as its audit repository."""
    if not who.institution:
        return False
    return who.kind is Kind.SYSTEM or not PRIVACY_OFFICERS.isdisjoint(who.roles)


def _may_see(who: Principal, what: What, value: dict[str, Any]) -> bool:
    """Whether a caller may see an event of an entry of the state."""
    if _regulates(who):
        return True
    if who.kind is Kind.PATIENT:
        if value.get("subject") != who.id:
            return False
        # What she is told of later has no number in her log yet.
        return what not in (What.DECIDED, What.RELEASED, What.RECEIVED) or _is_told(value)
    acting = value.get("requester") or value.get("asker") or value.get("person")
    if who.kind is Kind.STAFF and acting == who.id:
        return True
    concerned = (value.get("institution"), value.get("holder"))
    return _answers_for_institution(who) and who.institution in concerned


def _is_told(value: dict[str, Any]) -> bool:
    return read_decision_of(value) is not None and value.get("entry") is not None


def _own(who: Principal, resource: Resource) -> bool:
    """Whether an event is of the caller's own doing, or about her."""
    names = {each["identifier"]["value"] for each in whos(resource) if "identifier" in each}
    subjects = {each["identifier"]["value"] for each in patients(resource)}
    return who.id in names or who.id in subjects


def _is_about(caller: Caller, entry: dict[str, Any]) -> bool:
    who = caller.principal
    return bool(entry.get("who") == who.id and entry.get("kind", who.kind) == who.kind)


def _log(caller: Caller, end: int) -> dict[str, Read]:
    """The node's own log up to an entry, as far as it is about the caller."""
    journal = _journal(caller)
    if journal is None:
        return {}

    def look(_cursor: Any) -> Batch:
        # All at once, for each look reads a file of the log from its beginning.
        first = max(0, end - MAX_LOGGED)
        entries = journal.entries(first, end - first) if end > first else []
        mine = [each for each in entries if _is_about(caller, each)]
        return Batch([Line(each["time"], each) for each in reversed(mine)], None)

    return {"log": lambda cursor: asyncio.to_thread(look, cursor)}


def _entries_now(caller: Caller) -> int:
    journal = _journal(caller)
    return 0 if journal is None else journal.head.entries


def _journal(caller: Caller) -> Journal | None:
    signin = signin_of(caller.request)
    return None if signin is None else signin.journal


def _note(caller: Caller, what: str, own: bool) -> None:
    """Whoever looks at what others did is written down: an audit log without readers' names would
    be the one place where nobody watches."""
    if not own:
        note_reading(caller.request, caller.principal, what)


def _not_for_you() -> FhirProblem:
    return FhirProblem(403, Issue("forbidden", "These events are for others"))
