"""Sensitive records and the care team."""

from typing import Any

import pytest

from ledger.chain.tokens import LabelKey, tokens_root
from tests.support.contracts import CHILD, DAY, MOTHER, PATIENT, START, World, name_of
from tests.support.contracts.amending import amended, not_amended

KEY = LabelKey(b"k" * 32)
FOREIGN = LabelKey(b"f" * 32)
GUARD = {
    "subject": PATIENT,
    "label_key": KEY.for_labels,
    "labels": [KEY.label("SPI"), KEY.label("HIV")],
}
TEAM = {"subject": PATIENT, "institution": "county", "person": "", "until": START + 90 * DAY}
OUTSIDE = "sensitive:outside-care-team"
PERMITTED = "consent:patient-permits"


@pytest.fixture
def world() -> World:
    return World()


def tokens(*labels: str, key: LabelKey = KEY) -> list[bytes]:
    wider = {*labels, *(["SPI"] if "PSY" in labels else [])}
    return list(key.opening(wider, [], b"s" * 16))


def permits(world: World, identity: str = "c", **scope: Any) -> None:
    scope = {"purposes": ["TREAT"], "confidentiality": "V", **scope}
    world.does(PATIENT, "consent", "grant", id=identity, subject=PATIENT, scope=scope)


def asks(world: World, who: str = "gao", *, labels: list[bytes] | None = None, show: bool = True,
         purpose: str = "TREAT", **record: Any) -> dict[str, Any]:  # fmt: skip
    listed = labels or tokens()
    pointer = world.anchored(size=world.height + 1, labels=tokens_root(listed), **record)
    return world.requests(who, pointer, purpose, labels=listed if show else [])


def rule(world: World, who: str = "gao", **more: Any) -> str:
    return str(asks(world, who, **more)["rule"])


def test_from_the_level_that_members_fixed_every_record_stays_with_the_care_team(
    world: World,
) -> None:
    permits(world)
    assert rule(world) == PERMITTED
    assert rule(world, confidentiality="R") == PERMITTED
    assert rule(world, confidentiality="V") == OUTSIDE
    strict = World(arguments={"sensitive": {"level": "R"}})
    permits(strict)
    assert rule(strict) == PERMITTED
    assert rule(strict, confidentiality="R") == OUTSIDE


@pytest.mark.parametrize(
    ("labels", "show", "level", "expected"),
    [
        (["PSY"], True, "R", OUTSIDE),
        (["PSY"], True, "N", OUTSIDE),
        (["HIV"], True, "R", OUTSIDE),
        (["SDV"], True, "R", PERMITTED),
        ([], True, "R", PERMITTED),
        (["SDV"], False, "R", OUTSIDE),
        (["SDV"], False, "N", PERMITTED),
    ],
)
def test_protected_labels_close_a_record_and_hidden_ones_do_too(
    world: World, labels: list[str], show: bool, level: str, expected: str
) -> None:
    permits(world)
    world.does(PATIENT, "sensitive", "protect", **GUARD)
    assert rule(world, labels=tokens(*labels), show=show, confidentiality=level) == expected


def test_a_list_under_another_key_counts_as_hidden(world: World) -> None:
    permits(world)
    world.does(PATIENT, "sensitive", "protect", **GUARD)
    assert rule(world, labels=tokens("SDV", key=FOREIGN), confidentiality="R") == OUTSIDE


def test_nothing_on_the_chain_names_what_is_protected(world: World) -> None:
    world.does(PATIENT, "sensitive", "protect", **GUARD)
    permits(world)
    asks(world, labels=tokens("PSY", "HIV"), confidentiality="R")
    everything = b"".join(world.state.values())
    assert KEY.label("HIV") in everything
    for word in (b"PSY", b"SPI", b"HIV", b"v3-ActCode"):
        assert all(
            word not in value
            for key, value in world.state.items()
            if not key.startswith(b"charter/sources/")
        )


def test_a_consent_counts_as_naming_the_team_only_if_it_names_the_recipient(world: World) -> None:
    permits(world, "all")
    assert rule(world, confidentiality="V") == OUTSIDE
    permits(world, "roles", roles=["physician"])
    assert rule(world, confidentiality="V") == OUTSIDE
    permits(world, "named", institutions=["county"], end=START + DAY)
    decision = asks(world, confidentiality="V")
    assert decision["rule"] == PERMITTED
    assert {"NORDSCLCD", "NOREUSE"} <= set(decision["obligations"])
    assert rule(world, "wang", confidentiality="V") == OUTSIDE
    world.later(DAY)
    assert rule(world, confidentiality="V") == OUTSIDE


def test_being_in_the_team_permits_nothing_by_itself(world: World) -> None:
    world.does(PATIENT, "sensitive", "join", **TEAM)
    assert rule(world, confidentiality="V") == "access:nothing-permits"


def test_a_place_in_the_team_lets_other_rules_permit_until_it_ends(world: World) -> None:
    world.does(PATIENT, "sensitive", "protect", **GUARD)
    record = world.anchored(confidentiality="R", labels=tokens_root(tokens("PSY")))
    world.does(
        f"he,{PATIENT}", "referral", "create", id="r", subject=PATIENT, source="city",
        target="county",
        records=[name_of(record).hex()], until=START + 60 * DAY,
    )  # fmt: skip
    world.does("gao", "referral", "accept", id="r")
    assert world.requests("gao", record)["rule"] == OUTSIDE
    world.does(PATIENT, "sensitive", "join", **{**TEAM, "until": START + 10 * DAY})
    assert world.requests("gao", record)["rule"] == "referral:accepted-referral"
    world.time = START + 10 * DAY
    assert world.requests("gao", record)["rule"] == OUTSIDE


def test_one_person_of_an_institution_can_be_in_the_team(world: World) -> None:
    permits(world)
    world.does("clerk", "registry", "affiliate", id="wang", institution="city", roles=["physician"])
    world.does(PATIENT, "sensitive", "join", **{**TEAM, "person": "wang", "institution": "city"})
    record = world.anchored(holder="county", confidentiality="V")
    assert world.requests("wang", record, institution="city")["outcome"] == "permit"
    assert world.requests("he", record)["rule"] == OUTSIDE
    assert world.requests("wang", record)["rule"] == OUTSIDE


def test_the_holders_own_staff_are_not_outside(world: World) -> None:
    permits(world)
    assert rule(world, "he", confidentiality="V") == PERMITTED


def test_emergencies_pass(world: World) -> None:
    permits(world, purposes=["ETREAT"])
    assert rule(world, purpose="ETREAT", confidentiality="V") == PERMITTED
    record = world.anchored(confidentiality="V")
    assert world.breaks_glass("gao", record)["outcome"] == "permit"


def test_a_legal_duty_passes(world: World) -> None:
    source = '''"""A legal duty."""

from ledger.contracts.prelude import init, obliges, query


@init
def found() -> None:
    """Nothing to prepare."""


@query
def decide(request: dict) -> dict:
    """Oblige."""
    return obliges("by-law")
'''
    world = World(contracts={"duty": source})
    decision = asks(world, confidentiality="V")
    assert (decision["outcome"], decision["rule"]) == ("permit", "duty:by-law")


def test_guardians_are_bound_by_their_own_contract(world: World) -> None:
    world.does(
        "clerk,he", "guardianship", "enter", child=CHILD, guardian=MOTHER, ground="parent",
        turns_14=1_853_942_400_000, institution="city", evidence=bytes(32),
    )  # fmt: skip
    world.does("he", "sensitive", "protect", **{**GUARD, "subject": CHILD}, institution="city")
    decision = asks(world, MOTHER, purpose="FAMRQT", subject=CHILD, confidentiality="R", show=False)
    assert decision["rule"] == "guardianship:guardian-of-child"
    assert "NORDSCLCD" in decision["obligations"]


# --- Who may change what ------------------------------------------------------------------------


def test_staff_may_close_and_only_the_patient_opens(world: World) -> None:
    assert world.refuses("he", "sensitive", "protect", **GUARD) == "not_the_person"
    assert (
        world.refuses("payer", "sensitive", "protect", **GUARD, institution="fund")
        == "role_missing"
    )
    world.does("he", "sensitive", "protect", **GUARD, institution="city")
    world.does(
        "gao",
        "sensitive",
        "protect",
        **{**GUARD, "labels": [KEY.label("SDV")]},
        institution="county",
    )
    permits(world)
    assert rule(world, labels=tokens("SDV"), confidentiality="R") == OUTSIDE
    assert world.refuses("he", "sensitive", "unprotect", subject=PATIENT) == "not_the_person"
    world.does(PATIENT, "sensitive", "unprotect", subject=PATIENT)
    assert rule(world, labels=tokens("PSY"), confidentiality="R") == PERMITTED
    assert world.refuses(PATIENT, "sensitive", "unprotect", subject=PATIENT) == "not_protected"


def test_a_guardian_closes_and_does_not_open(world: World) -> None:
    world.does(
        "clerk,he", "guardianship", "enter", child=CHILD, guardian=MOTHER, ground="parent",
        turns_14=1_853_942_400_000, institution="city", evidence=bytes(32),
    )  # fmt: skip
    world.does(MOTHER, "sensitive", "protect", **{**GUARD, "subject": CHILD})
    assert world.refuses(MOTHER, "sensitive", "unprotect", subject=CHILD) == "not_the_person"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"labels": []}, "bad_labels"),
        ({"labels": [bytes([n]) * 16 for n in range(17)]}, "bad_labels"),
        ({"labels": [b"short"]}, "bad_token"),
        ({"label_key": b"short"}, "bad_token"),
        ({"labels": ["x" * 16]}, "type_error"),
    ],
)
def test_what_is_no_token_is_refused(world: World, change: dict[str, Any], code: str) -> None:
    assert world.refuses(PATIENT, "sensitive", "protect", **{**GUARD, **change}) == code


def test_keys_and_tokens_are_bounded(world: World) -> None:
    for number in range(4):
        world.does(PATIENT, "sensitive", "protect", **{**GUARD, "label_key": bytes([number]) * 16})
    more = {**GUARD, "label_key": bytes([9]) * 16}
    assert world.refuses(PATIENT, "sensitive", "protect", **more) == "too_many_keys"
    full = {**GUARD, "label_key": bytes(16), "labels": [bytes([n]) * 16 for n in range(16)]}
    assert world.refuses(PATIENT, "sensitive", "protect", **full) == "bad_labels"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"institution": "nowhere"}, "unknown_institution"),
        ({"person": "nobody"}, "unknown_person"),
        ({"until": START}, "bad_time"),
        ({"until": START + 731 * DAY}, "bad_time"),
    ],
)
def test_a_place_in_the_team_that_is_not_sound_is_refused(
    world: World, change: dict[str, Any], code: str
) -> None:
    assert world.refuses(PATIENT, "sensitive", "join", **{**TEAM, **change}) == code


def test_a_place_in_the_team_ends_by_the_patient_or_the_person(world: World) -> None:
    place = {"subject": PATIENT, "institution": "county", "person": "gao"}
    assert world.refuses("he", "sensitive", "join", **TEAM) == "not_the_person"
    world.does(PATIENT, "sensitive", "join", **{**TEAM, "person": "gao"})
    assert world.refuses("wang", "sensitive", "leave", **place) == "not_the_person"
    world.does("gao", "sensitive", "leave", **place)
    assert world.refuses(PATIENT, "sensitive", "leave", **place) == "not_in_team"
    world.does(PATIENT, "sensitive", "join", **TEAM)
    assert world.refuses("gao", "sensitive", "leave", **{**place, "person": ""}) == "not_the_person"
    world.does(PATIENT, "sensitive", "leave", **{**place, "person": ""})
    assert world.asks("sensitive", "team", subject=PATIENT) == []


def test_a_team_has_sixteen_places(world: World) -> None:
    people = ["he", "nurse", "clerk", "chief", "gao", "wang", "auditor", "payer"]
    for institution in ("city", "county"):
        for person in people:
            world.does(
                PATIENT,
                "sensitive",
                "join",
                **{**TEAM, "institution": institution, "person": person},
            )
    assert world.refuses(PATIENT, "sensitive", "join", **TEAM) == "team_full"
    world.later(90 * DAY)
    world.does(PATIENT, "sensitive", "join", **{**TEAM, "until": world.time + DAY})
    assert len(world.asks("sensitive", "team", subject=PATIENT)) == 1


def test_the_charter_changes_the_level_for_all(world: World) -> None:
    permits(world)
    assert (
        world.refuses("he", "sensitive", "amend", county="", values={"level": "R"})
        == "charter_only"
    )
    amended(world, "sensitive", level="R", team_days=30)
    assert rule(world, confidentiality="R") == OUTSIDE
    assert world.refuses(PATIENT, "sensitive", "join", **TEAM) == "bad_time"
    assert not_amended(world, "sensitive", level="N") == "out_of_bounds"
    assert not_amended(world, "sensitive", team_days=0) == "out_of_bounds"
    assert not_amended(world, "sensitive", colour=1) == "unknown_parameter"
    assert not_amended(world, "sensitive", "Yan'an", level="V") == "same_everywhere"
