"""A patient's own records, results that wait until she is told, and what comes after a death."""

from hashlib import sha256
from typing import Any

import pytest

from tests.support.contracts import (
    CHILD,
    DAY,
    HOUR,
    MOTHER,
    NEIGHBOUR,
    PATIENT,
    SON,
    START,
    World,
    name_of,
)
from tests.support.contracts.amending import amended, not_amended

PROOF = sha256(b"household register").digest()
NOTHING = "access:nothing-permits"


@pytest.fixture
def world() -> World:
    return World()


def result(world: World, **changes: Any) -> dict[str, Any]:
    """A pathology result of today."""
    return world.anchored(**{"kind": "pathology", "start": START - HOUR, "end": START, **changes})


def rule(world: World, record: dict[str, Any], who: str = PATIENT, purpose: str = "PATRQT") -> str:
    return str(world.requests(who, record, purpose)["rule"]).removeprefix("own_access:")


# --- Own records --------------------------------------------------------------------------------


@pytest.mark.parametrize("level", ["N", "R", "V"])
def test_a_patient_reads_her_own_records_whatever_she_denied(world: World, level: str) -> None:
    world.does(PATIENT, "consent", "deny", id="d", subject=PATIENT, scope={})
    assert rule(world, world.anchored(confidentiality=level)) == "own-record"
    assert rule(world, world.anchored(subject=NEIGHBOUR, confidentiality=level)) == NOTHING


def test_a_listed_result_waits_and_says_until_when(world: World) -> None:
    record = result(world)
    decision = world.requests(PATIENT, record, "PATRQT")
    assert (decision["outcome"], decision["rule"]) == ("deny", "own_access:told-first")
    assert decision["path"][0]["facts"]["opens"] == START + 7 * DAY
    world.time = START + 7 * DAY - 1
    assert rule(world, record) == "told-first"
    world.later(1)
    assert rule(world, record) == "own-record"
    assert rule(world, world.anchored(start=world.time, end=world.time)) == "own-record"


def test_a_physician_of_the_holder_opens_a_result_earlier(world: World) -> None:
    record = result(world)
    told = {"holder": "city", "subject": PATIENT, "record": name_of(record).hex()}
    assert world.refuses("nurse", "own_access", "tell", **told) == "role_missing"
    assert world.refuses("gao", "own_access", "tell", **told) == "not_affiliated"
    assert (
        world.refuses("he", "own_access", "tell", **{**told, "record": "ab"}) == "bad_record_name"
    )
    world.does("gao", "own_access", "tell", **{**told, "holder": "county"})
    assert rule(world, record) == "told-first"
    world.does("he", "own_access", "tell", **told)
    assert rule(world, record) == "own-record"
    assert world.refuses("he", "own_access", "tell", **told) == "already_told"


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (0, 0, "own-record"),
        (START - DAY, START + 9_000 * DAY, "told-first"),
        (START - 8 * DAY, START + 9_000 * DAY, "own-record"),
        (START + DAY, START + 2 * DAY, "own-record"),
    ],
    ids=["undated", "still running", "running for long", "dated in the future"],
)
def test_no_date_holds_a_result_back_for_ever(
    world: World, start: int, end: int, expected: str
) -> None:
    assert rule(world, result(world, start=start, end=end)) == expected


def test_clinicians_do_not_wait(world: World) -> None:
    scope = {"institutions": ["county"], "purposes": ["TREAT"]}
    world.does(PATIENT, "consent", "grant", id="c", subject=PATIENT, scope=scope)
    assert world.requests("gao", result(world))["outcome"] == "permit"


def test_guardians_and_delegates_wait_as_the_patient_does(world: World) -> None:
    world.does(
        "clerk,he", "guardianship", "enter", child=CHILD, guardian=MOTHER, ground="parent",
        turns_14=1_853_942_400_000, institution="city", evidence=PROOF,
    )  # fmt: skip
    record = result(world, subject=CHILD)
    assert rule(world, record, MOTHER, "FAMRQT") == "told-first"
    world.does(
        PATIENT, "delegation", "empower", subject=PATIENT, delegate=SON, kinds=[], level="N",
        until=START + 90 * DAY,
    )  # fmt: skip
    assert rule(world, result(world), SON, "PWATRNY") == "told-first"
    world.time = START + 7 * DAY
    assert rule(world, record, MOTHER, "FAMRQT") == "guardianship:guardian-of-child"


def test_a_consortium_may_hold_nothing_back() -> None:
    world = World(arguments={"own_access": {"delayed": [], "delay_days": 0}})
    assert rule(world, result(world)) == "own-record"
    world = World(arguments={"own_access": {"delayed": ["laboratory", "imaging"], "delay_days": 3}})
    assert rule(world, result(world)) == "own-record"
    assert rule(world, result(world, kind="imaging")) == "told-first"


# --- After a death ------------------------------------------------------------------------------


def dies(world: World) -> None:
    world.does("clerk,he", "registry", "died", id=PATIENT, institution="city", form=PROOF)


def enters_kin(world: World, person: str = SON, **changes: Any) -> None:
    arguments = {
        "subject": PATIENT, "person": person, "kinship": "child", "institution": "city",
        "evidence": PROOF, **changes,
    }  # fmt: skip
    world.does("clerk,he", "own_access", "enter_kin", **arguments)


def test_next_of_kin_read_normal_records_of_the_dead_for_a_time(world: World) -> None:
    record, restricted = world.anchored(), world.anchored(confidentiality="R")
    dies(world)
    assert rule(world, record, SON, "FAMRQT") == NOTHING
    enters_kin(world)
    assert rule(world, record, SON, "FAMRQT") == "next-of-kin"
    assert rule(world, restricted, SON, "FAMRQT") == NOTHING
    assert rule(world, record, MOTHER, "FAMRQT") == NOTHING
    assert rule(world, record, SON, "PWATRNY") == NOTHING
    world.later(365 * DAY)
    assert rule(world, record, SON, "FAMRQT") == NOTHING


def test_kin_do_not_read_against_the_patients_word(world: World) -> None:
    record = world.anchored()
    world.does(PATIENT, "own_access", "object_to_kin", subject=PATIENT, objects=True)
    dies(world)
    enters_kin(world)
    assert rule(world, record, SON, "FAMRQT") == "patient-objected"


def test_an_objection_can_be_taken_back_while_she_lives(world: World) -> None:
    for objects in (True, False):
        world.does(PATIENT, "own_access", "object_to_kin", subject=PATIENT, objects=objects)
    dies(world)
    enters_kin(world)
    assert rule(world, world.anchored(), SON, "FAMRQT") == "next-of-kin"
    lifted = {"subject": PATIENT, "objects": True}
    assert world.refuses(PATIENT, "own_access", "object_to_kin", **lifted) == "revoked"


def test_what_she_denied_stays_denied_to_kin(world: World) -> None:
    world.does(PATIENT, "consent", "deny", id="d", subject=PATIENT, scope={"persons": [SON]})
    dies(world)
    enters_kin(world)
    assert rule(world, world.anchored(), SON, "FAMRQT") == "consent:patient-denies"


def test_nobody_objects_in_the_patients_name_by_a_key_of_their_own(world: World) -> None:
    world.does(
        PATIENT, "delegation", "empower", subject=PATIENT, delegate=SON, kinds=[], level="V",
        until=START + 90 * DAY, speaks=True,
    )  # fmt: skip
    arguments = {"subject": PATIENT, "objects": False}
    assert world.refuses(SON, "own_access", "object_to_kin", **arguments) == "not_the_person"
    world.does("clerk,he", "own_access", "object_to_kin", **arguments, form=PROOF)


@pytest.mark.parametrize(
    ("signers", "change", "code"),
    [
        ("clerk", {}, "witness_missing"),
        ("he,clerk", {}, "role_missing"),
        ("clerk,he", {"evidence": b""}, "form_missing"),
        ("clerk,he", {"kinship": "friend"}, "unknown_kinship"),
        ("clerk,he", {"subject": NEIGHBOUR}, "not_deceased"),
        ("clerk,he", {"person": "gao"}, "unknown_person"),
        ("clerk,he", {"person": PATIENT}, "unknown_person"),
    ],
)
def test_kin_are_entered_by_registrar_witness_and_proof(
    world: World, signers: str, change: dict[str, Any], code: str
) -> None:
    dies(world)
    arguments = {
        "subject": PATIENT, "person": SON, "kinship": "child", "institution": "city",
        "evidence": PROOF, **change,
    }  # fmt: skip
    assert world.refuses(signers, "own_access", "enter_kin", **arguments) == code


def test_an_error_about_a_death_ends_what_followed_from_it(world: World) -> None:
    record = world.anchored()
    dies(world)
    enters_kin(world)
    back = {"id": PATIENT, "form": PROOF}
    assert (
        world.refuses("county-clerk,gao", "registry", "lives", **back, institution="county")
        == "not_yours"
    )
    world.does("clerk,he", "registry", "lives", **back, institution="city")
    assert rule(world, record, SON, "FAMRQT") == NOTHING
    assert rule(world, record) == "own-record"
    assert (
        world.refuses("clerk,he", "registry", "lives", **back, institution="city") == "not_deceased"
    )


def test_kin_are_struck_by_who_entered_them(world: World) -> None:
    dies(world)
    enters_kin(world)
    struck = {"subject": PATIENT, "person": SON, "form": PROOF}
    assert (
        world.refuses(
            "county-clerk,gao", "own_access", "strike_kin", **struck, institution="county"
        )
        == "unknown_kin"
    )
    world.does("clerk,he", "own_access", "strike_kin", **struck, institution="city")
    assert rule(world, world.anchored(), SON, "FAMRQT") == NOTHING


def test_there_are_eight_kin_at_most(world: World) -> None:
    dies(world)
    for number in range(8):
        person = f"p-{number + 1:032x}"
        world.does(
            "clerk", "registry", "enrol", id=person, institution="city", roles=["patient"], keys=[]
        )
        enters_kin(world, person)
    arguments = {
        "subject": PATIENT,
        "person": SON,
        "kinship": "child",
        "institution": "city",
        "evidence": PROOF,
    }
    assert world.refuses("clerk,he", "own_access", "enter_kin", **arguments) == "too_many_kin"


def test_the_institution_that_entered_a_death_handles_it_for_a_time(world: World) -> None:
    record = world.anchored(holder="county")
    assert rule(world, record, "he", "HDECD") == NOTHING
    dies(world)
    decision = world.requests("he", record, "HDECD")
    assert decision["rule"] == "own_access:handling-of-death"
    assert "MINEC" in decision["obligations"]
    assert rule(world, record, "gao", "HDECD") == NOTHING
    assert rule(world, record, "nurse", "HDECD") == NOTHING
    world.later(90 * DAY)
    assert rule(world, record, "he", "HDECD") == NOTHING


def test_a_death_is_entered_with_its_certificate_by_two(world: World) -> None:
    death = {"id": PATIENT, "institution": "city"}
    assert world.refuses("clerk,he", "registry", "died", **death, form=b"") == "form_missing"
    assert world.refuses("clerk", "registry", "died", **death, form=PROOF) == "witness_missing"
    assert world.refuses(PATIENT, "registry", "died", **death, form=PROOF) == "role_missing"
    assert (
        world.refuses("clerk,he", "registry", "died", id="gao", institution="city", form=PROOF)
        == "not_a_patient"
    )
    assert (
        world.refuses("clerk", "registry", "revoke", id=PATIENT, reason="deceased")
        == "certificate_missing"
    )
    dies(world)
    assert world.refuses("clerk,he", "registry", "died", **death, form=PROOF) == "revoked"
    arguments = {
        "pointer": world.anchored(),
        "proof": {},
        "purpose": "PATRQT",
        "institution": "",
        "reply_key": bytes(32),
    }
    assert world.refuses(PATIENT, "access", "request", **arguments) == "revoked"


def test_what_is_held_back_can_differ_by_the_county_of_the_holder(world: World) -> None:
    values = {"delay_days": 0}
    assert world.refuses("he", "own_access", "amend", county="", values=values) == "charter_only"
    amended(world, "own_access", "Yan'an", delayed=["imaging"], delay_days=2)
    assert rule(world, result(world)) == "own-record"
    image = result(world, kind="imaging")
    assert rule(world, image) == "told-first"
    world.later(2 * DAY)
    assert rule(world, image) == "own-record"
    amended(world, "own_access", kin_days=10)
    dies(world)
    enters_kin(world)
    assert (
        world.asks("own_access", "next_of_kin", subject=PATIENT)[0]["until"]
        == world.time + 10 * DAY
    )


def test_what_is_held_back_has_bounds(world: World) -> None:
    assert not_amended(world, "own_access", delay_days=31) == "out_of_bounds"
    assert not_amended(world, "own_access", "Yan'an", delay_days=31) == "out_of_bounds"
    assert not_amended(world, "own_access", delayed=["diary"]) == "unknown_class"
    assert not_amended(world, "own_access", "Yan'an", kin_days=5) == "same_everywhere"
    assert not_amended(world, "own_access", colour=1) == "unknown_parameter"


def test_who_read_in_her_place_reads_no_more_after_her_death(world: World) -> None:
    world.does(
        PATIENT, "delegation", "empower", subject=PATIENT, delegate=SON, kinds=[], level="V",
        until=START + 90 * DAY, speaks=True,
    )  # fmt: skip
    world.does(
        "clerk,he", "guardianship", "enter", child=CHILD, guardian=MOTHER, ground="parent",
        turns_14=1_853_942_400_000, institution="city", evidence=PROOF,
    )  # fmt: skip
    hers, childs = world.anchored(), world.anchored(subject=CHILD)
    assert rule(world, hers, SON, "PWATRNY") == "delegation:attorney"
    assert rule(world, childs, MOTHER, "FAMRQT") == "guardianship:guardian-of-child"
    for subject in (PATIENT, CHILD):
        world.does("clerk,he", "registry", "died", id=subject, institution="city", form=PROOF)
    assert rule(world, hers, SON, "PWATRNY") == NOTHING
    assert rule(world, childs, MOTHER, "FAMRQT") == NOTHING
    enters_kin(world, MOTHER, subject=CHILD, kinship="parent")
    assert rule(world, childs, MOTHER, "FAMRQT") == "next-of-kin"
