"""Consent at ``/fhir``: reading, searching, histories.

Who sees a consent: the patient; whoever speaks for her; care staff, registrars and systems of the
institution where she is registered or whose registrar recorded it. Nobody else learns that it
exists, not by a count either. Recipients do not see the consent that permits them: they ask for
access and learn the decision.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

from ledger.api.fhir import people
from ledger.api.fhir.errors import FhirProblem
from ledger.api.fhir.offer import Caller, Page, Past, PastPage, Resource
from ledger.api.fhir.proposals import Proposal, Proposals
from ledger.api.principal import Kind, Principal
from ledger.api.service import NodeService
from ledger.chain.codec import decode_value
from ledger.chain.limits import MAX_STATE_VALUE_BYTES
from ledger.fhir import consentview
from ledger.fhir.bundle import Change
from ledger.fhir.consentview import Declared
from ledger.fhir.labelnames import LabelNames
from ledger.fhir.outcome import Issue
from ledger.fhir.search import (
    ID,
    LAST_UPDATED,
    Criterion,
    Parameter,
    Query,
    concepts,
    intervals,
    references,
)
from ledger.node.consentindex import CONSENTS, SUBJECTS, ConsentIndex, Sight, Version

#: Roles that see the consents of their institution's patients.
READERS: Final = frozenset(
    {"physician", "nurse", "emergency-physician", "family-doctor", "village-doctor", "pharmacist",
     "registrar"}
)  # fmt: skip
#: Those of them that see sensitivity labels in clear.
CARERS: Final = READERS - {"pharmacist", "registrar"}

#: How long a request waits for the index, in seconds.
PATIENCE: Final = 5.0
#: Consents that one page looks at, and that a count goes through.
MAX_LOOKED_AT: Final = 500
MAX_COUNTED: Final = 2_000

_DEFINITION: Final = "http://hl7.org/fhir/SearchParameter/"


def _provisions(resource: Resource) -> Iterable[Resource]:
    waiting = [resource.get("provision", {})]
    while waiting:
        provision = waiting.pop()
        yield provision
        waiting.extend(provision.get("provision", ()))


def _actors(resource: Resource) -> Iterable[str]:
    """Everybody who is an actor, also by a role that the consent contains."""
    for provision in _provisions(resource):
        for actor in provision.get("actor", ()):
            yield from references(actor["reference"])
    for item in resource.get("contained", ()):
        for element in ("organization", "practitioner"):
            yield from references(item.get(element))


PARAMETERS: Final = (
    ID,
    LAST_UPDATED,
    Parameter(
        "patient", "reference", "Whose consent it is", _DEFINITION + "clinical-patient",
        lambda resource: references(resource.get("patient")), ("Patient",), ("identifier",),
    ),
    Parameter(
        "status", "token", "proposed, active, or inactive for a withdrawn one",
        _DEFINITION + "Consent-status", lambda resource: concepts(resource.get("status")),
    ),
    Parameter(
        "date", "date", "When it was declared", _DEFINITION + "clinical-date",
        lambda resource: intervals(resource.get("dateTime")),
    ),
    Parameter(
        "period", "date", "When one of its rules holds", _DEFINITION + "Consent-period",
        lambda resource: [found for each in _provisions(resource)
                          for found in intervals(each.get("period"))],
    ),
    Parameter(
        "scope", "token", "patient-privacy for all", _DEFINITION + "Consent-scope",
        lambda resource: concepts(resource.get("scope")),
    ),
    Parameter(
        "category", "token", "LOINC 59284-0 for all", _DEFINITION + "Consent-category",
        lambda resource: concepts(resource.get("category")),
    ),
    Parameter(
        "actor", "reference", "Who is named by a rule, as recipient or holder",
        _DEFINITION + "Consent-actor", _actors,
        ("Practitioner", "Organization", "Patient"), ("identifier",),
    ),
    Parameter(
        "purpose", "token", "A purpose that a rule names", _DEFINITION + "Consent-purpose",
        lambda resource: [found for each in _provisions(resource)
                          for found in concepts(each.get("purpose", []))],
    ),
    Parameter(
        "identifier", "token", "Its id on the chain", _DEFINITION + "clinical-identifier",
        lambda resource: concepts(resource.get("identifier")),
    ),
)  # fmt: skip


class Consents:
    """The consents of one node's chain."""

    def __init__(self, service: NodeService) -> None:
        self._service = service
        self.proposals = Proposals()

    @property
    def index(self) -> ConsentIndex:
        return self._service.consents

    def waiting(self, principal: Principal) -> Iterator[tuple[str, Proposal]]:
        """The proposals that a caller may see."""
        return self.proposals.seen_by(principal, self._service.head().height)

    # --- who sees what -----------------------------------------------------------------------

    async def sight(self, principal: Principal, subject: str = "") -> Sight:
        """Whose consents a caller may see; of ``subject`` too, for whom she may speak."""
        if principal.kind is Kind.PATIENT:
            hers = people.names_of(self._service, principal.id)
            if subject and subject not in hers:
                speaks = await people.speaks_for(self._service, principal.id, subject)
                return Sight((subject,)) if speaks else Sight()
            return Sight(hers)
        if principal.kind is Kind.SYSTEM or READERS & set(principal.roles):
            return Sight((), principal.institution)
        return Sight()

    def _names(self, principal: Principal, subject: str) -> LabelNames:
        """What a caller may know of a patient's labels."""
        carer = principal.kind is Kind.STAFF and bool(CARERS & set(principal.roles))
        hers = subject in people.names_of(self._service, principal.id)
        if not hers and not carer:
            return LabelNames(None)
        return LabelNames(self._service.label_key(subject))

    async def up_to_date(self) -> None:
        """Wait for the index; a `FhirProblem` 503 where that takes too long."""
        if not await asyncio.to_thread(self.index.catch_up, PATIENCE):
            late = Issue("transient", "The index of consents is being made")
            raise FhirProblem(503, late, headers={"Retry-After": "5"})

    # --- from the chain to resources -----------------------------------------------------------

    def declared(self, version: Version) -> Declared | None:
        """One version of a consent as the chain has it; None where this node no longer does."""
        height = self._kept_height(version)
        held = None if height is None else self._at(CONSENTS + version.name.encode(), height)
        if held is None or height is None:
            return None
        rules = held.get("rules")
        if rules is None:
            entries = self._at(SUBJECTS + version.subject.encode(), height) or ()
            found = [each["rules"] for each in entries if each["consent"] == version.name]
            rules = found[0] if found else []
        return Declared(
            name=version.name,
            subject=held["subject"],
            status=held["status"],
            given_by=tuple(held["given_by"]),
            rules=tuple(rules),
            given=held["time"],
            changed=version.time,
            version=version.height,
            form=held["form"],
            source=held["source"],
            institution=version.recorder,
            withdrawn_by=tuple(held.get("withdrawn_by", ())),
            withdrawn=held.get("withdrawn", {}).get("time", 0),
        )

    def _kept_height(self, version: Version) -> int | None:
        """A height at which the node still has the state and a version is in force.

        A pruned node has no state from before the block below its oldest one. What was in force
        then is still there; what had been replaced before is gone.
        """
        place = self._service.archived_block(version.height + 1)
        if place is None:
            return version.height
        oldest = place.base - 1
        later = [each.height for each in self.index.versions(version.name)]
        replaced = any(version.height < height <= oldest for height in later)
        return None if replaced else oldest

    def _at(self, key: bytes, height: int) -> Any:
        raw = self._service.state(key, height)
        return None if raw is None else decode_value(raw, limit=MAX_STATE_VALUE_BYTES)

    def shown(self, principal: Principal, declared: Declared) -> Resource:
        """A consent as a caller may see it."""
        return consentview.consent(declared, self._names(principal, declared.subject))

    async def find(self, principal: Principal, name: str) -> Version | None:
        """The newest version of a consent on the chain, if the caller may see it."""
        await self.up_to_date()
        found = await asyncio.to_thread(self.index.newest, name)
        if found is None:
            return None
        sight = await self.sight(principal, found.subject)
        return await asyncio.to_thread(self.index.newest, name, sight)

    # --- interactions --------------------------------------------------------------------------

    async def read(self, caller: Caller, name: str) -> Resource | None:
        version = await self.find(caller.principal, name)
        waiting = self.proposals.get(name, caller.principal, self._service.head().height)
        if version is None:
            return None if waiting is None else self.shown(caller.principal, waiting.declared)
        declared = await asyncio.to_thread(self.declared, version)
        if declared is None:
            return None
        if waiting is not None and declared.status == "active":
            declared = replace(declared, unsigned=waiting.declared.unsigned)
        return self.shown(caller.principal, declared)

    async def vread(self, caller: Caller, name: str, version: str) -> Resource | None:
        newest = await self.find(caller.principal, name)
        if newest is None:
            return None
        every = await asyncio.to_thread(self.index.versions, newest.name)
        found = next((each for each in every if str(each.height) == version), None)
        declared = None if found is None else await asyncio.to_thread(self.declared, found)
        return None if declared is None else self.shown(caller.principal, declared)

    async def history(self, caller: Caller, name: str, past: Past) -> PastPage | None:
        newest = await self.find(caller.principal, name)
        if newest is None:
            return None
        every = await asyncio.to_thread(self.index.versions, newest.name)
        every = [each for each in every if each.time >= past.since]
        start = int(past.place or 0)
        end = start + past.count
        changes = await asyncio.to_thread(self._changes, caller.principal, every[start:end])
        return PastPage(changes, end if end < len(every) else None, len(every))

    async def type_history(self, caller: Caller, past: Past) -> PastPage:
        await self.up_to_date()
        sight = await self.sight(caller.principal)
        found = await asyncio.to_thread(
            lambda: self.index.changes(
                sight, since=past.since, before=past.place or (), limit=past.count + 1
            )
        )
        page = found[: past.count]
        changes = await asyncio.to_thread(self._changes, caller.principal, page)
        onwards = [page[-1].height, page[-1].name] if len(found) > len(page) else None
        return PastPage(changes, onwards)

    def _changes(self, principal: Principal, versions: Sequence[Version]) -> list[Change]:
        found = []
        for version in versions:
            declared = self.declared(version)
            if declared is not None:
                method = "POST" if version.first else "PUT"
                found.append(Change(self.shown(principal, declared), method))
        return found

    async def search(self, caller: Caller, query: Query, place: Any) -> Page:
        principal = caller.principal
        await self.up_to_date()
        subjects = _subjects(caller, query)
        sight = await self.sight(principal, subjects[0] if subjects else "")
        others = tuple(each for each in query.criteria if each.parameter.name != "patient")
        if subjects is not None and (len(subjects) != 1 or sight == Sight()):
            return Page((), total=0)
        search = _Search(
            self, principal, sight, subjects[0] if subjects else "", replace(query, criteria=others)
        )
        return await asyncio.to_thread(search.page, place)


def _subjects(caller: Caller, query: Query) -> list[str] | None:
    """The patients that all criteria agree about; None where none is named."""
    criteria = query.all("patient")
    if not criteria:
        return None
    found: set[str] | None = None
    for criterion in criteria:
        named = {
            people.subject_of(caller, reference)
            for alternatives in criterion.values
            for reference in alternatives
        } - {""}
        found = named if found is None else found & named
    if found is not None and len(found) > 1:
        raise FhirProblem(400, Issue("not-supported", "patient: one patient at a time"))
    return sorted(found or ())


class _Search:
    """One search of consents, in the order in which they changed; proposals come last."""

    def __init__(
        self, consents: Consents, principal: Principal, sight: Sight, subject: str, query: Query
    ) -> None:
        self._consents = consents
        self._principal = principal
        self._sight = sight
        self._subject = subject
        self._query = query
        self._since, self._until = _bounds(query.all("_lastUpdated"))
        self._descending = ("_lastUpdated", True) in query.sort

    def page(self, place: Any) -> Page:
        phase, *rest = place or ["chain"]
        matches: list[Resource] = []
        onwards: Any = None
        if phase == "chain":
            matches, onwards = self._from_chain(rest)
        if onwards is None:
            start = int(rest[0]) if phase == "proposed" else 0
            room = self._query.count - len(matches)
            proposed = self._proposed()
            matches += proposed[start : start + room]
            if start + room < len(proposed):
                onwards = ["proposed", start + room]
        total = None
        if self._query.total and onwards is None and place is None:
            total = len(matches)
        elif self._query.total:
            total = self._total()
        return Page(matches, onwards, total)

    def _from_chain(self, after: Sequence[Any]) -> tuple[list[Resource], Any]:
        """Matches up to the count, and where to go on."""
        count = self._query.count
        found: list[Resource] = []
        looked_at = 0
        while looked_at < MAX_LOOKED_AT and (len(found) < count or count == 0):
            batch = self._batch(after, min(100, MAX_LOOKED_AT - looked_at))
            for version in batch:
                if len(found) == count:
                    return found, ["chain", *after]
                after = [version.height, version.name]
                looked_at += 1
                resource = self._matching(version)
                if resource is not None:
                    found.append(resource)
            if not batch:
                return found, None
        more = self._batch(after, 1)
        return found, ["chain", *after] if more else None

    def _batch(self, after: Sequence[Any], limit: int) -> list[Version]:
        return self._consents.index.find(
            self._sight, subject=self._subject, since=self._since, until=self._until, after=after,
            descending=self._descending, limit=limit,
        )  # fmt: skip

    def _matching(self, version: Version) -> Resource | None:
        declared = self._consents.declared(version)
        if declared is None:
            return None
        resource = self._consents.shown(self._principal, declared)
        return resource if self._query.met_by(resource) else None

    def _proposed(self) -> list[Resource]:
        found = []
        for _, proposal in self._consents.waiting(self._principal):
            declared = proposal.declared
            if declared.status == "proposed" and self._subject in ("", declared.subject):
                resource = self._consents.shown(self._principal, declared)
                if self._query.met_by(resource):
                    found.append(resource)
        return found

    def _total(self) -> int:
        """All that match; a `FhirProblem` 422 where counting them costs too much."""
        after: Sequence[Any] = ()
        counted = looked_at = 0
        while batch := self._batch(after, 500):
            looked_at += len(batch)
            if looked_at > MAX_COUNTED:
                costly = Issue("too-costly", "Too many to be counted: narrow the search")
                raise FhirProblem(422, costly)
            counted += sum(self._matching(version) is not None for version in batch)
            after = [batch[-1].height, batch[-1].name]
        return counted + len(self._proposed())


def _bounds(criteria: tuple[Criterion, ...]) -> tuple[int, int]:
    """Bounds in ms outside of which nothing can meet the criteria; 0 for none."""
    since = until = 0
    for criterion in criteria:
        if len(criterion.values) == 1:
            prefix, first, last = criterion.values[0]
            if prefix in ("eq", "ge", "gt", "sa"):
                since = max(since, first)
            if prefix in ("eq", "le", "lt", "eb"):
                until = min(until or last, last)
    return since, until
