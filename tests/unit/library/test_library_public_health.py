"""Reporting that the law demands."""

from hashlib import sha256
from typing import Any

import pytest

from ledger.chain.disclosures import check_all, entry_of, read_log
from tests.support.contracts import DAY, HOUR, NEIGHBOUR, PATIENT, REPLY_KEY, World
from tests.support.contracts.amending import amended, not_amended

MATTER = sha256(b"salt and code of a disease").digest()


@pytest.fixture
def world() -> World:
    return World()


def report(world: World, identity: str = "n1", **changes: Any) -> Any:
    return world.does("gao", "public_health", "report", **arguments(world, identity, **changes))


def arguments(world: World, identity: str = "n1", **changes: Any) -> dict[str, Any]:
    return {
        "id": identity, "schedule": "within-24-hours", "subject": NEIGHBOUR, "source": "county",
        "receiver": "cdc", "matter": MATTER, "found": world.time - HOUR, **changes,
    }  # fmt: skip


def evidence(world: World, **changes: Any) -> dict[str, Any]:
    return world.anchored(**{"holder": "county", "subject": NEIGHBOUR, **changes})


def asks(world: World, record: dict[str, Any], case: str = "n1", **changes: Any) -> Any:
    return world.requests(
        **{"who": "officer", "record": record, "purpose": "PUBHLTH", "case": case, **changes}
    )


def test_a_reported_case_obliges_the_reporter_whatever_the_patient_denied(world: World) -> None:
    record = evidence(world, confidentiality="V")
    world.does(NEIGHBOUR, "consent", "deny", id="no", subject=NEIGHBOUR, scope={})
    assert asks(world, record)["outcome"] == "deny"
    report(world)
    decision = asks(world, record)
    assert (decision["outcome"], decision["rule"]) == ("permit", "public_health:duty-to-report")
    assert decision["path"][-1]["effect"] == "oblige"
    assert {"MINEC", "NOREUSE", "NORDSCLCD", "AOD"} <= set(decision["obligations"])
    assert "patient" in decision["tell"]
    assert decision["told"] == world.time


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "prescription"},
        {"holder": "city"},
        {"subject": PATIENT},
        {"end": 0, "start": 0},
        {"start": 1_700_000_000_000, "end": 1_700_000_100_000},
    ],
)
def test_only_what_the_schedule_lists_of_the_one_who_reported(
    world: World, change: dict[str, Any]
) -> None:
    report(world)
    assert asks(world, evidence(world))["outcome"] == "permit"
    assert asks(world, evidence(world, **change))["outcome"] == "deny"


def test_the_level_is_that_of_the_schedule(world: World) -> None:
    report(world, schedule="register")
    assert asks(world, evidence(world, confidentiality="R"))["outcome"] == "permit"
    assert asks(world, evidence(world, confidentiality="V"))["outcome"] == "deny"


def test_a_report_never_serves_another_end(world: World) -> None:
    record = evidence(world)
    report(world)
    world.does(
        "county-clerk", "registry", "affiliate", id="officer", institution="county",
        roles=["public-health-officer"],
    )  # fmt: skip
    assert asks(world, record, purpose="HRESCH")["outcome"] == "deny"
    assert asks(world, record, purpose="HPAYMT")["outcome"] == "deny"
    assert asks(world, record, purpose="HQUALIMP")["outcome"] == "deny"
    assert asks(world, record, case="")["outcome"] == "deny"
    assert asks(world, record, case="n2")["outcome"] == "deny"
    assert asks(world, record, who="mch-officer")["outcome"] == "deny"
    assert asks(world, record, institution="county")["outcome"] == "deny"


def test_a_report_ends_by_time_and_the_permit_with_it(world: World) -> None:
    record = evidence(world)
    report(world)
    world.later(60 * DAY - HOUR)
    assert asks(world, record)["expires"] == world.time + HOUR
    world.later(HOUR)
    assert asks(world, record)["outcome"] == "deny"


def test_a_withdrawn_report_opens_nothing(world: World) -> None:
    record = evidence(world)
    report(world)
    assert (
        world.refuses("he", "public_health", "withdraw", id="n1", reason="duplicate")
        == "not_affiliated"
    )
    assert (
        world.refuses("gao", "public_health", "withdraw", id="n1", reason="mood")
        == "unknown_reason"
    )
    world.does("gao", "public_health", "withdraw", id="n1", reason="not-confirmed")
    assert asks(world, record)["outcome"] == "deny"
    assert world.refuses("officer", "public_health", "close", id="n1") == "not_open"


def test_the_receiver_closes_what_it_has_finished(world: World) -> None:
    record = evidence(world)
    report(world)
    assert world.refuses("mch-officer", "public_health", "close", id="n1") == "not_affiliated"
    world.does("officer", "public_health", "close", id="n1")
    assert asks(world, record)["outcome"] == "deny"


def test_a_report_tells_whether_it_is_late_and_when_it_arrived(world: World) -> None:
    assert report(world, "n1")["late"] is False
    assert report(world, "n2", found=world.time - 25 * HOUR)["late"] is True
    world.later(HOUR)
    world.does("officer", "public_health", "receive", id="n1")
    assert world.asks("public_health", "get", id="n1")["received"] == world.time
    assert world.refuses("officer", "public_health", "receive", id="n1") == "already_received"


@pytest.mark.parametrize(
    ("signer", "change", "code"),
    [
        ("county-clerk", {}, "role_missing"),
        ("he", {}, "not_affiliated"),
        ("gao", {"id": ""}, "bad_id"),
        ("gao", {"id": "x/y"}, "bad_id"),
        ("gao", {"schedule": "hiv"}, "unknown_schedule"),
        ("gao", {"receiver": "school"}, "wrong_receiver"),
        ("gao", {"receiver": "nowhere"}, "unknown_institution"),
        ("gao", {"receiver": "mch"}, "wrong_receiver"),
        ("gao", {"matter": b"tuberculosis"}, "matter_missing"),
        ("gao", {"found": 1 << 60}, "bad_time"),
        ("gao", {"subject": "p-" + "f" * 32}, "unknown_person"),
        ("gao", {"subject": "gao"}, "unknown_person"),
    ],
)
def test_a_report_that_breaks_a_rule_is_refused(
    world: World, signer: str, change: dict[str, Any], code: str
) -> None:
    assert world.refuses(signer, "public_health", "report", **arguments(world, **change)) == code


def test_an_id_is_used_once(world: World) -> None:
    report(world)
    assert world.refuses("gao", "public_health", "report", **arguments(world)) == "report_exists"


# --- Telling later --------------------------------------------------------------------------------

LATER = {
    "receivers": ["cdc"], "classes": ["laboratory"], "level": "V", "due_hours": 24, "back_days": 90,
    "open_days": 60, "tell_days": 10,
}  # fmt: skip


def test_a_schedule_can_put_off_the_telling_to_a_date_fixed_at_once(world: World) -> None:
    record = evidence(world)
    amended(world, "public_health", **{"within-24-hours": LATER})
    report(world)
    date = world.time + 10 * DAY
    result = world.call(
        "officer", "access", "request", pointer=record, proof={}, purpose="PUBHLTH",
        institution="cdc", reply_key=REPLY_KEY, case="n1",
    )  # fmt: skip
    (event,) = [event for event in result.events if event.contract == "access"]
    assert event.name == "sealed"
    assert event.fields == {"request": result.value["id"], "told": date}
    identity = result.value["id"]
    log = f"disclosures/logs/{NEIGHBOUR}"
    assert result.value["entry"] is None
    assert world.entry(log) is None
    world.does("county-1", "access", "release", request=identity, digest=record["digest"])
    assert world.refuses(NEIGHBOUR, "access", "unseal", request=identity) == "too_early"
    assert world.refuses(NEIGHBOUR, "public_health", "tell", id="n1") == "too_early"
    # A vote for a longer delay comes too late for what was reported.
    amended(world, "public_health", **{"within-24-hours": {**LATER, "tell_days": 180}})
    world.later(10 * DAY)
    world.does(NEIGHBOUR, "access", "unseal", request=identity)
    told = world.entry(f"access/decisions/{identity}")
    assert told["entry"] == 0
    check_all(read_log(world.entry(log)), [entry_of("access", told)])
    world.does("he", "public_health", "tell", id="n1")
    assert world.refuses("he", "access", "unseal", request=identity) == "not_sealed"
    assert world.refuses("he", "public_health", "tell", id="n1") == "already_told"
    assert asks(world, record)["told"] == world.time


# --- Schedules by vote ----------------------------------------------------------------------------


def test_only_the_charter_sets_schedules(world: World) -> None:
    assert world.refuses("chief", "public_health", "amend", county="", values={}) == "charter_only"


def test_a_county_has_its_own_schedule(world: World) -> None:
    amended(world, "public_health", "Elsewhere", **{"within-24-hours": {}})
    report(world, "n1")
    amended(
        world, "public_health", "Yan'an",
        **{"within-24-hours": {**LATER, "receivers": ["maternal-child"]}},
    )  # fmt: skip
    assert (
        world.refuses("gao", "public_health", "report", **arguments(world, "n2"))
        == "wrong_receiver"
    )
    report(world, "n3", receiver="mch")
    assert "within-24-hours" not in world.asks("public_health", "schedules", county="Elsewhere")
    # What was reported before keeps the terms that it was reported under.
    assert asks(world, evidence(world, kind="condition"))["outcome"] == "permit"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"receivers": []}, "bad_schedule"),
        ({"receivers": ["employer"]}, "wrong_receiver"),
        ({"classes": ["gossip"]}, "unknown_class"),
        ({"level": "U"}, "unknown_confidentiality"),
        ({"open_days": 731}, "out_of_bounds"),
        ({"tell_days": 181}, "out_of_bounds"),
        ({"more": 1}, "bad_schedule"),
    ],
)
def test_a_schedule_keeps_within_its_bounds(
    world: World, change: dict[str, Any], code: str
) -> None:
    assert not_amended(world, "public_health", s={**LATER, **change}) == code
