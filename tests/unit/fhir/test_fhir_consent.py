"""FHIR consents become rules, or go back with the element named."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from ledger.fhir.consent import Computable, Directory, Refused, import_consent

EXAMPLES = Path(__file__).parents[3] / "ledger" / "data" / "hl7-r4-examples"
GOLDEN = json.loads(
    (Path(__file__).parents[2] / "data" / "hl7_consents_golden.json").read_text("utf-8")
)
EVERYBODY = Directory(**GOLDEN["directory"])

RECIPIENT = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
PURPOSE = "http://terminology.hl7.org/CodeSystem/v3-ActReason"


def actor(reference: str, role: str = "IRCP") -> dict[str, Any]:
    return {
        "role": {"coding": [{"system": RECIPIENT, "code": role}]},
        "reference": {"reference": reference},
    }


def consent(policy: str = "OPTIN", **provision: Any) -> dict[str, Any]:
    """A well-formed active consent of Patient/f001 with the given root provision."""
    resource: dict[str, Any] = {
        "resourceType": "Consent",
        "status": "active",
        "scope": {
            "coding": [
                {
                    "system": "http://terminology.hl7.org/CodeSystem/consentscope",
                    "code": "patient-privacy",
                }
            ]
        },
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "patient": {"reference": "Patient/f001"},
        "dateTime": "2026-01-10",
        "policyRule": {
            "coding": [
                {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": policy}
            ]
        },
    }
    if provision:
        resource["provision"] = provision
    return resource


def rules(resource: dict[str, Any]) -> list[dict[str, Any]]:
    outcome = import_consent(resource, EVERYBODY)
    assert isinstance(outcome, Computable), outcome
    return list(outcome.rules)


def refused(resource: dict[str, Any]) -> list[str]:
    outcome = import_consent(resource, EVERYBODY)
    assert isinstance(outcome, Refused), outcome
    return [problem.path for problem in outcome.problems]


@pytest.mark.parametrize("name", sorted(GOLDEN["consents"]))
def test_every_official_example_gets_its_published_decision(name: str) -> None:
    (path,) = EXAMPLES.glob(f"*/Consent-{name}.json")
    outcome = import_consent(json.loads(path.read_bytes()), EVERYBODY)
    golden = GOLDEN["consents"][name]
    if isinstance(outcome, Computable):
        assert golden["decision"] == "computable"
        assert list(outcome.rules) == golden["rules"]
    else:
        assert golden["decision"] == "refused"
        assert [problem.path for problem in outcome.problems] == golden["elements"]


def test_the_golden_table_covers_all_official_examples() -> None:
    names = {path.stem.removeprefix("Consent-") for path in EXAMPLES.glob("*/Consent-*.json")}
    assert names == set(GOLDEN["consents"])
    assert len(names) == 12


def test_no_official_example_is_read_against_its_narrative() -> None:
    """Only a denial may follow from an example whose narrative is a denial."""
    for name, golden in GOLDEN["consents"].items():
        if golden["decision"] == "computable" and golden["narrative"] == "deny":
            assert {rule["effect"] for rule in golden["rules"]} == {"deny"}, name


def test_opting_in_without_more_permits_normal_records_for_treatment() -> None:
    assert rules(consent()) == [{"effect": "permit", "purposes": ["TREAT"], "confidentiality": "N"}]


def test_opting_out_without_more_denies_everything() -> None:
    assert rules(consent("OPTOUT")) == [{"effect": "deny"}]


def test_a_typed_permit_names_recipient_purpose_class_and_period() -> None:
    provision = {
        "type": "permit",
        "actor": [actor("Organization/f001"), actor("Practitioner/f204")],
        "purpose": [{"system": PURPOSE, "code": "CAREMGT"}],
        "period": {"start": "2026-01-01", "end": "2026-12-31"},
        "class": [{"system": "http://hl7.org/fhir/resource-types", "code": "CarePlan"}],
    }
    provision["class"] += [
        {"system": "http://hl7.org/fhir/resource-types", "code": code}
        for code in ("CareTeam", "Goal", "NutritionOrder", "RequestGroup", "DeviceRequest")
    ]
    shared = {
        "effect": "permit",
        "purposes": ["CAREMGT"],
        "kinds": ["careplan"],
        "confidentiality": "N",
        "start": 1767225600000,
        "end": 1798761600000,
    }
    assert rules(consent(**provision)) == [
        {**shared, "institutions": ["burgers"]},
        {**shared, "persons": ["nurse-f204"]},
    ]


def test_a_permit_by_a_class_that_the_chain_cannot_tell_apart_is_refused() -> None:
    provision = {
        "type": "permit",
        "class": [{"system": "http://hl7.org/fhir/resource-types", "code": "MedicationRequest"}],
    }
    assert refused(consent(**provision)) == ["Consent.provision.class"]


def test_a_denial_by_such_a_class_grows_and_says_so() -> None:
    provision = {
        "type": "deny",
        "class": [{"system": "http://hl7.org/fhir/resource-types", "code": "MedicationRequest"}],
    }
    outcome = import_consent(consent(**provision), EVERYBODY)
    assert isinstance(outcome, Computable)
    assert outcome.rules == ({"effect": "deny", "kinds": ["prescription"]},)
    assert "Consent.provision.class" in [warning.path for warning in outcome.warnings]


def test_a_root_without_type_that_names_a_recipient_is_refused() -> None:
    resource = consent(actor=[actor("Organization/f001")])
    assert refused(resource) == ["Consent.provision.type"]


def test_an_exception_denies_what_its_parent_permits() -> None:
    nested = {"type": "deny", "actor": [actor("Practitioner/f204")]}
    assert [rule["effect"] for rule in rules(consent(provision=[nested]))] == ["permit", "deny"]


def test_emergencies_can_be_excepted_from_a_denial() -> None:
    nested = {"type": "permit", "purpose": [{"system": PURPOSE, "code": "ETREAT"}]}
    deny, permit = rules(consent("OPTOUT", type="deny", provision=[nested]))
    assert "ETREAT" not in deny["purposes"]
    assert "TREAT" in deny["purposes"]
    assert permit["purposes"] == ["ETREAT"]


def test_any_other_exception_from_a_denial_is_refused() -> None:
    nested = {"type": "permit", "purpose": [{"system": PURPOSE, "code": "HRESCH"}]}
    assert refused(consent("OPTOUT", type="deny", provision=[nested])) == [
        "Consent.provision.provision[0]"
    ]


def test_an_exception_that_takes_back_all_is_refused() -> None:
    assert refused(consent(type="permit", provision=[{"type": "deny"}])) == [
        "Consent.provision.provision[0]"
    ]


def test_an_exception_may_not_leave_the_purposes_of_its_parent() -> None:
    nested = {"type": "deny", "purpose": [{"system": PURPOSE, "code": "BTG"}]}
    resource = consent(
        type="permit", purpose=[{"system": PURPOSE, "code": "TREAT"}], provision=[nested]
    )
    assert refused(resource) == ["Consent.provision.provision[0].purpose"]


@pytest.mark.parametrize(
    ("element", "change"),
    [
        ("Consent.status", {"status": "inactive"}),
        ("Consent.status", {"status": "entered-in-error"}),
        ("Consent.policyRule", {"policyRule": {"coding": [{"code": "OPTIN"}]}}),
        ("Consent.policy", {"policy": [{"uri": "https://example.org/terms"}]}),
        ("Consent.performer[0]", {"performer": [{"reference": "RelatedPerson/peter"}]}),
        ("Consent.patient", {"patient": {"reference": "Patient/nobody"}}),
        ("Consent.patient", {"patient": {"identifier": {"value": "110101190001011234"}}}),
        ("Consent.verification[0]", {"verification": [{"verified": False}]}),
        ("Consent.implicitRules", {"implicitRules": "https://example.org/rules"}),
        (
            "Consent.scope",
            {"scope": {"coding": [{"code": "research"}]}},
        ),
        (
            "Consent.category[0]",
            {"category": [{"coding": [{"code": "dnr"}]}]},
        ),
    ],
)
def test_a_frame_that_is_no_consent_to_share_is_refused(
    element: str, change: dict[str, Any]
) -> None:
    assert refused({**consent(), **change}) == [element]


@pytest.mark.parametrize(
    ("element", "provision"),
    [
        ("purpose[0]", {"purpose": [{"system": PURPOSE, "code": "CURIOSITY"}]}),
        ("purpose[0]", {"purpose": [{"code": "TREAT"}]}),
        ("actor[0].reference", {"actor": [actor("Practitioner/unknown")]}),
        ("actor[0].reference", {"actor": [actor("Group/everybody")]}),
        ("actor[0].role", {"actor": [actor("Practitioner/f204", "AUT")]}),
        ("code", {"code": [{"coding": [{"system": "http://loinc.org", "code": "34133-9"}]}]}),
        ("action", {"action": [{"coding": [{"code": "access"}]}]}),
        (
            "data[0].reference",
            {"data": [{"meaning": "instance", "reference": {"reference": "X/1"}}]},
        ),
        (
            "securityLabel",
            {
                "securityLabel": [
                    {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "PSY"}
                ]
            },
        ),
        ("class[0]", {"class": [{"system": "urn:ietf:bcp:13", "code": "application/pdf"}]}),
    ],
)
def test_a_limit_that_the_ledger_cannot_decide_by_is_refused(
    element: str, provision: dict[str, Any]
) -> None:
    assert refused(consent(type="permit", **provision)) == [f"Consent.provision.{element}"]


def test_a_consent_that_was_over_when_given_is_refused() -> None:
    assert refused(consent(period={"start": "2015-01-01", "end": "2015-02-01"})) == [
        "Consent.provision.period"
    ]


def test_a_consent_that_ran_out_later_still_gives_its_rules() -> None:
    resource = consent(period={"end": "2026-02-01"})
    (rule,) = rules(resource)
    assert rule["end"] == 1769990400000  # 2026-02-02, the first millisecond after the period


def test_what_is_not_a_consent_is_refused_by_its_element() -> None:
    assert refused({"resourceType": "Patient"}) == ["Consent"]
    broken = copy.deepcopy(consent())
    broken["provision"] = {"type": "maybe", "period": {"start": 5}}
    assert "Consent.provision.period.start" in refused(broken)


def test_a_denial_of_one_record_names_it() -> None:
    provision = {
        "type": "deny",
        "data": [{"meaning": "instance", "reference": {"reference": "Observation/f001"}}],
    }
    assert rules(consent(**provision)) == [{"effect": "deny", "records": ["ab" * 32]}]


def test_json_null_is_no_fhir_and_is_refused_where_it_stands():
    for path, change in (
        ("Consent.scope", {"scope": None}),
        ("Consent.category[0].coding", {"category": [{"coding": None}]}),
    ):
        resource = {
            "resourceType": "Consent",
            "status": "active",
            "scope": {"coding": []},
            "category": [{"text": "x"}],
            "patient": {"reference": "Patient/1"},
        }
        outcome = import_consent(resource | change, Directory())
        assert isinstance(outcome, Refused)
        assert [problem.path for problem in outcome.problems] == [path]


def test_a_consent_nested_beyond_reason_is_refused():
    resource = {"resourceType": "Consent", "provision": {}}
    inner = resource["provision"]
    for _ in range(5_000):
        inner["provision"] = {}
        inner = inner["provision"]

    assert isinstance(import_consent(resource, Directory()), Refused)
