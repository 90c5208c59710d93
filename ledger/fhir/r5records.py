"""Our R4 resources about records and accesses as FHIR R5 (5.0.0) has them.

The mapping follows the "R4 → R5" conversion pages of the two resource types, restricted to elements
that we emit: what is not listed here is not in our resources.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from ledger.fhir.documents import SIZE_EXTENSION
from ledger.fhir.elements import TERMINOLOGY, Element, coding, concept, present

_RELATIONSHIP: Final = "http://hl7.org/fhir/document-relationship-type"
_OUTCOME: Final = TERMINOLOGY + "audit-event-outcome"
_OUTCOMES: Final = {"0": "Success", "4": "Minor failure", "8": "Serious failure"}
_PATIENT_ROLE: Final = "1"


def document_reference(resource: Element) -> Element:
    """R5 has no master identifier, no context, and sizes of 64 bits."""
    context = resource.get("context", {})
    return present(
        {
            **_kept(
                resource,
                "resourceType", "id", "meta", "extension", "status", "type", "category", "subject",
                "date", "custodian", "securityLabel",
            ),
            "meta": _without_profiles(resource["meta"]),
            "identifier": [resource["masterIdentifier"]],
            "period": context.get("period"),
            "relatesTo": [
                {"code": concept(coding(_RELATIONSHIP, item["code"])), "target": item["target"]}
                for item in resource.get("relatesTo", [])
            ],
            "content": [
                {"attachment": _attachment(item["attachment"])} for item in resource["content"]
            ],
        }
    )  # fmt: skip


def _attachment(attachment: Element) -> Element:
    large = [
        item["valueString"]
        for item in attachment.get("extension", [])
        if item["url"] == SIZE_EXTENSION
    ]
    size = large[0] if large else attachment.get("size")
    others = [i for i in attachment.get("extension", []) if i["url"] != SIZE_EXTENSION]
    # integer64 is text in JSON, so that readers with doubles keep its digits.
    return present({**attachment, "extension": others, "size": None if size is None else str(size)})


def audit_event(resource: Element) -> Element:
    """R5 turns type and subtype into category and code, and has the patient as an element."""
    subtypes = resource.get("subtype", [])
    entities = resource.get("entity", [])
    subjects = [item["what"] for item in entities if _role(item) == _PATIENT_ROLE]
    because = resource.get("outcomeDesc", "")
    outcome = resource["outcome"]
    return present(
        {
            **_kept(resource, "resourceType", "id", "action", "recorded"),
            "meta": _without_profiles(resource["meta"]),
            "category": [concept(resource["type"])],
            "code": concept(*(subtypes[:1] or [resource["type"]])),
            "outcome": present(
                {
                    "code": coding(_OUTCOME, outcome, _OUTCOMES[outcome]),
                    "detail": [{"text": because}] if because else [],
                }
            ),
            "authorization": resource.get("purposeOfEvent"),
            "patient": subjects[0] if subjects else None,
            "agent": [_agent(item) for item in resource["agent"]],
            "source": present(
                {
                    "observer": resource["source"]["observer"],
                    "type": [concept(item) for item in resource["source"].get("type", [])],
                }
            ),
            "entity": [_entity(item) for item in entities if _role(item) != _PATIENT_ROLE],
        }
    )


def _role(entity: Element) -> str:
    return str(entity.get("role", {}).get("code", ""))


def _agent(agent: Element) -> Element:
    return present(
        {
            **_kept(agent, "type", "role", "who", "requestor"),
            "networkUri": agent.get("network", {}).get("address"),
            "authorization": agent.get("purposeOfUse"),
        }
    )


def _entity(entity: Element) -> Element:
    return present(
        {
            **_kept(entity, "what", "query"),
            "role": concept(entity["role"]) if "role" in entity else None,
            "securityLabel": [concept(item) for item in entity.get("securityLabel", [])],
            "detail": [
                {"type": {"text": item["type"]}, "valueString": item["valueString"]}
                for item in entity.get("detail", [])
            ],
        }
    )


def _kept(element: Element, *names: str) -> dict[str, Any]:
    return {name: element[name] for name in names if name in element}


def _without_profiles(meta: Element) -> Element:
    """The profiles of IHE that we claim are profiles of R4."""
    return {name: value for name, value in meta.items() if name != "profile"}


def unchanged(resource: Element) -> Element:
    """For types whose elements, as far as we use them, are the same in both releases."""
    return resource


#: How each type that we emit about records and accesses becomes R5.
TO_R5: Final[dict[str, Callable[[Element], Element]]] = {
    "DocumentReference": document_reference,
    "AuditEvent": audit_event,
    "Provenance": unchanged,
    "Binary": unchanged,
    "Parameters": unchanged,
}
