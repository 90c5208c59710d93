"""The small parts of which FHIR resources are made, and the names by which the ledger's own things
are called in them.

Nothing here is a literal reference to a Patient or an Organization: the ledger keeps neither. It
knows pseudonyms and ids, so references are logical ones (R4 section 2.3.0.4), by identifier.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

Element = dict[str, Any]

_OWN: Final = "urn:health-ledger:"
#: Systems of identifiers: of patients, people, institutions, records, decisions, consents, and the
#: chain itself.
PSEUDONYM_SYSTEM: Final = _OWN + "pseudonym"
PERSON_SYSTEM: Final = _OWN + "person"
INSTITUTION_SYSTEM: Final = _OWN + "institution"
DECISION_SYSTEM: Final = _OWN + "decision"
ENQUIRY_SYSTEM: Final = _OWN + "enquiry"
EMERGENCY_SYSTEM: Final = _OWN + "emergency"
CONSENT_SYSTEM: Final = _OWN + "consent"
RULE_SYSTEM: Final = _OWN + "rule"
BATCH_SYSTEM: Final = _OWN + "batch"
CHAIN_SYSTEM: Final = _OWN + "chain"
NODE_SYSTEM: Final = _OWN + "node"
CLIENT_SYSTEM: Final = _OWN + "client"
OPERATOR_SYSTEM: Final = _OWN + "operator"
SESSION_SYSTEM: Final = _OWN + "session"
#: Code systems of our own: coarse classes of records, roles of the registry, what happened.
RECORD_CLASS_SYSTEM: Final = _OWN + "record-class"
ROLE_SYSTEM: Final = _OWN + "role"
AUDIT_SUBTYPE_SYSTEM: Final = _OWN + "audit-subtype"
#: What a consent's list of rules rests on: nothing is permitted but by a rule, and every denial
#: prevails. Neither OPTIN nor OPTOUT says that.
BASE_POLICY_SYSTEM: Final = _OWN + "base-policy"
BASE_POLICY: Final = "rules"
#: URIs under `URI_SYSTEM` that name one record: this and the hex of its name.
RECORD_URN: Final = _OWN + "record:"
EXTENSION: Final = _OWN + "extension:"

URI_SYSTEM: Final = "urn:ietf:rfc:3986"
LOINC: Final = "http://loinc.org"
DCM: Final = "http://dicom.nema.org/resources/ontology/DCM"
SNOMED: Final = "http://snomed.info/sct"
TERMINOLOGY: Final = "http://terminology.hl7.org/CodeSystem/"

#: The largest R4 unsignedInt and positiveInt.
MAX_UNSIGNED: Final = 2**31 - 1

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_FIRST: Final = (datetime(1, 1, 1, tzinfo=UTC) - _EPOCH) // _MILLISECOND
_LAST: Final = (datetime(9999, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC) - _EPOCH) // _MILLISECOND


def instant(ms: int) -> str:
    """A time in milliseconds since 1970 UTC as a FHIR instant; raises `ValueError` beyond the years
    1 to 9999, in which FHIR writes times."""
    if not _FIRST <= ms <= _LAST:
        raise ValueError(f"{ms} ms is in no year that FHIR can write")
    moment = _EPOCH + ms * _MILLISECOND
    return moment.strftime(f"{moment.year:04}-%m-%dT%H:%M:%S.") + f"{ms % 1000:03}Z"


def instant_or_none(ms: int) -> str | None:
    """`instant`, or None for a time that FHIR cannot write."""
    return instant(ms) if _FIRST <= ms <= _LAST else None


def coding(system: str, code: str, display: str = "") -> Element:
    return {"system": system, "code": code, **({"display": display} if display else {})}


def concept(*codings: Element) -> Element:
    return {"coding": list(codings)}


def identifier(system: str, value: str) -> Element:
    return {"system": system, "value": value}


def logical(kind: str, system: str, value: str, display: str = "") -> Element:
    """A reference by identifier to something of the FHIR type ``kind``."""
    return {
        "type": kind,
        "identifier": identifier(system, value),
        **({"display": display} if display else {}),
    }


def patient(pseudonym: str) -> Element:
    return logical("Patient", PSEUDONYM_SYSTEM, pseudonym)


def institution(id: str) -> Element:  # noqa: A002
    return logical("Organization", INSTITUTION_SYSTEM, id)


def person(id: str) -> Element:  # noqa: A002
    """A person of the registry; a pseudonym is a patient's."""
    return patient(id) if id.startswith("p-") else logical("Practitioner", PERSON_SYSTEM, id)


#: FHIR type of what a logical reference with one of our systems names.
NAMED_TYPE: Final = {
    PSEUDONYM_SYSTEM: "Patient",
    PERSON_SYSTEM: "Practitioner",
    INSTITUTION_SYSTEM: "Organization",
}


def literal(reference: Mapping[str, Any]) -> str:
    """A reference as ``Type/id``, also where it is a logical one to something of ours; empty for
    what is neither."""
    text = reference.get("reference")
    if isinstance(text, str):
        return text
    named = reference.get("identifier")
    system = named.get("system") if isinstance(named, Mapping) else None
    if isinstance(named, Mapping) and isinstance(system, str) and system in NAMED_TYPE:
        return f"{NAMED_TYPE[system]}/{named.get('value', '')}"
    return ""


def document_id(name: bytes) -> str:
    """The logical id of the DocumentReference and the Binary of a record: the hex of its name,
    which has the 64 characters that a FHIR id may have."""
    return name.hex()


def record_urn(name: bytes) -> str:
    return RECORD_URN + name.hex()


def present(fields: Mapping[str, Any]) -> Element:
    """The fields that have a value: FHIR has neither empty texts nor empty lists (R4 2.6.2)."""
    return {name: value for name, value in fields.items() if value not in (None, "", [], {})}
