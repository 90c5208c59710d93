"""Chronic programmes: who treats, who manages, what is due."""

from typing import Any

import pytest

from tests.support.contracts import DAY, HOUR, NEIGHBOUR, PATIENT, World
from tests.support.contracts.amending import amended, not_amended

FORM = bytes(range(32))
WHO = {"programme": "k7", "subject": PATIENT}


def programme(**changes: Any) -> dict[str, Any]:
    return {
        "programme": "k7", "institution": "city", "kinds": ["laboratory", "ecg"], "level": "N",
        "followup_days": 90, "participants": ["township"], **changes,
    }  # fmt: skip


@pytest.fixture
def world() -> World:
    world = World()
    world.does("chief", "chronic", "begin", **programme())
    return world


def enrolment(world: World, **changes: Any) -> dict[str, Any]:
    return {
        **WHO, "institution": "township", "until": world.time + 365 * DAY,
        "doctors": [
            {"person": "he", "institution": "city"}, {"person": "wang", "institution": "township"},
        ],
        **changes,
    }  # fmt: skip


def enrol(world: World, **changes: Any) -> None:
    world.does(PATIENT, "chronic", "enrol", **enrolment(world, **changes))


def asks(world: World, who: str, record: dict[str, Any], purpose: str = "TREAT") -> str:
    outcome: str = world.requests(who, record, purpose)["outcome"]
    return outcome


def told(world: World, signers: str, method: str, **given: Any) -> dict[str, Any]:
    result = world.call(signers, "chronic", method, **given)
    assert result.ok, result.error
    return dict(result.events[-1].fields)


def test_her_doctors_see_what_the_programme_needs_while_she_is_enrolled(world: World) -> None:
    record = world.anchored(holder="county")
    assert asks(world, "he", record) == "deny"
    enrol(world)
    decision = world.requests("he", record)
    assert decision["rule"] == "chronic:serves-in-programme"
    assert "MINEC" in decision["obligations"]
    assert asks(world, "he", world.anchored(kind="note")) == "deny"
    assert asks(world, "he", world.anchored(confidentiality="R")) == "deny"
    assert asks(world, "su", record) == "deny"
    assert asks(world, "he", world.anchored(subject=NEIGHBOUR)) == "deny"
    world.later(365 * DAY)
    assert asks(world, "he", record) == "deny"


def test_who_manages_sees_it_to_manage_and_not_to_treat(world: World) -> None:
    record = world.anchored(holder="county")
    enrol(world)
    assert world.requests("fan", record, "CAREMGT")["rule"] == "chronic:manages-in-programme"
    assert asks(world, "fan", record, "POPHLTH") == "permit"
    assert asks(world, "fan", record) == "deny"
    # A doctor of another participant treats her and does not manage her.
    assert asks(world, "he", record, "CAREMGT") == "deny"


def test_an_institution_that_takes_no_part_any_more_sees_nothing(world: World) -> None:
    record = world.anchored(holder="county")
    enrol(world)
    dismiss = {"programme": "k7", "participant": "township"}
    assert world.refuses("township-chief", "chronic", "dismiss", **dismiss) == "not_affiliated"
    world.does("chief", "chronic", "dismiss", **dismiss)
    assert (asks(world, "wang", record), asks(world, "he", record)) == ("deny", "permit")
    world.does("chief", "chronic", "admit", **dismiss)
    assert asks(world, "wang", record) == "permit"


def test_a_doctor_of_two_institutions_treats_for_the_one_she_named(world: World) -> None:
    record = world.anchored(holder="county")
    enrol(world)
    world.does("township-clerk", "registry", "affiliate", id="he", institution="township",
               roles=["physician"])  # fmt: skip
    assert world.requests("he", record, institution="township")["outcome"] == "deny"


def test_leaving_ends_all_of_it_at_once(world: World) -> None:
    record = world.anchored(holder="county")
    enrol(world)
    assert world.refuses("fan", "chronic", "leave", **WHO) == "not_the_person"
    world.does(PATIENT, "chronic", "leave", **WHO)
    assert (asks(world, "he", record), asks(world, "fan", record, "CAREMGT")) == ("deny", "deny")
    assert world.asks("chronic", "state", **WHO) is None
    assert world.refuses(PATIENT, "chronic", "leave", **WHO) == "not_enrolled"


def test_the_institution_ends_it_for_a_coded_reason_and_death_by_itself(world: World) -> None:
    enrol(world)
    assert world.refuses("fan", "chronic", "leave", **WHO, reason="tired") == "unknown_reason"
    assert told(world, "fan", "leave", **WHO, reason="moved")["reason"] == "moved"
    enrol(world)
    assert world.refuses("fan", "chronic", "end_with_death", subject=PATIENT) == "registry_only"
    world.does("clerk,nurse", "registry", "died", id=PATIENT, institution="city", form=FORM)
    assert world.asks("chronic", "of", subject=PATIENT) == []


def test_joining_again_replaces_what_she_said(world: World) -> None:
    record = world.anchored(holder="county")
    enrol(world)
    enrol(world, doctors=[])
    assert asks(world, "he", record) == "deny"
    assert len(world.asks("chronic", "of", subject=PATIENT)) == 1


def test_without_a_key_she_joins_on_paper_at_that_institution(world: World) -> None:
    given = enrolment(world, form=FORM)
    assert world.refuses("clerk,nurse", "chronic", "enrol", **given) == "not_affiliated"
    world.does("township-clerk,xiao", "chronic", "enrol", **given)


# --- What is due ----------------------------------------------------------------------------------


def test_a_follow_up_sets_the_next_date(world: World) -> None:
    enrol(world)
    world.later(80 * DAY)
    event = told(world, "wang", "follow_up", **WHO)
    assert event["late"] is False
    assert world.asks("chronic", "state", **WHO)["due"] == world.time + 90 * DAY
    assert told(world.later(91 * DAY), "fan", "follow_up", **WHO)["late"] is True
    assert world.refuses("gao", "chronic", "follow_up", **WHO) == "not_affiliated"


def test_block_time_says_whether_a_follow_up_was_missed(world: World) -> None:
    enrol(world)
    world.later(90 * DAY)
    assert world.refuses("gao", "chronic", "remind", **WHO) == "not_overdue"
    assert world.refuses("nobody", "chronic", "remind", **WHO) == "unknown_key"
    assert told(world.later(1), "gao", "remind", **WHO)["institution"] == "township"
    assert world.refuses("gao", "chronic", "remind", **WHO) == "already_noted"
    world.does("wang", "chronic", "follow_up", **WHO)
    assert world.refuses("gao", "chronic", "remind", **WHO) == "not_overdue"


def test_a_red_alert_is_answered_by_who_manages_her_or_announced(world: World) -> None:
    enrol(world)
    assert world.does("he", "chronic", "alert", **WHO, level="red") == world.time + 24 * HOUR
    world.later(24 * HOUR)
    assert world.refuses("he", "chronic", "escalate", **WHO) == "not_overdue"
    assert told(world.later(1), "he", "escalate", **WHO)["institution"] == "township"
    assert world.refuses("he", "chronic", "escalate", **WHO) == "already_noted"
    assert world.refuses("he", "chronic", "answer", **WHO) == "not_affiliated"
    assert told(world, "fan", "answer", **WHO)["late"] is True
    assert world.refuses("fan", "chronic", "answer", **WHO) == "no_alert"


def test_a_yellow_alert_has_no_clock(world: World) -> None:
    enrol(world)
    assert world.does("xiao", "chronic", "alert", **WHO, level="yellow") == 0
    world.later(100 * DAY)
    assert world.refuses("he", "chronic", "escalate", **WHO) == "not_overdue"
    assert world.refuses("he", "chronic", "alert", **WHO, level="blue") == "unknown_level"


# --- Refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("signer", "change", "code"),
    [
        ("he", {}, "role_missing"),
        ("county-chief", {}, "not_affiliated"),
        ("chief", {"programme": "k7"}, "programme_exists"),
        ("chief", {"programme": "a/b"}, "bad_id"),
        ("chief", {"kinds": []}, "kinds_missing"),
        ("chief", {"kinds": ["diary"]}, "unknown_class"),
        ("chief", {"level": "V"}, "unknown_confidentiality"),
        ("chief", {"followup_days": 0}, "bad_time"),
        ("chief", {"participants": ["nowhere"]}, "unknown_institution"),
        ("chief", {"participants": ["city"]}, "already_in"),
    ],
)
def test_a_programme_that_breaks_a_rule_is_refused(
    world: World, signer: str, change: dict[str, Any], code: str
) -> None:
    given = {**programme(programme="k8"), **change}
    assert world.refuses(signer, "chronic", "begin", **given) == code


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"programme": "k9"}, "unknown_programme"),
        ({"subject": NEIGHBOUR}, "not_the_person"),
        ({"institution": "county"}, "takes_no_part"),
        ({"doctors": [{"person": "gao", "institution": "county"}]}, "takes_no_part"),
        ({"doctors": [{"person": "clerk", "institution": "city"}]}, "not_suited"),
        ({"doctors": [{"person": "he", "institution": "city"}] * 9}, "too_many_doctors"),
        ({"until": 5}, "bad_time"),
        ({"until": 1 << 60}, "bad_time"),
    ],
)
def test_an_enrolment_that_breaks_a_rule_is_refused(
    world: World, change: dict[str, Any], code: str
) -> None:
    assert world.refuses(PATIENT, "chronic", "enrol", **enrolment(world, **change)) == code


def test_parameters_differ_by_county_and_have_bounds(world: World) -> None:
    amended(world, "chronic", "Yan'an", alert_hours=2)
    enrol(world)
    assert world.does("he", "chronic", "alert", **WHO, level="red") == world.time + 2 * HOUR
    assert not_amended(world, "chronic", alert_hours=0) == "out_of_bounds"
    assert world.refuses("chief", "chronic", "amend", county="", values={}) == "charter_only"
