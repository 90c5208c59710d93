"""The agents, entities and codes that the AuditEvents of `ledger.fhir.auditevents` are made of.

Codes: DICOM PS3.16 CID 400 to 404 (DCM), R4's restful-interaction and object-role, ISO 21089 record
life cycle, and the participation codes that IHE BALP 1.1 fixes for each of its patterns.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Final

from ledger.fhir import elements
from ledger.fhir.codes import PURPOSE_SYSTEM
from ledger.fhir.consentview import fhir_id
from ledger.fhir.elements import DCM, SNOMED, TERMINOLOGY, Element, coding, concept, present
from ledger.fhir.labels import CONFIDENTIALITY_SYSTEM

BALP: Final = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit."
AUTHZ_SYSTEM: Final = "https://profiles.ihe.net/ITI/BALP/CodeSystem/AuthZsubType"
RESTFUL: Final = "http://hl7.org/fhir/restful-interaction"
LIFECYCLE: Final = TERMINOLOGY + "iso-21089-lifecycle"
ENTITY_TYPE: Final = TERMINOLOGY + "audit-entity-type"
OBJECT_ROLE: Final = TERMINOLOGY + "object-role"
SOURCE_TYPE: Final = TERMINOLOGY + "security-source-type"
RESOURCE_TYPES: Final = "http://hl7.org/fhir/resource-types"

REST: Final = coding(TERMINOLOGY + "audit-event-type", "rest", "Restful Operation")
AUDIT_LOG_USED: Final = coding(DCM, "110101", "Audit Log Used")
EXPORT: Final = coding(DCM, "110106", "Export")
IMPORT: Final = coding(DCM, "110107", "Import")
SECURITY_ALERT: Final = coding(DCM, "110113", "Security Alert")
USER_AUTHENTICATION: Final = coding(DCM, "110114", "User Authentication")
LOGIN: Final = coding(DCM, "110122", "Login")
LOGOUT: Final = coding(DCM, "110123", "Logout")
OVERRIDE_STARTED: Final = coding(DCM, "110127", "Emergency Override Started")
OVERRIDE_STOPPED: Final = coding(DCM, "110138", "Emergency Override Stopped")
DISCLOSE: Final = coding(LIFECYCLE, "disclose", "Disclose Record Lifecycle Event")
BY_CONSENT: Final = coding(AUTHZ_SYSTEM, "AuthZ-Consent")
BY_ROLE: Final = coding(AUTHZ_SYSTEM, "AuthZ-Role")

#: AuditEvent.outcome.
SUCCESS: Final = "0"
MINOR_FAILURE: Final = "4"
SERIOUS_FAILURE: Final = "8"

_CLIENT: Final = concept(coding(DCM, "110150", "Application"))
_SOURCE: Final = concept(coding(DCM, "110153", "Source Role ID"))
_DESTINATION: Final = concept(coding(DCM, "110152", "Destination Role ID"))
_RECIPIENT: Final = concept(
    coding(TERMINOLOGY + "v3-ParticipationType", "IRCP", "information recipient")
)
_AUTHOR: Final = concept(coding(TERMINOLOGY + "v3-ParticipationType", "AUT"))
_ORGANISATION: Final = concept(coding(TERMINOLOGY + "v3-RoleClass", "PROV", "healthcare provider"))
_AUTHORIZER: Final = concept(
    coding(TERMINOLOGY + "extra-security-role-type", "authserver", "authorization server")
)
_CUSTODIAN: Final = concept(coding(SNOMED, "159541003", "Record keeping/library clerk"))
_ADVOCATE: Final = concept(coding(SNOMED, "429577009", "Patient Advocate"))

APPLICATION_SERVER: Final = coding(SOURCE_TYPE, "4", "Application Server")
SECURITY_SERVER: Final = coding(SOURCE_TYPE, "6", "Security Server")


def restful(interaction: str) -> Element:
    return coding(RESTFUL, interaction, interaction)


def own_subtype(code: str) -> Element:
    """What happened, where no published code says it."""
    return coding(elements.AUDIT_SUBTYPE_SYSTEM, code)


def purpose(code: str) -> list[Element]:
    return [concept(coding(PURPOSE_SYSTEM, code))] if code else []


# --- agents ------------------------------------------------------------------------------------


def place(institution: str) -> Element:
    """A network access point. The chain has no addresses of machines, and should have none: it
    names the institution whose node spoke."""
    return {"address": f"urn:health-ledger:institution:{institution or 'none'}", "type": "5"}


def application(institution: str) -> Element:
    """The software in which the request was made: of an institution, or a patient's own."""
    who = (
        elements.institution(institution)
        if institution
        else elements.logical("Device", elements.CLIENT_SYSTEM, "patient")
    )
    return {"type": _CLIENT, "who": who, "requestor": False, "network": place(institution)}


def source(who: Element, institution: str) -> Element:
    """Where data or a question came from."""
    return {"type": _SOURCE, "who": who, "requestor": False, "network": place(institution)}


def destination(who: Element, institution: str) -> Element:
    """Where data or a question went."""
    return {"type": _DESTINATION, "who": who, "requestor": False, "network": place(institution)}


def user(id: str, roles: Iterable[str], use: str = "") -> Element:  # noqa: A002
    """The person who asked, with the roles in which she did, for which purpose."""
    return present(
        {
            "type": _RECIPIENT,
            "role": [concept(coding(elements.ROLE_SYSTEM, role)) for role in roles],
            "who": elements.person(id),
            "requestor": True,
            "purposeOfUse": purpose(use),
        }
    )


def author(id: str) -> Element:  # noqa: A002
    """The person who declared something."""
    return {"type": _AUTHOR, "who": elements.person(id), "requestor": True}


def organisation(institution: str, use: str = "") -> Element:
    """The institution for which she did."""
    return present(
        {
            "type": _ORGANISATION,
            "who": elements.institution(institution),
            "requestor": False,
            "purposeOfUse": purpose(use),
        }
    )


def authorizer(chain: str) -> Element:
    """Who decided: no server, but the contracts on the chain."""
    return {"type": _AUTHORIZER, "who": ledger(chain), "requestor": False}


def custodian(holder: str) -> Element:
    return {"type": _CUSTODIAN, "who": elements.institution(holder), "requestor": False}


def advocate(subject: str) -> Element:
    """The patient, by whose consent it was permitted."""
    return {"type": _ADVOCATE, "who": elements.patient(subject), "requestor": False}


def ledger(chain: str) -> Element:
    """The chain, as whoever observes what happens on it. ``chain``: its id in hex."""
    return elements.logical("Device", elements.CHAIN_SYSTEM, chain)


def node(id: str) -> Element:  # noqa: A002
    return elements.logical("Device", elements.NODE_SYSTEM, id)


# --- entities ----------------------------------------------------------------------------------


def subject_entity(pseudonym: str) -> Element:
    return {
        "what": elements.patient(pseudonym),
        "type": coding(ENTITY_TYPE, "1", "Person"),
        "role": coding(OBJECT_ROLE, "1", "Patient"),
    }


def record_entity(name: bytes, confidentiality: str = "") -> Element:
    """The record, by the DocumentReference that it has for those who may see it."""
    label = [coding(CONFIDENTIALITY_SYSTEM, confidentiality)] if confidentiality else []
    return present(
        {
            "what": {
                "reference": f"DocumentReference/{elements.document_id(name)}",
                "identifier": elements.identifier(elements.URI_SYSTEM, elements.record_urn(name)),
            },
            "type": coding(ENTITY_TYPE, "2", "System Object"),
            "role": coding(OBJECT_ROLE, "4", "Domain Resource"),
            "securityLabel": label,
        }
    )


def consent_reference(id: str) -> Element:  # noqa: A002
    """A consent by its id on the chain, and by the Consent that those who may can read."""
    return {
        "reference": f"Consent/{fhir_id(id)}",
        **elements.logical("Consent", elements.CONSENT_SYSTEM, id),
    }


def consent_entity(id: str, details: Iterable[Element] = ()) -> Element:  # noqa: A002
    """A consent that had a say."""
    return present(
        {
            "what": consent_reference(id),
            "type": coding(RESOURCE_TYPES, "Consent", "Consent"),
            "role": coding(OBJECT_ROLE, "4", "Domain Resource"),
            "detail": list(details),
        }
    )


def thing_entity(
    system: str, value: str, role: Element, details: Iterable[Element] = ()
) -> Element:
    """Something that has an identifier and is no resource: a rule, an emergency, a log."""
    return present(
        {
            "what": {"identifier": elements.identifier(system, value)},
            "type": coding(ENTITY_TYPE, "2", "System Object"),
            "role": role,
            "detail": list(details),
        }
    )


SECURITY_RESOURCE: Final = coding(OBJECT_ROLE, "13", "Security Resource")
DOMAIN_RESOURCE: Final = coding(OBJECT_ROLE, "4", "Domain Resource")


def query_entity(query: str) -> Element:
    """What was asked, as the query of a search."""
    return {
        "type": coding(ENTITY_TYPE, "2", "System Object"),
        "role": coding(OBJECT_ROLE, "24", "Query"),
        "query": base64.b64encode(query.encode()).decode("ascii"),
    }


def detail(name: str, value: str) -> Element:
    return {"type": name, "valueString": value}


def details(**values: str | int | Iterable[str]) -> list[Element]:
    """Tagged values in the order given; empty ones are left out, lists give one for each item."""
    found = []
    for name, value in values.items():
        many = [value] if isinstance(value, str | int) else value
        found += [detail(name.replace("_", "-"), str(item)) for item in many if item not in ("", 0)]
    return found
