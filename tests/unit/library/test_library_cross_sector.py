"""What departments outside the health sector see."""

from hashlib import sha256
from typing import Any

import pytest

from tests.support.contracts import DAY, NEIGHBOUR, PATIENT, REPLY_KEY, World
from tests.support.contracts.amending import amended, not_amended

DOCUMENT = sha256(b"an order of the court").digest()


@pytest.fixture
def world() -> World:
    return World()


def agrees(world: World, entry: str, department: str, identity: str = "x1", **changes: Any) -> None:
    world.does(
        PATIENT, "cross_sector", "agree", **agreement(world, entry, department, identity, **changes)
    )


def agreement(
    world: World, entry: str, department: str, identity: str = "x1", **changes: Any
) -> dict[str, Any]:
    return {
        "id": identity, "entry": entry, "subject": PATIENT, "department": department,
        "holder": "city", "ends": world.time + 30 * DAY, **changes,
    }  # fmt: skip


def ordered(world: World, **changes: Any) -> dict[str, Any]:
    return {
        "id": "o1", "entry": "judicial-order", "subject": PATIENT, "department": "police",
        "holder": "city", "ends": world.time + 20 * DAY, "classes": ["encounter"],
        "document": DOCUMENT, "authority": "board", "told": 0, **changes,
    }  # fmt: skip


def asks(
    world: World, who: str, record: dict[str, Any], purpose: str, case: str = "x1", **more: Any
) -> Any:
    return world.requests(who, record, purpose, case=case, **more)


def test_a_school_sees_what_the_list_names_with_a_separate_consent(world: World) -> None:
    record = world.anchored(kind="immunization")
    assert (
        asks(world, "teacher", record, "SUPNWK")["rule"]
        == "cross_sector:no-separate-consent-or-order"
    )
    agrees(world, "school-health", "school")
    decision = asks(world, "teacher", record, "SUPNWK")
    assert (decision["outcome"], decision["rule"]) == ("permit", "cross_sector:separate-consent")
    assert {"MINEC", "REDACT", "NOREUSE", "NORDSCLCD", "DELAU"} <= set(decision["obligations"])
    (step,) = decision["path"]
    assert step["facts"]["fields"] == ["vaccine", "date", "complete", "screening-result"]
    assert decision["tell"] == ["patient", "auditor", "guardian"]


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "laboratory"},
        {"kind": "condition"},
        {"kind": "immunization", "confidentiality": "R"},
        {"kind": "immunization", "holder": "county"},
        {"kind": "immunization", "subject": NEIGHBOUR},
    ],
)
def test_a_school_sees_nothing_else(world: World, change: dict[str, Any]) -> None:
    agrees(world, "school-health", "school")
    assert asks(world, "teacher", world.anchored(**change), "SUPNWK")["outcome"] == "deny"


def test_the_purpose_and_the_department_are_those_of_the_agreement(world: World) -> None:
    record = world.anchored(kind="encounter")
    agrees(world, "school-health", "school")
    assert asks(world, "teacher", record, "SUPNWK")["outcome"] == "permit"
    assert asks(world, "teacher", record, "GOV")["rule"] == "cross_sector:not-on-the-list"
    assert asks(world, "donor", record, "SUPNWK")["rule"] == "cross_sector:not-of-this-case"


def test_a_general_consent_opens_nothing_to_a_department(world: World) -> None:
    record = world.anchored(kind="encounter")
    world.does(
        PATIENT, "consent", "grant", id="c", subject=PATIENT,
        scope={"institutions": ["school", "aid", "police"], "purposes": ["SUPNWK", "GOV"]},
    )  # fmt: skip
    for who in ("teacher", "donor", "sergeant"):
        assert asks(world, who, record, "GOV", case="")["outcome"] == "deny"


def test_a_consent_ends_by_date_and_by_withdrawal(world: World) -> None:
    record = world.anchored(kind="encounter")
    agrees(world, "charity-aid", "aid")
    world.later(30 * DAY - 1)
    assert asks(world, "donor", record, "SUPNWK")["expires"] == world.time + 1
    world.later(1)
    assert asks(world, "donor", record, "SUPNWK")["rule"] == "cross_sector:has-ended"
    agrees(world, "charity-aid", "aid", "x2")
    assert asks(world, "donor", record, "SUPNWK", "x2")["outcome"] == "permit"
    assert world.refuses("donor", "cross_sector", "withdraw", id="x2") == "not_the_person"
    world.does(PATIENT, "cross_sector", "withdraw", id="x2")
    assert asks(world, "donor", record, "SUPNWK", "x2")["outcome"] == "deny"
    assert world.refuses(PATIENT, "cross_sector", "withdraw", id="x2") == "not_open"
    agrees(world, "charity-aid", "aid", "x3")
    world.does("donor", "cross_sector", "finish", id="x3")
    assert asks(world, "donor", record, "SUPNWK", "x3")["outcome"] == "deny"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"entry": "gossip"}, "not_listed"),
        ({"department": "police"}, "not_listed"),
        ({"department": "nowhere"}, "unknown_institution"),
        ({"department": "county"}, "not_listed"),
        ({"holder": "nowhere"}, "unknown_institution"),
        ({"ends": 5}, "bad_time"),
        ({"ends": 1 << 60}, "bad_time"),
        ({"id": ""}, "bad_id"),
        ({"id": "x/y"}, "bad_id"),
        ({"subject": NEIGHBOUR}, "not_the_person"),
        ({"entry": "judicial-order", "department": "police"}, "wrong_basis"),
    ],
)
def test_a_consent_that_breaks_a_rule_is_refused(
    world: World, change: dict[str, Any], code: str
) -> None:
    arguments = {**agreement(world, "school-health", "school"), **change}
    assert world.refuses(PATIENT, "cross_sector", "agree", **arguments) == code


def test_an_id_is_used_once(world: World) -> None:
    agrees(world, "school-health", "school")
    arguments = agreement(world, "school-health", "school")
    assert world.refuses(PATIENT, "cross_sector", "agree", **arguments) == "share_exists"


# --- Employers ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "condition"}, {"kind": "note"}, {"kind": "laboratory"}, {"kind": "claim"},
        {"kind": "prescription"}, {"kind": "encounter", "confidentiality": "R"},
    ],
)  # fmt: skip
def test_an_employer_never_sees_a_diagnosis_whoever_consents(
    world: World, change: dict[str, str]
) -> None:
    agrees(world, "work-fitness", "firm")
    world.does(
        PATIENT, "consent", "grant", id="c", subject=PATIENT,
        scope={"institutions": ["firm"], "purposes": ["GOV"], "confidentiality": "V"},
    )  # fmt: skip
    decision = asks(world, "firm-liaison", world.anchored(**change), "GOV")
    assert decision["rule"] == "cross_sector:employer-sees-no-diagnosis"
    assert decision["path"][-1]["effect"] == "forbid"


def test_an_employer_sees_that_somebody_is_fit(world: World) -> None:
    agrees(world, "work-fitness", "firm")
    decision = asks(world, "firm-liaison", world.anchored(kind="encounter"), "GOV")
    assert decision["outcome"] == "permit"
    assert decision["path"][0]["facts"]["fields"] == ["fit", "restrictions", "valid-until"]


def test_no_vote_lists_a_diagnosis_for_employers(world: World) -> None:
    entry = {**ENTRY, "kinds": ["charity", "employer"], "classes": ["condition"]}
    assert not_amended(world, "cross_sector", e=entry) == "employer_sees_no_diagnosis"


# --- Orders ---------------------------------------------------------------------------------------


def test_an_order_prevails_over_a_denial_for_what_it_names(world: World) -> None:
    record = world.anchored(kind="encounter", confidentiality="V")
    world.does(PATIENT, "consent", "deny", id="no", subject=PATIENT, scope={})
    world.does("sergeant,auditor", "cross_sector", "order", **ordered(world))
    decision = asks(world, "sergeant", record, "HLEGAL", "o1")
    assert (decision["outcome"], decision["rule"]) == ("permit", "cross_sector:legal-order")
    assert "auditor" in decision["tell"]
    assert decision["told"] == world.time
    assert asks(world, "sergeant", world.anchored(kind="note"), "HLEGAL", "o1")["outcome"] == "deny"
    assert asks(world, "sergeant", record, "GOV", "o1")["outcome"] == "deny"


@pytest.mark.parametrize(
    ("signers", "change", "code"),
    [
        ("sergeant", {}, "authority_missing"),
        ("sergeant,board-chief", {}, "role_missing"),
        ("auditor,sergeant", {}, "not_affiliated"),
        ("sergeant,auditor", {"document": b"trust me"}, "order_missing"),
        ("sergeant,auditor", {"classes": ["claim"]}, "not_listed"),
        ("sergeant,auditor", {"classes": []}, "not_listed"),
        ("sergeant,auditor", {"told": 5}, "bad_time"),
        ("sergeant,auditor", {"told": 1 << 60}, "bad_time"),
        ("sergeant,auditor", {"subject": "p-" + "f" * 32}, "unknown_person"),
        ("teacher,auditor", {"department": "school"}, "not_listed"),
    ],
)
def test_an_order_that_breaks_a_rule_is_refused(
    world: World, signers: str, change: dict[str, Any], code: str
) -> None:
    assert world.refuses(signers, "cross_sector", "order", **ordered(world, **change)) == code


def test_a_sealed_order_is_opened_at_the_date_that_the_authority_fixed(world: World) -> None:
    record = world.anchored(kind="encounter")
    date = world.time + 60 * DAY
    filed = world.call("sergeant,auditor", "cross_sector", "order", **ordered(world, told=date))
    (event,) = filed.events
    assert (event.fields["subject"], event.fields["told"]) == ("", date)
    result = world.call(
        "sergeant", "access", "request", pointer=record, proof={}, purpose="HLEGAL",
        institution="police", reply_key=REPLY_KEY, case="o1",
    )  # fmt: skip
    assert [event.name for event in result.events] == ["sealed"]
    identity = result.value["id"]
    world.later(60 * DAY - 1)
    assert world.refuses("he", "cross_sector", "tell", id="o1") == "too_early"
    assert world.refuses("he", "access", "unseal", request=identity) == "too_early"
    world.later(1)
    told = world.call("he", "cross_sector", "tell", id="o1")
    assert told.events[0].fields["subject"] == PATIENT
    opened = world.call(PATIENT, "access", "unseal", request=identity)
    assert opened.events[0].fields["subject"] == PATIENT
    assert world.refuses("he", "cross_sector", "tell", id="o1") == "already_told"


def test_the_authority_can_have_the_patient_told_earlier_and_never_later(world: World) -> None:
    world.does(
        "sergeant,auditor", "cross_sector", "order", **ordered(world, told=world.time + 9 * DAY)
    )
    later = {"id": "o1", "told": world.time + 10 * DAY}
    assert world.refuses("auditor", "cross_sector", "reveal", **later) == "bad_time"
    assert (
        world.refuses("sergeant", "cross_sector", "reveal", id="o1", told=world.time)
        == "not_affiliated"
    )
    world.does("auditor", "cross_sector", "reveal", id="o1", told=world.time + DAY)
    assert world.refuses("he", "cross_sector", "tell", id="o1") == "too_early"
    world.does("auditor", "cross_sector", "reveal", id="o1", told=world.time)
    assert (
        asks(world, "sergeant", world.anchored(kind="encounter"), "HLEGAL", "o1")["told"]
        == world.time
    )
    assert (
        world.refuses("auditor", "cross_sector", "reveal", id="o1", told=world.time)
        == "already_told"
    )


def test_an_order_is_lifted_by_the_authority_and_not_by_the_patient(world: World) -> None:
    record = world.anchored(kind="encounter")
    world.does("sergeant,auditor", "cross_sector", "order", **ordered(world))
    assert world.refuses(PATIENT, "cross_sector", "withdraw", id="o1") == "not_a_consent"
    assert world.refuses("sergeant", "cross_sector", "lift", id="o1") == "not_affiliated"
    world.does("auditor", "cross_sector", "lift", id="o1")
    assert asks(world, "sergeant", record, "HLEGAL", "o1")["outcome"] == "deny"


# --- The list by vote -----------------------------------------------------------------------------

ENTRY = {
    "kinds": ["charity"], "purposes": ["SUPNWK"], "classes": ["claim"], "level": "N",
    "fields": ["cost"], "basis": "consent", "days": 10,
}  # fmt: skip


def test_a_county_has_its_own_list(world: World) -> None:
    agrees(world, "charity-aid", "aid", "x1")
    amended(world, "cross_sector", "Yan'an", **{"charity-aid": {}})
    arguments = agreement(world, "charity-aid", "aid", "x2")
    assert world.refuses(PATIENT, "cross_sector", "agree", **arguments) == "not_listed"
    amended(world, "cross_sector", "Yan'an", **{"charity-aid": ENTRY})
    assert world.refuses(PATIENT, "cross_sector", "agree", **arguments) == "bad_time"
    agrees(world, "charity-aid", "aid", "x2", ends=world.time + 10 * DAY)
    record = world.anchored(kind="encounter")
    assert asks(world, "donor", record, "SUPNWK", "x1")["outcome"] == "permit"
    assert asks(world, "donor", record, "SUPNWK", "x2")["outcome"] == "deny"
    listed = world.asks("cross_sector", "entries", county="Yan'an")
    assert listed["charity-aid"]["days"] == 10
    assert world.asks("cross_sector", "entries", county="Elsewhere")["charity-aid"]["days"] == 180


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"kinds": ["city-hospital"]}, "not_a_department"),
        ({"kinds": []}, "bad_entry"),
        ({"purposes": ["TREAT"]}, "wrong_purpose"),
        ({"classes": ["gossip"]}, "unknown_class"),
        ({"fields": []}, "bad_entry"),
        ({"fields": ["x" * 41]}, "bad_entry"),
        ({"level": "V"}, "too_confidential"),
        ({"level": "U"}, "unknown_confidentiality"),
        ({"basis": "custom"}, "bad_entry"),
        ({"days": 731}, "out_of_bounds"),
        ({"more": 1}, "bad_entry"),
    ],
)
def test_an_entry_keeps_within_its_bounds(world: World, change: dict[str, Any], code: str) -> None:
    assert not_amended(world, "cross_sector", e={**ENTRY, **change}) == code


def test_only_the_charter_sets_the_list(world: World) -> None:
    assert world.refuses("chief", "cross_sector", "amend", county="", values={}) == "charter_only"
