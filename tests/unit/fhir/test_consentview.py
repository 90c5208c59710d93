"""Consents leave as FHIR has them, and say what the chain says."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from ledger.chain.tokens import LabelKey
from ledger.contracts.library import registry
from ledger.fhir import consentview, contained, r5consent
from ledger.fhir.consent import Computable, Directory, Refused, import_consent
from ledger.fhir.consentview import Declared, Unsigned, fhir_id
from ledger.fhir.labelnames import LabelNames
from tests.support import consent_matrix
from tests.support.consent_directory import own
from tests.support.fhir_models import R5, validate

KEY = LabelKey(b"k" * 32)
PATIENT = "p-" + "1" * 32
OWN = Directory(
    institutions={"Organization/burgers": "burgers", "Organization/artis": "artis"},
    persons={f"Patient/{PATIENT}": PATIENT, "Practitioner/gao": "gao"},
    records={f"DocumentReference/{'ab' * 32}": "ab" * 32},
    label_keys={PATIENT: KEY},
)
PERMIT = {"effect": "permit", "purposes": ["TREAT"], "confidentiality": "N"}


def declared(*rules, **changes):
    plain = Declared(
        name="c-1", subject=PATIENT, status="active", given_by=(PATIENT,), rules=rules,
        given=1_767_225_600_000, changed=1_767_225_600_000, version=7,
    )  # fmt: skip
    return replace(plain, **changes)


def shown(*rules, key=KEY, **changes):
    """The resource for these rules; valid in R4 and, mapped, in R5, and mapped back the same."""
    resource = consentview.consent(declared(*rules, **changes), LabelNames(key))
    validate(resource)
    validate(r5consent.to_r5(resource), R5)
    again = r5consent.from_r5(r5consent.to_r5(resource))
    if resource["status"] == "proposed":  # which R5 does not know
        again["status"] = "proposed"
    assert again == resource
    return resource


def read_back(*rules):
    found = import_consent(shown(*rules), OWN)
    assert isinstance(found, Computable), found
    return list(found.rules)


# --- what the chain says comes back -------------------------------------------------------------


@pytest.mark.parametrize(
    "rule",
    [
        PERMIT,
        {"effect": "deny"},
        {"effect": "deny", "institutions": ["burgers", "artis"]},
        {"effect": "deny", "persons": ["gao"], "purposes": ["HRESCH"]},
        {**PERMIT, "persons": [PATIENT]},
        {**PERMIT, "roles": ["physician", "nurse"]},
        {**PERMIT, "institutions": ["artis"], "roles": ["physician"]},
        {**PERMIT, "institutions": ["artis"], "persons": ["gao"], "roles": ["physician"]},
        {**PERMIT, "institutions": ["artis"], "persons": ["gao"]},
        {**PERMIT, "holders": ["burgers"], "confidentiality": "V"},
        {**PERMIT, "kinds": ["imaging", "laboratory"]},
        {**PERMIT, "records": ["ab" * 32]},
        {**PERMIT, "start": 1, "end": 1_800_000_000_000},
        {**PERMIT, "data_start": 1_600_000_000_000, "data_end": 1_700_000_000_001},
        {**PERMIT, "purposes": ["TREAT", "HRESCH", "BTG"]},
        {**PERMIT, "labels": [KEY.label("HIV")], "label_key": KEY.for_labels,
         "confidentiality": "R"},
        {"effect": "deny", "labels": [KEY.label("PSY"), KEY.label("SUD")],
         "label_key": KEY.for_labels},
        {**PERMIT, "kinds": ["prescription"],
         "codes": [KEY.code("http://hl7.org/fhir/resource-types", "MedicationRequest")],
         "label_key": KEY.for_codes},
        {**PERMIT, "kinds": ["ecg"],
         "codes": [KEY.code("http://loinc.org", "11524-6")], "label_key": KEY.for_codes},
    ],
    ids=str,
)  # fmt: skip
def test_a_rule_is_shown_and_read_back_the_same(rule):
    assert read_back(rule) == [rule]


def test_several_rules_are_shown_beside_each_other():
    rules = [
        {"effect": "deny", "institutions": ["burgers"], "end": 9},
        {**PERMIT, "institutions": ["artis"]},
        {"effect": "deny"},
        {**PERMIT, "persons": ["gao"], "start": 5},
    ]
    assert read_back(*rules) == rules


def test_a_period_that_all_rules_have_is_said_once():
    period = {"start": 5, "end": 2_000_000_000_000}
    rules = [{**PERMIT, **period}, {"effect": "deny", "persons": ["gao"], **period}]
    resource = shown(*rules)
    assert set(resource["provision"]) == {"period", "provision"}
    assert all("period" not in inner for inner in resource["provision"]["provision"])
    assert read_back(*rules) == rules


@pytest.mark.parametrize(
    ("institutions", "persons"), [(["burgers", "artis"], []), (["burgers", "artis"], ["gao"])]
)
def test_recipients_who_must_be_several_things_are_split_into_what_says_the_same(
    institutions, persons
):
    rule = {**PERMIT, "institutions": institutions, "roles": ["nurse"]}
    if persons:
        rule["persons"] = persons
    assert read_back(rule) == [{**rule, "institutions": [each]} for each in institutions]


CASES = [
    (name, form)
    for name in consent_matrix.NAMES
    for form in (("sent", "clarified") if name in consent_matrix.clarified() else ("sent",))
]


@pytest.mark.parametrize(("name", "form"), CASES)
def test_hl7s_consents_come_back_with_the_same_rules(name, form):
    sent, directory = (
        (consent_matrix.sent(name), consent_matrix.SENT)
        if form == "sent"
        else (consent_matrix.asked_back(name), consent_matrix.ASKED_BACK)
    )
    taken = import_consent(sent, directory)
    if isinstance(taken, Refused):
        assert form == "sent"
        return
    documents = [("http://loinc.org", code) for code in ("34133-9", "18842-5")]
    resource = consentview.consent(
        declared(*taken.rules, subject=taken.subject, given_by=(taken.speaker,), given=1),
        LabelNames(directory.label_keys.get(taken.subject), documents),
    )
    validate(resource)
    back = import_consent(resource, own(directory))
    assert isinstance(back, Computable), back
    assert list(back.rules) == list(taken.rules)
    assert back.speaker == taken.speaker


# --- exceptions ---------------------------------------------------------------------------------


def test_an_exception_that_is_a_permit_too_is_nested_in_its_denial():
    exception = {"purposes": ["TREAT"], "confidentiality": "N", "institutions": ["artis"]}
    permit = {"effect": "permit", **exception}
    rules = [{"effect": "deny", "unless": [exception]}, permit]
    denial, beside = shown(*rules)["provision"]["provision"]
    assert denial["provision"] == [beside]
    assert read_back(*rules) == rules


def test_an_exception_that_permits_nothing_says_so_and_is_not_read_as_a_permit():
    exception = {"purposes": ["TREAT"], "confidentiality": "N", "institutions": ["artis"]}
    resource = shown({"effect": "deny", "unless": [exception]})
    (inner,) = resource["provision"]["provision"][0]["provision"]
    assert inner["modifierExtension"][0]["url"] == consentview.EXCEPTION_EXTENSION
    assert isinstance(import_consent(resource, OWN), Refused)


def test_a_denial_with_an_emergency_as_its_exception_still_denies_other_emergencies():
    exception = {"purposes": ["BTG"], "confidentiality": "N", "institutions": ["artis"]}
    rules = [{"effect": "deny", "unless": [exception]}, {"effect": "permit", **exception}]
    denial, _permit = read_back(*rules)
    assert {"ETREAT", "BTG", "ERTREAT", "TREAT", "HRESCH"} <= set(denial["purposes"])


def test_a_denial_from_a_level_on_has_no_words_in_r4_and_is_not_read_back():
    resource = shown({"effect": "deny", "confidentiality": "R"})
    (label,) = resource["provision"]["provision"][0]["securityLabel"]
    assert label["code"] == "R"
    assert label["extension"][0]["url"] == consentview.LEVEL_EXTENSION
    assert isinstance(import_consent(resource, OWN), Refused)


# --- labels -------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [None, LabelKey(b"o" * 32)])
def test_labels_and_codes_are_masked_for_who_has_not_the_patients_key(key):
    rules = (
        {**PERMIT, "labels": [KEY.label("HIV")], "label_key": KEY.for_labels},
        {**PERMIT, "codes": [KEY.code("http://loinc.org", "11524-6")], "label_key": KEY.for_codes},
    )
    resource = shown(*rules, key=key)
    text = json.dumps(resource)
    assert "HIV" not in text
    assert "11524-6" not in text
    assert text.count('"masked"') == 2
    for rule in rules:
        assert rule.get("labels", rule.get("codes"))[0].hex() not in text
    assert isinstance(import_consent(resource, OWN), Refused)


# --- who, when, in which state ------------------------------------------------------------------


def test_the_patient_who_signed_is_performer_and_verifies_it():
    resource = shown(PERMIT, source=b"s" * 32)
    assert resource["performer"] == [resource["patient"]]
    assert resource["verification"][0]["verifiedWith"] == resource["patient"]
    assert resource["meta"] == {"versionId": "7", "lastUpdated": "2026-01-01T00:00:00.000Z"}
    assert resource["extension"] == [
        {"url": consentview.SOURCE_EXTENSION, "valueString": (b"s" * 32).hex()}
    ]


def test_a_paper_form_is_verified_by_the_two_who_signed():
    resource = shown(PERMIT, given_by=("li", "wang"), form=b"f" * 32, institution="artis")
    by = [each["extension"][0]["valueReference"]["identifier"]["value"]
          for each in resource["verification"]]  # fmt: skip
    assert by == ["li", "wang"]
    assert resource["performer"] == [resource["patient"]]
    assert resource["organization"][0]["identifier"]["value"] == "artis"


def test_one_who_speaks_for_the_patient_is_the_performer():
    guardian = "p-" + "2" * 32
    resource = shown(PERMIT, given_by=(guardian,))
    assert resource["performer"][0]["type"] == "RelatedPerson"
    assert resource["performer"][0]["identifier"]["value"] == guardian


def test_a_withdrawn_consent_is_inactive_and_says_when_and_by_whom():
    resource = shown(
        PERMIT, status="withdrawn", withdrawn_by=(PATIENT,), withdrawn=1_767_225_601_000
    )
    assert resource["status"] == "inactive"
    (extension,) = resource["extension"]
    assert extension["extension"][0]["valueInstant"] == "2026-01-01T00:00:01.000Z"


def test_a_proposed_consent_carries_what_is_to_be_signed():
    unsigned = Unsigned(b"body", b"i" * 32, 120)
    resource = shown(PERMIT, status="proposed", unsigned=unsigned)
    assert resource["status"] == "proposed"
    assert "verification" not in resource
    parts = {each["url"]: each for each in resource["extension"][0]["extension"]}
    assert parts["body"]["valueBase64Binary"] == "Ym9keQ=="
    assert parts["validUntilHeight"]["valueUnsignedInt"] == 120


@pytest.mark.parametrize(
    ("name", "same"),
    [("c-1", True), ("A.b-9", True), ("c_1", False), ("x" * 65, False), ("同意", False),
     ("x-" + "0" * 40, False), ("", False)],
)  # fmt: skip
def test_ids_that_fhir_cannot_write_are_hashed(name, same):
    found = fhir_id(name)
    assert (found == name) is same
    assert fhir_id(found) != found or same


def test_times_that_fhir_cannot_write_do_not_hurt():
    shown({**PERMIT, "start": -(2**62), "end": 2**62, "data_start": 2**62})


def test_the_roles_are_those_of_the_registry():
    assert set(registry.ROLES) == contained.ROLES


# --- contained recipients that are not clear ----------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"organization": {"reference": "Organization/nowhere"}},
        {"practitioner": {"display": "Gao"}},
        {"code": [{"text": "physician"}]},
        {"code": [{"coding": [{"system": "urn:health-ledger:role", "code": "king"}]}]},
        {"specialty": [{"text": "heart"}]},
        {"active": False},
    ],
)
def test_a_contained_role_that_is_not_clear_is_nobody(change):
    resource = shown({**PERMIT, "institutions": ["artis"], "roles": ["physician"]})
    resource["contained"][0].update(change)
    found = import_consent(resource, OWN)
    assert isinstance(found, Refused)
    assert "Consent.provision.provision[0].actor[0].reference" in {p.path for p in found.problems}


@pytest.mark.parametrize("name", ["type", "purpose", "actor", "securityLabel", "class"])
def test_a_list_of_rules_has_no_limits_around_it(name):
    resource = shown(PERMIT)
    inner = resource["provision"]["provision"][0]
    resource["provision"][name] = (
        inner.get(name)
        or shown({"effect": "deny", "institutions": ["artis"], "kinds": ["note"]})["provision"][
            "provision"
        ][0][name]
    )
    found = import_consent(resource, OWN)
    assert isinstance(found, Refused)
    assert f"Consent.provision.{name}" in {problem.path for problem in found.problems}


# --- R5 -----------------------------------------------------------------------------------------


def test_a_consent_of_r5_is_read_by_its_decision():
    exception = {
        "actor": shown({**PERMIT, "institutions": ["artis"]})["provision"]["provision"][0]["actor"],
        "resourceType": [{"system": "http://hl7.org/fhir/resource-types", "code": "Immunization"}],
    }
    consent = {
        "resourceType": "Consent", "status": "active", "date": "2026-01-01",
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "subject": {"reference": f"Patient/{PATIENT}"},
        "decision": "permit", "period": {"start": "2026-01-01"}, "provision": [exception],
    }  # fmt: skip
    validate(consent, R5)
    found = import_consent(r5consent.from_r5(consent), OWN)
    assert isinstance(found, Computable), found
    assert [rule["effect"] for rule in found.rules] == ["permit", "deny"]
    assert found.rules[1]["institutions"] == ["artis"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("grantee", [{"reference": "Organization/artis"}]),
        ("controller", [{"reference": "Organization/artis"}]),
        ("policyText", [{"reference": "DocumentReference/1"}]),
        ("policyBasis", {"url": "https://policy.example"}),
        ("decision", "maybe"),
        ("category", 5),
        ("provision", "x"),
        ("provision", ["x", {"expression": {"language": "text/cql", "expression": "true"}}]),
        ("verification", [7]),
        ("regulatoryBasis", [{"text": "a law"}]),
        ("status", ["active"]),
    ],
)
def test_what_r4_cannot_say_is_found_and_named(name, value):
    resource = {**r5consent.to_r5(shown(PERMIT)), name: value}
    found = import_consent(r5consent.from_r5(resource), OWN)
    assert isinstance(found, Refused)


def test_every_official_consent_survives_both_mappings():
    directory = Path(consent_matrix.EXAMPLES)
    seen = 0
    for path in sorted(directory.rglob("*.json")):
        resource = json.loads(path.read_text("utf-8"))
        if resource.get("resourceType") == "Consent":
            seen += 1
            back = r5consent.from_r5(r5consent.to_r5(resource))
            assert back["patient"] == resource["patient"]
            assert "provision" in back
    assert seen
