"""FHIR consents become rules, or go back with the element named."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from ledger.chain.tokens import LabelKey
from ledger.fhir.consent import Computable, Directory, Refused, import_consent

EXAMPLES = Path(__file__).parents[3] / "ledger" / "data" / "hl7-r4-examples"
GOLDEN = json.loads(
    (Path(__file__).parents[2] / "data" / "hl7_consents_golden.json").read_text("utf-8")
)
KEYS = {
    subject: LabelKey(bytes.fromhex(secret))
    for subject, secret in GOLDEN["directory"].pop("label_keys").items()
}
EVERYBODY = Directory(**GOLDEN["directory"], label_keys=KEYS)

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


def written(rules: Any) -> Any:
    """Rules as JSON has them: tokens in hex."""
    return json.loads(json.dumps(rules, default=bytes.hex))


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
        assert written(outcome.rules) == golden["rules"]
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


def test_any_other_exception_becomes_an_exception_of_the_denial() -> None:
    nested = {"type": "permit", "purpose": [{"system": PURPOSE, "code": "HRESCH"}]}
    study = {"purposes": ["HRESCH"], "confidentiality": "N"}
    assert rules(consent("OPTOUT", type="deny", provision=[nested])) == [
        {"effect": "deny", "unless": [study]},
        {"effect": "permit", **study},
    ]


def test_an_exception_may_have_exceptions() -> None:
    nurse = {"type": "deny", "actor": [actor("Practitioner/f204")]}
    hospital = {"type": "permit", "actor": [actor("Organization/f001")], "provision": [nurse]}
    outer, inner, innermost = rules(consent("OPTOUT", type="deny", provision=[hospital]))
    assert outer["unless"] == [{part: inner[part] for part in inner if part != "effect"}]
    assert inner["institutions"] == ["burgers"]
    assert innermost == {"effect": "deny", "institutions": ["burgers"], "persons": ["nurse-f204"]}


def test_an_exception_reaches_through_a_denial_within_a_denial() -> None:
    study = {"type": "permit", "purpose": [{"system": PURPOSE, "code": "HRESCH"}]}
    narrower = {"type": "deny", "actor": [actor("Organization/f001")], "provision": [study]}
    outer, inner, _ = rules(consent("OPTOUT", type="deny", provision=[narrower]))
    assert outer["unless"] == inner["unless"]


def test_a_denial_that_names_no_purpose_spares_an_emergency_permitted_beside_it() -> None:
    emergency = {"type": "permit", "purpose": [{"system": PURPOSE, "code": "ETREAT"}]}
    beside = {"type": "deny", "actor": [actor("Organization/f001", "CST")]}
    for provision in ([emergency, beside], [beside, emergency]):
        found = rules(consent("OPTOUT", type="deny", provision=provision))
        denials = [rule for rule in found if rule["effect"] == "deny"]
        assert len(denials) == 2
        assert all("ETREAT" not in rule["purposes"] for rule in denials)


def test_a_denial_inside_a_permit_reaches_every_level() -> None:
    level = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}
    nested = {"type": "deny", "actor": [actor("Practitioner/f204")]}
    permit, deny = rules(consent(type="permit", securityLabel=[level], provision=[nested]))
    assert permit["confidentiality"] == "R"
    assert "confidentiality" not in deny


def test_recipients_inside_recipients_are_both_meant() -> None:
    nested = {
        "type": "permit",
        "actor": [actor("Practitioner/f204")],
        "purpose": [{"system": PURPOSE, "code": "HRESCH"}],
    }
    resource = consent(
        "OPTOUT", type="deny", actor=[actor("Organization/f001")], provision=[nested]
    )
    permit = rules(resource)[1]
    assert (permit["institutions"], permit["persons"]) == (["burgers"], ["nurse-f204"])


def test_a_recipient_outside_those_around_it_is_refused() -> None:
    nested = {"type": "deny", "actor": [actor("Patient/example")]}
    resource = consent(type="permit", actor=[actor("Practitioner/f204")], provision=[nested])
    assert refused(resource) == ["Consent.provision.provision[0].actor"]


@pytest.mark.parametrize(("count", "fits"), [(8, True), (9, False)])
def test_a_denial_has_eight_exceptions_at_most(count: int, fits: bool) -> None:
    codes = [
        "HRESCH",
        "BIORCH",
        "CLINTRCH",
        "DSRCH",
        "POARCH",
        "TRANSRCH",
        "PUBHLTH",
        "THREAT",
        "TREAT",
    ]
    nested = [{"type": "permit", "purpose": [{"system": PURPOSE, "code": code}]} for code in codes]
    resource = consent("OPTOUT", type="deny", provision=nested[:count])
    if fits:
        assert len(rules(resource)[0]["unless"]) == 8
    else:
        assert refused(resource) == ["Consent.provision"]


def test_exceptions_nested_beyond_reason_are_refused() -> None:
    provision: dict[str, Any] = {}
    for depth in range(6):
        provision = {
            "type": "deny" if depth % 2 else "permit",
            "actor": [actor("Organization/f001")],
            "provision": [provision] if provision else [],
        }
        if not provision["provision"]:
            del provision["provision"]
    assert any("provision[0].provision[0].provision[0].provision[0].provision[0]" in path
               for path in refused(consent(**provision)))  # fmt: skip


# --- Labels, codes, groups, roles, related records, representatives ----------------------------

KEY = LabelKey(b"k" * 32)
PATIENT = GOLDEN["directory"]["persons"]["Patient/f001"]
WIDE = Directory(
    **GOLDEN["directory"] | {"representatives": {"RelatedPerson/mother": "p-mother"}},
    roles={"PractitionerRole/nurses": ("burgers", "nurse")},
    groups={"Group/team": ("nurse-f204", "he")},
    related={"ServiceRequest/1": ("cd" * 32, "ef" * 32)},
    label_keys={PATIENT: KEY},
)
ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
LEVEL = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
LOINC = {"system": "http://loinc.org", "code": "34133-9"}


def label(code: str, system: str = ACT_CODE) -> dict[str, str]:
    return {"system": system, "code": code}


def read(**provision: Any) -> Computable | Refused:
    return import_consent(consent(**provision), WIDE)


def one_rule(**provision: Any) -> dict[str, Any]:
    outcome = read(**provision)
    assert isinstance(outcome, Computable), outcome
    (rule,) = outcome.rules
    return rule


def refusal(**provision: Any) -> list[str]:
    outcome = read(**provision)
    assert isinstance(outcome, Refused), outcome
    return [problem.path for problem in outcome.problems]


def test_sensitivities_become_tokens_under_the_patients_key() -> None:
    rule = one_rule(type="deny", securityLabel=[label("PSY"), label("HIV")])
    assert rule == {
        "effect": "deny",
        "labels": [KEY.label("PSY"), KEY.label("HIV")],
        "label_key": KEY.for_labels,
    }


def test_a_permit_by_sensitivity_means_restricted_records_unless_it_names_a_level() -> None:
    assert one_rule(type="permit", securityLabel=[label("PSY")])["confidentiality"] == "R"
    both = [label("PSY"), label("V", LEVEL)]
    assert one_rule(type="permit", securityLabel=both)["confidentiality"] == "V"


@pytest.mark.parametrize(
    ("effect", "labels"),
    [
        ("permit", [label("PSY"), label("HIV")]),
        ("permit", [label("N", LEVEL), label("R", LEVEL)]),
        ("permit", [label("U", LEVEL)]),
        ("permit", [label("NORDSCLCD")]),
        ("permit", [label("PSY", "http://example.org/labels")]),
        ("deny", [label("R", LEVEL)]),
        ("deny", [label("PSY"), label("R", LEVEL)]),
    ],
)
def test_labels_that_leave_something_open_are_refused(
    effect: str, labels: list[dict[str, str]]
) -> None:
    assert refusal(type=effect, securityLabel=labels) == ["Consent.provision.securityLabel"]


def test_codes_and_classes_become_tokens() -> None:
    rule = one_rule(type="permit", code=[{"coding": [LOINC, label("X", "urn:local")]}])
    assert rule["codes"] == [KEY.code("http://loinc.org", "34133-9"), KEY.code("urn:local", "X")]
    assert rule["label_key"] == KEY.for_codes
    kind = {"system": "http://hl7.org/fhir/resource-types", "code": "MedicationRequest"}
    rule = one_rule(type="permit", **{"class": [kind]})
    assert rule["kinds"] == ["prescription"]
    assert rule["codes"] == [KEY.code("http://hl7.org/fhir/resource-types", "MedicationRequest")]
    assert refusal(type="permit", **{"class": [kind]}, code=[{"coding": [LOINC]}]) == [
        "Consent.provision.class"
    ]
    assert refusal(type="permit", code=[{"coding": [{"code": "34133-9"}]}]) == [
        "Consent.provision.code[0]"
    ]
    assert refusal(type="permit", code=[{"text": "summary"}]) == ["Consent.provision.code[0]"]


def test_labels_and_codes_together_ask_for_a_list_that_has_all_codes() -> None:
    rule = one_rule(type="deny", securityLabel=[label("HIV")], code=[{"coding": [LOINC]}])
    assert rule["label_key"] == KEY.for_codes


def test_a_group_is_its_members_of_today_and_cannot_be_denied() -> None:
    outcome = read(type="permit", actor=[actor("Group/team")])
    assert isinstance(outcome, Computable)
    assert outcome.rules[0]["persons"] == ["nurse-f204", "he"]
    assert "Consent.provision.actor[0].reference" in [warning.path for warning in outcome.warnings]
    assert refusal(type="deny", actor=[actor("Group/team")]) == [
        "Consent.provision.actor[0].reference"
    ]


def test_a_role_is_an_institution_and_a_role_there() -> None:
    actors = [actor("PractitionerRole/nurses"), actor("Patient/example")]
    outcome = read(type="deny", actor=actors)
    assert isinstance(outcome, Computable)
    assert list(outcome.rules) == [
        {"effect": "deny", "persons": [GOLDEN["directory"]["persons"]["Patient/example"]]},
        {"effect": "deny", "institutions": ["burgers"], "roles": ["nurse"]},
    ]


def test_related_records_are_permitted_as_known_and_not_denied() -> None:
    data = [{"meaning": "related", "reference": {"reference": "ServiceRequest/1"}}]
    assert one_rule(type="permit", data=data)["records"] == ["cd" * 32, "ef" * 32]
    assert refusal(type="deny", data=data) == ["Consent.provision.data[0].meaning"]
    data[0]["meaning"] = "dependents"
    assert refusal(type="permit", data=data) == ["Consent.provision.data[0].meaning"]


def test_a_representative_is_named_for_the_chain_to_judge() -> None:
    resource = {**consent(), "performer": [{"reference": "RelatedPerson/mother"}]}
    outcome = import_consent(resource, WIDE)
    assert isinstance(outcome, Computable)
    assert (outcome.subject, outcome.speaker) == (PATIENT, "p-mother")
    assert "Consent.performer[0]" in [warning.path for warning in outcome.warnings]
    own = import_consent({**consent(), "performer": [{"reference": "Patient/f001"}]}, WIDE)
    assert isinstance(own, Computable)
    assert own.speaker == PATIENT


def test_emergency_only_needs_the_category_that_says_so() -> None:
    purpose = [{"system": PURPOSE, "code": "ETREAT"}]
    resource = consent("OPTOUT", purpose=purpose)
    assert refused(resource) == ["Consent.provision.type"]
    resource["category"] = [{"coding": [{"system": ACT_CODE, "code": "EMRGONLY"}]}]
    deny, permit = rules(resource)
    assert deny["effect"] == "deny"
    assert permit == {"effect": "permit", "purposes": ["ETREAT"], "confidentiality": "N"}
    resource["provision"]["purpose"] = [{"system": PURPOSE, "code": "TREAT"}]
    assert refused(resource) == ["Consent.provision.type"]
    resource["provision"]["purpose"] = purpose
    resource["provision"]["provision"] = [{"type": "permit"}]
    assert refused(resource) == ["Consent.provision.provision[0]"]


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
        ("Consent.performer[0]", {"performer": [{"reference": "RelatedPerson/eve"}]}),
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
