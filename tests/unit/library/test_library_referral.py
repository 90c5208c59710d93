"""Referral: which way, by which channel, onward, and what came of it."""

from typing import Any

import pytest

from tests.support.contracts import (
    CHILD,
    DAY,
    HOUR,
    MOTHER,
    NEIGHBOUR,
    NOTE,
    PATIENT,
    World,
    name_of,
)
from tests.support.contracts.amending import amended, not_amended

FORM = bytes(range(32))
#: 2026-09-01, midnight in China.
SEPTEMBER = 1_788_192_000_000


@pytest.fixture
def world() -> World:
    return World()


def arguments(world: World, *records: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "id": "r1", "subject": PATIENT, "source": "township", "target": "county",
        "records": [name_of(record).hex() for record in records],
        "until": world.time + 30 * DAY, "form": FORM, **changes,
    }  # fmt: skip


def referred(world: World, **changes: Any) -> dict[str, Any]:
    """A note of the township that goes with the patient to the county; returns its pointer."""
    record = world.anchored(holder="township", kind="note")
    world.does("wang", "referral", "create", **arguments(world, record, **changes))
    return record


def asks(world: World, who: str, record: dict[str, Any], **changes: Any) -> str:
    outcome: str = world.requests(who, record, **changes)["outcome"]
    return outcome


def told(world: World, signers: str, method: str, **given: Any) -> dict[str, Any]:
    """The fields of the last event of a call."""
    result = world.call(signers, "referral", method, **given)
    assert result.ok, result.error
    return dict(result.events[-1].fields)


# --- Which way ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("signer", "source", "target", "direction"),
    [
        ("wang", "township", "county", "up"),
        ("gao", "county", "township", "down"),
        ("he", "city", "county", "down"),
        ("min", "township", "city", "up"),
    ],
)
def test_the_institutions_say_whether_it_leads_up_or_down(
    world: World, signer: str, source: str, target: str, direction: str
) -> None:
    record = world.anchored(holder=source)
    given = arguments(world, record, source=source, target=target)
    event = told(world, signer, "create", **given)
    assert (event["direction"], event["channel"]) == (direction, "routine")


def test_every_step_says_after_how_many_hours(world: World) -> None:
    referred(world)
    accepted = told(world.later(5 * HOUR), "gao", "accept", id="r1")
    arrived = told(world.later(20 * HOUR), "gao", "arrive", id="r1")
    closed = told(world.later(5 * DAY), "gao", "close", id="r1", outcome="returned")
    assert [event["hours"] for event in (accepted, arrived, closed)] == [5, 25, 145]
    assert (closed["direction"], closed["outcome"]) == ("up", "returned")
    steps = world.asks("referral", "get", id="r1")["steps"]
    assert sorted(steps) == ["accepted", "arrived", "closed", "open"]


def test_what_was_not_accepted_is_declined_or_taken_back(world: World) -> None:
    record = referred(world)
    assert world.refuses("gao", "referral", "decline", id="r1", reason="busy") == "unknown_reason"
    assert world.refuses("gao", "referral", "arrive", id="r1") == "not_accepted"
    assert told(world, "gao", "decline", id="r1", reason="no-bed")["referral"] == "r1"
    assert world.refuses("gao", "referral", "accept", id="r1") == "not_open"
    world.does("wang", "referral", "create", **arguments(world, record, id="r2"))
    assert told(world, "wang", "close", id="r2")["outcome"] == "taken-back"


def test_the_answer_can_be_seen_from_the_discharge_on_for_some_days(world: World) -> None:
    amended(world, "referral", "Yan'an", return_days=30)
    referred(world)
    world.does("gao", "referral", "accept", id="r1")
    answer = world.anchored(holder="county", kind="note", size=5)
    given = {"id": "r1", "records": [name_of(answer).hex()], "outcome": "returned"}
    world.later(20 * DAY).does("gao", "referral", "close", **given)
    world.later(30 * DAY - 1)
    assert world.requests("wang", answer)["rule"] == "referral:return-leg"
    world.later(1)
    assert asks(world, "wang", answer) == "deny"


def test_a_late_result_follows_the_patient(world: World) -> None:
    referred(world)
    late = world.anchored(holder="township", kind="laboratory", size=9)
    add = {"id": "r1", "records": [name_of(late).hex()]}
    assert world.refuses("gao", "referral", "add", **add) == "not_affiliated"
    world.does("gao", "referral", "accept", id="r1")
    assert asks(world, "gao", late) == "deny"
    world.does("wang", "referral", "add", **add)
    assert asks(world, "gao", late) == "permit"
    world.does("gao", "referral", "close", id="r1")
    assert asks(world, "gao", late) == "deny"
    assert world.refuses("wang", "referral", "add", **add) == "not_open"


def test_two_referrals_of_one_record_end_one_by_one(world: World) -> None:
    record = referred(world)
    world.does("wang", "referral", "create", **arguments(world, record, id="r2"))
    for identity in ("r1", "r2"):
        world.does("gao", "referral", "accept", id=identity)
    world.does("gao", "referral", "close", id="r2")
    assert asks(world, "gao", record) == "permit"
    world.does("gao", "referral", "close", id="r1")
    assert asks(world, "gao", record) == "deny"


# --- Onward ---------------------------------------------------------------------------------------


def test_the_bundle_follows_the_patient_onward(world: World) -> None:
    first = referred(world)
    second = world.anchored(holder="county", kind="note", size=5)
    onward = arguments(world, second, id="r2", source="county", target="city", via="r1")
    assert world.refuses("gao", "referral", "create", **onward) == "not_via"
    world.does("gao", "referral", "accept", id="r1")
    world.does("gao", "referral", "create", **onward)
    world.does("he", "referral", "accept", id="r2")
    assert (asks(world, "he", first), asks(world, "he", second)) == ("permit", "permit")


def test_nothing_is_sent_along_from_the_referral_of_another_patient(world: World) -> None:
    referred(world)
    world.does("gao", "referral", "accept", id="r1")
    record = world.anchored(holder="county", subject=NEIGHBOUR)
    onward = arguments(
        world, record, id="r2", subject=NEIGHBOUR, source="county", target="city", via="r1"
    )
    assert world.refuses("gao", "referral", "create", **onward) == "not_via"


def test_a_referral_opens_no_record_of_another_patient(world: World) -> None:
    record = world.anchored(holder="township", subject=NEIGHBOUR)
    world.does("wang", "referral", "create", **arguments(world, record))
    world.does("gao", "referral", "accept", id="r1")
    assert asks(world, "gao", record) == "deny"


# --- The green channel ----------------------------------------------------------------------------


def test_the_green_channel_is_open_before_anybody_accepts_for_a_short_time(world: World) -> None:
    record = referred(world, channel="green")
    assert world.requests("gao", record)["rule"] == "referral:green-channel"
    world.later(24 * HOUR)
    assert asks(world, "gao", record) == "deny"
    world.does("gao", "referral", "accept", id="r1")
    assert world.requests("gao", record)["rule"] == "referral:accepted-referral"


def test_a_green_channel_that_is_declined_or_taken_back_closes(world: World) -> None:
    record = referred(world, channel="green")
    world.does("gao", "referral", "decline", id="r1", reason="no-capability")
    assert asks(world, "gao", record) == "deny"


def critical(world: World, *, report_critical: bool = True) -> dict[str, Any]:
    """A critical value that the city read for the township; returns the report's pointer."""
    sides = {"clinic": "township", "centre": "city", "modality": "ecg"}
    for chief in ("township-chief", "chief"):
        world.does(chief, "reading", "agree", **sides, report=120, acknowledge=10)
    ecg = world.anchored(holder="township", kind="ecg")
    world.does("min", "reading", "order", id="o1", subject=PATIENT, **sides,
               records=[name_of(ecg).hex()], form=FORM)  # fmt: skip
    world.does("he", "reading", "claim", id="o1")
    report = world.anchored(holder="city", kind="note", size=7)
    world.does("he", "reading", "report", id="o1", record=name_of(report).hex(),
               critical=report_critical)  # fmt: skip
    return report


def test_a_critical_value_goes_along_by_the_green_channel(world: World) -> None:
    report = critical(world)
    referred(world, channel="green", basis="reading:o1")
    assert world.requests("gao", report)["rule"] == "referral:green-channel"


def test_an_emergency_stands_for_the_agreement_of_who_cannot_give_it(world: World) -> None:
    record = world.anchored(holder="township")
    emergency = world.breaks_glass("min", record)["id"]
    given = arguments(world, record, channel="green", basis=f"emergency:{emergency}", form=b"")
    assert world.refuses("wang", "referral", "create", **given) == "bad_basis"
    world.does("min", "referral", "create", **given)
    assert asks(world, "gao", record) == "permit"
    world.does("auditor", "emergency", "review", emergency=emergency, institution="board",
               upheld=True, note=NOTE)  # fmt: skip
    assert world.refuses("min", "referral", "create", **given | {"id": "r2"}) == "bad_basis"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"channel": "blue"}, "unknown_channel"),
        ({"basis": "reading:o1"}, "basis_without_green"),
        ({"channel": "green", "basis": "reading:o1"}, "bad_basis"),
        ({"channel": "green", "basis": "reading"}, "bad_basis"),
        ({"channel": "green", "basis": "hearsay:o1"}, "bad_basis"),
        ({"channel": "green", "basis": "emergency:o1"}, "bad_basis"),
        ({"via": "r0"}, "unknown_referral"),
        ({"id": "a/b"}, "bad_id"),
    ],
)
def test_a_basis_or_a_way_that_is_not_there_is_refused(
    world: World, change: dict[str, Any], code: str
) -> None:
    critical(world, report_critical=False)
    record = world.anchored(holder="township")
    assert world.refuses("wang", "referral", "create", **arguments(world, record, **change)) == code


def test_parameters_have_bounds(world: World) -> None:
    assert not_amended(world, "referral", return_days=0) == "out_of_bounds"
    assert world.refuses("chief", "referral", "amend", county="", values={}) == "charter_only"


def test_a_guardian_agrees_for_a_child_and_the_child_does_not(world: World) -> None:
    world.does("clerk,he", "guardianship", "enter", child=CHILD, guardian=MOTHER, ground="parent",
               turns_14=SEPTEMBER, institution="city", evidence=FORM)  # fmt: skip
    record = world.anchored(holder="township", subject=CHILD)
    given = arguments(world, record, subject=CHILD, form=b"")
    for signers in ("wang", f"wang,{CHILD}", f"wang,{PATIENT}"):
        assert world.refuses(signers, "referral", "create", **given) == "agreement_missing"
    world.does(f"wang,{MOTHER}", "referral", "create", **given)
