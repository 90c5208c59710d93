"""What the ledger reads out of a FHIR R4 resource to make a record pointer.

All functions are pure and accept any JSON: a resource comes from outside, so an element of the
wrong shape counts as absent. Where a resource leaves a question open, the answer is the more
protective one: an unknown security label makes a record very restricted, and a record that names
no patient, or several, is no patient's record and is not offered to anybody.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from ledger.fhir import kinds, times
from ledger.fhir.labels import protection

Resource = dict[str, Any]

LOINC: Final = "http://loinc.org"
RESOURCE_TYPES: Final = "http://hl7.org/fhir/resource-types"
#: How deep Bundles inside Bundles are followed.
MAX_NESTING: Final = 4

#: Elements that say whose record a resource is, in R4 (patient compartment definition).
_SUBJECTS: Final = ("patient", "subject", "beneficiary", "for", "individual", "candidate")

#: Resources that concern a patient and still are no record to share: who people are, what they
#: have consented to, agreed and done. The ledger holds those facts itself.
_NOT_RECORDS: Final = frozenset(
    {"Patient", "Person", "RelatedPerson", "Group", "Consent", "Contract", "AuditEvent",
     "Provenance", "Practitioner", "PractitionerRole", "Organization"}
)  # fmt: skip

#: When it happened, best evidence first. Both forms of a choice element stand in a row.
_HAPPENED: Final = (
    "effectivePeriod", "effectiveDateTime", "effectiveInstant", "performedPeriod",
    "performedDateTime", "occurrencePeriod", "occurrenceDateTime", "onsetPeriod", "onsetDateTime",
    "period", "started", "createdPeriod", "createdDateTime", "billablePeriod", "servicedPeriod",
    "servicedDate", "whenHandedOver", "identifiedPeriod", "identifiedDateTime",
)  # fmt: skip

#: When it was written down, which also bounds a period that is given without an end.
_WRITTEN: Final = (
    "issued", "recordedDate", "recorded", "authoredOn", "authored", "dateAsserted", "dateWritten",
    "receivedTime", "date", "dateTime", "created", "sent",
)  # fmt: skip

#: Elements whose codes say what a resource is.
_CODED_BY: Final = ("code", "type", "vaccineCode", "medicationCodeableConcept")

#: Who made a resource, nearest first.
_MAKERS: Final = (
    "custodian", "managingOrganization", "serviceProvider", "organization", "providedBy",
    "performer", "provider", "author", "asserter", "recorder", "requester", "prescriber",
    "orderer", "operator", "collection", "participant", "assessor", "interpreter", "owner",
    "sender", "supplier", "authority", "insurer", "payor",
)  # fmt: skip

#: Answers of an insurer name the provider too, but it is the insurer who made them.
_MADE_BY_INSURER: Final = frozenset(
    {"ClaimResponse", "Coverage", "CoverageEligibilityResponse", "EnrollmentResponse",
     "ExplanationOfBenefit", "PaymentReconciliation"}
)  # fmt: skip


class InvalidResource(ValueError):
    """Bytes that are not a FHIR resource in JSON."""


@dataclass(frozen=True, slots=True)
class Description:
    """What a pointer says of a record, before salts hide the type and the labels.

    ``subject``: the FHIR reference of the patient. ``kind``: one of `pointer.RECORD_CLASSES`.
    ``start``, ``end``: milliseconds since 1970 UTC, both 0 where the resource gives no time.
    ``confidentiality``: N, R or V. ``type``: ``system|code``, or empty. ``labels``: sensitivity
    codes of v3-ActCode, sorted. ``codes``: (system, code) of what it and its parts are, with the
    types of resources as codes too, sorted.
    """

    subject: str
    kind: str
    start: int
    end: int
    confidentiality: str
    type: str
    labels: tuple[str, ...]
    codes: tuple[tuple[str, str], ...] = ()


def parse_resource(content: bytes) -> Resource:
    """Read JSON bytes that claim to be one FHIR resource; raises `InvalidResource`."""
    try:
        resource = msgspec.json.decode(content)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise InvalidResource(f"not JSON: {error}") from None
    if not isinstance(resource, dict) or not isinstance(resource.get("resourceType"), str):
        raise InvalidResource("not a FHIR resource: no resourceType")
    return resource


def describe(resource: Resource) -> Description | None:
    """What a pointer to this resource says; None where it is not the record of one patient."""
    subject = subject_of(resource)
    if subject is None:
        return None
    parts = list(parts_of(resource))
    level, labels = protection(parts)
    start, end = period_of(resource)
    return Description(
        subject, classify(resource), start, end, level, type_of(resource), labels,
        tuple(sorted(set(_all_codes(parts)))),
    )  # fmt: skip


def subject_of(resource: Resource) -> str | None:
    """The one patient whose record this is, as ``Patient/<id>`` or an absolute reference.

    For a Bundle: the patient that all its entries agree on.
    """
    if _type_name(resource) in _NOT_RECORDS:
        return None
    if _type_name(resource) != "Bundle":
        found = {reference for name in _SUBJECTS for reference in _patients(resource.get(name))}
    else:
        entries = list(parts_of(resource))
        found = {
            reference
            for part in entries
            if _type_name(part) not in _NOT_RECORDS | {"Bundle"}
            for name in _SUBJECTS
            for reference in _patients(part.get(name))
        }
    return found.pop() if len(found) == 1 else None


def classify(resource: Resource) -> str:
    """The coarse class under which a record may stand on the chain, of `RECORD_CLASSES`."""
    main = _main_part(resource)
    return kinds.kind_of(_type_name(main), list(_codes(main)), frozenset(main))


def period_of(resource: Resource) -> tuple[int, int]:
    """When a record's content happened: first and last millisecond, or (0, 0) if it says nothing.

    What happened counts before what was written down. A period that has not ended reaches to the
    time at which the resource was written, if that is known, and to `times.OPEN_END` if not.
    """
    main = _main_part(resource)
    written = _first_interval(main, _WRITTEN)
    found = _first_interval(main, _HAPPENED)
    if found is None and isinstance(main.get("context"), dict):
        found = _first_interval(main["context"], _HAPPENED)
    if found is None:
        found = written
    if found is None:
        return 0, 0
    start, end = found
    for name in ("abatementPeriod", "abatementDateTime"):
        over = times.period(main.get(name)) or times.interval(main.get(name))
        if over is not None:
            end = max(end, over[1])
    if end == times.OPEN_END and written is not None:
        end = max(start, written[1])
    # Pointers count from 1970; what was over before is undated, which the rules treat carefully.
    return (max(start, 0), end) if end > 0 else (0, 0)


def _all_codes(parts: Iterable[Resource]) -> Iterator[tuple[str, str]]:
    """What a resource and everything in it are, by type and by code.

    A part that says nothing of the patient, such as a contained Organization, is none of it.
    """
    for part in parts:
        name = _type_name(part)
        if name and name not in _NOT_RECORDS | {"Bundle"}:
            yield RESOURCE_TYPES, name
            for element in _CODED_BY:
                yield from _codings(part.get(element))


def type_of(resource: Resource) -> str:
    """The exact type as ``system|code``, LOINC before other systems; empty where there is none."""
    main = _main_part(resource)
    codings = [coding for name in _CODED_BY for coding in _codings(main.get(name))]
    codings.sort(key=lambda coding: coding[0] != LOINC)
    return "|".join(codings[0]) if codings else ""


def makers_of(resource: Resource) -> list[str]:
    """References to the organisations and practitioners who made a resource, nearest first."""
    if _type_name(resource) == "Bundle":
        return [maker for part in list(parts_of(resource))[1:] for maker in makers_of(part)]
    names = list(_MAKERS)
    if _type_name(resource) in _MADE_BY_INSURER:
        names = ["insurer", "payor", "organization", "paymentIssuer", *names]
    wanted = ("Organization/", "Practitioner/")
    found = [ref for name in names for ref in _references(resource.get(name))]
    return [reference for reference in found if reference.startswith(wanted)]


def attachments_of(resource: Resource) -> Iterator[Resource]:
    """Every Attachment with data, a url or a hash, wherever it stands in the resource."""
    stack: list[Any] = [resource]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            if isinstance(item.get("contentType"), str) and item.keys() & {"data", "url", "hash"}:
                yield item
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)


def parts_of(resource: Resource, depth: int = MAX_NESTING) -> Iterator[Resource]:
    """The resource itself, what it contains, and the entries of a Bundle, to a bounded depth."""
    yield resource
    if depth <= 0:
        return
    inner = _dicts(resource.get("contained"))
    inner += [entry["resource"] for entry in _dicts(resource.get("entry")) if "resource" in entry]
    for part in inner:
        if isinstance(part, dict):
            yield from parts_of(part, depth - 1)


def _type_name(part: Resource) -> str:
    """What a part of a resource says it is; nothing where it says it in another way than as text.

    Such a part is looked at all the same: what it says about confidentiality must not get lost.
    """
    name = part.get("resourceType")
    return name if isinstance(name, str) else ""


def _main_part(resource: Resource) -> Resource:
    """The resource that stands for a Bundle: its document, its report, or its first record."""
    if _type_name(resource) != "Bundle":
        return resource
    parts = list(parts_of(resource))[1:]
    for wanted in ("Composition", "DiagnosticReport"):
        for part in parts:
            if _type_name(part) == wanted:
                return part
    return next((part for part in parts if subject_of(part) is not None), resource)


def _first_interval(resource: Resource, names: tuple[str, ...]) -> tuple[int, int] | None:
    for name in names:
        value = resource.get(name)
        found = times.interval(value) or times.period(value)
        if found is not None:
            return found
    return None


def _codes(resource: Resource) -> Iterator[tuple[str, str]]:
    for name in ("category", "code", "type", "modality"):
        yield from _codings(resource.get(name))


def _codings(value: object) -> Iterator[tuple[str, str]]:
    """(system, code) of a Coding, a CodeableConcept, or a list of either."""
    for concept in value if isinstance(value, list) else [value]:
        if not isinstance(concept, dict):
            continue
        for coding in _dicts(concept.get("coding")) or [concept]:
            system, code = coding.get("system", ""), coding.get("code")
            if isinstance(system, str) and isinstance(code, str) and code:
                yield system, code


def _patients(value: object) -> Iterator[str]:
    for item in value if isinstance(value, list) else [value]:
        reference = item.get("reference") if isinstance(item, dict) else None
        if isinstance(reference, str):
            whole = reference.split("/_history/", 1)[0]
            # A urn may be a patient inside the same Bundle; to pass over it would let a Bundle of
            # two patients count as the record of one.
            if whole.startswith(("Patient/", "urn:")) or "/Patient/" in whole:
                yield whole


def _references(value: object) -> Iterator[str]:
    """References at an element or one step below it, such as ``performer.actor``."""
    for item in value if isinstance(value, list) else [value]:
        if not isinstance(item, dict):
            continue
        if isinstance(item.get("reference"), str):
            yield item["reference"]
        for name in ("onBehalfOf", "actor", "individual", "collector", "member"):
            inner = item.get(name)
            if isinstance(inner, dict) and isinstance(inner.get("reference"), str):
                yield inner["reference"]


def _dicts(value: object) -> list[Resource]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
