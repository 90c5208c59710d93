"""Research: approved studies, cohort consents, conditions, and data that go abroad."""

from hashlib import sha256
from typing import Any

import pytest

from tests.support.contracts import DAY, NEIGHBOUR, PATIENT, World
from tests.support.contracts.amending import amended, not_amended

APPROVAL = sha256(b"minutes of the board").digest()
DISEASE = sha256(b"salt and code of a disease").hexdigest()
OTHER = sha256(b"salt and code of another").hexdigest()
TEAM = [{"person": "scholar", "institution": "uni"}]
TERMS = {
    "category": "DS", "disease": DISEASE, "promises": ["non-commercial"],
    "kinds": ["laboratory", "imaging"], "level": "R", "partners": ["city"],
}  # fmt: skip


@pytest.fixture
def world() -> World:
    return World()


def study(world: World, identity: str = "s1", **changes: Any) -> None:
    world.does("ethics", "research", "register", **registration(world, identity, **changes))


def registration(world: World, identity: str = "s1", **changes: Any) -> dict[str, Any]:
    return {
        "id": identity, "board": "city", "approval": APPROVAL, "ends": world.time + 365 * DAY,
        "terms": {**TERMS, **changes.pop("terms", {})}, "team": TEAM, **changes,
    }  # fmt: skip


def joins(world: World, scope: str = "s1", *uses: list[str], **changes: Any) -> None:
    arguments = {
        "subject": PATIENT, "study": scope, "uses": list(uses) or [["HMB", "IRB"]], "level": "N",
        "ends": world.time + 100 * DAY, **changes,
    }  # fmt: skip
    world.does(PATIENT, "research", "join", **arguments)


def asks(
    world: World, record: dict[str, Any], case: str = "s1", who: str = "scholar", **changes: Any
) -> Any:
    return world.requests(who, record, **{"purpose": "HRESCH", "case": case, **changes})


def rule(decision: dict[str, Any]) -> str:
    return decision["rule"].removeprefix("research:")


def test_a_study_and_a_cohort_consent_permit_under_duties(world: World) -> None:
    record = world.anchored()
    study(world)
    assert asks(world, record)["outcome"] == "deny"
    joins(world)
    decision = asks(world, record)
    assert (decision["outcome"], rule(decision)) == ("permit", "cohort-consent")
    assert {"DEID", "NORELINK", "NOREUSE", "NORDSCLCD", "DELAU"} <= set(decision["obligations"])
    assert decision["path"][0]["facts"] == {"consent": "s1", "study": "s1"}


def test_research_without_an_approved_study_is_denied_whatever_the_patient_permits(
    world: World,
) -> None:
    record = world.anchored()
    world.does(
        PATIENT, "consent", "grant", id="c", subject=PATIENT,
        scope={"institutions": ["uni"], "purposes": ["HRESCH"]},
    )  # fmt: skip
    assert rule(asks(world, record, case="")) == "no-approved-study"
    assert rule(asks(world, record, case="s1")) == "no-approved-study"
    study(world)
    decision = asks(world, record)
    assert decision["rule"] == "consent:patient-permits"
    assert {"NOREUSE", "DELAU"} <= set(decision["obligations"])


def test_a_denial_of_the_patient_prevails(world: World) -> None:
    study(world)
    joins(world)
    world.does(PATIENT, "consent", "deny", id="no", subject=PATIENT, scope={"purposes": ["HRESCH"]})
    assert asks(world, world.anchored())["rule"] == "consent:patient-denies"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"kind": "note"}, "not-in-the-study"),
        ({"confidentiality": "V"}, "sensitive:outside-care-team"),
        ({"confidentiality": "R"}, "access:nothing-permits"),
        ({"subject": NEIGHBOUR}, "access:nothing-permits"),
    ],
)
def test_a_study_gets_what_it_names_and_the_patient_agreed_to(
    world: World, change: dict[str, Any], expected: str
) -> None:
    study(world)
    joins(world)
    assert rule(asks(world, world.anchored(**change))) == expected


def test_only_the_named_researcher_acting_for_the_named_institution(world: World) -> None:
    record = world.anchored()
    study(world)
    joins(world)
    assert rule(asks(world, record, who="fellow")) == "not-of-the-team"
    world.does(
        "county-clerk",
        "registry",
        "affiliate",
        id="scholar",
        institution="county",
        roles=["researcher"],
    )
    assert rule(asks(world, record, institution="county")) == "not-of-the-team"
    assert asks(world, record)["outcome"] == "permit"


def test_everything_ends_with_the_approval_or_the_consent(world: World) -> None:
    record = world.anchored()
    study(world)
    joins(world)
    world.later(100 * DAY - 1)
    assert asks(world, record)["expires"] == world.time + 1
    world.later(1)
    assert asks(world, record)["outcome"] == "deny"
    joins(world, ends=world.time + 1000 * DAY)
    world.later(265 * DAY)
    assert rule(asks(world, record)) == "approval-not-in-force"
    world.does(
        "ethics", "research", "renew", id="s1", approval=APPROVAL, ends=world.time + DAY, team=TEAM
    )
    assert asks(world, record)["outcome"] == "permit"


def test_the_board_suspends_renews_and_ends(world: World) -> None:
    record = world.anchored()
    study(world)
    joins(world)
    assert world.refuses("he", "research", "suspend", id="s1", reason="incident") == "role_missing"
    assert (
        world.refuses("ethics", "research", "suspend", id="s1", reason="mood") == "unknown_reason"
    )
    world.does("ethics", "research", "suspend", id="s1", reason="incident")
    assert asks(world, record)["outcome"] == "deny"
    renewal = {"id": "s1", "approval": APPROVAL, "ends": world.time + DAY, "team": TEAM}
    world.does("ethics", "research", "renew", **renewal)
    assert asks(world, record)["outcome"] == "permit"
    world.does("ethics", "research", "finish", id="s1", reason="finished")
    assert asks(world, record)["outcome"] == "deny"
    assert world.refuses("ethics", "research", "renew", **renewal) == "study_over"
    assert (
        world.refuses("ethics", "research", "suspend", id="s1", reason="incident") == "study_over"
    )


def test_a_broad_consent_covers_studies_that_meet_its_conditions(world: World) -> None:
    record = world.anchored()
    study(world, "s1")
    study(world, "s2", terms={"promises": []})
    joins(world, "broad", ["GRU", "NCU"])
    assert asks(world, record, "s1")["path"][0]["facts"]["consent"] == "broad"
    assert asks(world, record, "s2")["outcome"] == "deny"


def test_leaving_stops_every_new_access_and_no_old_one(world: World) -> None:
    record = world.anchored()
    study(world)
    joins(world)
    earlier = asks(world, record)
    world.does(PATIENT, "research", "leave", subject=PATIENT, study="s1")
    assert rule(asks(world, record)) == "patient-has-left"
    assert world.asks("access", "decision", id=earlier["id"])["outcome"] == "permit"
    joins(world)
    assert asks(world, record)["outcome"] == "permit"


def test_a_patient_can_keep_out_of_one_study_and_stay_in_others(world: World) -> None:
    record = world.anchored()
    study(world, "s1")
    study(world, "s2")
    joins(world, "broad")
    world.does(PATIENT, "research", "leave", subject=PATIENT, study="s1")
    assert asks(world, record, "s1")["outcome"] == "deny"
    assert asks(world, record, "s2")["outcome"] == "permit"
    world.does(PATIENT, "research", "leave", subject=PATIENT, study="broad")
    assert asks(world, record, "s2")["outcome"] == "deny"
    assert world.asks("research", "agreed", subject=PATIENT, study="broad") is None


# --- Conditions -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("uses", "outcome"),
    [
        ([["NRES"]], "permit"),
        ([["GRU"]], "permit"),
        ([["HMB"]], "permit"),
        ([[f"DS:{DISEASE}"]], "permit"),
        ([[f"DS:{OTHER}"]], "deny"),
        ([["HMB", "NCU"]], "permit"),
        ([["HMB", "PUB"]], "deny"),
        ([["HMB", "NPOA"]], "deny"),
        ([["HMB", "PUB"], ["HMB", "NCU"]], "permit"),
        ([["US:uni"]], "permit"),
        ([["US:county"]], "deny"),
        ([["COL:city"]], "permit"),
        ([["COL:county"]], "deny"),
        ([["RS:s1"]], "permit"),
        ([["RS:s2"]], "deny"),
    ],
)
def test_one_alternative_must_be_met_in_full(
    world: World, uses: list[list[str]], outcome: str
) -> None:
    study(world)
    joins(world, "s1", *uses)
    assert asks(world, world.anchored())["outcome"] == outcome


def test_a_general_study_does_not_get_what_is_for_health_or_for_one_disease(world: World) -> None:
    record = world.anchored()
    study(world, terms={"category": "GRU", "disease": ""})
    joins(world, "s1", ["HMB"])
    assert asks(world, record)["outcome"] == "deny"
    joins(world, "s1", [f"DS:{DISEASE}"])
    assert asks(world, record)["outcome"] == "deny"
    joins(world, "s1", ["GRU"])
    assert asks(world, record)["outcome"] == "permit"


def test_ancestry_is_not_researched_against_a_condition(world: World) -> None:
    record = world.anchored()
    study(world, terms={"promises": ["no-ancestry"]})
    joins(world, "s1", ["NPOA"])
    assert asks(world, record, purpose="POARCH")["outcome"] == "deny"
    assert asks(world, record)["outcome"] == "permit"


def test_a_time_limit_ends_the_permit(world: World) -> None:
    record = world.anchored()
    study(world)
    joins(world, "s1", [f"TS:{world.time + 5}"])
    assert asks(world, record)["expires"] == world.time + 5
    world.later(5)
    assert asks(world, record)["outcome"] == "deny"


@pytest.mark.parametrize(
    "condition",
    [
        "",
        "XX",
        "DUO:9999999",
        "GRU:x",
        "DS",
        "DS:",
        "DS:abc",
        f"ds:{'a' * 64}",
        "US:",
        "NCU ",
        "TS:5",
    ],
)
def test_a_condition_that_is_not_understood_is_refused(world: World, condition: str) -> None:
    arguments = {
        "subject": PATIENT, "study": "broad", "uses": [["GRU"], ["GRU", condition]], "level": "N",
        "ends": world.time + DAY,
    }  # fmt: skip
    assert world.refuses(PATIENT, "research", "join", **arguments) == "unknown_condition"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"study": "s9"}, "unknown_study"),
        ({"level": "V"}, "unknown_confidentiality"),
        ({"ends": 5}, "bad_time"),
        ({"ends": 1 << 60}, "bad_time"),
        ({"uses": []}, "bad_uses"),
        ({"uses": [[]]}, "bad_uses"),
        ({"uses": [["GRU"]] * 9}, "bad_uses"),
        ({"uses": [["GRU"] * 9]}, "bad_uses"),
        ({"subject": NEIGHBOUR}, "not_the_person"),
    ],
)
def test_a_consent_that_breaks_a_rule_is_refused(
    world: World, change: dict[str, Any], code: str
) -> None:
    arguments = {
        "subject": PATIENT, "study": "broad", "uses": [["GRU"]], "level": "N",
        "ends": world.time + DAY, **change,
    }  # fmt: skip
    if code == "not_the_person":
        assert world.refuses(f"{PATIENT},he", "research", "join", **arguments) == "form_missing"
    assert world.refuses(PATIENT, "research", "join", **arguments) == code


@pytest.mark.parametrize(
    ("signer", "change", "code"),
    [
        ("he", {}, "role_missing"),
        ("ethics", {"board": "county"}, "not_affiliated"),
        ("ethics", {"id": "broad"}, "bad_id"),
        ("ethics", {"id": "x/y"}, "bad_id"),
        ("ethics", {"approval": b"yes"}, "approval_missing"),
        ("ethics", {"ends": 5}, "bad_time"),
        ("ethics", {"ends": 1 << 60}, "bad_time"),
        ("ethics", {"team": []}, "bad_team"),
        ("ethics", {"team": TEAM * 33}, "bad_team"),
        ("ethics", {"team": [{"person": "nobody", "institution": "uni"}]}, "unknown_person"),
        ("ethics", {"team": [{"person": "ethics", "institution": "city"}]}, "own_case"),
        ("ethics", {"terms": {"category": "ALL"}}, "unknown_category"),
        ("ethics", {"terms": {"disease": ""}}, "disease_missing"),
        ("ethics", {"terms": {"disease": "lung cancer"}}, "disease_missing"),
        ("ethics", {"terms": {"category": "GRU"}}, "disease_missing"),
        ("ethics", {"terms": {"kinds": []}}, "unknown_class"),
        ("ethics", {"terms": {"level": "V"}}, "unknown_confidentiality"),
        ("ethics", {"terms": {"promises": ["everything"]}}, "unknown_promise"),
        ("ethics", {"terms": {"more": 1}}, "bad_terms"),
    ],
)
def test_a_study_that_breaks_a_rule_is_refused(
    world: World, signer: str, change: dict[str, Any], code: str
) -> None:
    assert world.refuses(signer, "research", "register", **registration(world, **change)) == code


# --- Abroad ---------------------------------------------------------------------------------------


def test_data_go_abroad_with_a_separate_consent_and_an_approved_export_only(world: World) -> None:
    record = world.anchored()
    study(world, team=[*TEAM, {"person": "fellow", "institution": "overseas"}])
    joins(world)
    assert asks(world, record)["outcome"] == "permit"
    assert rule(asks(world, record, who="fellow")) == "export-not-approved"
    export = {
        "id": "s1", "institution": "overseas", "authority": "board", "approval": APPROVAL,
        "ends": world.time + 10 * DAY,
    }  # fmt: skip
    assert world.refuses("ethics", "research", "approve_export", **export) == "not_affiliated"
    assert (
        world.refuses("auditor", "research", "approve_export", **{**export, "institution": "uni"})
        == "not_abroad"
    )
    world.does("auditor", "research", "approve_export", **export)
    assert rule(asks(world, record, who="fellow")) == "no-consent-to-go-abroad"
    abroad = {"subject": PATIENT, "study": "s1", "institution": "overseas"}
    assert world.refuses("scholar", "research", "allow_abroad", **abroad) == "not_the_person"
    world.does(PATIENT, "research", "allow_abroad", **abroad)
    assert asks(world, record, who="fellow")["outcome"] == "permit"
    world.later(10 * DAY)
    assert rule(asks(world, record, who="fellow")) == "export-not-approved"


def test_a_new_consent_says_nothing_about_going_abroad(world: World) -> None:
    study(world)
    abroad = {"subject": PATIENT, "study": "s1", "institution": "overseas"}
    assert world.refuses(PATIENT, "research", "allow_abroad", **abroad) == "not_joined"
    joins(world)
    world.does(PATIENT, "research", "allow_abroad", **abroad)
    joins(world)
    assert world.asks("research", "agreed", subject=PATIENT, study="s1")["abroad"] == []


def test_members_decide_who_is_abroad_and_how_long_an_approval_holds(world: World) -> None:
    amended(world, "research", abroad=["uni"], approval_days=30)
    study(world, ends=world.time + 30 * DAY)
    joins(world)
    assert rule(asks(world, world.anchored())) == "export-not-approved"
    assert (
        world.refuses("ethics", "research", "register", **registration(world, "s2")) == "bad_time"
    )
    assert not_amended(world, "research", "Yan'an", abroad=[]) == "not_by_county"
    assert not_amended(world, "research", approval_days=0) == "out_of_bounds"
    assert not_amended(world, "research", more=1) == "unknown_parameter"
    assert world.refuses("chief", "research", "amend", county="", values={}) == "charter_only"
