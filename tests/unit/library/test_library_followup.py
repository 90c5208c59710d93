"""One registration, three days: the same patient, visit, campus and department."""

from typing import Any

import pytest

from tests.support.contracts import DAY, HOUR, NEIGHBOUR, PATIENT, World
from tests.support.contracts.amending import amended, not_amended

PLACE = {"institution": "city", "campus": "east", "department": "d17"}


@pytest.fixture
def world() -> World:
    world = World()
    world.does("clerk", "followup", "assign", **PLACE, people=["he", "nurse"])
    return world


def visit(world: World, **changes: Any) -> dict[str, Any]:
    return {"id": "v1", "subject": PATIENT, **PLACE, "began": world.time, **changes}


def authorised(world: World, **changes: Any) -> None:
    world.does("he", "followup", "authorise", **visit(world, **changes))


def made_now(world: World, **changes: Any) -> dict[str, Any]:
    return world.anchored(start=world.time, end=world.time, **changes)


def asks(world: World, who: str, record: dict[str, Any], case: str = "v1") -> str:
    outcome: str = world.requests(who, record, case=case)["outcome"]
    return outcome


def test_the_department_sees_the_records_of_the_visit_for_three_days(world: World) -> None:
    authorised(world)
    record = made_now(world.later(DAY))
    decision = world.requests("nurse", record, case="v1")
    assert decision["rule"] == "followup:visit-goes-on"
    assert asks(world, "nurse", record, case="") == "deny"
    world.later(2 * DAY - 1)
    assert asks(world, "nurse", record) == "permit"
    world.later(1)
    assert asks(world, "nurse", record) == "deny"


def test_it_is_for_that_visit_department_holder_and_patient_only(world: World) -> None:
    authorised(world)
    before = world.anchored(start=world.time - DAY, end=world.time - HOUR)
    elsewhere = made_now(world, holder="county")
    strange = made_now(world, subject=NEIGHBOUR)
    secret = made_now(world, confidentiality="V")
    for record in (before, elsewhere, strange, secret):
        assert asks(world, "he", record) == "deny"
    assert asks(world, "su", made_now(world)) == "deny"


def test_another_campus_is_another_department(world: World) -> None:
    west = {**PLACE, "campus": "west"}
    world.does("clerk", "followup", "assign", **west, people=["su"])
    authorised(world)
    record = made_now(world)
    assert asks(world, "su", record) == "deny"
    assert world.refuses("su", "followup", "come_back", id="v1") == "not_of_department"


def test_who_leaves_the_department_sees_nothing(world: World) -> None:
    authorised(world)
    record = made_now(world)
    world.does("clerk", "followup", "assign", **PLACE, people=["su"])
    assert (asks(world, "he", record), asks(world, "su", record)) == ("deny", "permit")
    assert world.asks("followup", "department", **PLACE) == ["su"]


def test_returns_are_counted_and_few(world: World) -> None:
    world.does("clerk", "followup", "assign", **PLACE, people=["he", "su"])
    authorised(world)
    assert world.does("he", "followup", "come_back", id="v1") == 2
    result = world.call("su", "followup", "come_back", id="v1")
    assert dict(result.events[0].fields)["same"] is False
    world.does("su", "followup", "come_back", id="v1")
    assert world.refuses("he", "followup", "come_back", id="v1") == "no_returns_left"


def test_it_is_ended_by_the_first_doctor_or_the_patient(world: World) -> None:
    record = made_now(world)
    for place, who in enumerate(["he", PATIENT]):
        identity = f"v{place}"
        authorised(world, id=identity)
        assert world.refuses("nurse", "followup", "end", id=identity) == "not_the_person"
        world.does(who, "followup", "end", id=identity)
        assert asks(world, "nurse", record, case=identity) == "deny"
        assert world.refuses("he", "followup", "come_back", id=identity) == "not_open"


def test_a_patients_denial_prevails(world: World) -> None:
    authorised(world)
    record = made_now(world)
    world.does(PATIENT, "consent", "deny", id="c", subject=PATIENT, scope={"persons": ["nurse"]})
    assert (asks(world, "nurse", record), asks(world, "he", record)) == ("deny", "permit")


@pytest.mark.parametrize(
    ("signer", "change", "code"),
    [
        ("su", {}, "not_of_department"),
        ("nurse", {}, "role_missing"),
        ("gao", {}, "not_affiliated"),
        ("he", {"department": "d18"}, "not_of_department"),
        ("he", {"id": "a/b"}, "bad_id"),
        ("he", {"subject": "p-" + "f" * 32}, "unknown_person"),
        ("he", {"began": 5}, "bad_time"),
        ("he", {"began": 1 << 60}, "bad_time"),
    ],
)
def test_an_authorisation_that_breaks_a_rule_is_refused(
    world: World, signer: str, change: dict[str, Any], code: str
) -> None:
    assert world.refuses(signer, "followup", "authorise", **visit(world, **change)) == code


@pytest.mark.parametrize(
    ("signer", "change", "code"),
    [
        ("he", {}, "role_missing"),
        ("county-clerk", {}, "not_affiliated"),
        ("clerk", {"campus": ""}, "bad_code"),
        ("clerk", {"department": "a/b"}, "bad_code"),
        ("clerk", {"people": ["gao"]}, "not_suited"),
        ("clerk", {"people": ["he"] * 201}, "too_many_people"),
    ],
)
def test_a_department_that_breaks_a_rule_is_refused(
    world: World, signer: str, change: dict[str, Any], code: str
) -> None:
    given = {**PLACE, "people": ["he"], **change}
    assert world.refuses(signer, "followup", "assign", **given) == code


def test_parameters_differ_by_county_and_have_bounds(world: World) -> None:
    amended(world, "followup", "Yan'an", valid_days=7, returns=1)
    assert world.does("he", "followup", "authorise", **visit(world)) == world.time + 7 * DAY
    assert world.does("he", "followup", "come_back", id="v1") == 0
    assert not_amended(world, "followup", valid_days=15) == "out_of_bounds"
    assert world.refuses("chief", "followup", "amend", county="", values={}) == "charter_only"
