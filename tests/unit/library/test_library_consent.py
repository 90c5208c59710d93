"""What patients can declare, and what their declarations cover."""

from typing import Any

import pytest

from tests.support.contracts import DAY, NEIGHBOUR, PATIENT, START, World, name_of

SCOPE = {"institutions": ["county"], "purposes": ["TREAT"]}


@pytest.fixture
def world() -> World:
    return World()


def facts(**changes: Any) -> dict[str, Any]:
    return {
        "subject": PATIENT, "requester": "gao", "roles": ["physician"], "institution": "county",
        "purpose": "TREAT", "holder": "city", "record": "ab" * 32, "kind": "laboratory",
        "confidentiality": "N", "data_start": START - 30 * DAY, "data_end": START - 29 * DAY,
        **changes,
    }  # fmt: skip


def declare(world: World, method: str = "grant", identity: str = "c", **scope: Any) -> None:
    world.does(PATIENT, "consent", method, id=identity, subject=PATIENT, scope=scope)


def effect(world: World, **changes: Any) -> str:
    answer: str = world.asks("consent", "decide", request=facts(**changes))["effect"]
    return answer


@pytest.mark.parametrize(
    ("scope", "covered", "not_covered"),
    [
        ({"institutions": ["county"]}, {}, {"institution": "township"}),
        ({"roles": ["physician"]}, {"roles": ["nurse", "physician"]}, {"roles": ["nurse"]}),
        ({"persons": ["gao"]}, {}, {"requester": "wang"}),
        ({"kinds": ["laboratory", "ecg"]}, {"kind": "ecg"}, {"kind": "note"}),
        ({"holders": ["city"]}, {}, {"holder": "county"}),
        ({"records": ["ab" * 32]}, {}, {"record": "cd" * 32}),
        ({"purposes": ["CLINTRCH"]}, {"purpose": "CLINTRCHPC"}, {"purpose": "HRESCH"}),
        ({"purposes": ["TREAT"]}, {"purpose": "COC"}, {"purpose": "BTG"}),
        ({"purposes": ["TREAT"]}, {}, {"purpose": "ETREAT"}),
        ({"purposes": ["ETREAT"]}, {"purpose": "ETREAT"}, {"purpose": "BTG"}),
        ({"confidentiality": "R"}, {"confidentiality": "R"}, {"confidentiality": "V"}),
        ({}, {"confidentiality": "N"}, {"confidentiality": "R"}),
        ({"start": START}, {}, {"subject": NEIGHBOUR}),
    ],
)
def test_a_permit_covers_what_it_names(
    world: World, scope: dict[str, Any], covered: dict[str, Any], not_covered: dict[str, Any]
) -> None:
    declare(world, **{"purposes": ["TREAT"], **scope})
    if "purposes" not in scope:
        assert effect(world) == "permit"
    assert effect(world, **covered) == "permit"
    assert effect(world, **not_covered) == "none"


@pytest.mark.parametrize(
    ("start", "end", "permitted", "denied"),
    [
        (100, 200, "permit", "deny"),
        (100, 201, "none", "deny"),
        (201, 300, "none", "none"),
        (50, 100, "none", "deny"),
        (50, 99, "none", "none"),
        (50, 150, "none", "deny"),
        (150, 250, "none", "deny"),
        (50, 250, "none", "deny"),
        (10, 50, "none", "none"),
        (300, 400, "none", "none"),
        (0, 0, "none", "deny"),
    ],
)
def test_a_permit_needs_the_whole_record_inside_its_data_period_and_a_denial_a_part(
    world: World, start: int, end: int, permitted: str, denied: str
) -> None:
    declare(world, purposes=["TREAT"], data_start=100, data_end=201)
    assert effect(world, data_start=start, data_end=end) == permitted
    world.does(PATIENT, "consent", "withdraw", id="c")
    declare(world, "deny", "d", data_start=100, data_end=201)
    assert effect(world, data_start=start, data_end=end) == denied


def test_a_permit_begins_and_ends_by_block_time(world: World) -> None:
    declare(world, purposes=["TREAT"], start=START + 10, end=START + 20)
    seen = []
    for moment in (9, 10, 19, 20):
        world.time = START + moment
        seen.append(effect(world))
    assert seen == ["none", "permit", "permit", "none"]


def test_a_denial_covers_its_level_and_everything_above(world: World) -> None:
    declare(world, "grant", "p", purposes=["TREAT"], confidentiality="V")
    declare(world, "deny", "d", confidentiality="R")
    assert [effect(world, confidentiality=level) for level in ("N", "R", "V")] == [
        "permit", "deny", "deny",
    ]  # fmt: skip


def test_a_denial_without_limits_covers_emergencies_too(world: World) -> None:
    declare(world, "deny")
    assert effect(world, purpose="ETREAT") == "deny"


@pytest.mark.parametrize(
    "change", [{"purpose": "CURIOSITY"}, {"confidentiality": "U"}, {"confidentiality": ""}]
)
def test_what_is_not_understood_is_denied(world: World, change: dict[str, Any]) -> None:
    declare(world, purposes=["TREAT"], confidentiality="V")
    assert effect(world, **change) == "deny"


@pytest.mark.parametrize(
    ("scope", "code"),
    [
        ({}, "purpose_missing"),
        ({**SCOPE, "effect": "deny"}, "contradiction"),
        ({**SCOPE, "colour": "red"}, "unknown_part"),
        ({**SCOPE, "institutions": ["nowhere"]}, "unknown_institution"),
        ({**SCOPE, "institutions": "county"}, "bad_scope"),
        ({**SCOPE, "holders": ["nowhere"]}, "unknown_institution"),
        ({**SCOPE, "persons": ["nobody"]}, "unknown_person"),
        ({**SCOPE, "roles": ["surgeon"]}, "unknown_role"),
        ({**SCOPE, "kinds": ["diary"]}, "unknown_class"),
        ({"purposes": ["CURIOSITY"]}, "unknown_purpose"),
        ({**SCOPE, "records": ["abc"]}, "bad_record_name"),
        ({**SCOPE, "records": ["Z" * 64]}, "bad_record_name"),
        ({**SCOPE, "records": ["ab" * 32] * 65}, "scope_too_long"),
        ({**SCOPE, "confidentiality": "U"}, "unknown_confidentiality"),
        ({**SCOPE, "start": 20, "end": 10}, "bad_time"),
        ({**SCOPE, "data_start": 20, "data_end": 20}, "bad_time"),
        ({**SCOPE, "end": "tomorrow"}, "value_error"),
        ({**SCOPE, "end": True}, "bad_time"),
    ],
)
def test_a_scope_that_is_not_understood_is_refused(
    world: World, scope: dict[str, Any], code: str
) -> None:
    assert world.refuses(PATIENT, "consent", "grant", id="c", subject=PATIENT, scope=scope) == code


def test_nobody_declares_for_another_patient(world: World) -> None:
    arguments = {"id": "c", "subject": PATIENT, "scope": SCOPE}
    assert world.refuses(NEIGHBOUR, "consent", "grant", **arguments) == "not_the_person"
    assert world.refuses("he", "consent", "grant", **arguments) == "not_the_person"
    declare(world, **SCOPE)
    assert world.refuses(NEIGHBOUR, "consent", "withdraw", id="c") == "not_the_person"


def test_an_id_is_used_once_and_withdrawn_once(world: World) -> None:
    declare(world, **SCOPE)
    arguments = {"id": "c", "subject": NEIGHBOUR, "scope": SCOPE}
    assert world.refuses(NEIGHBOUR, "consent", "grant", **arguments) == "consent_exists"
    world.does(PATIENT, "consent", "withdraw", id="c")
    assert world.refuses(PATIENT, "consent", "withdraw", id="c") == "already_withdrawn"
    assert world.refuses(PATIENT, "consent", "withdraw", id="d") == "unknown_consent"


def test_a_withdrawn_consent_keeps_its_rules_for_the_record(world: World) -> None:
    declare(world, **SCOPE)
    given = world.asks("consent", "get", id="c")
    world.does(PATIENT, "consent", "withdraw", id="c")
    withdrawn = world.asks("consent", "get", id="c")
    assert (given["status"], withdrawn["status"]) == ("active", "withdrawn")
    assert withdrawn["rules"] == given["rules"]
    assert world.asks("consent", "active", subject=PATIENT) == []


def test_a_consent_with_several_rules_is_adopted_whole_or_not_at_all(world: World) -> None:
    rules = [{"effect": "permit", **SCOPE}, {"effect": "deny", "persons": ["gao"]}]
    document = {"id": "c", "subject": PATIENT, "source": bytes(32)}
    world.does(PATIENT, "consent", "adopt", **document, rules=rules)
    assert effect(world) == "deny"
    assert effect(world, requester="wang") == "permit"
    document["id"] = "d"
    for broken in (
        [],
        [{"effect": "maybe"}],
        [{"purposes": ["TREAT"]}],
        [*rules, {"effect": "permit"}],
    ):
        world.refuses(PATIENT, "consent", "adopt", **document, rules=broken)


def test_a_subject_has_at_most_64_consents(world: World) -> None:
    for number in range(64):
        declare(world, identity=f"c{number}", **SCOPE)
    arguments = {"id": "more", "subject": PATIENT, "scope": SCOPE}
    assert world.refuses(PATIENT, "consent", "grant", **arguments) == "too_many_consents"
    world.does(PATIENT, "consent", "withdraw", id="c5")
    declare(world, identity="more", **SCOPE)


def test_consents_that_ran_out_make_room_and_keep_their_rules(world: World) -> None:
    for number in range(64):
        ending = {"end": START + DAY} if number % 2 else {}
        declare(world, identity=f"c{number}", **SCOPE, **ending)
    ended = world.asks("consent", "get", id="c1")
    world.later(DAY)
    declare(world, identity="more", **SCOPE)
    assert len(world.asks("consent", "active", subject=PATIENT)) == 33
    assert world.asks("consent", "get", id="c1") == ended
    world.does(PATIENT, "consent", "withdraw", id="c1")
    assert world.asks("consent", "get", id="c1")["rules"] == ended["rules"]


def test_a_consent_to_one_record_covers_that_record(world: World) -> None:
    record, other = world.anchored(size=1), world.anchored(size=2)
    declare(world, purposes=["TREAT"], records=[name_of(record).hex()])
    assert world.requests("gao", record)["outcome"] == "permit"
    assert world.requests("gao", other)["outcome"] == "deny"
