"""The coarse classes of records, from resource types and codes.

Systems: FHIR observation-category, HL7 v2 table 0074 (diagnostic service section), LOINC document
and test codes, SNOMED CT categories of R4's examples, ISO/IEEE 11073-10101 for ECG leads. A code
that is not listed decides nothing; a resource about which nothing decides is ``other``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

_LOINC: Final = "http://loinc.org"
_SNOMED: Final = "http://snomed.info/sct"
_SECTION: Final = "http://terminology.hl7.org/CodeSystem/v2-0074"
_CATEGORY: Final = "http://terminology.hl7.org/CodeSystem/observation-category"
_MDC: Final = "urn:oid:2.16.840.1.113883.6.24"

_BY_TYPE: Final = {
    "laboratory": "Specimen MolecularSequence",
    "imaging": "ImagingStudy Media",
    "note": "Composition DocumentReference DocumentManifest ClinicalImpression "
    "QuestionnaireResponse",
    "prescription": "MedicationRequest MedicationDispense MedicationAdministration "
    "MedicationStatement VisionPrescription",
    "referral": "ServiceRequest",
    "immunization": "Immunization ImmunizationEvaluation ImmunizationRecommendation",
    "procedure": "Procedure DeviceUseStatement",
    "condition": "Condition AllergyIntolerance FamilyMemberHistory AdverseEvent DetectedIssue "
    "RiskAssessment Flag",
    "encounter": "Encounter EpisodeOfCare",
    "careplan": "CarePlan CareTeam Goal NutritionOrder RequestGroup DeviceRequest",
    "claim": "Account ChargeItem Claim ClaimResponse Coverage CoverageEligibilityRequest "
    "CoverageEligibilityResponse EnrollmentRequest ExplanationOfBenefit Invoice",
}
_TYPE_KIND: Final = {name: kind for kind, names in _BY_TYPE.items() for name in names.split()}

#: Every class that there is.
KINDS: Final = frozenset({*_BY_TYPE, "ecg", "pathology", "other"})

#: Resource types whose class depends on their codes; all others have one class.
_CODED: Final = frozenset(
    {"Observation", "DiagnosticReport", "Composition", "DocumentReference", "ServiceRequest"}
)

_BY_CODE: Final = {
    ("ecg", _SECTION): "EC",
    ("ecg", _LOINC): "11524-6 34534-8 28010-7",
    ("ecg", _MDC): "131328 131329 131330",
    ("ecg", _SNOMED): "29303009",
    ("pathology", _SECTION): "PAT SP CP",
    ("pathology", _LOINC): "11526-1 60567-5 47527-7",
    ("laboratory", _CATEGORY): "laboratory",
    ("laboratory", _SECTION): "LAB HM CH MB BLB IMM MCB MYC TX VR SR GE CG PAR HLA",
    ("laboratory", _SNOMED): "108252007",
    # Observations often come without a category: common blood and urine tests and panels.
    ("laboratory", _LOINC): "11502-2 15074-8 2339-0 2345-7 4548-4 11555-0 11557-6 789-8 718-7 "
    "1963-8 33914-3 2160-0 3094-0 2951-2 2823-3 2075-0 2028-9 17861-6 6690-2 777-3 4544-3 2093-3 "
    "2085-9 2089-1 13457-7 2571-8 1742-6 1920-8 6768-6 1975-2 2885-2 1751-7 3016-3 3024-7 5902-2 "
    "6301-6 883-9 10331-7 58410-2 57021-8 24331-1 24323-8 51990-0 24356-8 57698-3 55233-1",
    ("imaging", _CATEGORY): "imaging",
    ("imaging", _SECTION): "RAD RUS RX CT NMR NMS OUS VUS CUS XRC CTH IMG",
    ("imaging", _LOINC): "18748-4 18726-0 24701-5 38269-7",
    ("imaging", _SNOMED): "363679005 394914008",
    ("referral", _LOINC): "57133-1",
    ("prescription", _LOINC): "57833-6",
    ("immunization", _LOINC): "11369-6",
    ("procedure", _SNOMED): "387713003",
}
_CODE_KIND: Final = {
    (system, code): kind for (kind, system), codes in _BY_CODE.items() for code in codes.split()
}

#: Resource types and codes that the tables above name.
RESOURCE_TYPES: Final = frozenset({*_TYPE_KIND, *_CODED})
CODES: Final = frozenset(_CODE_KIND)


def kind_of(resource_type: str, codes: Iterable[tuple[str, str]], elements: Collection[str]) -> str:
    """The class of a resource.

    Args:
        resource_type: FHIR resource type.
        codes: (system, code) pairs of its category, code and type.
        elements: the names of the elements that it has.
    """
    usual = _TYPE_KIND.get(resource_type, "other")
    if resource_type not in _CODED:
        return usual
    found = {_CODE_KIND[code] for code in codes if code in _CODE_KIND}
    # The narrower class wins: an ECG is also filed under procedures, pathology under laboratory.
    for kind in ("ecg", "pathology", "imaging", "laboratory", "referral", "prescription",
                 "immunization", "procedure"):  # fmt: skip
        if kind in found:
            return kind
    if resource_type in ("Observation", "DiagnosticReport"):
        if "specimen" in elements:
            return "laboratory"
        if "imagingStudy" in elements:
            return "imaging"
    return usual


def possible_kinds(resource_type: str) -> frozenset[str]:
    """Every class in which a resource of that type can end up."""
    usual = _TYPE_KIND.get(resource_type, "other")
    if resource_type not in _CODED:
        return frozenset({usual})
    return frozenset({usual, *(kind for kind, _ in _BY_CODE)})


def covered_kinds(resource_types: Collection[str]) -> frozenset[str]:
    """The classes to which nothing but resources of these types belongs."""
    given = frozenset(resource_types)
    return frozenset(
        kind
        for kind in set(_TYPE_KIND.values())
        if all(name in given for name in _TYPE_KIND.keys() | _CODED if kind in possible_kinds(name))
    )
