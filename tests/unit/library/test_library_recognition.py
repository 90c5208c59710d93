"""Mutual recognition: fresh, of a class that counts here, and with the mark where it is needed."""

from typing import Any

import pytest

from tests.support.contracts import DAY, HOUR, PATIENT, World
from tests.support.contracts.amending import amended, not_amended


@pytest.fixture
def world() -> World:
    return World()


def check_in(world: World, institution: str = "county") -> None:
    world.does(PATIENT, "recognition", "check_in", institution=institution, subject=PATIENT)


def mark(world: World, **changes: Any) -> dict[str, Any]:
    return {
        "commission": "board", "holder": "city", "kinds": ["laboratory"],
        "until": world.time + 365 * DAY, **changes,
    }  # fmt: skip


def answer(world: World, who: str, record: dict[str, Any]) -> str:
    """What the contract said to a request."""
    decision = world.requests(who, record)
    (rule,) = [said for said in decision["asked"] if said.startswith("recognition:")]
    return rule.removeprefix("recognition:")


@pytest.mark.parametrize(
    ("kind", "age", "said"),
    [
        ("laboratory", 89, "patient-is-checked-in"),
        ("laboratory", 90, "result-too-old"),
        ("imaging", 179, "patient-is-checked-in"),
        ("imaging", 180, "result-too-old"),
        ("pathology", 700, "patient-is-checked-in"),
        ("note", 1, "no-recognition"),
    ],
)
def test_a_result_counts_for_the_days_of_its_class(
    world: World, kind: str, age: int, said: str
) -> None:
    end = world.time - age * DAY
    record = world.anchored(kind=kind, start=end, end=end)
    check_in(world)
    assert answer(world, "gao", record) == said


def test_a_result_without_a_date_is_not_recognised(world: World) -> None:
    record = world.anchored(start=0, end=0)
    check_in(world)
    assert answer(world, "gao", record) == "result-too-old"


def test_a_county_says_what_it_recognises(world: World) -> None:
    record = world.anchored()
    amended(world, "recognition", "Yan'an", laboratory_days=0)
    check_in(world)
    assert answer(world, "gao", record) == "class-not-recognised"
    amended(world, "recognition", "Yan'an", laboratory_days=30)
    assert answer(world, "gao", record) == "class-not-recognised"
    check_in(world)
    assert answer(world, "gao", record) == "patient-is-checked-in"


def test_where_the_mark_is_needed_the_quality_centre_gives_and_takes_it(world: World) -> None:
    record = world.anchored()
    amended(world, "recognition", marks_needed=1)
    check_in(world)
    assert answer(world, "gao", record) == "no-mark"
    world.does("auditor", "recognition", "mark", **mark(world))
    assert answer(world, "gao", record) == "patient-is-checked-in"
    assert answer(world, "gao", world.anchored(kind="ecg")) == "no-mark"
    world.does("auditor", "recognition", "unmark", commission="board", holder="city",
               kind="laboratory", reason="failed-assessment")  # fmt: skip
    assert answer(world, "gao", record) == "no-mark"


def test_a_mark_runs_out_and_may_be_for_one_county(world: World) -> None:
    record = world.anchored()
    amended(world, "recognition", marks_needed=1)
    world.does("auditor", "recognition", "mark", **mark(world, county="Baota"))
    check_in(world)
    assert answer(world, "gao", record) == "no-mark"
    until = world.time + HOUR
    world.does("auditor", "recognition", "mark", **mark(world, county="Yan'an", until=until))
    assert answer(world, "gao", record) == "patient-is-checked-in"
    world.later(HOUR)
    assert answer(world, "gao", record) == "no-mark"


@pytest.mark.parametrize(
    ("signer", "change", "code"),
    [
        ("gao", {}, "not_affiliated"),
        ("qc", {"commission": "city"}, "not_a_commission"),
        ("board-chief", {}, "role_missing"),
        ("auditor", {"holder": "nowhere"}, "unknown_institution"),
        ("auditor", {"kinds": []}, "bad_kinds"),
        ("auditor", {"kinds": ["note"]}, "not_recognisable"),
        ("auditor", {"until": 5}, "bad_time"),
        ("auditor", {"until": 1 << 60}, "bad_time"),
    ],
)
def test_a_mark_that_breaks_a_rule_is_refused(
    world: World, signer: str, change: dict[str, Any], code: str
) -> None:
    assert world.refuses(signer, "recognition", "mark", **mark(world, **change)) == code


def test_a_mark_is_taken_back_for_a_coded_reason(world: World) -> None:
    loss = {"commission": "board", "holder": "city", "kind": "laboratory", "reason": "closed"}
    assert world.refuses("auditor", "recognition", "unmark", **loss) == "no_mark"
    world.does("auditor", "recognition", "mark", **mark(world))
    refused = world.refuses("auditor", "recognition", "unmark", **loss | {"reason": "bored"})
    assert refused == "unknown_reason"


def test_the_judgement_says_what_a_repeat_would_have_been(world: World) -> None:
    record = world.anchored(kind="imaging")
    check_in(world)
    request = world.requests("gao", record)["id"]
    result = world.call("gao", "recognition", "recognise", request=request)
    (event,) = [dict(event.fields) for event in result.events]
    assert (event["kind"], event["holder"], event["institution"]) == ("imaging", "city", "county")
    assert event["recognised"] is True


def test_nobody_recognises_an_own_result(world: World) -> None:
    record = world.anchored()
    check_in(world, "city")
    request = world.requests("he", record)["id"]
    assert world.refuses("he", "recognition", "recognise", request=request) == "own_result"


def test_the_permit_ends_with_the_visit(world: World) -> None:
    record = world.anchored()
    check_in(world)
    decision = world.later(20 * HOUR).requests("gao", record)
    assert decision["expires"] == world.time + 4 * HOUR


def test_parameters_have_bounds(world: World) -> None:
    assert not_amended(world, "recognition", marks_needed=2) == "out_of_bounds"
    assert world.refuses("chief", "recognition", "amend", county="", values={}) == "charter_only"
