"""The family-doctor contract: a named team, as long as it is in force."""

from typing import Any

import pytest

from tests.support.contracts import CHILD, DAY, MOTHER, NEIGHBOUR, PATIENT, World
from tests.support.contracts.amending import amended, not_amended

FORM = bytes(range(32))
#: 2026-09-01, midnight in China.
SEPTEMBER = 1_788_192_000_000
TEAM = {"institution": "township", "team": "t1"}


@pytest.fixture
def world() -> World:
    world = World()
    world.does("township-clerk", "family_doctor", "form_team", **TEAM, lead="fan",
               members=["fan", "xiao"])  # fmt: skip
    return world


def contract(world: World, **changes: Any) -> dict[str, Any]:
    return {
        "id": "k1", "subject": PATIENT, **TEAM, "until": world.time + 365 * DAY, **changes,
    }  # fmt: skip


def sign(world: World, **changes: Any) -> None:
    world.does(PATIENT, "family_doctor", "sign", **contract(world, **changes))


def asks(world: World, who: str, record: dict[str, Any], purpose: str = "TREAT") -> str:
    outcome: str = world.requests(who, record, purpose)["outcome"]
    return outcome


def test_the_team_sees_records_of_any_holder_while_the_contract_is_in_force(world: World) -> None:
    record = world.anchored(holder="county")
    assert asks(world, "fan", record) == "deny"
    sign(world)
    assert world.requests("fan", record)["rule"] == "family_doctor:family-doctor-contract"
    assert asks(world, "xiao", record, "COC") == "permit"
    assert asks(world, "fan", record, "CAREMGT") == "permit"
    world.later(365 * DAY)
    assert asks(world, "fan", record) == "deny"


def test_it_covers_the_named_team_and_nobody_else_of_the_institution(world: World) -> None:
    record = world.anchored()
    sign(world)
    assert asks(world, "wang", record) == "deny"
    assert asks(world, "min", record) == "deny"
    assert asks(world, "fan", record, "ETREAT") == "deny"
    assert asks(world, "fan", world.anchored(subject=NEIGHBOUR)) == "deny"


def test_restricted_records_are_covered_when_the_patient_signed_for_them(world: World) -> None:
    restricted = world.anchored(confidentiality="R")
    secret = world.anchored(confidentiality="V")
    sign(world)
    assert asks(world, "fan", restricted) == "deny"
    sign(world, id="k2", confidentiality="R")
    assert (asks(world, "fan", restricted), asks(world, "fan", secret)) == ("permit", "deny")


def test_a_new_member_sees_nothing_before_patients_could_object(world: World) -> None:
    record = world.anchored()
    sign(world)
    result = world.call("fan", "family_doctor", "announce", **TEAM, person="min")
    (told,) = [dict(event.fields) for event in result.events]
    assert told["since"] == world.time + 7 * DAY
    world.later(7 * DAY - 1)
    assert asks(world, "min", record) == "deny"
    world.later(1)
    assert asks(world, "min", record) == "permit"


def test_who_objects_stays_out_of_the_newcomers_sight(world: World) -> None:
    record, other = world.anchored(), world.anchored(subject=NEIGHBOUR)
    sign(world)
    world.does(NEIGHBOUR, "family_doctor", "sign", **contract(world, id="k2", subject=NEIGHBOUR))
    world.does("fan", "family_doctor", "announce", **TEAM, person="min")
    assert (
        world.refuses(NEIGHBOUR, "family_doctor", "object_to", id="k1", person="min")
        == "not_the_person"
    )
    world.does(PATIENT, "family_doctor", "object_to", id="k1", person="min")
    world.later(7 * DAY)
    assert (asks(world, "min", record), asks(world, "min", other)) == ("deny", "permit")
    assert asks(world, "fan", record) == "permit"


def test_leaving_the_team_or_the_institution_takes_effect_at_once(world: World) -> None:
    record = world.anchored()
    sign(world)
    world.does("fan", "family_doctor", "remove", **TEAM, person="xiao")
    assert asks(world, "xiao", record) == "deny"


def test_a_member_who_acts_for_another_institution_is_no_member(world: World) -> None:
    record = world.anchored()
    sign(world)
    world.does("county-clerk", "registry", "affiliate", id="fan", institution="county",
               roles=["physician"])  # fmt: skip
    assert world.requests("fan", record, institution="county")["outcome"] == "deny"


def test_the_contract_is_renewed_by_the_patient_shortly_before_its_end(world: World) -> None:
    record = world.anchored()
    sign(world)
    again = {"id": "k1", "until": world.time + 700 * DAY}
    assert world.refuses(PATIENT, "family_doctor", "renew", **again) == "too_early"
    world.later(340 * DAY)
    assert world.refuses("fan", "family_doctor", "renew", **again) == "not_the_person"
    world.does(PATIENT, "family_doctor", "renew", **again)
    world.later(30 * DAY)
    assert asks(world, "fan", record) == "permit"
    world.later(330 * DAY)
    assert world.refuses(PATIENT, "family_doctor", "renew", **again) == "not_in_force"


@pytest.mark.parametrize(
    ("signer", "reason"),
    [
        (PATIENT, "patient-wish"),
        (PATIENT, "moved"),
        ("fan", "institution-ends"),
        ("township-clerk", "moved"),
        ("township-clerk", "deceased"),
    ],
)
def test_either_side_ends_it_at_once(world: World, signer: str, reason: str) -> None:
    record = world.anchored()
    sign(world)
    world.does(signer, "family_doctor", "end", id="k1", reason=reason)
    assert asks(world, "fan", record) == "deny"
    ended = world.asks("family_doctor", "get", id="k1")
    assert (ended["status"], ended["reason"]) == ("ended", reason)


@pytest.mark.parametrize(
    ("signer", "reason", "code"),
    [
        ("fan", "patient-wish", "not_the_person"),
        ("xiao", "institution-ends", "role_missing"),
        ("gao", "institution-ends", "not_affiliated"),
        (PATIENT, "bored", "unknown_reason"),
    ],
)
def test_who_may_not_end_it(world: World, signer: str, reason: str, code: str) -> None:
    sign(world)
    assert world.refuses(signer, "family_doctor", "end", id="k1", reason=reason) == code


def test_signing_with_another_team_ends_the_first_contract(world: World) -> None:
    record = world.anchored()
    sign(world)
    world.does("county-clerk", "family_doctor", "form_team", institution="county", team="t1",
               lead="gao", members=["gao"])  # fmt: skip
    sign(world, id="k2", institution="county")
    assert (asks(world, "fan", record), asks(world, "gao", record)) == ("deny", "permit")
    assert world.asks("family_doctor", "get", id="k1")["reason"] == "replaced"


def test_death_ends_it_at_once_and_running_out_is_settled_by_anybody(world: World) -> None:
    sign(world)
    assert world.refuses("gao", "family_doctor", "lapse", subject=PATIENT) == "in_force"
    world.does("clerk,nurse", "registry", "died", id=PATIENT, institution="city", form=FORM)
    assert world.asks("family_doctor", "get", id="k1")["reason"] == "deceased"
    told = {"subject": NEIGHBOUR}
    assert world.refuses("gao", "family_doctor", "end_with_death", **told) == "registry_only"
    world.does(NEIGHBOUR, "family_doctor", "sign", **contract(world, id="k2", subject=NEIGHBOUR))
    world.later(366 * DAY).does("gao", "family_doctor", "lapse", subject=NEIGHBOUR)
    assert world.asks("family_doctor", "get", id="k2")["reason"] == "not-renewed"


def test_a_patient_without_a_key_signs_on_paper_at_that_institution(world: World) -> None:
    told = contract(world, form=FORM)
    refused = world.refuses("clerk,nurse", "family_doctor", "sign", **told)
    assert refused == "not_affiliated"
    world.does("township-clerk,xiao", "family_doctor", "sign", **told)
    assert asks(world, "fan", world.anchored()) == "permit"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"id": ""}, "bad_id"),
        ({"team": "t9"}, "unknown_team"),
        ({"confidentiality": "V"}, "unknown_confidentiality"),
        ({"until": 5}, "bad_time"),
        ({"until": 1 << 60}, "bad_time"),
        ({"subject": NEIGHBOUR}, "not_the_person"),
    ],
)
def test_a_contract_that_breaks_a_rule_is_refused(
    world: World, change: dict[str, Any], code: str
) -> None:
    assert world.refuses(PATIENT, "family_doctor", "sign", **contract(world, **change)) == code


@pytest.mark.parametrize(
    ("signer", "change", "code"),
    [
        ("fan", {}, "role_missing"),
        ("clerk", {}, "not_affiliated"),
        ("township-clerk", {"team": "t1"}, "team_exists"),
        ("township-clerk", {"members": ["xiao"]}, "lead_missing"),
        ("township-clerk", {"lead": "xiao", "members": ["xiao"]}, "not_suited"),
        ("township-clerk", {"members": ["fan", "gao"]}, "not_suited"),
        ("township-clerk", {"members": ["fan"] * 25}, "team_too_large"),
    ],
)
def test_a_team_that_breaks_a_rule_is_refused(
    world: World, signer: str, change: dict[str, Any], code: str
) -> None:
    told = {"institution": "township", "team": "t2", "lead": "fan", "members": ["fan"], **change}
    assert world.refuses(signer, "family_doctor", "form_team", **told) == code


def test_only_the_lead_or_a_registrar_changes_the_team(world: World) -> None:
    assert (
        world.refuses("xiao", "family_doctor", "announce", **TEAM, person="min") == "not_the_lead"
    )
    assert world.refuses("fan", "family_doctor", "announce", **TEAM, person="gao") == "not_suited"
    assert (
        world.refuses("fan", "family_doctor", "announce", **TEAM, person="xiao")
        == "already_a_member"
    )
    assert world.refuses("fan", "family_doctor", "remove", **TEAM, person="fan") == "lead_missing"


def test_parameters_differ_by_county_and_have_bounds(world: World) -> None:
    amended(world, "family_doctor", "Yan'an", objection_days=30)
    since = world.does("fan", "family_doctor", "announce", **TEAM, person="min")
    assert since == world.time + 30 * DAY
    assert not_amended(world, "family_doctor", objection_days=0) == "out_of_bounds"
    assert world.refuses("chief", "family_doctor", "amend", county="", values={}) == "charter_only"


def test_a_guardian_signs_for_a_child_and_no_further_than_her_fourteenth_birthday(
    world: World,
) -> None:
    world.does("clerk,he", "guardianship", "enter", child=CHILD, guardian=MOTHER, ground="parent",
               turns_14=SEPTEMBER, institution="city", evidence=FORM)  # fmt: skip
    record = world.anchored(subject=CHILD)
    assert world.refuses(CHILD, "family_doctor", "sign", **contract(world, subject=CHILD)) == (
        "too_young"
    )
    world.does(MOTHER, "family_doctor", "sign", **contract(world, subject=CHILD))
    assert asks(world, "fan", record) == "permit"
    world.later(SEPTEMBER - world.time)
    assert asks(world, "fan", record) == "deny"
