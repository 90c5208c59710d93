"""Delegates and carers of adults."""

from hashlib import sha256
from typing import Any

import pytest

from tests.support.contracts import CHILD, DAY, ELDER, HOUR, MOTHER, NEIGHBOUR, SON, START, World
from tests.support.contracts.amending import amended, not_amended

CERTIFICATE = sha256(b"certificate of incapacity").digest()
FORM = sha256(b"form").digest()
NOTHING = "access:nothing-permits"


@pytest.fixture
def world() -> World:
    return World()


POWER = {
    "subject": ELDER,
    "delegate": SON,
    "kinds": ["laboratory"],
    "level": "N",
    "until": START + 90 * DAY,
}
WHOLE = {**POWER, "kinds": [], "level": "V"}
APPOINTED = {**WHOLE, "speaks": True, "institution": "township", "certificate": CERTIFICATE}
ENGAGED = {
    "subject": ELDER,
    "carer": "carer",
    "institution": "home",
    "kinds": ["careplan"],
    "until": START + 30 * DAY,
}
SCOPE = {"institutions": ["county"], "purposes": ["TREAT"]}


def appoints(world: World, **changes: Any) -> None:
    world.does("township-clerk,wang", "delegation", "appoint", **{**APPOINTED, **changes})


def confirms(world: World, **changes: Any) -> None:
    arguments = {
        "subject": ELDER,
        "delegate": SON,
        "certificate": CERTIFICATE,
        "institution": "city",
    }
    world.does("he", "delegation", "confirm", **{**arguments, **changes})


def rule(world: World, who: str = SON, purpose: str = "PWATRNY", **record: Any) -> str:
    pointer = world.anchored(**{"subject": ELDER, "size": world.height + 1, **record})
    found: str = world.requests(who, pointer, purpose)["rule"]
    return found.removeprefix("delegation:")


# --- Power of attorney --------------------------------------------------------------------------


def test_an_attorney_reads_what_the_patient_named_until_the_day_that_she_named(
    world: World,
) -> None:
    assert rule(world) == NOTHING
    world.does(ELDER, "delegation", "empower", **POWER)
    assert rule(world) == "attorney"
    assert rule(world, kind="note") == NOTHING
    assert rule(world, confidentiality="R") == NOTHING
    assert rule(world, NEIGHBOUR) == NOTHING
    assert rule(world, purpose="SUPNWK") == NOTHING
    assert rule(world, purpose="FAMRQT") == NOTHING
    world.time = START + 90 * DAY - HOUR
    assert (
        world.requests(SON, world.anchored(subject=ELDER), "PWATRNY")["expires"] == START + 90 * DAY
    )
    world.later(HOUR)
    assert rule(world) == NOTHING


def test_an_attorney_speaks_only_if_the_patient_said_so(world: World) -> None:
    arguments = {"id": "c", "subject": ELDER, "scope": SCOPE}
    world.does(ELDER, "delegation", "empower", **WHOLE)
    assert world.refuses(SON, "consent", "grant", **arguments) == "not_the_person"
    world.does(ELDER, "delegation", "empower", **WHOLE, speaks=True)
    world.does(SON, "consent", "grant", **arguments)
    assert world.asks("consent", "get", id="c")["rules"][0]["end"] == START + 90 * DAY
    assert world.asks("consent", "get", id="c")["given_by"] == [SON]


def test_the_patient_keeps_her_own_voice(world: World) -> None:
    world.does(ELDER, "delegation", "empower", **WHOLE, speaks=True)
    world.does(ELDER, "consent", "deny", id="d", subject=ELDER, scope={"persons": [SON]})
    assert rule(world) == "consent:patient-denies"
    assert world.refuses(SON, "consent", "withdraw", id="d") == "own_declaration"


def test_an_attorney_makes_no_attorneys_and_ends_no_others(world: World) -> None:
    world.does(ELDER, "delegation", "empower", **WHOLE, speaks=True)
    world.does(ELDER, "delegation", "empower", **{**POWER, "delegate": NEIGHBOUR})
    other = {**POWER, "delegate": MOTHER}
    assert world.refuses(SON, "delegation", "empower", **other) == "not_the_person"
    ending = {"subject": ELDER, "delegate": NEIGHBOUR, "purpose": "PWATRNY", "reason": "unsuitable"}
    assert world.refuses(SON, "delegation", "end", **ending) == "not_the_person"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"delegate": ELDER}, "own_delegate"),
        ({"delegate": "p-" + "0" * 32}, "unknown_person"),
        ({"delegate": "gao"}, "not_a_patient"),
        ({"kinds": ["diary"]}, "unknown_class"),
        ({"level": "U"}, "unknown_confidentiality"),
        ({"until": START}, "bad_time"),
        ({"until": START + 1096 * DAY}, "bad_time"),
        ({"speaks": True}, "voice_too_wide"),
        ({"speaks": True, "kinds": []}, "voice_too_wide"),
        ({"speaks": True, "level": "V"}, "voice_too_wide"),
    ],
)
def test_a_power_that_is_not_sound_is_refused(
    world: World, change: dict[str, Any], code: str
) -> None:
    assert world.refuses(ELDER, "delegation", "empower", **{**POWER, **change}) == code


def test_nobody_empowers_in_the_name_of_another(world: World) -> None:
    assert world.refuses(SON, "delegation", "empower", **POWER) == "not_the_person"
    assert world.refuses("township-clerk,wang", "delegation", "empower", **POWER) == "form_missing"
    world.does("township-clerk,wang", "delegation", "empower", **POWER, form=FORM)
    assert rule(world) == "attorney"


def test_children_are_neither_delegates_nor_have_them(world: World) -> None:
    world.does(
        "clerk,he", "guardianship", "enter", child=CHILD, guardian=MOTHER, ground="parent",
        turns_14=1_853_942_400_000, institution="city", evidence=FORM,
    )  # fmt: skip
    assert (
        world.refuses(ELDER, "delegation", "empower", **{**POWER, "delegate": CHILD})
        == "delegate_is_a_child"
    )
    form = {**POWER, "subject": CHILD, "form": FORM}
    assert world.refuses("clerk,he", "delegation", "empower", **form) == "a_child"


# --- Lost capacity ------------------------------------------------------------------------------


def test_an_appointment_is_worth_nothing_before_a_second_institution_confirms(world: World) -> None:
    appoints(world)
    assert rule(world) == NOTHING
    arguments = {"id": "c", "subject": ELDER, "scope": SCOPE}
    assert world.refuses(SON, "consent", "grant", **arguments) == "not_the_person"
    confirms(world)
    assert rule(world, confidentiality="R") == "attorney"
    world.does(SON, "consent", "grant", **arguments)


@pytest.mark.parametrize(
    ("signer", "change", "code"),
    [
        ("wang", {"institution": "township"}, "same_institution"),
        ("nurse", {}, "role_missing"),
        ("he", {"certificate": FORM}, "another_certificate"),
        ("he", {"delegate": NEIGHBOUR}, "not_pending"),
        ("he", {"institution": "county"}, "not_affiliated"),
    ],
)
def test_who_confirms_is_a_physician_elsewhere_with_the_same_certificate(
    world: World, signer: str, change: dict[str, Any], code: str
) -> None:
    appoints(world)
    arguments = {
        "subject": ELDER,
        "delegate": SON,
        "certificate": CERTIFICATE,
        "institution": "city",
    }
    assert world.refuses(signer, "delegation", "confirm", **{**arguments, **change}) == code


def test_an_appointment_is_confirmed_once_and_has_its_papers(world: World) -> None:
    for signers, change, code in (
        ("township-clerk", {}, "witness_missing"),
        ("wang,township-clerk", {}, "role_missing"),
        ("township-clerk,wang", {"certificate": b""}, "certificate_missing"),
        ("township-clerk,wang", {"until": START + 366 * DAY}, "bad_time"),
        ("township-clerk,wang", {"level": "N"}, "voice_too_wide"),
    ):
        assert world.refuses(signers, "delegation", "appoint", **{**APPOINTED, **change}) == code
    appoints(world)
    confirms(world)
    arguments = {
        "subject": ELDER,
        "delegate": SON,
        "certificate": CERTIFICATE,
        "institution": "city",
    }
    assert world.refuses("he", "delegation", "confirm", **arguments) == "not_pending"


def test_a_new_appointment_waits_again(world: World) -> None:
    appoints(world)
    confirms(world)
    appoints(world, until=START + 300 * DAY)
    assert rule(world) == NOTHING


# --- Carers -------------------------------------------------------------------------------------


def test_a_carer_reads_ordinary_records_of_the_classes_named_for_her_institution(
    world: World,
) -> None:
    world.does(ELDER, "delegation", "engage", **ENGAGED)
    assert rule(world, "carer", "SUPNWK", kind="careplan") == "carer"
    assert rule(world, "carer", "SUPNWK", kind="careplan", confidentiality="R") == NOTHING
    assert rule(world, "carer", "SUPNWK", kind="note") == NOTHING
    assert rule(world, "carer", "PWATRNY", kind="careplan") == NOTHING
    decision = world.requests("carer", world.anchored(subject=ELDER, kind="careplan"), "SUPNWK")
    assert "NORDSCLCD" in decision["obligations"]
    arguments = {"id": "c", "subject": ELDER, "scope": SCOPE}
    assert world.refuses("carer", "consent", "grant", **arguments) == "not_the_person"


def test_a_relative_cares_without_an_institution(world: World) -> None:
    world.does(ELDER, "delegation", "engage", **{**ENGAGED, "carer": SON, "institution": ""})
    assert rule(world, SON, "SUPNWK", kind="careplan") == "carer"


def test_a_delegate_who_speaks_engages_a_carer(world: World) -> None:
    appoints(world)
    assert world.refuses(SON, "delegation", "engage", **ENGAGED) == "not_the_person"
    confirms(world)
    world.does(SON, "delegation", "engage", **ENGAGED)
    assert rule(world, "carer", "SUPNWK", kind="careplan") == "carer"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"kinds": []}, "kinds_missing"),
        ({"institution": "city"}, "role_missing"),
        ({"institution": ""}, "not_a_patient"),
        ({"carer": "nobody"}, "unknown_person"),
        ({"until": START + 181 * DAY}, "bad_time"),
    ],
)
def test_a_carer_that_is_not_one_is_refused(
    world: World, change: dict[str, Any], code: str
) -> None:
    assert world.refuses(ELDER, "delegation", "engage", **{**ENGAGED, **change}) == code


# --- Ending -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("signers", "more"),
    [
        (ELDER, {"reason": "patient-asks"}),
        ("township-clerk,wang", {"reason": "patient-asks", "form": FORM}),
        (SON, {"reason": "resigned"}),
        ("township-clerk,wang", {"reason": "unsuitable", "institution": "township"}),
        ("clerk,he", {"reason": "capacity-regained", "institution": "city"}),
    ],
)
def test_a_delegation_ends_by_any_of_those_concerned(
    world: World, signers: str, more: dict[str, Any]
) -> None:
    appoints(world)
    confirms(world)
    world.does(signers, "delegation", "end", subject=ELDER, delegate=SON, purpose="PWATRNY", **more)
    assert rule(world) == NOTHING
    assert world.asks("delegation", "get", subject=ELDER) == []


def test_others_end_nothing(world: World) -> None:
    appoints(world)
    ending = {"subject": ELDER, "delegate": SON, "purpose": "PWATRNY", "reason": "unsuitable"}
    assert world.refuses(NEIGHBOUR, "delegation", "end", **ending) == "not_the_person"
    assert (
        world.refuses("county-clerk,gao", "delegation", "end", **ending, institution="county")
        == "not_yours"
    )
    assert (
        world.refuses("home-clerk,carer", "delegation", "end", **ending, institution="")
        == "form_missing"
    )
    assert (
        world.refuses(ELDER, "delegation", "end", **{**ending, "reason": "bored"})
        == "unknown_reason"
    )
    assert (
        world.refuses(ELDER, "delegation", "end", **{**ending, "delegate": MOTHER})
        == "unknown_delegate"
    )


def test_a_patient_has_eight_delegates_at_most_and_those_that_ended_make_room(world: World) -> None:
    for number in range(8):
        person = f"p-{number:032x}"
        if number > 0:
            world.does(
                "clerk",
                "registry",
                "enrol",
                id=person,
                institution="city",
                roles=["patient"],
                keys=[],
            )
        else:
            person = NEIGHBOUR
        world.does(ELDER, "delegation", "empower", **{**POWER, "delegate": person})
    assert world.refuses(ELDER, "delegation", "empower", **POWER) == "too_many_delegates"
    world.later(91 * DAY)
    world.does(ELDER, "delegation", "empower", **{**POWER, "until": world.time + DAY})
    assert len(world.asks("delegation", "get", subject=ELDER)) == 1


def test_the_charter_changes_the_longest_times_within_bounds_and_for_all(world: World) -> None:
    values = {"attorney_days": 10}
    assert world.refuses("he", "delegation", "amend", county="", values=values) == "charter_only"
    amended(world, "delegation", attorney_days=10)
    assert world.refuses(ELDER, "delegation", "empower", **POWER) == "bad_time"
    world.does(ELDER, "delegation", "empower", **{**POWER, "until": START + 10 * DAY})
    assert not_amended(world, "delegation", attorney_days=0) == "out_of_bounds"
    assert not_amended(world, "delegation", carer_days=731) == "out_of_bounds"
    assert not_amended(world, "delegation", weekdays=5) == "unknown_parameter"
    assert not_amended(world, "delegation", "Yan'an", attorney_days=10) == "same_everywhere"


def test_what_delegates_and_carers_read_ends_with_the_patients_death(world: World) -> None:
    world.does(ELDER, "delegation", "empower", **POWER)
    world.does(ELDER, "delegation", "engage", **ENGAGED)
    assert rule(world) == "attorney"
    world.does(
        "township-clerk,wang", "registry", "died", id=ELDER, institution="township", form=FORM
    )
    assert rule(world) == NOTHING


def test_a_carer_reads_nothing_when_she_acts_for_another_institution(world: World) -> None:
    world.does(
        "township-clerk", "registry", "affiliate", id="carer", institution="township",
        roles=["care-worker"],
    )  # fmt: skip
    world.does(ELDER, "delegation", "engage", **ENGAGED)
    record = world.anchored(subject=ELDER, kind="careplan")
    assert world.requests("carer", record, "SUPNWK")["rule"] == "delegation:carer"
    assert world.requests("carer", record, "SUPNWK", "township")["rule"] == NOTHING
