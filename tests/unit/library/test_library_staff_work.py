"""Hours of service, and work without patients."""

from typing import Any

import pytest

from tests.support.contracts import DAY, HOUR, PATIENT, World
from tests.support.contracts.amending import amended, not_amended


@pytest.fixture
def world() -> World:
    return World()


def begins(world: World, identity: str = "w1", **changes: Any) -> None:
    world.does("he", "staff_work", "begin", **session(identity, **changes))


def session(identity: str = "w1", **changes: Any) -> dict[str, Any]:
    return {"id": identity, "home": "city", "place": "county", "activity": "ward-round", **changes}


def works(world: World, identity: str = "w1", hours: int = 2) -> None:
    begins(world, identity)
    world.later(hours * HOUR)
    assert world.does("he", "staff_work", "end", id=identity) == hours * 60


def test_confirmed_minutes_count_by_person_and_month(world: World) -> None:
    works(world, "w1", 2)
    assert world.asks("staff_work", "minutes", person="he", year=2026, month=5) == 0
    assert world.does("county-qc", "staff_work", "confirm", id="w1") == 120
    works(world, "w2", 3)
    result = world.call("county-qc", "staff_work", "confirm", id="w2")
    assert result.value == 300
    (event,) = result.events
    assert (event.name, event.fields["minutes"], event.fields["person"]) == (
        "work_confirmed",
        180,
        "he",
    )
    assert world.asks("staff_work", "minutes", person="he", year=2026, month=5) == 300
    world.later(5 * DAY)
    works(world, "w3", 1)
    world.does("county-qc", "staff_work", "confirm", id="w3")
    assert world.asks("staff_work", "minutes", person="he", year=2026, month=6) == 60


def test_nothing_about_a_patient_is_in_a_session(world: World) -> None:
    works(world)
    assert set(world.asks("staff_work", "get", id="w1")) == {
        "person", "home", "place", "activity", "began", "ended", "lapses", "confirm_days", "status",
        "minutes",
    }  # fmt: skip


def test_a_session_is_judged_once_by_a_supervisor_of_the_place(world: World) -> None:
    begins(world)
    assert world.refuses("county-qc", "staff_work", "confirm", id="w1") == "not_ended"
    world.later(HOUR)
    world.does("he", "staff_work", "end", id="w1")
    assert world.refuses("qc", "staff_work", "confirm", id="w1") == "not_affiliated"
    assert world.refuses("gao", "staff_work", "confirm", id="w1") == "role_missing"
    assert (
        world.refuses("county-qc", "staff_work", "dispute", id="w1", reason="mood")
        == "unknown_reason"
    )
    world.does("county-qc", "staff_work", "dispute", id="w1", reason="shorter")
    assert world.refuses("county-qc", "staff_work", "confirm", id="w1") == "not_ended"
    assert world.asks("staff_work", "minutes", person="he", year=2026, month=5) == 0


def test_nobody_confirms_own_hours(world: World) -> None:
    world.does(
        "county-clerk", "registry", "affiliate", id="he", institution="county", roles=["supervisor"]
    )
    works(world)
    assert world.refuses("he", "staff_work", "confirm", id="w1") == "own_case"


def test_nobody_is_at_two_places_at_once(world: World) -> None:
    begins(world)
    second = session("w2", place="township")
    assert world.refuses("he", "staff_work", "begin", **second) == "already_working"
    world.later(HOUR)
    world.does("he", "staff_work", "end", id="w1")
    world.does("he", "staff_work", "begin", **second)


def test_a_forgotten_end_is_worth_nothing_and_stops_nobody(world: World) -> None:
    begins(world, "w1")
    world.later(14 * HOUR)
    assert world.does("he", "staff_work", "end", id="w1") == 0
    begins(world, "w2")
    world.later(20 * HOUR)
    begins(world, "w3")
    for identity in ("w1", "w2"):
        assert world.asks("staff_work", "get", id=identity)["status"] == "lapsed"
        assert world.refuses("county-qc", "staff_work", "confirm", id=identity) == "not_ended"
    assert world.refuses("he", "staff_work", "end", id="w2") == "not_running"


def test_hours_are_confirmed_in_time(world: World) -> None:
    works(world)
    world.later(30 * DAY + 1)
    assert world.refuses("county-qc", "staff_work", "confirm", id="w1") == "too_late"


@pytest.mark.parametrize(
    ("signer", "change", "code"),
    [
        ("clerk", {}, "role_missing"),
        ("gao", {}, "not_affiliated"),
        ("he", {"id": ""}, "bad_id"),
        ("he", {"id": "x/y"}, "bad_id"),
        ("he", {"place": "nowhere"}, "unknown_institution"),
        ("he", {"activity": "golf"}, "unknown_activity"),
    ],
)
def test_a_session_that_breaks_a_rule_is_refused(
    world: World, signer: str, change: dict[str, Any], code: str
) -> None:
    assert world.refuses(signer, "staff_work", "begin", **session(**change)) == code


def test_a_session_belongs_to_one_person(world: World) -> None:
    begins(world)
    assert world.refuses("gao", "staff_work", "end", id="w1") == "not_the_person"
    assert world.refuses("gao", "staff_work", "end", id="w9") == "unknown_session"
    assert world.refuses("he", "staff_work", "begin", **session("w1")) == "session_exists"


@pytest.mark.parametrize("purpose", ["PERFMSR", "HSYSADMIN", "MEMADMIN"])
def test_who_supervises_work_sees_no_patient_whatever_was_consented(
    world: World, purpose: str
) -> None:
    world.does(
        PATIENT, "consent", "grant", id="c", subject=PATIENT,
        scope={"institutions": ["county"], "purposes": ["HOPERAT"]},
    )  # fmt: skip
    decision = world.requests("county-qc", world.anchored(), purpose)
    assert decision["rule"] == "staff_work:work-has-no-patients"
    assert decision["path"][-1]["effect"] == "forbid"
    assert world.requests("county-qc", world.anchored(size=9), "HQUALIMP")["outcome"] == "permit"


def test_a_records_officer_repairs_the_system(world: World) -> None:
    world.does(
        PATIENT, "consent", "grant", id="c", subject=PATIENT,
        scope={"institutions": ["county"], "purposes": ["HOPERAT"]},
    )  # fmt: skip
    assert (
        world.requests("county-1", world.anchored(), "HSYSADMIN", "county")["outcome"] == "permit"
    )


def test_members_set_the_times_for_all_or_for_a_county(world: World) -> None:
    amended(world, "staff_work", "Yan'an", session_hours=1)
    begins(world)
    world.later(HOUR)
    assert world.does("he", "staff_work", "end", id="w1") == 0
    assert not_amended(world, "staff_work", session_hours=25) == "out_of_bounds"
    assert not_amended(world, "staff_work", more=1) == "unknown_parameter"
    assert world.refuses("chief", "staff_work", "amend", county="", values={}) == "charter_only"
