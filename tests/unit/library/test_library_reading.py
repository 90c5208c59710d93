"""Remote reading: examined at the clinic, read at the centre, and a critical value is heard."""

from typing import Any

import pytest

from tests.support.contracts import DAY, HOUR, NEIGHBOUR, PATIENT, World, name_of
from tests.support.contracts.amending import amended, not_amended

FORM = bytes(range(32))
MINUTE = 60_000
SIDES = {"clinic": "township", "centre": "city", "modality": "ecg"}
TERMS = {**SIDES, "report": 120, "acknowledge": 10}


@pytest.fixture
def world() -> World:
    world = World()
    world.does("township-chief", "reading", "agree", **TERMS)
    world.does("chief", "reading", "agree", **TERMS)
    return world


def order(world: World, *records: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "id": "o1", "subject": PATIENT, **SIDES,
        "records": [name_of(record).hex() for record in records], "form": FORM, **changes,
    }  # fmt: skip


def ordered(world: World, identity: str = "o1", **changes: Any) -> dict[str, Any]:
    """An ECG of the township, sent to the city to be read; returns its pointer."""
    size = int(identity[1:])
    record = world.anchored(holder="township", kind="ecg", size=size)
    world.does("min", "reading", "order", **order(world, record, id=identity, **changes))
    return record


def reported(world: World, identity: str = "o1", *, critical: bool = False) -> dict[str, Any]:
    """An order that was read; returns the pointer of the report."""
    ordered(world, identity)
    world.does("he", "reading", "claim", id=identity)
    report = world.anchored(holder="city", kind="note", size=int(identity[1:]))
    world.does("he", "reading", "report", id=identity, record=name_of(report).hex(),
               critical=critical)  # fmt: skip
    return report


def asks(world: World, who: str, record: dict[str, Any], **changes: Any) -> str:
    outcome: str = world.requests(who, record, **{"case": "o1", **changes})["outcome"]
    return outcome


def events(world: World, signers: str, method: str, **arguments: Any) -> dict[str, dict[str, Any]]:
    result = world.call(signers, "reading", method, **arguments)
    assert result.ok, result.error
    return {event.name: dict(event.fields) for event in result.events}


# --- Agreements -----------------------------------------------------------------------------------


def test_an_agreement_holds_once_both_sides_have_signed_the_same() -> None:
    world = World()
    record = world.anchored(holder="township", kind="ecg")
    told = order(world, record)
    assert world.does("township-chief", "reading", "agree", **TERMS) is False
    assert world.does("chief", "reading", "agree", **TERMS | {"report": 60}) is False
    assert world.refuses("min", "reading", "order", **told) == "no_agreement"
    assert world.does("township-chief", "reading", "agree", **TERMS | {"report": 60}) is True
    assert world.does("min", "reading", "order", **told) == world.time + HOUR


def test_an_agreement_is_for_one_modality_and_ends_by_either_side(world: World) -> None:
    record = world.anchored(holder="township", kind="imaging")
    told = order(world, record)
    refused = world.refuses("min", "reading", "order", **told | {"modality": "imaging"})
    assert refused == "no_agreement"
    assert world.refuses("county-chief", "reading", "end_agreement", **SIDES) == "not_a_side"
    world.does("chief", "reading", "end_agreement", **SIDES)
    assert world.refuses("min", "reading", "order", **told) == "no_agreement"


@pytest.mark.parametrize(
    ("signer", "change", "code"),
    [
        ("county-chief", {}, "not_a_side"),
        ("he", {}, "not_a_side"),
        ("chief", {"modality": "palmistry"}, "unknown_modality"),
        ("chief", {"clinic": "city"}, "one_institution"),
        ("chief", {"report": 0}, "bad_time"),
        ("chief", {"report": 1441}, "bad_time"),
        ("chief", {"acknowledge": 31}, "bad_time"),
    ],
)
def test_an_agreement_that_breaks_a_rule_is_refused(
    world: World, signer: str, change: dict[str, Any], code: str
) -> None:
    assert world.refuses(signer, "reading", "agree", **{**TERMS, **change}) == code


# --- From order to report -------------------------------------------------------------------------


def test_the_reader_sees_the_records_from_the_claim_until_the_report(world: World) -> None:
    record = ordered(world)
    assert asks(world, "he", record) == "deny"
    world.does("he", "reading", "claim", id="o1")
    assert world.requests("he", record, case="o1")["rule"] == "reading:claimed-reading"
    assert asks(world, "su", record) == "deny"
    assert asks(world, "he", record, case="") == "deny"
    assert asks(world, "he", record, purpose="COC") == "deny"
    report = world.anchored(holder="city", kind="note")
    world.does("he", "reading", "report", id="o1", record=name_of(report).hex(), critical=False)
    assert asks(world, "he", record) == "deny"


def test_the_report_goes_back_to_the_clinic_and_nowhere_else(world: World) -> None:
    report = reported(world)
    assert world.requests("wang", report, case="o1")["rule"] == "reading:report-comes-back"
    assert asks(world, "xiao", report) == "permit"
    assert asks(world, "gao", report) == "deny"
    assert asks(world, "wang", world.anchored(holder="city", kind="note", size=99)) == "deny"
    world.later(30 * DAY)
    assert asks(world, "wang", report) == "deny"


def test_an_order_opens_no_record_of_another_holder_or_patient(world: World) -> None:
    foreign = world.anchored(holder="county", kind="ecg")
    strange = world.anchored(holder="township", kind="ecg", subject=NEIGHBOUR)
    world.does("min", "reading", "order", **order(world, foreign, strange))
    world.does("he", "reading", "claim", id="o1")
    assert (asks(world, "he", foreign), asks(world, "he", strange)) == ("deny", "deny")


def test_a_claim_that_ran_out_leaves_the_order_to_the_next(world: World) -> None:
    record = ordered(world)
    world.does("he", "reading", "claim", id="o1")
    assert world.refuses("su", "reading", "claim", id="o1") == "claimed"
    world.later(4 * HOUR).does("su", "reading", "claim", id="o1")
    assert (asks(world, "he", record), asks(world, "su", record)) == ("deny", "permit")
    report = {"id": "o1", "record": "ab" * 32, "critical": False}
    assert world.refuses("he", "reading", "report", **report) == "not_the_reader"


def test_the_time_to_report_is_counted(world: World) -> None:
    ordered(world)
    world.later(50 * MINUTE).does("he", "reading", "claim", id="o1")
    told = events(world, "he", "report", id="o1", record="ab" * 32, critical=False)["reported"]
    assert (told["minutes"], told["late"], told["modality"]) == (50, False, "ecg")
    ordered(world, "o2")
    world.later(3 * HOUR).does("he", "reading", "claim", id="o2")
    late = events(world, "he", "report", id="o2", record="ab" * 32, critical=False)["reported"]
    assert (late["minutes"], late["late"]) == (180, True)


def test_an_order_is_sent_back_for_a_coded_reason(world: World) -> None:
    record = ordered(world)
    world.does("he", "reading", "claim", id="o1")
    cancel = {"id": "o1", "reason": "poor-quality"}
    assert world.refuses("gao", "reading", "cancel", **cancel) == "not_a_side"
    assert (
        world.refuses("he", "reading", "cancel", **cancel | {"reason": "bored"}) == "unknown_reason"
    )
    told = events(world, "he", "cancel", **cancel)["cancelled"]
    assert (told["by"], told["reason"]) == ("city", "poor-quality")
    assert asks(world, "he", record) == "deny"
    assert world.refuses("he", "reading", "claim", id="o1") == "not_open"


@pytest.mark.parametrize(
    ("signer", "change", "code"),
    [
        ("he", {}, "not_affiliated"),
        ("township-clerk", {}, "role_missing"),
        ("min", {"id": "a/b"}, "bad_id"),
        ("min", {"form": b""}, "agreement_missing"),
        ("min", {"records": []}, "records_missing"),
        ("min", {"records": ["ab" * 32] * 17}, "records_missing"),
        ("min", {"records": ["x"]}, "bad_record_name"),
        ("min", {"centre": "county"}, "no_agreement"),
    ],
)
def test_an_order_that_breaks_a_rule_is_refused(
    world: World, signer: str, change: dict[str, Any], code: str
) -> None:
    record = world.anchored(holder="township", kind="ecg")
    assert world.refuses(signer, "reading", "order", **order(world, record, **change)) == code


def test_only_a_physician_of_the_centre_claims_and_reports(world: World) -> None:
    ordered(world)
    assert world.refuses("nurse", "reading", "claim", id="o1") == "role_missing"
    assert world.refuses("wang", "reading", "claim", id="o1") == "not_affiliated"
    report = {"id": "o1", "record": "ab" * 32, "critical": False}
    assert world.refuses("he", "reading", "report", **report) == "not_claimed"
    assert world.refuses("he", "reading", "claim", id="o9") == "unknown_order"


# --- Critical values ------------------------------------------------------------------------------


def test_a_critical_value_starts_a_clock_that_the_clinic_stops(world: World) -> None:
    reported(world, critical=True)
    (alert,) = world.asks("reading", "waiting", clinic="township")
    assert alert == {"order": "o1", "due": world.time + 10 * MINUTE}
    assert world.refuses("he", "reading", "acknowledge", id="o1") == "not_affiliated"
    told = events(world.later(10 * MINUTE), "xiao", "acknowledge", id="o1")["acknowledged"]
    assert (told["minutes"], told["late"]) == (10, False)
    assert world.asks("reading", "waiting", clinic="township") == []
    assert world.refuses("min", "reading", "acknowledge", id="o1") == "already_acknowledged"


def test_block_time_says_whether_it_was_heard_too_late(world: World) -> None:
    reported(world, critical=True)
    world.later(10 * MINUTE)
    assert world.refuses("he", "reading", "escalate", id="o1") == "not_overdue"
    assert world.refuses("nobody", "reading", "escalate", id="o1") == "unknown_key"
    told = events(world.later(1), "he", "escalate", id="o1")["value_not_heard"]
    assert (told["clinic"], told["centre"]) == ("township", "city")
    assert world.refuses("he", "reading", "escalate", id="o1") == "already_noted"
    assert world.does("xiao", "reading", "acknowledge", id="o1") is False


def test_what_next_happens_at_the_clinic_announces_what_nobody_heard(world: World) -> None:
    reported(world, critical=True)
    world.later(HOUR)
    record = world.anchored(holder="township", kind="ecg", size=2)
    told = events(world, "min", "order", **order(world, record, id="o2"))
    assert told["value_not_heard"]["order"] == "o1"
    assert world.refuses("he", "reading", "escalate", id="o1") == "already_noted"
    late = events(world, "xiao", "acknowledge", id="o1")
    assert late["acknowledged"]["late"] is True


def test_a_late_acknowledgement_announces_itself(world: World) -> None:
    reported(world, critical=True)
    told = events(world.later(HOUR), "xiao", "acknowledge", id="o1")
    assert {"value_not_heard", "acknowledged"} <= set(told)


def test_an_ordinary_report_starts_no_clock(world: World) -> None:
    reported(world)
    assert world.refuses("xiao", "reading", "acknowledge", id="o1") == "not_critical"
    assert world.refuses("xiao", "reading", "escalate", id="o1") == "not_critical"


def test_parameters_differ_by_county_and_have_bounds(world: World) -> None:
    amended(world, "reading", "Yan'an", claim_minutes=10)
    ordered(world)
    assert world.does("he", "reading", "claim", id="o1") == world.time + 10 * MINUTE
    assert not_amended(world, "reading", acknowledge_minutes=0) == "out_of_bounds"
    assert world.refuses("chief", "reading", "amend", county="", values={}) == "charter_only"
