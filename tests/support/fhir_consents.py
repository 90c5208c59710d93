"""A consortium's people as callers of ``/fhir``, and the consents that they send."""

from __future__ import annotations

from typing import Any

from ledger.api.principal import Kind
from ledger.client.builder import Account
from ledger.fhir import codes, elements
from ledger.fhir.elements import coding, concept
from tests.support.fhir import principal
from tests.support.local_service import Consortium, LocalService


class People:
    """Pieter is a patient of the East Hospital, Roel of the South Hospital."""

    def __init__(self, consortium: Consortium, service: LocalService) -> None:
        people = consortium.people
        self.accounts: dict[str, Account] = {
            each.id: consortium.account(each.key) for each in people
        }
        self.pieter = people["patient-pieter"].id
        self.roel = people["patient-roel"].id
        self.patient = principal(Kind.PATIENT, self.pieter)
        self.other = principal(Kind.PATIENT, self.roel)
        registrar, physician = people["east-governor"], people["east-physician"]
        self.registrar = principal(Kind.STAFF, registrar.id, "east", *registrar.roles)
        self.physician = principal(Kind.STAFF, physician.id, "east", *physician.roles)
        elsewhere = people["south-physician"]
        self.elsewhere = principal(Kind.STAFF, elsewhere.id, "south", *elsewhere.roles)
        desk = people["south-governor"]
        self.south = principal(Kind.STAFF, desk.id, "south", *desk.roles)
        self.system = principal(Kind.SYSTEM, "ehr", "east")
        service.custody = {
            name: self.accounts[name].key for name in (registrar.id, physician.id, desk.id)
        }
        service.subjects = {"Patient/f001": self.pieter}


def consent(subject: str, *provisions: dict[str, Any], **elements_: Any) -> dict[str, Any]:
    """A consent to treatment at the East Hospital, or what the provisions say."""
    given = list(provisions) or [permit()]
    return {
        "resourceType": "Consent",
        "status": "active",
        "scope": concept(coding(codes.SCOPE_SYSTEM, "patient-privacy")),
        "category": [concept(coding(elements.LOINC, "59284-0"))],
        "patient": {"reference": f"Patient/{subject}"},
        "dateTime": "2026-01-01",
        "policyRule": concept(coding(codes.POLICY_SYSTEM, "OPTIN")),
        "provision": {"provision": given},
        **elements_,
    }


def permit(institution: str = "east", purpose: str = "TREAT", **parts: Any) -> dict[str, Any]:
    return {
        "type": "permit",
        "actor": [
            {
                "role": concept(coding(codes.PARTICIPATION_SYSTEM, "IRCP")),
                "reference": {"reference": f"Organization/{institution}"},
            }
        ],
        "purpose": [coding(codes.PURPOSE_SYSTEM, purpose)],
        **parts,
    }
