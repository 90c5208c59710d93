"""What happens on the chain, as AuditEvents after the patterns of IHE BALP."""

from __future__ import annotations

import base64
import json

import pytest

from ledger.fhir import auditevents, elements, r5records
from ledger.fhir.auditevents import Decision, Emergency, Enquiry, Occurrence, Outcome
from tests.support import balp
from tests.support.fhir_models import R5, validate

AT = 1_764_000_000_123
CHAIN = "ab" * 32
PATIENT = "p-" + "a" * 32
RECORD = b"\x01" * 32
HERE = Occurrence("12.0.3", AT, CHAIN)


def decision(*, consent: str = "c-1", **changes: object) -> Decision:
    facts = {"consent": consent} if consent else {}
    value: dict[str, object] = {
        "id": "cd" * 32 + "-0", "outcome": "permit", "rule": "consent:patient-permits",
        "path": [{"contract": "consent", "rule": "patient-permits", "effect": "permit",
                  "until": 0, "duties": [], "facts": facts}],
        "asked": ["consent:patient-permits", "referral:no-referral"],
        "requester": "xue", "roles": ["physician"], "institution": "west", "subject": PATIENT,
        "record": RECORD, "holder": "east", "kind": "laboratory", "confidentiality": "R",
        "digest": b"d" * 32, "purpose": "TREAT", "case": "", "reply_key": b"k" * 32,
        "obligations": ["AOD"], "tell": ["patient"], "time": AT, "height": 12,
        "expires": AT + 3_600_000, "released": None, "received": None,
    }  # fmt: skip
    return auditevents.read_decision({**value, **changes})


def checked(event: dict[str, object]) -> dict[str, object]:
    validate(event)
    validate(r5records.audit_event(event), R5)
    return event


def agents(event: dict[str, object]) -> dict[str, dict[str, object]]:
    return {balp.token(agent["type"]["coding"][0]): agent for agent in event["agent"]}


def said(event: dict[str, object]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for entity in event["entity"]:
        for detail in entity.get("detail", []):
            found.setdefault(detail["type"], []).append(detail["valueString"])
    return found


def test_a_permit_by_consent_follows_the_pattern_of_an_authorization_decision():
    event = checked(auditevents.decided(HERE, decision()))
    assert balp.check(event) == "AuthZconsent"
    assert event["id"] == "12.0.3"
    assert event["recorded"] == elements.instant(AT)
    assert event["outcome"] == "0"
    (consent,) = [e for e in event["entity"] if balp.token(e["type"]) == balp.CONSENT]
    assert consent["what"]["identifier"] == {"system": elements.CONSENT_SYSTEM, "value": "c-1"}
    assert consent["what"]["reference"] == "Consent/c-1"
    user = agents(event)[balp.USER]
    assert user["who"]["identifier"]["value"] == "xue"
    assert user["purposeOfUse"][0]["coding"][0]["code"] == "TREAT"
    assert [role["coding"][0]["code"] for role in user["role"]] == ["physician"]


def test_a_denial_is_a_failure_and_says_by_which_path_of_rules():
    denied = decision(
        outcome="deny", rule="consent:patient-denies", expires=0, obligations=[],
        path=[{"contract": "consent", "rule": "patient-denies", "effect": "deny", "until": 0,
               "duties": [], "facts": {"consent": "c-2"}}],
    )  # fmt: skip
    event = checked(auditevents.decided(HERE, denied))
    assert balp.check(event) == "AuthZconsent"
    assert event["outcome"] == "8"
    assert event["outcomeDesc"] == "deny: consent:patient-denies"
    assert said(event)["said"] == ["consent:patient-denies deny"]
    assert said(event)["asked"] == ["consent:patient-permits", "referral:no-referral"]
    assert said(event)["record"] == [elements.record_urn(RECORD)]
    assert "expires" not in said(event)


def test_what_no_consent_decided_claims_no_profile_and_names_rule_and_record():
    event = checked(auditevents.decided(HERE, decision(consent="", rule="referral:open-referral")))
    assert balp.check(event) == ""
    assert balp.token(event["subtype"][0]) == balp.AUTHZ + "AuthZ-Role"
    names = [entity["what"].get("identifier", {}).get("value") for entity in event["entity"]]
    assert names == [PATIENT, "referral:open-referral", elements.record_urn(RECORD)]


def test_a_patient_who_asks_for_her_own_record_acts_for_no_institution():
    own = decision(
        consent="", rule="access:own-record", requester=PATIENT, roles=["patient"],
        institution="", purpose="PATRQT",
    )  # fmt: skip
    event = checked(auditevents.decided(HERE, own))
    assert balp.ORGANISATION not in agents(event)
    assert agents(event)[balp.USER]["who"]["type"] == "Patient"


@pytest.mark.parametrize("matches", [True, False])
def test_both_halves_of_a_disclosure_follow_their_pattern_and_name_the_same_decision(matches):
    outcome = Outcome(AT, b"d" * 32, matches)
    source = checked(auditevents.released(HERE, decision(), outcome))
    recipient = checked(auditevents.received(HERE, decision(), outcome))
    assert balp.check(source) == "PrivacyDisclosure.Source"
    assert balp.check(recipient) == "PrivacyDisclosure.Recipient"
    assert source["source"]["observer"]["identifier"]["value"] == "east"
    assert recipient["source"]["observer"]["identifier"]["value"] == "west"
    assert said(source)["decision"] == said(recipient)["decision"] == ["cd" * 32 + "-0"]
    for event in (source, recipient):
        assert event["outcome"] == ("0" if matches else "8")
        assert ("outcomeDesc" in event) is not matches
        records = [e for e in event["entity"] if balp.token(e["type"]) == balp.OBJECT]
        assert records[0]["what"]["reference"] == f"DocumentReference/{RECORD.hex()}"
        assert records[0]["securityLabel"][0]["code"] == "R"


def test_a_record_that_a_patient_fetched_herself_went_to_her():
    own = decision(requester=PATIENT, institution="", purpose="PATRQT", consent="")
    event = checked(auditevents.received(HERE, own, Outcome(AT, b"d" * 32, True)))
    assert balp.check(event) == "PrivacyDisclosure.Recipient"
    assert event["source"]["observer"]["identifier"]["value"] == PATIENT


def test_an_enquiry_is_a_query_about_a_patient_with_the_question_itself():
    enquiry = Enquiry("ef" * 32 + "-0", "xue", "west", PATIENT, "TREAT", "", AT)
    event = checked(auditevents.enquired(HERE, enquiry))
    assert balp.check(event) == "PatientQuery"
    (query,) = [e for e in event["entity"] if "query" in e]
    question = base64.b64decode(query["query"]).decode()
    assert question == f"DocumentReference?patient.identifier={elements.PSEUDONYM_SYSTEM}|{PATIENT}"
    assert set(query) == {"type", "role", "query"}


def emergency(**changes: object) -> Emergency:
    value: dict[str, object] = {
        "person": "kim", "institution": "west", "county": "Zichang", "subject": PATIENT,
        "reason": "unconscious", "note": b"n" * 32, "declared": AT, "until": AT + 1,
        "due": AT + 2, "status": "open", "overdue": False, "disputed": False, "requests": ["r"],
        "experts": [],
    }  # fmt: skip
    return auditevents.read_emergency({**value, **changes})


REVIEW = {"by": "aud", "institution": "commission", "time": AT, "late": False, "finding": b"f" * 32}
STEPS = {
    "glass_broken": ("110127", "0"),
    "review_overdue": ("emergency-review-overdue", "8"),
    "reviewed": ("110138", "0"),
}


@pytest.mark.parametrize("name", sorted(auditevents.EMERGENCY_EVENTS))
def test_every_step_of_an_emergency_is_a_security_alert_about_the_patient(name):
    found = emergency(status="upheld", review=REVIEW) if name == "reviewed" else emergency()
    event = checked(auditevents.emergency_event(HERE, name, "e-1", found))
    code, outcome = STEPS[name]
    assert event["type"]["code"] == "110113"
    assert event["subtype"][0]["code"] == code
    assert event["outcome"] == outcome
    assert event["purposeOfEvent"][0]["coding"][0]["code"] == "BTG"
    names = [entity["what"]["identifier"]["value"] for entity in event["entity"]]
    assert names == [PATIENT, "e-1"]
    assert said(event)["reason"] == ["unconscious"]
    users = [a["who"]["identifier"]["value"] for a in event["agent"] if a["requestor"]]
    expected = {"glass_broken": ["kim"], "review_overdue": [], "reviewed": ["aud"]}
    assert users == expected[name]


def test_a_verdict_of_abuse_is_a_failure():
    abuse = emergency(status="abuse", disputed=True, review=REVIEW | {"late": True})
    event = checked(auditevents.emergency_event(HERE, "reviewed", "e-1", abuse))
    assert event["outcome"] == "8"
    assert said(event)["verdict"] == ["abuse"]
    assert said(event)["disputed"] == ["by the patient"]
    assert said(event)["late"] == ["yes"]


@pytest.mark.parametrize(
    ("name", "profile"), [("declared", "PatientCreate"), ("withdrawn", "PatientUpdate")]
)
def test_a_consent_that_changes_is_a_create_or_an_update_by_who_declared_it(name, profile):
    event = checked(auditevents.consent_changed(HERE, name, "c-1", PATIENT, ("p-mother",)))
    assert balp.check(event) == profile
    assert agents(event)[balp.AUTHOR]["who"]["identifier"]["value"] == "p-mother"


def test_no_sensitivity_and_no_exact_type_is_in_any_event():
    events = [
        auditevents.decided(HERE, decision()),
        auditevents.released(HERE, decision(), Outcome(AT, b"d" * 32, True)),
    ]
    for word in ("PSY", "loinc"):
        assert word not in json.dumps(events)


def test_in_r5_the_patient_is_an_element_and_the_subtype_the_code():
    event = auditevents.decided(HERE, decision())
    in_r5 = r5records.audit_event(event)
    assert in_r5["patient"]["identifier"]["value"] == PATIENT
    assert in_r5["code"]["coding"][0]["code"] == "AuthZ-Consent"
    assert in_r5["category"][0]["coding"][0]["code"] == "110113"
    assert in_r5["outcome"]["code"]["code"] == "0"
    assert len(in_r5["entity"]) == len(event["entity"]) - 1
    user = next(a for a in in_r5["agent"] if a["type"]["coding"][0]["code"] == "IRCP")
    assert user["authorization"][0]["coding"][0]["code"] == "TREAT"
