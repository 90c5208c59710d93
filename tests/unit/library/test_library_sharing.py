"""Referral and mutual recognition."""

from typing import Any

import pytest

from tests.support.contracts import DAY, NEIGHBOUR, PATIENT, World, name_of

FORM = bytes(range(32))


@pytest.fixture
def world() -> World:
    return World()


def refer(world: World, record: dict[str, Any], identity: str = "r1") -> None:
    world.does(
        f"he,{PATIENT}", "referral", "create", id=identity, subject=PATIENT, source="city",
        target="township", records=[name_of(record).hex()], until=world.time + 30 * DAY,
    )  # fmt: skip


def test_a_referred_record_is_seen_after_acceptance_and_until_the_end(world: World) -> None:
    record = world.anchored(confidentiality="R")
    refer(world, record)
    assert world.requests("wang", record)["outcome"] == "deny"
    world.does("wang", "referral", "accept", id="r1")
    decision = world.requests("wang", record)
    assert (decision["outcome"], decision["rule"]) == ("permit", "referral:accepted-referral")
    world.later(30 * DAY)
    assert world.requests("wang", record)["outcome"] == "deny"


def test_a_referral_covers_nothing_else(world: World) -> None:
    record, other = world.anchored(size=1), world.anchored(size=2)
    hidden = world.anchored(size=3, confidentiality="V")
    world.does(
        f"he,{PATIENT}", "referral", "create", id="r1", subject=PATIENT, source="city",
        target="township", records=[name_of(r).hex() for r in (record, hidden)],
        until=world.time + DAY,
    )  # fmt: skip
    world.does("wang", "referral", "accept", id="r1")
    assert world.requests("wang", record)["outcome"] == "permit"
    assert world.requests("wang", other)["outcome"] == "deny"
    assert world.requests("wang", hidden)["outcome"] == "deny"
    assert world.requests("gao", record)["outcome"] == "deny"
    assert world.requests("wang", record, "ETREAT")["outcome"] == "deny"


def test_a_referral_cannot_open_the_records_of_a_third_holder(world: World) -> None:
    record = world.anchored(holder="county")
    refer(world, record)
    world.does("wang", "referral", "accept", id="r1")
    assert world.requests("wang", record)["outcome"] == "deny"


def test_the_return_leg_lasts_fourteen_days(world: World) -> None:
    record = world.anchored()
    refer(world, record)
    world.does("wang", "referral", "accept", id="r1")
    answer = world.anchored(holder="township", kind="note")
    world.does("wang", "referral", "close", id="r1", records=[name_of(answer).hex()])
    assert world.requests("wang", record)["outcome"] == "deny"
    assert world.requests("he", answer)["rule"] == "referral:return-leg"
    world.later(14 * DAY)
    assert world.requests("he", answer)["outcome"] == "deny"


def test_a_referral_needs_the_patient_or_a_signed_form(world: World) -> None:
    arguments = {
        "id": "r", "subject": PATIENT, "source": "city", "target": "township",
        "records": ["ab" * 32], "until": world.time + DAY,
    }  # fmt: skip
    assert world.refuses("he", "referral", "create", **arguments) == "agreement_missing"
    assert (
        world.refuses(f"he,{NEIGHBOUR}", "referral", "create", **arguments) == "agreement_missing"
    )
    world.does("he", "referral", "create", **arguments, form=FORM)


@pytest.mark.parametrize(
    ("signer", "change", "code"),
    [
        ("nurse", {}, "role_missing"),
        ("gao", {}, "not_affiliated"),
        ("he", {"target": "city"}, "unknown_institution"),
        ("he", {"target": "nowhere"}, "unknown_institution"),
        ("he", {"records": []}, "records_missing"),
        ("he", {"records": ["x"]}, "bad_record_name"),
        ("he", {"records": ["ab" * 32] * 65}, "too_many_records"),
        ("he", {"until": 5}, "bad_time"),
        ("he", {"until": 1 << 60}, "bad_time"),
        ("he", {"subject": "p-" + "f" * 32}, "agreement_missing"),
        ("he", {"id": ""}, "bad_id"),
    ],
)
def test_a_referral_that_breaks_a_rule_is_refused(
    world: World, signer: str, change: dict[str, Any], code: str
) -> None:
    arguments = {
        "id": "r", "subject": PATIENT, "source": "city", "target": "township",
        "records": ["ab" * 32], "until": world.time + DAY, "form": FORM,
    }  # fmt: skip
    assert world.refuses(signer, "referral", "create", **{**arguments, **change}) == code


def test_each_side_does_only_its_own_part(world: World) -> None:
    refer(world, world.anchored())
    assert world.refuses("gao", "referral", "accept", id="r1") == "not_affiliated"
    assert world.refuses("wang", "referral", "close", id="r1") == "not_affiliated"
    assert world.refuses("he", "referral", "close", id="r1", records=["ab" * 32]) == "not_accepted"
    world.does("he", "referral", "close", id="r1")
    assert world.refuses("wang", "referral", "accept", id="r1") == "not_open"
    assert world.refuses("wang", "referral", "accept", id="r2") == "unknown_referral"


# --- Mutual recognition ---------------------------------------------------------------------------


def check_in(world: World) -> None:
    world.does(PATIENT, "recognition", "check_in", institution="county", subject=PATIENT)


def test_a_result_is_reused_while_the_patient_is_checked_in(world: World) -> None:
    record = world.anchored()
    assert world.requests("gao", record)["outcome"] == "deny"
    check_in(world)
    assert world.requests("gao", record)["rule"] == "recognition:patient-is-checked-in"
    assert world.requests("wang", record)["outcome"] == "deny"
    world.later(DAY)
    assert world.requests("gao", record)["outcome"] == "deny"


def test_checking_out_ends_it_at_once(world: World) -> None:
    record = world.anchored()
    check_in(world)
    world.does(PATIENT, "recognition", "check_out", institution="county", subject=PATIENT)
    assert world.requests("gao", record)["outcome"] == "deny"


@pytest.mark.parametrize(
    "change", [{"kind": "note"}, {"confidentiality": "R"}, {"subject": NEIGHBOUR}]
)
def test_recognition_covers_normal_results_of_tests_only(
    world: World, change: dict[str, str]
) -> None:
    check_in(world)
    assert world.requests("gao", world.anchored(**change))["outcome"] == "deny"


def test_recognition_is_for_physicians(world: World) -> None:
    record = world.anchored()
    world.does(
        "county-clerk", "registry", "affiliate", id="nurse", institution="county", roles=["nurse"]
    )
    check_in(world)
    assert world.requests("nurse", record, institution="county")["outcome"] == "deny"


def test_only_the_patient_checks_in(world: World) -> None:
    arguments = {"institution": "county", "subject": PATIENT}
    assert world.refuses("gao", "recognition", "check_in", **arguments) == "not_the_person"
    assert (
        world.refuses("clerk,nurse", "recognition", "check_in", **arguments, form=FORM)
        == "not_affiliated"
    )
    world.does("county-clerk,gao", "recognition", "check_in", **arguments, form=FORM)


def test_the_physician_judges_each_result_once(world: World) -> None:
    record = world.anchored()
    check_in(world)
    first, second = world.requests("gao", record)["id"], world.requests("gao", record)["id"]
    world.does("gao", "recognition", "recognise", request=first)
    world.does("gao", "recognition", "refuse", request=second, code="changes-quickly")
    assert world.asks("recognition", "outcome", request=first)["recognised"] is True
    assert world.asks("recognition", "outcome", request=second)["code"] == "changes-quickly"
    assert world.refuses("gao", "recognition", "recognise", request=first) == "already_judged"


def test_a_refusal_needs_a_code_and_the_requester(world: World) -> None:
    record = world.anchored()
    check_in(world)
    request = world.requests("gao", record)["id"]
    assert (
        world.refuses("gao", "recognition", "refuse", request=request, code="no")
        == "unknown_reason"
    )
    assert world.refuses("he", "recognition", "recognise", request=request) == "not_affiliated"
    assert world.refuses("gao", "recognition", "recognise", request="x") == "unknown_request"
    world.does(
        "county-clerk", "registry", "affiliate", id="wang", institution="county",
        roles=["physician"],
    )  # fmt: skip
    assert world.refuses("wang", "recognition", "recognise", request=request) == "not_the_requester"
    denied = world.requests("gao", world.anchored(kind="imaging", confidentiality="R"))["id"]
    assert world.refuses("gao", "recognition", "recognise", request=denied) == "not_permitted"
