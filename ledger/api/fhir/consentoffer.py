"""What Consent offers at ``/fhir``."""

from __future__ import annotations

from typing import Any, Final

from ledger.api.fhir.consents import PARAMETERS, Consents
from ledger.api.fhir.consentwrites import ConsentWrites
from ledger.api.fhir.offer import Offer, Operation
from ledger.api.service import NodeService
from ledger.fhir import codes, consentview, elements, r5consent
from ledger.fhir.elements import coding, concept

_DOCUMENTATION: Final = (
    "What a patient permits and denies. A create is answered with 202 and what has to be signed; "
    "withdrawn by the status inactive, likewise signed. Nothing else changes, nothing is deleted."
)
_OPERATION: Final = "urn:health-ledger:operation:"

_EXAMPLE: Final[dict[str, Any]] = {
    "resourceType": "Consent",
    "status": "active",
    "scope": concept(coding(codes.SCOPE_SYSTEM, "patient-privacy")),
    "category": [concept(coding(elements.LOINC, "59284-0"))],
    "patient": elements.patient("p-" + "0" * 32),
    "dateTime": "2026-11-28",
    "policyRule": concept(coding(codes.POLICY_SYSTEM, "OPTIN")),
    "provision": {
        "provision": [
            {
                "type": "permit",
                "actor": [
                    {
                        "role": concept(coding(codes.PARTICIPATION_SYSTEM, "IRCP")),
                        "reference": elements.institution("east"),
                    }
                ],
                "purpose": [coding(codes.PURPOSE_SYSTEM, "TREAT")],
            }
        ]
    },
}


def consent_offer(service: NodeService) -> Offer:
    """The offer of one node."""
    consents = Consents(service)
    writes = ConsentWrites(consents)
    return Offer(
        "Consent",
        _DOCUMENTATION,
        mandatory=consentview.MANDATORY,
        summary=consentview.SUMMARY,
        parameters=PARAMETERS,
        sorts=("_lastUpdated",),
        read=consents.read,
        vread=consents.vread,
        search=consents.search,
        create=writes.create,
        update=writes.update,
        patch=writes.patch,
        history=consents.history,
        type_history=consents.type_history,
        operations=(
            Operation("sign", _OPERATION + "sign", "Sign what was prepared", "update", writes.sign),
            Operation(
                "witness", _OPERATION + "witness", "Witness a form that a registrar brought",
                "update", writes.witness,
            ),
        ),
        to_r5=r5consent.to_r5,
        from_r5=r5consent.from_r5,
        example=_EXAMPLE,
    )  # fmt: skip
