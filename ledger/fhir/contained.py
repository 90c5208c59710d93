"""Recipients by role: PractitionerRole resources inside a Consent.

The actors of a provision are alternatives. A rule that asks for several things of one recipient (to
act for this institution, in this role) has one actor, a PractitionerRole that the consent contains.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from ledger.fhir import elements
from ledger.fhir.provisions import Directory, codings

_ROLES: Final = (
    "patient physician nurse emergency-physician registrar governor auditor records-officer node "
    "insurer researcher family-doctor village-doctor pharmacist public-health-officer "
    "social-worker care-worker liaison vendor-engineer ethics-officer supervisor"
)
#: Roles of the registry, as its contract has them.
ROLES: Final = frozenset(_ROLES.split())


def practitioner_role(
    name: str, institution: str, person: str, roles: list[str]
) -> elements.Element:
    """The resource for a recipient who has to be all of these, as far as they are not empty."""
    concepts = [elements.concept(elements.coding(elements.ROLE_SYSTEM, role)) for role in roles]
    return elements.present(
        {
            "resourceType": "PractitionerRole",
            "id": name,
            "practitioner": elements.person(person) if person else None,
            "organization": elements.institution(institution) if institution else None,
            "code": concepts,
        }
    )


def with_recipients(resource: Mapping[str, Any], directory: Directory) -> Directory:
    """A directory that also knows the roles which a consent contains, as far as they are clear."""
    found = {}
    for item in resource.get("contained", ()):
        limits = _limits(item, directory) if isinstance(item, Mapping) else None
        if limits and item.get("id"):
            found[f"#{item['id']}"] = limits
    return replace(directory, recipients={**directory.recipients, **found})


def _limits(item: Mapping[str, Any], directory: Directory) -> dict[str, list[str]] | None:
    """What a contained PractitionerRole asks of a recipient; None where any of it is unclear."""
    known = {"resourceType", "id", "practitioner", "organization", "code", "active", "text"}
    if item.get("resourceType") != "PractitionerRole" or not set(item) <= known:
        return None
    if item.get("active", True) is not True:
        return None
    limits: dict[str, list[str]] = {}
    for element, part, ids in (
        ("organization", "institutions", directory.institutions),
        ("practitioner", "persons", directory.persons),
    ):
        if element in item:
            reference = elements.literal(item[element])
            if reference not in ids:
                return None
            limits[part] = [ids[reference]]
    roles = []
    for concept in item.get("code", ()):
        own = [code for system, code in codings(concept) if system == elements.ROLE_SYSTEM]
        if len(own) != 1 or own[0] not in ROLES:
            return None
        roles.append(own[0])
    if roles:
        limits["roles"] = roles
    return limits or None
