"""DocumentReference at ``/fhir``: the pointers that a caller may see (IHE MHD, ITI-67).

Of its own institution, staff see what they could look up there anyway. Of other holders, they see
what those show them: the node asks on the chain in their name, the patient is told, and what the
contracts would deny does not arrive. A search is one such question; its further pages are pages of
that answer.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from ledger.api.fhir import people
from ledger.api.fhir.errors import FhirProblem
from ledger.api.fhir.offer import Caller, Offer, Operation, Page, Resource
from ledger.api.fhir.purpose import HEADERS, Purpose, needed, purpose_of
from ledger.api.fhir.shown import Found, Listing, Memory
from ledger.api.fhir.sources import CannotAct, Denied, Sources
from ledger.api.fhir.standing import DESTROYED, document_of, there
from ledger.api.principal import Kind
from ledger.fhir import documents, elements, r5records
from ledger.fhir.outcome import Issue
from ledger.fhir.search import ID, LAST_UPDATED, Criterion, Parameter, Query, concepts, intervals

#: Pointers that one search looks at.
MAX_EXAMINED: Final = 2_000

_SP: Final = "http://hl7.org/fhir/SearchParameter/"


def _subject(resource: Resource) -> Iterator[str]:
    yield f"Patient/{resource['subject']['identifier']['value']}"


def _subject_token(resource: Resource) -> Iterator[tuple[str, str]]:
    yield from concepts(resource["subject"]["identifier"])


def _custodian(resource: Resource) -> Iterator[str]:
    yield f"Organization/{resource['custodian']['identifier']['value']}"


def _custodian_token(resource: Resource) -> Iterator[tuple[str, str]]:
    yield from concepts(resource["custodian"]["identifier"])


def _attachment(resource: Resource) -> Resource:
    found: Resource = resource["content"][0]["attachment"]
    return found


PATIENT: Final = Parameter(
    "patient", "reference", "Pseudonym of the patient: Patient/p-…",
    _SP + "clinical-patient", _subject, ("Patient",),
)  # fmt: skip
SUBJECT: Final = Parameter(
    "subject", "reference", "The same", _SP + "DocumentReference-subject", _subject, ("Patient",)
)
PATIENT_IDENTIFIER: Final = Parameter(
    "patient.identifier", "token", f"Pseudonym of the patient: {elements.PSEUDONYM_SYSTEM}|p-…",
    values=_subject_token,
)  # fmt: skip
CUSTODIAN: Final = Parameter(
    "custodian", "reference", "Holders to ask: Organization/id; all, where none is named",
    _SP + "DocumentReference-custodian", _custodian, ("Organization",),
)  # fmt: skip
CUSTODIAN_IDENTIFIER: Final = Parameter(
    "custodian.identifier", "token", f"The same: {elements.INSTITUTION_SYSTEM}|id",
    values=_custodian_token,
)  # fmt: skip
PURPOSE: Final = Parameter(
    "purpose-of-use", "token", "What for, where no header Ledger-Purpose says so"
)

PARAMETERS: Final = (
    ID, LAST_UPDATED, PATIENT, SUBJECT, PATIENT_IDENTIFIER, CUSTODIAN, CUSTODIAN_IDENTIFIER,
    PURPOSE,
    Parameter(
        "identifier", "token", "Name of the record as a URN", _SP + "clinical-identifier",
        lambda r: concepts(r["masterIdentifier"]),
    ),
    Parameter(
        "status", "token", "current, superseded or entered-in-error",
        _SP + "DocumentReference-status", lambda r: concepts(r["status"]),
    ),
    Parameter(
        "category", "token", "Coarse class of the record", _SP + "DocumentReference-category",
        lambda r: concepts(r.get("category")),
    ),
    Parameter(
        "type", "token", "Exact type, of those records of which the caller knows it",
        _SP + "clinical-type", lambda r: concepts(r.get("type")),
    ),
    Parameter(
        "date", "date", "When the record was anchored", _SP + "DocumentReference-date",
        lambda r: intervals(r.get("date")),
    ),
    Parameter(
        "period", "date", "When it happened", _SP + "DocumentReference-period",
        lambda r: intervals(r.get("context", {}).get("period")),
    ),
    Parameter(
        "security-label", "token", "Confidentiality", _SP + "DocumentReference-security-label",
        lambda r: concepts(r.get("securityLabel")),
    ),
    Parameter(
        "contenttype", "token", "Media type", _SP + "DocumentReference-contenttype",
        lambda r: concepts(_attachment(r)["contentType"]),
    ),
)  # fmt: skip
_PSEUDONYM: Final = re.compile(r"p-[0-9a-f]{32}")
_KNOWN_BY: Final = f"{elements.PSEUDONYM_SYSTEM}|p-…, 32 hex digits"
#: Parameters that say what to ask; the others are held against what comes back.
_ASKING: Final = frozenset(
    parameter.name for parameter in (PURPOSE, PATIENT, SUBJECT, PATIENT_IDENTIFIER)
)
_SORTS: Final = ("date", "_lastUpdated", "period")


class Documents:
    """Handlers of DocumentReference.

    Args:
        memory: what callers were shown; shared with the types that hand records out.
    """

    def __init__(self, sources: Sources, memory: Memory, institution: str) -> None:
        self._sources = sources
        self._memory = memory
        self._institution = institution

    def offer(self, *operations: Operation) -> Offer:
        return Offer(
            "DocumentReference",
            "Pointers to records, here and at other holders, as far as the caller may see them",
            mandatory=("status", "content"),
            summary=(
                "masterIdentifier", "status", "type", "category", "subject", "date", "custodian",
                "relatesTo", "securityLabel", "content", "context",
            ),
            parameters=PARAMETERS,
            sorts=_SORTS,
            profiles=(documents.MINIMAL_PROFILE,),
            read=self.read,
            search=self.search,
            operations=operations,
            headers=HEADERS,
            to_r5=r5records.document_reference,
        )  # fmt: skip

    # --- reading ---------------------------------------------------------------------------------

    async def read(self, caller: Caller, name: str) -> Resource | None:
        found = await self.find(caller, name)
        if found is None:
            return None
        document = there(caller.service, found)
        return None if document is None else documents.document_reference(document, caller.base)

    async def find(self, caller: Caller, name: str) -> Found | None:
        """The pointer of an id, if the caller was shown it or may know of it anyway."""
        if len(name) != 64:
            return None
        try:
            record = bytes.fromhex(name)
        except ValueError:
            return None
        own = await self._sources.own_record(record)
        if own is not None and await self.may_know(caller, own.pointer.subject):
            known = self._memory.find(caller.principal, record) or Found(own, None)
            return await self._opened(known)
        return self._memory.find(caller.principal, record)

    async def may_know(self, caller: Caller, subject: str) -> bool:
        """Whether a caller may know of all of a patient's records here; who speaks for a patient
        may know what she may."""
        principal = caller.principal
        if self._sources.may_know(principal, subject):
            return True
        if principal.kind is not Kind.PATIENT:
            return False
        return await people.speaks_for(caller.service, principal.id, subject)

    async def _opened(self, found: Found) -> Found:
        """An own record with what its pointer hides from others."""
        if not found.type and not found.labels:
            opening = await self._sources.opening(found.name)
            if opening is not None:
                found.type, found.labels = opening.type, opening.labels
        return found

    # --- searching -------------------------------------------------------------------------------

    async def search(self, caller: Caller, query: Query, place: Any) -> Page:
        if place is None:
            listing, start = await self._listed(caller, query), 0
        else:
            again = self._memory.listing(caller.principal, place["listing"])
            if again is None:
                gone = Issue("expired", "The link to this page holds no more; search anew")
                raise FhirProblem(410, gone)
            listing, start = again, place["start"]
        found = await asyncio.to_thread(self._matching, caller, query, listing)
        end = start + query.count
        return Page(
            found[start:end],
            {"listing": listing.id, "start": end} if end < len(found) else None,
            # Where a holder is missing, nobody knows how many there are.
            len(found) if not listing.problems else None,
            listing.problems if start == 0 else (),
        )

    def _matching(self, caller: Caller, query: Query, listing: Listing) -> list[Resource]:
        criteria = [each for each in query.criteria if each.parameter.name not in _ASKING]
        found = []
        for each in listing.found:
            document = document_of(caller.service, each)
            if document is not None and document.status != DESTROYED:
                resource = documents.document_reference(document, caller.base)
                if all(criterion.met_by(resource) for criterion in criteria):
                    found.append(resource)
        # Newest first, and always in the same order.
        found.sort(key=lambda resource: resource["id"])
        for name, descending in reversed(query.sort or (("date", True),)):
            found.sort(key=_SORT_KEYS[name], reverse=descending)
        return found

    async def _listed(self, caller: Caller, query: Query) -> Listing:
        """Ask, and remember the answer."""
        subject = _one_subject(caller, query)
        if subject is None and caller.principal.kind is Kind.PATIENT:
            subject = caller.principal.id
        if subject is None:
            return await self._by_id(caller, query)
        purpose = purpose_of(caller.request, caller.principal, _code(query.first(PURPOSE.name)))
        holders = _holders(query)
        found: list[Found] = []
        problems: list[Issue] = []
        others = holders
        if await self.may_know(caller, subject):
            if not holders or self._institution in holders:
                shown = await self._sources.own(subject)
                found += [Found(each, purpose) for each in shown]
            others = tuple(holder for holder in holders if holder != self._institution)
        if others or not holders:
            there, missing = await self._elsewhere(caller, subject, purpose, others)
            # Asked of all, the own institution answers too.
            known = {each.name for each in found}
            found += [each for each in there if each.name not in known]
            problems += missing
        if len(found) > MAX_EXAMINED:
            text = f"Only {MAX_EXAMINED} records were looked at; name a custodian"
            problems.append(Issue("too-costly", text, severity="warning"))
        return self._memory.keep(caller.principal, found[:MAX_EXAMINED], problems)

    async def _elsewhere(
        self, caller: Caller, subject: str, purpose: Purpose | None, holders: Sequence[str]
    ) -> tuple[list[Found], list[Issue]]:
        if caller.principal.kind is Kind.PATIENT:
            text = "Only records of this institution; what others hold is asked with your own key"
            return [], [Issue("incomplete", text, severity="information")]
        why = needed(purpose)
        try:
            answer = await self._sources.elsewhere(caller.principal, subject, why, holders)
        except Denied as error:
            # That she may not ask is on the chain, and says nothing about what there is.
            text = f"The consortium was not asked: {error.rule}"
            return [], [Issue("forbidden", text, severity="warning")]
        except CannotAct as error:
            text = f"Other holders were not asked: {error}"
            return [], [Issue("incomplete", text, severity="warning")]
        return [Found(each, why) for each in answer.shown], list(answer.problems)

    async def _by_id(self, caller: Caller, query: Query) -> Listing:
        """A search that names records and no patient: of those that the caller was shown before."""
        names = query.first(ID.name) or query.first("identifier")
        if names is None:
            text = f"Name a patient: {PATIENT.name} or {PATIENT_IDENTIFIER.name}"
            raise FhirProblem(400, Issue("required", text))
        found = []
        for _system, code in names.values:
            name = (code or "").removeprefix(elements.RECORD_URN)
            one = await self.find(caller, name)
            if one is not None:
                found.append(one)
        return self._memory.keep(caller.principal, found)


def _period_start(resource: Resource) -> str:
    return str(resource.get("context", {}).get("period", {}).get("start", ""))


_SORT_KEYS: Final = {
    "date": lambda resource: resource["date"],
    "_lastUpdated": lambda resource: resource["meta"]["lastUpdated"],
    "period": _period_start,
}


def _one_subject(caller: Caller, query: Query) -> str | None:
    """The patient that is asked about; a `FhirProblem` 400 for several, or for nobody known."""
    named: set[str] = set()
    for parameter in (PATIENT, SUBJECT):
        for criterion in query.all(parameter.name):
            named |= {_pseudonym(caller, ref) for refs in criterion.values for ref in refs}
    for criterion in query.all(PATIENT_IDENTIFIER.name):
        for system, code in criterion.values:
            if system not in (None, elements.PSEUDONYM_SYSTEM):
                text = f"{PATIENT_IDENTIFIER.name}: patients are known by {_KNOWN_BY} alone"
                raise FhirProblem(400, Issue("code-invalid", text))
            named.add(code or "")
    if len(named) > 1:
        raise FhirProblem(400, Issue("invalid", "Records of one patient at a time"))
    if not all(_PSEUDONYM.fullmatch(each) for each in named):
        # Before it gets onto the chain as a question about somebody.
        raise FhirProblem(400, Issue("invalid", f"A patient is called {_KNOWN_BY}"))
    return named.pop() if named else None


def _pseudonym(caller: Caller, reference: str) -> str:
    """Whom a reference means: staff may name a patient as their own institution's records do."""
    name = reference.removeprefix("Patient/")
    own = caller.principal.institution == caller.service.institution
    if _PSEUDONYM.fullmatch(name) or caller.principal.kind is Kind.PATIENT or not own:
        return name
    return caller.service.subject_of(f"Patient/{name}")


def _holders(query: Query) -> tuple[str, ...]:
    named: list[str] = []
    for criterion in query.all(CUSTODIAN.name):
        named += [ref.removeprefix("Organization/") for refs in criterion.values for ref in refs]
    for criterion in query.all(CUSTODIAN_IDENTIFIER.name):
        named += [code or "" for _system, code in criterion.values]
    return tuple(dict.fromkeys(named))


def _code(criterion: Criterion | None) -> str:
    if criterion is None:
        return ""
    _system, code = criterion.values[0]
    return str(code or "")
