"""The search parameters of AuditEvent, and what a resource of ours has for each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ledger.api.fhir.offer import Resource
from ledger.fhir import elements
from ledger.fhir.search import ID, LAST_UPDATED, Parameter, concepts, intervals, references

_SP: Final = "http://hl7.org/fhir/SearchParameter/"


def whos(resource: Resource) -> Iterator[Resource]:
    for agent in resource["agent"]:
        yield agent["who"]


def _named(kind: str, reference: Resource) -> Iterator[str]:
    if reference.get("type") == kind and "identifier" in reference:
        yield f"{kind}/{reference['identifier']['value']}"


_AGENT_TYPES: Final = ("Practitioner", "Organization", "Device", "Patient")


def _agents(resource: Resource) -> Iterator[str]:
    for who in whos(resource):
        for kind in _AGENT_TYPES:
            yield from _named(kind, who)


def _identifiers(found: Iterator[Resource]) -> Iterator[tuple[str, str]]:
    for each in found:
        yield from concepts(each.get("identifier"))


def _things(resource: Resource) -> Iterator[Resource]:
    for entity in resource.get("entity", ()):
        if "what" in entity:
            yield entity["what"]


def patients(resource: Resource) -> Iterator[Resource]:
    for found in (*_things(resource), *whos(resource)):
        if found.get("type") == "Patient":
            yield found


def _patient_references(resource: Resource) -> Iterator[str]:
    for found in patients(resource):
        yield from _named("Patient", found)


PATIENT: Final = Parameter(
    "patient", "reference", "The patient concerned: Patient/p-…",
    _SP + "AuditEvent-patient", _patient_references, ("Patient",),
)  # fmt: skip
PATIENT_IDENTIFIER: Final = Parameter(
    "patient.identifier", "token", f"The same: {elements.PSEUDONYM_SYSTEM}|p-…",
    values=lambda r: _identifiers(patients(r)),
)  # fmt: skip
AGENT: Final = Parameter(
    "agent", "reference", "Who took part: Practitioner/id, Organization/id, Patient/p-…",
    _SP + "AuditEvent-agent", _agents, _AGENT_TYPES,
)  # fmt: skip
AGENT_IDENTIFIER: Final = Parameter(
    "agent.identifier", "token", f"The same: {elements.PERSON_SYSTEM}|id",
    values=lambda r: _identifiers(whos(r)),
)  # fmt: skip
DATE: Final = Parameter(
    "date", "date", "When it happened", _SP + "AuditEvent-date",
    lambda r: intervals(r["recorded"]),
)  # fmt: skip

PARAMETERS: Final = (
    ID, LAST_UPDATED, PATIENT, PATIENT_IDENTIFIER, AGENT, AGENT_IDENTIFIER, DATE,
    Parameter("type", "token", "Kind of event", _SP + "AuditEvent-type",
              lambda r: concepts(r["type"])),
    Parameter("subtype", "token", "Finer kind", _SP + "AuditEvent-subtype",
              lambda r: concepts(r.get("subtype"))),
    Parameter("action", "token", "C, R, U, D or E", _SP + "AuditEvent-action",
              lambda r: concepts(r.get("action"))),
    Parameter("outcome", "token", "0 for success, 4 or 8 for failures", _SP + "AuditEvent-outcome",
              lambda r: concepts(r.get("outcome"))),
    Parameter("agent-role", "token", "Role of an agent", _SP + "AuditEvent-agent-role",
              lambda r: (c for a in r["agent"] for c in concepts(a.get("role")))),
    Parameter("entity", "reference", "What it was about: DocumentReference/id, Consent/id",
              _SP + "AuditEvent-entity", lambda r: (x for t in _things(r) for x in references(t)),
              ("DocumentReference", "Consent")),
    Parameter("entity.identifier", "token", "The same by identifier",
              values=lambda r: _identifiers(_things(r))),
    Parameter("entity-type", "token", "Kind of what it was about", _SP + "AuditEvent-entity-type",
              lambda r: (c for e in r.get("entity", ()) for c in concepts(e.get("type")))),
    Parameter("entity-role", "token", "Its role", _SP + "AuditEvent-entity-role",
              lambda r: (c for e in r.get("entity", ()) for c in concepts(e.get("role")))),
    Parameter("source.identifier", "token", "Who observed it",
              values=lambda r: concepts(r["source"]["observer"].get("identifier"))),
    Parameter("purpose", "token", "Purpose of use",
              values=lambda r: concepts(r.get("purposeOfEvent"))),
)  # fmt: skip
