"""Code systems that sharing rules speak in, as published with FHIR R4 (4.0.1).

Sources: v3-ActReason (value set v3-PurposeOfUse), v3-Confidentiality, v3-ActCode and
v3-ParticipationType of HL7 Terminology, release 2018-08-12, consentaction and consent-data-meaning
of FHIR R4, all as contained in the npm package ``hl7.fhir.r4.examples`` 4.0.1.
"""

from __future__ import annotations

from typing import Final

PURPOSE_SYSTEM: Final = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
PARTICIPATION_SYSTEM: Final = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
ACTION_SYSTEM: Final = "http://terminology.hl7.org/CodeSystem/consentaction"
SCOPE_SYSTEM: Final = "http://terminology.hl7.org/CodeSystem/consentscope"
POLICY_SYSTEM: Final = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
RESOURCE_TYPE_SYSTEM: Final = "http://hl7.org/fhir/resource-types"

_BRANCHES: Final = {
    "": "TREAT HPAYMT HOPERAT HRESCH PATRQT PUBHLTH HMARKT",
    "TREAT": "CLINTRL COC ETREAT POPHLTH",
    "ETREAT": "BTG ERTREAT",
    "HPAYMT": "CLMATTCH COVAUTH COVERAGE REMITADV",
    "COVERAGE": "ELIGDTRM ELIGVER ENROLLM MILDCRG",
    "HOPERAT": "CAREMGT DONAT FRAUD GOV HACCRED HCOMPL HDECD HDIRECT HDM HLEGAL HOUTCOMS HPRGRP "
    "HQUALIMP HSYSADMIN MEMADMIN MILCDM PATADMIN PATSFTY PERFMSR RECORDMGT SYSDEV TRAIN",
    "HSYSADMIN": "LABELING METAMGT",
    "SYSDEV": "HTEST",
    "HRESCH": "BIORCH CLINTRCH DSRCH POARCH TRANSRCH",
    "CLINTRCH": "CLINTRCHNPC CLINTRCHPC PRECLINTRCH",
    "PATRQT": "FAMRQT PWATRNY SUPNWK",
    "PUBHLTH": "DISASTER THREAT",
}

#: Each code of v3-PurposeOfUse and the code that subsumes it; empty for the heads of branches.
PURPOSE_PARENT: Final = {
    code: parent for parent, codes in _BRANCHES.items() for code in codes.split()
}

#: Purposes that no wider rule covers. BTG is a descendant of TREAT, so plain subsumption would let
#: a consent to treatment open the glass, and a refusal of treatment access block an emergency.
EMERGENCY: Final = frozenset({"ETREAT", "BTG", "ERTREAT"})

#: The heads of the branches: together, every purpose that is not an emergency.
PURPOSE_HEADS: Final = tuple(code for code, parent in PURPOSE_PARENT.items() if not parent)


def purpose_lineage(code: str) -> tuple[str, ...]:
    """The purposes whose rules cover a purpose: itself, then wider ones.

    Raises:
        KeyError: not a code of v3-PurposeOfUse.
    """
    parent = PURPOSE_PARENT[code]
    if code in EMERGENCY:
        return (code,)
    return (code, *purpose_lineage(parent)) if parent else (code,)


def purpose_head(code: str) -> str:
    """The head of the branch in which a purpose lies; raises `KeyError` for an unknown one."""
    parent = PURPOSE_PARENT[code]
    return purpose_head(parent) if parent else code


#: Participations by which an actor of a rule receives data: PRCP is a kind of IRCP.
RECIPIENTS: Final = frozenset({"IRCP", "PRCP"})
#: The participation of who keeps the data.
CUSTODIAN: Final = "CST"

#: The category of a consent that shares with emergencies alone.
EMERGENCY_ONLY: Final = "EMRGONLY"

ACTIONS: Final = frozenset({"collect", "access", "use", "disclose", "correct"})
#: The actions that the ledger decides; the others happen inside one institution.
DECIDED_ACTIONS: Final = frozenset({"access", "disclose"})
