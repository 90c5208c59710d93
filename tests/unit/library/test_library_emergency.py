"""Breaking the glass, calling in an expert, and answering for it."""

from typing import Any

import pytest

from tests.support.contracts import DAY, HOUR, NEIGHBOUR, NOTE, PATIENT, REPLY_KEY, World
from tests.support.contracts.amending import amended, not_amended


@pytest.fixture
def world() -> World:
    return World()


def review(world: World, emergency: str, *, upheld: bool = True, by: str = "auditor") -> None:
    world.does(
        by, "emergency", "review", emergency=emergency, institution="board", upheld=upheld,
        note=NOTE,
    )  # fmt: skip


def events(world: World, signers: str, method: str, **arguments: Any) -> dict[str, dict[str, Any]]:
    """What a call of the contract announces, by name."""
    result = world.call(signers, "emergency", method, **arguments)
    assert result.ok, result.error
    return {event.name: dict(event.fields) for event in result.events}


# --- Breaking the glass ---------------------------------------------------------------------------


def test_breaking_the_glass_overrides_denials_and_tells_the_patient(world: World) -> None:
    record = world.anchored(confidentiality="V")
    world.does(PATIENT, "consent", "deny", id="c", subject=PATIENT, scope={})
    result = world.call(
        "gao", "access", "break_glass", pointer=record, proof={}, institution="county",
        reply_key=REPLY_KEY, reason="life-threat", note=NOTE,
    )  # fmt: skip
    assert result.value["outcome"] == "permit"
    assert result.value["purpose"] == "BTG"
    assert result.value["rule"] == "emergency:break-glass"
    assert result.value["tell"] == ["patient", "auditor"]
    assert result.value["review_by"] == world.time + 72 * HOUR
    (told,) = [event for event in result.events if event.name == "glass_broken"]
    assert told.fields["subject"] == PATIENT
    assert told.fields["due"] == world.time + 72 * HOUR


def test_the_words_of_the_reason_stay_off_the_chain(world: World) -> None:
    identity = world.breaks_glass("gao", world.anchored())["id"]
    case = world.asks("emergency", "get", emergency=identity)
    assert (case["reason"], case["note"]) == ("unconscious", NOTE)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"reason": "I was curious"}, "unknown_reason"),
        ({"note": b""}, "note_missing"),
        ({"reply_key": b""}, "bad_reply_key"),
        ({"institution": "city"}, "not_affiliated"),
    ],
)
def test_breaking_the_glass_needs_a_coded_reason_and_a_note(
    world: World, change: dict[str, object], code: str
) -> None:
    arguments = {
        "pointer": world.anchored(), "proof": {}, "institution": "county",
        "reply_key": REPLY_KEY, "reason": "unconscious", "note": NOTE,
    }  # fmt: skip
    assert world.refuses("gao", "access", "break_glass", **{**arguments, **change}) == code


@pytest.mark.parametrize("who", ["nurse", "clerk", "payer", "auditor", "fan", PATIENT])
def test_only_who_treats_emergencies_breaks_the_glass(world: World, who: str) -> None:
    decision = world.breaks_glass(who, world.anchored())
    assert (decision["outcome"], decision["rule"]) == ("deny", "emergency:role-not-suited")


def test_a_village_doctor_alone_with_the_patient_breaks_the_glass(world: World) -> None:
    assert world.breaks_glass("min", world.anchored())["outcome"] == "permit"


def test_an_institution_without_patients_has_no_emergencies(world: World) -> None:
    decision = world.breaks_glass("qian", world.anchored())
    assert decision["rule"] == "emergency:institution-gives-no-care"


def test_an_emergency_is_declared_through_access_only(world: World) -> None:
    refused = world.refuses(
        "gao", "emergency", "declare", request="x", who={"id": "gao", "roles": ["physician"]},
        institution="county", subject=PATIENT, reason="other", note=NOTE,
    )  # fmt: skip
    assert refused == "access_only"


def test_what_one_physician_opens_for_one_patient_in_a_day_is_one_emergency(world: World) -> None:
    first = world.breaks_glass("gao", world.anchored(size=1))
    second = world.later(23 * HOUR).breaks_glass("gao", world.anchored(size=2))
    assert (first["case"], second["case"]) == (first["id"], first["id"])
    assert len(world.asks("emergency", "reviews_due", person="gao")) == 1
    case = world.asks("emergency", "get", emergency=first["id"])
    assert case["requests"] == [first["id"], second["id"]]
    later = world.later(HOUR).breaks_glass("gao", world.anchored(size=3))
    assert later["case"] == later["id"]
    other = world.breaks_glass("gao", world.anchored(subject=NEIGHBOUR))
    assert other["case"] == other["id"]


def test_an_emergency_that_has_begun_is_not_cut_off_by_another_overdue_review(world: World) -> None:
    world.breaks_glass("gao", world.anchored(subject=NEIGHBOUR))
    now = world.later(72 * HOUR - 1).breaks_glass("gao", world.anchored(size=1))
    again = world.later(1).breaks_glass("gao", world.anchored(size=2))
    assert (again["outcome"], again["case"]) == ("permit", now["id"])


def test_an_emergency_has_at_most_64_requests(world: World) -> None:
    record = world.anchored()
    rules = [world.breaks_glass("gao", record)["rule"] for _ in range(65)]
    assert rules == ["emergency:break-glass"] * 64 + ["emergency:too-many-records"]


# --- Review ---------------------------------------------------------------------------------------


def test_an_overdue_review_blocks_the_next_break_glass(world: World) -> None:
    record = world.anchored()
    first = world.breaks_glass("gao", record)
    world.later(72 * HOUR - 1)
    second = world.breaks_glass("gao", record)
    assert second["outcome"] == "permit"
    other = world.anchored(subject=NEIGHBOUR)
    world.later(1)
    assert world.breaks_glass("gao", other)["rule"] == "emergency:review-overdue"
    # Another physician is not concerned, and the review frees the first one.
    assert world.breaks_glass("wang", other)["outcome"] == "permit"
    review(world, first["id"])
    assert world.breaks_glass("gao", other)["outcome"] == "permit"
    due = [case["emergency"] for case in world.asks("emergency", "reviews_due", person="gao")]
    assert first["id"] not in due
    assert second["id"] in due


def test_the_denial_does_not_name_the_emergency_of_another_patient_as_its_case(
    world: World,
) -> None:
    world.breaks_glass("gao", world.anchored(subject=NEIGHBOUR))
    decision = world.later(72 * HOUR).breaks_glass("gao", world.anchored())
    assert (decision["outcome"], decision["case"]) == ("deny", "")


def test_abuse_bars_a_person_and_each_time_for_longer(world: World) -> None:
    record = world.anchored()
    for days in (30, 60):
        review(world, world.breaks_glass("gao", record)["id"], upheld=False)
        assert world.asks("emergency", "barred_until", person="gao") == world.time + days * DAY
        assert world.breaks_glass("gao", record)["rule"] == "emergency:barred-after-abuse"
        world.later(days * DAY)
    assert world.breaks_glass("gao", record)["outcome"] == "permit"


def test_the_patient_is_told_of_the_review(world: World) -> None:
    identity = world.breaks_glass("gao", world.anchored())["id"]
    case = {"emergency": identity, "institution": "board", "upheld": True, "note": NOTE}
    told = events(world, "auditor", "review", **case)
    assert told["reviewed"]["subject"] == PATIENT
    assert told["reviewed"]["late"] is False


def test_a_late_review_says_so(world: World) -> None:
    identity = world.breaks_glass("gao", world.anchored())["id"]
    review(world.later(72 * HOUR), identity)
    assert world.asks("emergency", "get", emergency=identity)["review"]["late"] is True


def test_only_an_auditor_of_the_commission_reviews_and_only_once(world: World) -> None:
    identity = world.breaks_glass("gao", world.anchored())["id"]
    case = {"emergency": identity, "institution": "board", "upheld": True, "note": NOTE}
    refuses = world.refuses
    assert refuses("he", "emergency", "review", **case) == "not_affiliated"
    assert refuses("he", "emergency", "review", **case | {"institution": "city"}) == "role_missing"
    assert refuses("auditor", "emergency", "review", **case | {"note": b""}) == "note_missing"
    unknown = case | {"emergency": "x"}
    assert refuses("auditor", "emergency", "review", **unknown) == "unknown_emergency"
    world.does("auditor", "emergency", "review", **case)
    assert refuses("auditor", "emergency", "review", **case) == "already_reviewed"


def test_nobody_judges_an_own_case_or_that_of_an_own_institution(world: World) -> None:
    world.does(
        "county-clerk", "registry", "affiliate", id="auditor", institution="county",
        roles=["physician"],
    )  # fmt: skip
    own = world.breaks_glass("auditor", world.anchored(), institution="county")["id"]
    colleague = world.breaks_glass("gao", world.anchored(size=2))["id"]
    case = {"institution": "board", "upheld": True, "note": NOTE}
    assert world.refuses("auditor", "emergency", "review", emergency=own, **case) == "own_case"
    code = world.refuses("auditor", "emergency", "review", emergency=colleague, **case)
    assert code == "own_institution"
    review(world, colleague, by="qian")


def test_the_patient_disputes_an_emergency_once_and_before_it_is_judged(world: World) -> None:
    identity = world.breaks_glass("gao", world.anchored())["id"]
    assert world.refuses(NEIGHBOUR, "emergency", "dispute", emergency=identity) == "not_the_person"
    world.does(PATIENT, "emergency", "dispute", emergency=identity)
    assert world.asks("emergency", "get", emergency=identity)["disputed"] is True
    refused = world.refuses(PATIENT, "emergency", "dispute", emergency=identity)
    assert refused == "already_disputed"
    review(world, identity)
    assert world.refuses(PATIENT, "emergency", "dispute", emergency=identity) == "already_reviewed"


# --- Institutions whose reviews stay undone -------------------------------------------------------


def overdue(world: World, number: int) -> list[str]:
    """That many emergencies at the county hospital whose reviews are overdue and noted."""
    identities = []
    for place in range(number):
        subject = f"p-{place:032x}"
        identities.append(world.breaks_glass("gao", world.anchored(subject=subject))["id"])
    world.later(72 * HOUR)
    for identity in identities:
        world.does("wang", "emergency", "escalate", emergency=identity)
    return identities


def test_block_time_says_whether_a_review_is_overdue(world: World) -> None:
    identity = world.breaks_glass("gao", world.anchored())["id"]
    world.later(72 * HOUR - 1)
    escalate = {"emergency": identity}
    assert world.refuses("wang", "emergency", "escalate", **escalate) == "not_overdue"
    assert world.refuses("nobody", "emergency", "escalate", **escalate) == "unknown_key"
    told = events(world.later(1), "wang", "escalate", **escalate)
    assert told["review_overdue"]["institution"] == "county"
    assert world.refuses("wang", "emergency", "escalate", **escalate) == "already_noted"


def test_an_overdue_review_is_noted_by_the_next_attempt_itself(world: World) -> None:
    world.breaks_glass("gao", world.anchored(subject=NEIGHBOUR))
    world.later(72 * HOUR).breaks_glass("gao", world.anchored())
    assert world.asks("emergency", "standing", institution="county")["overdue"] == 1


def test_the_commission_is_told_of_too_many_and_orders_a_measure(world: World) -> None:
    amended(world, "emergency", overdue_limit=2)
    identities = [
        world.breaks_glass("gao", world.anchored(subject=f"p-{place:032x}"))["id"]
        for place in range(2)
    ]
    world.later(72 * HOUR)
    first, second = (
        events(world, "wang", "escalate", emergency=identity) for identity in identities
    )
    assert "too_many_overdue" not in first
    assert second["too_many_overdue"]["institution"] == "county"

    measure = {"institution": "county", "measure": "emergency-physicians-only"}
    refused = world.refuses("he", "emergency", "order", commission="city", **measure)
    assert refused == "role_missing"
    world.does("auditor", "emergency", "order", commission="board", **measure)
    world.does(
        "county-clerk", "registry", "affiliate", id="su", institution="county",
        roles=["physician"],
    )  # fmt: skip
    record = world.anchored()
    decision = world.breaks_glass("su", record, institution="county")
    assert decision["rule"] == "emergency:measure-of-the-commission"
    for identity in identities:
        review(world, identity)
    assert world.breaks_glass("gao", record)["outcome"] == "permit"
    world.does(
        "auditor", "emergency", "order", institution="county", commission="board", measure=""
    )
    assert world.breaks_glass("su", record, institution="county")["outcome"] == "permit"


def test_a_measure_needs_arrears(world: World) -> None:
    amended(world, "emergency", overdue_limit=2)
    (identity,) = overdue(world, 1)
    order = {"institution": "county", "commission": "board", "measure": "training"}
    assert world.refuses("auditor", "emergency", "order", **order) == "not_in_arrears"
    review(world, identity)
    assert world.asks("emergency", "standing", institution="county")["overdue"] == 0
    assert world.refuses("auditor", "emergency", "order", **order | {"measure": ""}) == "no_measure"
    assert (
        world.refuses("auditor", "emergency", "order", **order | {"measure": "closing"})
        == "unknown_measure"
    )


# --- An expert is called in -----------------------------------------------------------------------


def broken(world: World) -> str:
    emergency: str = world.breaks_glass("min", world.anchored(size=1))["id"]
    return emergency


def call_in(world: World, emergency: str, hours: int = 2) -> None:
    world.does(
        "min", "emergency", "invite", emergency=emergency, expert="he", institution="city",
        hours=hours,
    )  # fmt: skip


def test_the_expert_sees_records_of_the_patient_while_the_hours_run(world: World) -> None:
    emergency = broken(world)
    record = world.anchored(holder="county", kind="ecg", confidentiality="R")
    assert world.requests("he", record, "ETREAT", case=emergency)["outcome"] == "deny"
    call_in(world, emergency)
    decision = world.requests("he", record, "ETREAT", case=emergency)
    assert (decision["rule"], decision["expires"]) == (
        "emergency:expert-called-in", world.time + 2 * HOUR,
    )  # fmt: skip
    assert "NOPERSISTP" in decision["obligations"]
    assert world.requests("he", record, "ERTREAT", case=emergency)["outcome"] == "permit"
    world.later(2 * HOUR)
    assert world.requests("he", record, "ETREAT", case=emergency)["outcome"] == "deny"


def test_the_invitation_is_for_that_person_institution_patient_and_purpose(world: World) -> None:
    emergency = broken(world)
    call_in(world, emergency)
    record = world.anchored()
    assert world.requests("su", record, "ETREAT", case=emergency)["outcome"] == "deny"
    world.does(
        "county-clerk", "registry", "affiliate", id="he", institution="county",
        roles=["physician"],
    )  # fmt: skip
    elsewhere = world.requests("he", record, "ETREAT", institution="county", case=emergency)
    assert elsewhere["outcome"] == "deny"
    other = world.anchored(subject=NEIGHBOUR)
    assert world.requests("he", other, "ETREAT", case=emergency)["outcome"] == "deny"
    secret = world.anchored(confidentiality="V")
    assert world.requests("he", secret, "ETREAT", case=emergency)["outcome"] == "deny"
    assert world.requests("he", record, "TREAT", case=emergency)["outcome"] == "deny"
    assert world.requests("he", record, "ETREAT")["outcome"] == "deny"
    assert world.requests("he", record, "BTG", case=emergency)["outcome"] == "deny"


def test_a_denial_of_treatment_does_not_reach_the_expert_and_a_denial_of_all_does(
    world: World,
) -> None:
    emergency = broken(world)
    call_in(world, emergency)
    record = world.anchored()
    world.does(PATIENT, "consent", "deny", id="c", subject=PATIENT, scope={"purposes": ["TREAT"]})
    assert world.requests("he", record, "ETREAT", case=emergency)["outcome"] == "permit"
    world.does(PATIENT, "consent", "deny", id="d", subject=PATIENT, scope={})
    decision = world.requests("he", record, "ETREAT", case=emergency)
    assert decision["rule"] == "consent:patient-denies"


def test_the_physician_sends_an_expert_away(world: World) -> None:
    emergency = broken(world)
    call_in(world, emergency)
    world.does("min", "emergency", "dismiss", emergency=emergency, expert="he")
    record = world.anchored()
    assert world.requests("he", record, "ETREAT", case=emergency)["outcome"] == "deny"


@pytest.mark.parametrize(("upheld", "outcome"), [(True, "permit"), (False, "deny")])
def test_abuse_sends_the_experts_away_and_an_emergency_that_was_real_does_not(
    world: World, upheld: bool, outcome: str
) -> None:
    emergency = broken(world)
    call_in(world, emergency)
    review(world, emergency, upheld=upheld)
    decision = world.requests("he", world.anchored(), "ETREAT", case=emergency)
    assert decision["outcome"] == outcome


@pytest.mark.parametrize(
    ("signer", "change", "code"),
    [
        ("wang", {}, "not_the_physician"),
        ("gao", {}, "not_affiliated"),
        ("min", {"hours": 0}, "bad_hours"),
        ("min", {"hours": 13}, "bad_hours"),
        ("min", {"expert": "nurse"}, "not_an_expert"),
        ("min", {"expert": "gao"}, "not_an_expert"),
        ("min", {"expert": "ghost"}, "not_an_expert"),
        ("min", {"emergency": "ghost"}, "unknown_emergency"),
    ],
)
def test_who_did_not_break_the_glass_or_names_no_expert_invites_nobody(
    world: World, signer: str, change: dict[str, Any], code: str
) -> None:
    arguments = {"emergency": broken(world), "expert": "he", "institution": "city", "hours": 2}
    assert world.refuses(signer, "emergency", "invite", **{**arguments, **change}) == code


def test_nobody_is_invited_when_the_emergency_is_over(world: World) -> None:
    arguments = {"emergency": broken(world), "expert": "he", "institution": "city", "hours": 2}
    world.later(24 * HOUR)
    assert world.refuses("min", "emergency", "invite", **arguments) == "expired"
    review(world, str(arguments["emergency"]))
    assert world.refuses("min", "emergency", "invite", **arguments) == "already_reviewed"


# --- Parameters -----------------------------------------------------------------------------------


def test_a_county_has_its_own_deadline(world: World) -> None:
    amended(world, "emergency", "Yan'an", review_hours=24)
    amended(world, "emergency", review_hours=48)
    assert world.breaks_glass("gao", world.anchored())["review_by"] == world.time + 24 * HOUR
    amended(world, "emergency", "Baota", review_hours=12)
    other = world.breaks_glass("gao", world.anchored(subject=NEIGHBOUR))
    assert other["review_by"] == world.time + 24 * HOUR


def test_parameters_change_by_vote_and_within_bounds_only(world: World) -> None:
    assert not_amended(world, "emergency", review_hours=0) == "out_of_bounds"
    assert not_amended(world, "emergency", "Baota", patience=1) == "unknown_parameter"
    values = {"review_hours": 1}
    refused = world.refuses("chief", "emergency", "amend", county="", values=values)
    assert refused == "charter_only"
