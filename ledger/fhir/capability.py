"""CapabilityStatement of a server, made from what it has registered (R4 section 5.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from ledger.fhir.search import Parameter

#: The interactions of R4 that a resource type can offer.
INTERACTIONS: Final = (
    "read", "vread", "update", "patch", "history-instance", "history-type", "create",
    "search-type",
)  # fmt: skip

_DOCUMENTATION: Final = (
    "Unknown search parameters are ignored and named in the answer, or refused with "
    "Prefer: handling=strict. Totals count what the caller may see. Follow changes by polling "
    "_history or _lastUpdated."
)
_SMART: Final = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"
_SECURITY: Final = "http://terminology.hl7.org/CodeSystem/restful-security-service"


@dataclass(frozen=True, slots=True)
class Offered:
    """A resource type as a server offers it.

    ``operations``: names and canonical URLs of definitions. ``profiles``: what its resources
    conform to beyond the type.
    """

    type: str
    documentation: str
    interactions: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    conditional_create: bool = False
    operations: tuple[tuple[str, str], ...] = ()
    profiles: tuple[str, ...] = ()


def statement(
    offered: Sequence[Offered],
    *,
    base: str,
    software: str,
    name: str,
    date: str,
    version: str,
    authorize: str = "",
    token: str = "",
) -> dict[str, Any]:
    """The CapabilityStatement.

    Args:
        base: URL of ``/fhir``.
        software: version of this program.
        name: what this server is, for people.
        date: when this changed last, a FHIR dateTime.
        version: of FHIR, 4.0.1 or 5.0.0.
        authorize, token: URLs of the SMART authorisation server; empty where there is none.
    """
    rest: dict[str, Any] = {
        "mode": "server",
        "documentation": _DOCUMENTATION,
        "security": _security(authorize, token),
    }
    if offered:
        rest["resource"] = [_resource(each) for each in offered]
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": date,
        "kind": "instance",
        "software": {"name": "health-ledger", "version": software},
        "implementation": {"description": name, "url": base},
        "fhirVersion": version,
        "format": ["application/fhir+json", "json"],
        "patchFormat": ["application/json-patch+json"],
        "rest": [rest],
    }


def _security(authorize: str, token: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        "cors": False,
        "service": [
            {"coding": [{"system": _SECURITY, "code": "SMART-on-FHIR"}], "text": "SMART-on-FHIR"}
        ],
        "description": "See /.well-known/smart-configuration. Scopes are the outer fence; what a "
        "caller may see is decided by the contracts on the ledger.",
    }
    urls = [{"url": name, "valueUri": value}
            for name, value in (("token", token), ("authorize", authorize)) if value]  # fmt: skip
    if urls:
        found["extension"] = [{"url": _SMART, "extension": urls}]
    return found


def _resource(offered: Offered) -> dict[str, Any]:
    vread = "vread" in offered.interactions
    found: dict[str, Any] = {
        "type": offered.type,
        "documentation": offered.documentation,
        "interaction": [{"code": code} for code in INTERACTIONS if code in offered.interactions],
        "versioning": "versioned" if vread else "no-version",
        "readHistory": vread,
        "updateCreate": False,
        "conditionalCreate": offered.conditional_create,
        "conditionalRead": "full-support",
        "conditionalUpdate": False,
        "conditionalDelete": "not-supported",
    }
    if offered.profiles:
        found["supportedProfile"] = list(offered.profiles)
    if offered.parameters:
        found["searchParam"] = [_parameter(each) for each in offered.parameters]
    if offered.operations:
        found["operation"] = [
            {"name": name, "definition": definition} for name, definition in offered.operations
        ]
    return found


def _parameter(parameter: Parameter) -> dict[str, Any]:
    found = {
        "name": parameter.name,
        "type": parameter.kind,
        "documentation": parameter.documentation,
    }
    if parameter.definition:
        found["definition"] = parameter.definition
    return found
