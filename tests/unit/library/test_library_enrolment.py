"""How a patient gets a key at a clinic, and another one when hers is lost; and who gets none."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.support.authenticator import Authenticator
from tests.support.contracts import HOUR, NEIGHBOUR, PATIENT, World, key_of

FORM = bytes(range(32))
SEEN = bytes(range(32, 64))
NEWCOMER = "p-" + "a" * 32
COUNTY_NODE = "county-1"


def key(name: str) -> str:
    return key_of(name).public.hex()


def seen(subject: str = NEWCOMER, **changes: Any) -> dict[str, Any]:
    return {
        "subject": subject, "institution": "city", "document": "resident-card", "evidence": SEEN,
        **changes,
    }  # fmt: skip


def lost(**changes: Any) -> dict[str, Any]:
    return seen(PATIENT, form=FORM, **changes)


@pytest.fixture
def world() -> World:
    world = World()
    world.does(
        "clerk", "registry", "enrol", id=NEWCOMER, institution="city", roles=["patient"], keys=[]
    )
    return world


def keys_of(world: World, subject: str) -> list[str]:
    keys: list[str] = world.asks("registry", "person", id=subject)["keys"]
    return keys


def consents(world: World, who: str, subject: str) -> str:
    result = world.call(
        who, "consent", "grant", id=f"c-{world.height}", subject=subject,
        scope={"purposes": ["TREAT"]},
    )  # fmt: skip
    return "" if result.ok else result.error.split(":")[0]


# --- The first key -------------------------------------------------------------------------------


def test_a_patient_gets_her_first_key_where_she_was_seen(world: World) -> None:
    until = world.does("clerk", "enrolment", "begin", **seen())
    assert until == world.time + 24 * HOUR
    world.does("city-1,phone", "enrolment", "complete", subject=NEWCOMER, key=key("phone"))
    assert keys_of(world, NEWCOMER) == [key("phone")]
    assert consents(world, "phone", NEWCOMER) == ""
    assert world.asks("enrolment", "pending", subject=NEWCOMER) is None


def test_it_is_written_down_who_checked_and_by_what_kind_of_document(world: World) -> None:
    world.does("clerk", "enrolment", "begin", **seen(document="passport"))
    check = world.asks("enrolment", "check", subject=NEWCOMER)
    assert check == {
        "institution": "city", "by": ["clerk"], "document": "passport", "evidence": SEEN,
        "time": world.time,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("signers", "changes", "code"),
    [
        ("nurse", {}, "role_missing"),
        ("city-1", {}, "role_missing"),
        ("county-clerk", {}, "not_affiliated"),
        ("clerk", {"document": "11010519491231002X"}, "unknown_document"),
        ("clerk", {"evidence": b"scan"}, "evidence_missing"),
        ("clerk", {"subject": "p-" + "b" * 32}, "unknown_person"),
        ("clerk", {"subject": "he"}, "not_a_patient"),
        ("clerk", {"subject": PATIENT}, "has_a_key"),
    ],
)
def test_an_enrolment_that_breaks_a_rule_is_refused(
    world: World, signers: str, changes: dict[str, Any], code: str
) -> None:
    assert world.refuses(signers, "enrolment", "begin", **seen(**changes)) == code


def test_the_clinic_alone_and_the_key_alone_complete_nothing(world: World) -> None:
    given = {"subject": NEWCOMER, "key": key("phone")}
    assert world.refuses("city-1,phone", "enrolment", "complete", **given) == "not_opened"
    world.does("clerk", "enrolment", "begin", **seen())
    for signers, code in [
        ("city-1", "not_the_holder"),
        ("clerk,nurse", "not_the_holder"),
        ("phone", "unknown_key"),
        ("county-1,phone", "not_affiliated"),
        ("nurse,phone", "role_missing"),
    ]:
        assert world.refuses(signers, "enrolment", "complete", **given) == code
    world.does("clerk,phone", "enrolment", "complete", **given)


def test_a_code_ends_and_is_used_once(world: World) -> None:
    given = {"subject": NEWCOMER, "key": key("phone")}
    world.does("clerk", "enrolment", "begin", **seen())
    world.later(24 * HOUR)
    assert world.refuses("city-1,phone", "enrolment", "complete", **given) == "code_ended"
    world.does("clerk", "enrolment", "begin", **seen())
    world.does("city-1,phone", "enrolment", "complete", **given)
    again = {"subject": NEWCOMER, "key": key("second")}
    assert world.refuses("city-1,second", "enrolment", "complete", **again) == "not_opened"


def test_of_two_clinics_that_saw_her_the_last_one_counts(world: World) -> None:
    world.does("clerk", "enrolment", "begin", **seen())
    world.does("county-clerk", "enrolment", "begin", **seen(institution="county"))
    given = {"subject": NEWCOMER, "key": key("phone")}
    assert world.refuses("city-1,phone", "enrolment", "complete", **given) == "not_affiliated"
    world.does("county-1,phone", "enrolment", "complete", **given)


def test_no_registrar_alone_enters_a_patient_with_a_key(world: World) -> None:
    new = {"id": "p-" + "b" * 32, "institution": "city", "roles": ["patient"]}
    alone = world.refuses("clerk", "registry", "enrol", **new, keys=[key("phone")])
    assert alone == "witness_missing"
    assert (
        world.refuses("clerk,city-1", "registry", "enrol", **new, keys=[key("phone")])
        == "witness_missing"
    )
    world.does("clerk,phone", "registry", "enrol", **new, keys=[key("phone")])
    other = {**new, "id": "p-" + "d" * 32}
    world.does("clerk,nurse", "registry", "enrol", **other, keys=[key("tablet")])


# --- A lost key ----------------------------------------------------------------------------------


def recovering(world: World, new: str = "new-phone") -> int:
    world.does("clerk,nurse", "enrolment", "recover", **lost())
    due: int = world.does(f"city-1,{new}", "enrolment", "complete", subject=PATIENT, key=key(new))
    return due


def test_a_lost_key_is_replaced_after_three_days(world: World) -> None:
    due = recovering(world)
    assert due == world.time + 72 * HOUR
    assert consents(world, "new-phone", PATIENT) == "unknown_key"
    world.later(72 * HOUR - 1)
    assert world.refuses("county-1", "enrolment", "take_effect", subject=PATIENT) == "too_early"
    world.later(1)
    world.does("county-1", "enrolment", "take_effect", subject=PATIENT)
    assert keys_of(world, PATIENT) == [key("new-phone")]
    assert consents(world, "new-phone", PATIENT) == ""
    assert consents(world, PATIENT, PATIENT) == "unknown_key"
    assert world.refuses("county-1", "enrolment", "take_effect", subject=PATIENT) == "nothing_waits"


def test_the_patient_is_told_at_each_step(world: World) -> None:
    told = []
    for signers, method, arguments in [
        ("clerk,nurse", "recover", lost()),
        ("city-1,new-phone", "complete", {"subject": PATIENT, "key": key("new-phone")}),
        (PATIENT, "cancel", {"subject": PATIENT}),
    ]:
        result = world.call(signers, "enrolment", method, **arguments)
        told += [event.name for event in result.events]
        assert all(event.fields["subject"] == PATIENT for event in result.events)
    assert told == ["identity_checked", "recovery_begun", "recovery_waits", "recovery_cancelled"]


def test_any_key_of_hers_stops_it(world: World) -> None:
    recovering(world)
    world.later(71 * HOUR)
    assert world.refuses(NEIGHBOUR, "enrolment", "cancel", subject=PATIENT) == "not_yours"
    world.does(PATIENT, "enrolment", "cancel", subject=PATIENT)
    world.later(2 * HOUR)
    assert world.refuses("city-1", "enrolment", "take_effect", subject=PATIENT) == "nothing_waits"
    assert keys_of(world, PATIENT) == [key(PATIENT)]


def test_the_clinic_that_began_it_can_stop_it_and_no_other(world: World) -> None:
    recovering(world)
    elsewhere = {"subject": PATIENT, "institution": "county"}
    assert world.refuses("county-clerk", "enrolment", "cancel", **elsewhere) == "not_yours"
    here = {"subject": PATIENT, "institution": "city"}
    assert world.refuses("nurse", "enrolment", "cancel", **here) == "role_missing"
    world.does("clerk", "enrolment", "cancel", **here)


def test_a_key_that_waits_is_not_exchanged_for_another(world: World) -> None:
    recovering(world)
    assert world.refuses("clerk,nurse", "enrolment", "recover", **lost()) == "recovery_waits"
    other = {"subject": PATIENT, "key": key("thief")}
    assert world.refuses("city-1,thief", "enrolment", "complete", **other) == "recovery_waits"


@pytest.mark.parametrize(
    ("signers", "changes", "code"),
    [
        ("clerk", {}, "witness_missing"),
        ("clerk,city-1", {}, "witness_missing"),
        ("clerk,clerk-2", {}, "unknown_key"),
        ("clerk,wang", {}, "not_affiliated"),
        ("nurse,clerk", {}, "role_missing"),
        ("clerk,nurse", {"form": b""}, "form_missing"),
        ("clerk,nurse", {"subject": NEWCOMER}, "has_no_key"),
        ("clerk,nurse", {"evidence": b""}, "evidence_missing"),
    ],
)
def test_a_recovery_that_breaks_a_rule_is_refused(
    world: World, signers: str, changes: dict[str, Any], code: str
) -> None:
    assert world.refuses(signers, "enrolment", "recover", **{**lost(), **changes}) == code


def test_a_form_alone_replaces_no_key_of_a_patient_at_once(world: World) -> None:
    change = {"old": key(PATIENT), "new": key("new-phone"), "form": FORM}
    assert world.refuses("clerk,nurse", "registry", "rotate_key", **change) == "recovery_needed"
    world.does(PATIENT, "registry", "rotate_key", **{**change, "form": b""})


def test_a_recovery_of_one_who_died_meanwhile_comes_to_nothing(world: World) -> None:
    recovering(world)
    world.does("clerk,nurse", "registry", "died", id=PATIENT, institution="city", form=FORM)
    world.later(72 * HOUR)
    assert world.refuses("city-1", "enrolment", "take_effect", subject=PATIENT) == "revoked"


def test_a_key_that_became_somebodys_meanwhile_is_not_given(world: World) -> None:
    recovering(world)
    world.does(f"{NEIGHBOUR},new-phone", "registry", "add_key", key=key("new-phone"))
    world.later(72 * HOUR)
    assert world.refuses("city-1", "enrolment", "take_effect", subject=PATIENT) == "key_exists"


# --- More than one key ---------------------------------------------------------------------------


def test_who_has_a_key_takes_another_one_at_once(world: World) -> None:
    tablet = Authenticator("tablet").public.hex()
    assert world.refuses(PATIENT, "registry", "add_key", key=tablet) == "not_the_holder"
    world.does(f"{PATIENT},tablet", "registry", "add_key", key=key("tablet"))
    assert keys_of(world, PATIENT) == [key(PATIENT), key("tablet")]
    assert consents(world, "tablet", PATIENT) == ""
    world.does("tablet", "registry", "drop_key", key=key(PATIENT))
    assert consents(world, PATIENT, PATIENT) == "unknown_key"
    assert world.refuses("tablet", "registry", "drop_key", key=key("tablet")) == "key_missing"


def test_nobody_adds_or_drops_the_keys_of_others(world: World) -> None:
    assert world.refuses("stranger", "registry", "add_key", key=key("stranger")) == "unknown_key"
    both = f"{PATIENT},{NEIGHBOUR}"
    assert world.refuses(both, "registry", "add_key", key=key(NEIGHBOUR)) == "key_exists"
    assert world.refuses(PATIENT, "registry", "drop_key", key=key(NEIGHBOUR)) == "unknown_key"
    assert world.refuses("city-1,x", "registry", "add_key", key=key("x")) == "role_reserved"
    given = {"id": PATIENT, "key": key("x"), "alone": True}
    assert world.refuses("clerk", "registry", "give_key", **given) == "enrolment_only"


def test_eight_keys_are_enough(world: World) -> None:
    for number in range(7):
        name = f"device-{number}"
        world.does(f"{PATIENT},{name}", "registry", "add_key", key=key(name))
    many = world.refuses(f"{PATIENT},ninth", "registry", "add_key", key=key("ninth"))
    assert many == "too_many_keys"


# --- Terms ---------------------------------------------------------------------------------------


def test_the_terms_are_the_genesis_own_within_bounds() -> None:
    world = World(arguments={"enrolment": {"code_hours": 1, "wait_hours": 24}})
    assert world.asks("enrolment", "terms") == {"code_hours": 1, "wait_hours": 24}
    refused = world.refuses("clerk", "enrolment", "amend", county="", values={"wait_hours": 24})
    assert refused == "charter_only"
    assert recovering(world) == world.time + 24 * HOUR


class Recovery(RuleBasedStateMachine):
    """Whatever a clinic and a patient do: nobody gets her voice in less than three days without a
    signature of hers, and a key that she objected to never counts."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.named_at: dict[str, int] = {}
        self.number = 0

    @rule(hours=st.integers(1, 80))
    def time_passes(self, hours: int) -> None:
        self.world.later(hours * HOUR)

    @rule()
    def a_clinic_opens(self) -> None:
        self.world.call("clerk,nurse", "enrolment", "recover", **lost())

    @rule()
    def a_key_is_named(self) -> None:
        self.number += 1
        name = f"new-{self.number}"
        result = self.world.call(
            f"city-1,{name}", "enrolment", "complete", subject=PATIENT, key=key(name)
        )
        if result.ok:
            self.named_at[key(name)] = self.world.time

    @precondition(lambda self: keys_of(self.world, PATIENT) == [key(PATIENT)])
    @rule()
    def she_objects(self) -> None:
        if self.world.call(PATIENT, "enrolment", "cancel", subject=PATIENT).ok:
            self.named_at.clear()

    @rule()
    def somebody_lets_it_take_effect(self) -> None:
        self.world.call("county-1", "enrolment", "take_effect", subject=PATIENT)

    @invariant()
    def her_keys_are_old_or_waited(self) -> None:
        for held in keys_of(self.world, PATIENT):
            if held != key(PATIENT):
                assert self.named_at[held] + 72 * HOUR <= self.world.time


Recovery.TestCase.settings = settings(max_examples=15, stateful_step_count=12, deadline=None)
TestRecovery = Recovery.TestCase
