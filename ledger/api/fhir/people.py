"""Who the people of a consent are: in the registry, and for the caller."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from ledger.api.fhir.offer import Caller
from ledger.api.principal import Kind
from ledger.api.service import NodeService
from ledger.chain.codec import decode_value
from ledger.chain.limits import MAX_STATE_VALUE_BYTES
from ledger.chain.tokens import LabelKey
from ledger.fhir import elements
from ledger.fhir.consent import Directory

#: Contracts that know who speaks for a patient.
_VOICES: Final = ("guardianship", "delegation")
#: References of one resource that are looked up.
_MAX_REFERENCES: Final = 500

_PSEUDONYM: Final = re.compile(r"p-[0-9a-f]{32}")
_RECORD: Final = re.compile(r"[0-9a-f]{64}")
_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")


def is_pseudonym(name: str) -> bool:
    return _PSEUDONYM.fullmatch(name) is not None


def entry(service: NodeService, key: str) -> Any:
    """An entry of the state at the newest block, or None."""
    raw = service.state(key.encode())
    return None if raw is None else decode_value(raw, limit=MAX_STATE_VALUE_BYTES)


def person(service: NodeService, name: str) -> Mapping[str, Any] | None:
    """Somebody's entry in the registry."""
    found = entry(service, f"registry/people/{name}") if _NAME.fullmatch(name) else None
    return found if isinstance(found, Mapping) else None


def keys_of(service: NodeService, name: str) -> list[str]:
    """The keys of a person in good standing, in hex."""
    found = person(service, name)
    return list(found["keys"]) if found is not None and found["status"] == "active" else []


def names_of(service: NodeService, patient: str) -> tuple[str, ...]:
    """The pseudonyms whose declarations a patient sees as her own: hers, and those that were merged
    into it. One that was merged into another sees no more than its own."""
    related = entry(service, f"access/related/{patient}")
    if isinstance(related, list) and related and related[0] == patient:
        return tuple(str(name) for name in related)
    return (patient,)


async def speaks_for(service: NodeService, name: str, subject: str) -> bool:
    """Whether a person gives declarations in the name of another, as the contracts say now."""
    if not (is_pseudonym(name) and is_pseudonym(subject)):
        return False
    for contract in _VOICES:
        arguments = {"subject": subject, "person": name}
        answer = await service.query(contract, "voice", arguments)
        if answer.ok and answer.value["standing"] == "speaks":
            return True
    return False


def subject_of(caller: Caller, reference: str) -> str:
    """The pseudonym that a reference to a patient means, or nothing.

    Staff and systems may also name a patient as their own institution's records do.
    """
    kind, _, name = reference.rpartition("/")
    if kind in ("Patient", "") and is_pseudonym(name):
        return name
    if caller.principal.kind is Kind.PATIENT:
        return ""
    return caller.service.subject_of(reference if kind else f"Patient/{name}")


def directory(
    caller: Caller, resource: Mapping[str, Any], subject: str, key: LabelKey | None
) -> Directory:
    """What the references of a resource mean on the ledger.

    ``key``: the label key of the subject, as far as it is known here.
    """
    service = caller.service
    institutions: dict[str, str] = {}
    persons: dict[str, str] = {}
    records: dict[str, str] = {}
    representatives: dict[str, str] = {}
    for reference in _references(resource):
        kind, _, name = reference.partition("/")
        if kind == "Organization" and _NAME.fullmatch(name):
            if entry(service, f"governance/institutions/{name}") is not None:
                institutions[reference] = name
        elif kind == "Practitioner" and not is_pseudonym(name):
            if person(service, name) is not None:
                persons[reference] = name
        elif kind == "Patient":
            found = subject_of(caller, reference)
            if found and person(service, found) is not None:
                persons[reference] = found
                if found != subject:
                    representatives[reference] = found
        elif kind == "RelatedPerson" and is_pseudonym(name):
            if person(service, name) is not None:
                representatives[reference] = name
        elif kind == "DocumentReference" and _RECORD.fullmatch(name):
            records[reference] = name
    return Directory(
        institutions=institutions,
        persons=persons,
        records=records,
        representatives=representatives,
        label_keys={} if key is None else {subject: key},
    )


def _references(resource: Mapping[str, Any]) -> set[str]:
    found: set[str] = set()
    for reference in _every(resource):
        found.add(reference)
        if len(found) > _MAX_REFERENCES:
            break
    return found


def _every(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        reference = elements.literal(value)
        if reference:
            yield reference
        for item in value.values():
            yield from _every(item)
    elif isinstance(value, list):
        for item in value:
            yield from _every(item)
