"""Guardians of children, and the switches at 14 and 18."""

from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import pytest

from ledger.chain.tokens import LabelKey, tokens_root
from tests.support.contracts import (
    CHILD,
    DAY,
    FATHER,
    HOUR,
    MOTHER,
    NEIGHBOUR,
    PATIENT,
    START,
    World,
    key_of,
)

PROOF = sha256(b"household register").digest()
FORM = sha256(b"form").digest()
KEY = LabelKey(b"c" * 32)


def month(year: int, number: int) -> int:
    """Midnight in China at the beginning of a month."""
    return int(datetime(year, number, 1, tzinfo=UTC).timestamp() * 1000) - 8 * HOUR


#: The world begins on 2026-05-28; the child is born in October 2014.
TURNS_14, TURNS_18 = month(2028, 10), month(2032, 10)


@pytest.fixture
def world() -> World:
    return World()


def enters(world: World, guardian: str = MOTHER, **changes: Any) -> None:
    arguments = {
        "child": CHILD, "guardian": guardian, "ground": "parent", "turns_14": TURNS_14,
        "institution": "city", "evidence": PROOF, **changes,
    }  # fmt: skip
    world.does("clerk,he", "guardianship", "enter", **arguments)


def refused(world: World, signers: str = "clerk,he", **changes: Any) -> str:
    arguments = {
        "child": CHILD, "guardian": MOTHER, "ground": "parent", "turns_14": TURNS_14,
        "institution": "city", "evidence": PROOF, **changes,
    }  # fmt: skip
    return world.refuses(signers, "guardianship", "enter", **arguments)


def rule(
    world: World, who: str = MOTHER, purpose: str = "FAMRQT", labels: Any = (), **record: Any
) -> str:
    """The rule that decides on a guardian's request for a record of the child."""
    pointer = world.anchored(**{"subject": CHILD, "size": world.height + 1, **record})
    decision = world.requests(who, pointer, purpose, labels=list(labels))
    found: str = decision["rule"]
    return found.removeprefix("guardianship:")


def test_a_guardian_reads_all_of_a_young_child_but_what_is_very_restricted(world: World) -> None:
    assert rule(world) == "access:nothing-permits"
    enters(world)
    assert rule(world) == "guardian-of-child"
    assert rule(world, confidentiality="R") == "guardian-of-child"
    assert rule(world, confidentiality="V") == "access:nothing-permits"
    assert rule(world, FATHER) == "access:nothing-permits"
    assert rule(world, purpose="PWATRNY") == "access:nothing-permits"
    assert rule(world, subject=PATIENT) == "access:nothing-permits"


def test_a_permit_to_a_guardian_ends_at_the_switch(world: World) -> None:
    enters(world)
    world.time = TURNS_14 - HOUR
    decision = world.requests(MOTHER, world.anchored(subject=CHILD), "FAMRQT")
    assert decision["expires"] == TURNS_14


@pytest.mark.parametrize(
    ("time", "normal", "restricted"),
    [
        (TURNS_14 - 1, "guardian-of-child", "guardian-of-child"),
        (TURNS_14, "guardian-of-adolescent", "access:nothing-permits"),
        (TURNS_18 - 1, "guardian-of-adolescent", "access:nothing-permits"),
        (TURNS_18, "access:nothing-permits", "access:nothing-permits"),
    ],
)
def test_what_a_guardian_reads_changes_at_14_and_18_by_block_time(
    world: World, time: int, normal: str, restricted: str
) -> None:
    enters(world)
    world.time = time
    assert rule(world) == normal
    assert rule(world, confidentiality="R") == restricted


def test_from_14_veiled_labels_are_closed_at_every_level_and_closed_lists_too(world: World) -> None:
    enters(world)
    world.does(
        "clerk,he", "guardianship", "veil", child=CHILD, label_key=KEY.for_labels,
        labels=[KEY.label("SEX"), KEY.label("SPI")], institution="city", form=FORM,
    )  # fmt: skip
    sexual, plain = (list(KEY.opening(labels, [], b"s" * 16)) for labels in (["SEX"], []))
    foreign = list(LabelKey(b"f" * 32).opening([], [], b"s" * 16))
    closed = "access:nothing-permits"
    for time, expected in (
        (TURNS_14 - 1, ["guardian-of-child"] * 4),
        (TURNS_14, [closed, "guardian-of-adolescent", closed, closed]),
    ):
        world.time = time
        seen = [
            rule_of(world, tokens, shown)
            for tokens, shown in ((sexual, sexual), (plain, plain), (plain, []), (foreign, foreign))
        ]  # fmt: skip
        assert seen == expected


def rule_of(world: World, tokens: list[bytes], shown: list[bytes]) -> str:
    pointer = world.anchored(subject=CHILD, size=world.height + 1, labels=tokens_root(tokens))
    found: str = world.requests(MOTHER, pointer, "FAMRQT", labels=shown)["rule"]
    return found.removeprefix("guardianship:")


def test_no_guardian_lifts_the_veil(world: World) -> None:
    enters(world)
    veil = {"child": CHILD, "label_key": KEY.for_labels, "labels": [KEY.label("SEX")]}
    world.does(CHILD, "guardianship", "veil", **veil)
    assert world.refuses(MOTHER, "guardianship", "veil", **veil) == "not_affiliated"
    assert (
        world.refuses("clerk", "guardianship", "veil", **veil, institution="city", form=FORM)
        == "witness_missing"
    )
    assert (
        world.refuses("clerk,he", "guardianship", "veil", **veil, institution="city")
        == "form_missing"
    )
    for labels, code in (
        ([], "bad_labels"),
        ([bytes(16)] * 17, "bad_labels"),
        ([b"short"], "bad_token"),
    ):
        assert world.refuses(CHILD, "guardianship", "veil", **{**veil, "labels": labels}) == code


def test_an_adolescent_can_let_her_guardian_read_what_is_hers(world: World) -> None:
    enters(world)
    world.time = TURNS_14
    scope = {"persons": [MOTHER], "purposes": ["FAMRQT"], "confidentiality": "R"}
    world.does(CHILD, "consent", "grant", id="c", subject=CHILD, scope=scope)
    assert rule(world, confidentiality="R") == "consent:patient-permits"
    world.does(CHILD, "consent", "deny", id="d", subject=CHILD, scope={"persons": [MOTHER]})
    assert rule(world) == "consent:patient-denies"


# --- Who speaks ---------------------------------------------------------------------------------

SCOPE = {"institutions": ["county"], "purposes": ["TREAT"]}


def gives(world: World, who: str, identity: str, method: str = "grant", **scope: Any) -> None:
    world.does(who, "consent", method, id=identity, subject=CHILD, scope=scope or SCOPE)


def effect(world: World) -> str:
    pointer = world.anchored(subject=CHILD, size=world.height + 1)
    return str(world.requests("gao", pointer)["rule"])


def test_what_a_guardian_permits_ends_at_the_next_switch_and_the_child_is_asked_again(
    world: World,
) -> None:
    enters(world)
    gives(world, MOTHER, "young")
    assert effect(world) == "consent:patient-permits"
    world.time = TURNS_14
    assert effect(world) == "access:nothing-permits"
    gives(world, MOTHER, "youth")
    gives(world, CHILD, "own", institutions=["township"], purposes=["TREAT"])
    assert effect(world) == "consent:patient-permits"
    world.time = TURNS_18
    assert effect(world) == "access:nothing-permits"
    rules = world.asks("consent", "get", id="own")["rules"]
    assert "end" not in rules[0]


def test_a_paper_form_for_a_child_ends_at_the_switch_as_well(world: World) -> None:
    enters(world)
    world.does("clerk,he", "consent", "grant", id="c", subject=CHILD, scope=SCOPE, form=FORM)
    assert world.asks("consent", "get", id="c")["rules"][0]["end"] == TURNS_14


def test_an_earlier_end_of_a_permit_stays_and_a_denial_has_none(world: World) -> None:
    enters(world)
    gives(world, MOTHER, "p", **SCOPE, end=START + DAY)
    gives(world, MOTHER, "d", "deny", institutions=["school"], unless=[{"purposes": ["ETREAT"]}])
    assert world.asks("consent", "get", id="p")["rules"][0]["end"] == START + DAY
    (denial,) = world.asks("consent", "get", id="d")["rules"]
    assert "end" not in denial
    assert denial["unless"][0]["end"] == TURNS_14


def test_a_child_under_14_does_not_speak_for_herself(world: World) -> None:
    gives(world, CHILD, "before")
    enters(world)
    arguments = {"id": "c", "subject": CHILD, "scope": SCOPE}
    assert world.refuses(CHILD, "consent", "grant", **arguments) == "too_young"
    world.time = TURNS_14
    gives(world, CHILD, "c")


def test_a_guardian_cannot_take_back_what_the_adolescent_declared(world: World) -> None:
    enters(world)
    world.time = TURNS_14
    gives(world, CHILD, "hers", "deny", persons=[MOTHER])
    gives(world, MOTHER, "mothers", "deny", institutions=["school"])
    assert world.refuses(MOTHER, "consent", "withdraw", id="hers") == "own_declaration"
    world.does(CHILD, "consent", "withdraw", id="mothers")
    world.does(CHILD, "consent", "withdraw", id="hers")


def test_a_guardian_does_not_get_the_childs_key(world: World) -> None:
    enters(world)
    new = "01" + "ab" * 32
    arguments = {"old": key_of(CHILD).public.hex(), "new": new}
    assert world.refuses(MOTHER, "registry", "rotate_key", **arguments) == "not_the_person"
    world.does(CHILD, "registry", "rotate_key", **arguments)


def test_nobody_else_speaks_for_a_child_and_no_guardian_for_another_one(world: World) -> None:
    enters(world)
    arguments = {"id": "c", "subject": CHILD, "scope": SCOPE}
    assert world.refuses(FATHER, "consent", "grant", **arguments) == "not_the_person"
    arguments["subject"] = NEIGHBOUR
    assert world.refuses(MOTHER, "consent", "grant", **arguments) == "not_the_person"


def test_a_guardian_checks_a_child_in(world: World) -> None:
    enters(world)
    world.does(MOTHER, "recognition", "check_in", institution="county", subject=CHILD)
    assert effect(world) == "recognition:patient-is-checked-in"


# --- Entering and ending ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("signers", "change", "code"),
    [
        ("he,clerk", {}, "role_missing"),
        ("clerk", {}, "witness_missing"),
        ("clerk,gao", {}, "not_affiliated"),
        (f"clerk,{PATIENT}", {}, "witness_missing"),
        (f"{MOTHER},he", {}, "role_missing"),
        ("clerk,he", {"ground": "friend"}, "unknown_ground"),
        ("clerk,he", {"evidence": b""}, "form_missing"),
        ("clerk,he", {"guardian": CHILD}, "own_guardian"),
        ("clerk,he", {"guardian": "gao"}, "not_a_patient"),
        ("clerk,he", {"guardian": "p-" + "0" * 32}, "unknown_person"),
        ("clerk,he", {"turns_14": TURNS_14 + DAY}, "bad_month"),
        ("clerk,he", {"turns_14": TURNS_14 + 1}, "bad_month"),
        ("clerk,he", {"turns_14": month(2040, 7)}, "bad_month"),
        ("clerk,he", {"turns_14": month(2022, 5)}, "of_age"),
    ],
)
def test_a_guardian_is_entered_by_registrar_witness_and_document(
    world: World, signers: str, change: dict[str, Any], code: str
) -> None:
    assert refused(world, signers, **change) == code


def test_the_oldest_and_the_youngest_child_that_can_be_entered(world: World) -> None:
    enters(world, turns_14=month(2022, 6))
    assert world.asks("guardianship", "get", child=CHILD)["turns_18"] == month(2026, 6)
    world.does(
        "clerk,he",
        "guardianship",
        "correct",
        child=CHILD,
        turns_14=month(2040, 5),
        institution="city",
        evidence=PROOF,
    )
    assert world.asks("guardianship", "get", child=CHILD)["turns_18"] == month(2044, 5)


def test_guardians_agree_about_the_month_and_are_four_at_most(world: World) -> None:
    enters(world)
    assert refused(world) == "guardian_exists"
    assert refused(world, guardian=FATHER, turns_14=month(2028, 11)) == "another_month"
    enters(world, FATHER, ground="court")
    enters(world, NEIGHBOUR)
    enters(world, PATIENT)
    world.does(
        "clerk",
        "registry",
        "enrol",
        id="p-" + "8" * 32,
        institution="city",
        roles=["patient"],
        keys=[],
    )
    assert refused(world, guardian="p-" + "8" * 32) == "too_many_guardians"


def test_a_child_is_nobodys_guardian(world: World) -> None:
    enters(world)
    assert refused(world, child=NEIGHBOUR, guardian=CHILD) == "guardian_is_a_child"
    world.time = TURNS_18
    enters(world, child=NEIGHBOUR, guardian=CHILD, turns_14=month(2036, 1))


def test_a_guardianship_ends_by_the_guardian_or_by_a_document(world: World) -> None:
    enters(world)
    enters(world, FATHER)
    ending = {"child": CHILD, "guardian": FATHER, "reason": "custody-lost"}
    assert world.refuses(MOTHER, "guardianship", "end", **ending) == "not_affiliated"
    assert (
        world.refuses("clerk,he", "guardianship", "end", **ending, institution="city")
        == "form_missing"
    )
    assert (
        world.refuses("clerk,he", "guardianship", "end", **{**ending, "reason": "bored"})
        == "unknown_reason"
    )
    world.does("clerk,he", "guardianship", "end", **ending, institution="city", evidence=PROOF)
    assert rule(world, FATHER) == "access:nothing-permits"
    assert rule(world) == "guardian-of-child"
    world.does(MOTHER, "guardianship", "end", child=CHILD, guardian=MOTHER, reason="resigned")
    assert rule(world) == "access:nothing-permits"
    assert (
        world.refuses(CHILD, "consent", "grant", id="c", subject=CHILD, scope=SCOPE) == "too_young"
    )
    assert (
        world.refuses(
            MOTHER, "guardianship", "end", child=CHILD, guardian=MOTHER, reason="resigned"
        )
        == "unknown_guardian"
    )
    assert (
        world.refuses(
            MOTHER, "guardianship", "end", child=PATIENT, guardian=MOTHER, reason="resigned"
        )
        == "unknown_child"
    )


def test_no_day_of_birth_stands_on_the_chain(world: World) -> None:
    """The switches are the same for every day of the month of birth."""
    enters(world)
    entry = world.asks("guardianship", "get", child=CHILD)
    times = {entry["turns_14"], entry["turns_18"]}
    assert times == {month(2028, 10), month(2032, 10)}
    assert all(isinstance(value, int) for value in times)
    assert set(entry) == {"guardians", "veiled", "label_key", "turns_14", "turns_18"}


@pytest.mark.parametrize("signers", [MOTHER, "clerk,he"])
def test_what_is_agreed_for_a_child_elsewhere_ends_at_the_switch_too(
    world: World, signers: str
) -> None:
    enters(world)
    world.time = TURNS_14 - 3 * DAY
    form = b"" if signers == MOTHER else FORM
    world.does(
        signers, "research", "join", subject=CHILD, study="broad", uses=[["GRU"]], level="N",
        ends=TURNS_14 + 300 * DAY, form=form,
    )  # fmt: skip
    world.does(
        signers, "cross_sector", "agree", id="x", entry="school-health", subject=CHILD,
        department="school", holder="city", ends=TURNS_14 + 20 * DAY, form=form,
    )  # fmt: skip
    joined = world.entry(f"research/subjects/{CHILD}/broad")
    shared = world.entry("cross_sector/shares/x")
    assert TURNS_14 == joined["ends"] == shared["until"]


def test_a_guardian_signs_with_a_family_doctor_until_the_switch(world: World) -> None:
    enters(world)
    world.time = TURNS_14 - 30 * DAY
    team = {"institution": "township", "team": "t1"}
    world.does("township-clerk", "family_doctor", "form_team", **team, lead="fan", members=["fan"])
    world.does(
        MOTHER, "family_doctor", "sign", id="k", subject=CHILD, **team, until=TURNS_14 + 300 * DAY
    )
    assert world.entry("family_doctor/contracts/k")["until"] == TURNS_14


def test_an_adolescent_agrees_without_such_an_end(world: World) -> None:
    enters(world)
    world.time = TURNS_14
    ends = TURNS_18 + DAY
    world.does(
        CHILD,
        "research",
        "join",
        subject=CHILD,
        study="broad",
        uses=[["GRU"]],
        level="N",
        ends=ends,
    )
    assert world.entry(f"research/subjects/{CHILD}/broad")["ends"] == ends


def test_what_a_guardian_reads_ends_with_the_childs_death(world: World) -> None:
    enters(world)
    assert rule(world) == "guardian-of-child"
    world.does("clerk,he", "registry", "died", id=CHILD, institution="city", form=FORM)
    assert rule(world) == "access:nothing-permits"
