"""Asking which records there are: on the chain first, and only what would be permitted is shown."""

from hashlib import sha256
from typing import Any

import pytest

from tests.support.contracts import (
    HOUR,
    MOTHER,
    NEIGHBOUR,
    NOTE,
    PATIENT,
    REPLY_KEY,
    START,
    World,
    key_of,
)

KEYS = ("asker", "institution", "subject", "purpose", "case", "reply_key")


@pytest.fixture
def world() -> World:
    return World()


def ask(world: World, who: str = "gao", **changes: Any) -> dict[str, Any]:
    enquiry: dict[str, Any] = world.does(who, "enquiry", "ask", **asked(world, who, **changes))
    return enquiry


def asked(world: World, who: str, **changes: Any) -> dict[str, Any]:
    return {
        "subject": PATIENT, "purpose": "TREAT", "institution": world.home(who),
        "reply_key": REPLY_KEY, **changes,
    }  # fmt: skip


def preview(world: World, record: dict[str, Any], who: str = "gao", **changes: Any) -> Any:
    return world.asks(
        "access", "preview",
        **{
            "pointer": record, "proof": {}, "purpose": "TREAT", "institution": world.home(who),
            "key": key_of(who).public.hex(), **changes,
        },
    )  # fmt: skip


# --- Asking -------------------------------------------------------------------------------------


def test_an_enquiry_says_who_asks_for_whom_and_why_and_the_patient_is_told(world: World) -> None:
    world.later(5)
    result = world.call("gao", "enquiry", "ask", **asked(world, "gao", case="consultation-1"))
    assert result.ok, result.error
    enquiry = result.value
    assert [enquiry[key] for key in KEYS] == [
        "gao", "county", PATIENT, "TREAT", "consultation-1", REPLY_KEY,
    ]  # fmt: skip
    assert (enquiry["time"], enquiry["expires"]) == (START + 5, START + 5 + HOUR)
    assert world.asks("enquiry", "enquiry", id=enquiry["id"]) == enquiry
    assert world.asks("enquiry", "enquiry", id="x-0") is None
    (event,) = result.events
    assert event.name == "asked"
    assert event.fields == {
        "enquiry": enquiry["id"], "subject": PATIENT, "institution": "county", "purpose": "TREAT",
        "tell": ["patient"],
    }  # fmt: skip


def test_whoever_asks_for_herself_is_not_told(world: World) -> None:
    result = world.call(PATIENT, "enquiry", "ask", **asked(world, PATIENT, purpose="PATRQT"))
    assert result.ok, result.error
    assert result.events[0].fields["tell"] == []


@pytest.mark.parametrize(
    ("who", "changes", "code"),
    [
        ("gao", {"purpose": "HRESCH"}, "role_not_suited"),
        ("gao", {"purpose": "BTG"}, "role_not_suited"),
        ("gao", {"purpose": "NOSUCH"}, "role_not_suited"),
        ("gao", {"institution": "city"}, "not_affiliated"),
        ("gao", {"institution": ""}, "institution_missing"),
        ("gao", {"subject": "p-" + "9" * 32}, "unknown_person"),
        ("gao", {"reply_key": b"short"}, "bad_reply_key"),
        ("gao", {"case": "her name"}, "bad_case"),
        ("gao", {"case": "c" * 81}, "bad_case"),
        ("payer", {}, "role_not_suited"),
        (NEIGHBOUR, {"institution": ""}, "role_not_suited"),
        ("stranger", {"institution": "county"}, "unknown_key"),
    ],
)
def test_who_may_not_act_for_the_purpose_does_not_even_ask(
    world: World, who: str, changes: dict[str, Any], code: str
) -> None:
    base = {"institution": "county"} if who == "stranger" else {}
    arguments = {
        "subject": PATIENT, "purpose": "TREAT", "reply_key": REPLY_KEY,
        **(base or {"institution": world.home(who)}), **changes,
    }  # fmt: skip
    assert world.refuses(who, "enquiry", "ask", **arguments) == code


def test_relatives_may_ask(world: World) -> None:
    assert ask(world, MOTHER, purpose="FAMRQT")["asker"] == MOTHER


# --- In an emergency ----------------------------------------------------------------------------


def emergency(world: World, who: str = "gao", **changes: Any) -> dict[str, Any]:
    return {
        "subject": PATIENT, "institution": world.home(who), "reply_key": REPLY_KEY,
        "reason": "unconscious", "note": NOTE, **changes,
    }  # fmt: skip


def test_the_glass_can_be_broken_before_a_record_is_known_and_is_judged_all_the_same(
    world: World,
) -> None:
    record = world.anchored()
    world.does(PATIENT, "consent", "deny", id="d", subject=PATIENT, scope={})
    assert preview(world, record, purpose="BTG")["outcome"] == "deny"
    enquiry = world.does("gao", "enquiry", "ask_in_emergency", **emergency(world))
    assert (enquiry["purpose"], enquiry["case"]) == ("BTG", enquiry["id"])
    assert world.entry(f"emergency/emergencies/{enquiry['id']}")["status"] == "open"
    answer = preview(world, record, purpose="BTG")
    assert (answer["outcome"], answer["rule"]) == ("permit", "emergency:emergency-running")
    assert preview(world, record)["outcome"] == "deny"
    assert preview(world, record, "su", purpose="BTG")["outcome"] == "deny"
    decision = world.breaks_glass("gao", record)
    assert (decision["outcome"], decision["case"]) == ("permit", enquiry["id"])
    world.later(24 * HOUR)
    assert preview(world, record, purpose="BTG")["rule"] == "emergency:no-emergency-running"


@pytest.mark.parametrize(
    ("who", "changes", "code"),
    [
        ("xiao", {}, "not_permitted"),
        ("gao", {"reason": "curious"}, "unknown_reason"),
        ("gao", {"note": b""}, "note_missing"),
        ("gao", {"institution": "city"}, "not_affiliated"),
    ],
)
def test_an_emergency_has_the_conditions_of_one(
    world: World, who: str, changes: dict[str, Any], code: str
) -> None:
    arguments = emergency(world, who, **changes)
    assert world.refuses(who, "enquiry", "ask_in_emergency", **arguments) == code


# --- Preview ------------------------------------------------------------------------------------


def test_a_preview_says_what_a_request_would_and_writes_nothing(world: World) -> None:
    record, other = world.anchored(), world.anchored(kind="imaging", end=START - HOUR)
    scope = {"institutions": ["county"], "purposes": ["TREAT"], "kinds": ["laboratory"]}
    world.does(PATIENT, "consent", "grant", id="c", subject=PATIENT, scope=scope)
    before = dict(world.state)
    seen = [preview(world, each) for each in (record, other)]
    assert world.state == before
    decided = [world.requests("gao", each) for each in (record, other)]
    assert [each["outcome"] for each in seen] == ["permit", "deny"]
    for a_preview, decision in zip(seen, decided, strict=True):
        assert a_preview["outcome"] == decision["outcome"]
        assert a_preview["rule"] == decision["rule"]


def test_a_preview_knows_marks_and_pointers_that_were_never_anchored(world: World) -> None:
    scope = {"institutions": ["county"], "purposes": ["TREAT"]}
    world.does(PATIENT, "consent", "grant", id="c", subject=PATIENT, scope=scope)
    record = world.anchored()
    assert preview(world, record)["outcome"] == "permit"
    invented = {**record, "digest": sha256(b"invented").digest()}
    assert preview(world, invented)["rule"] == "access:record-unknown"
    assert preview(world, invented, purpose="BTG")["rule"] == "access:record-unknown"
    assert preview(world, record, purpose="NOSUCH")["rule"] == "access:purpose-unknown"


def test_a_preview_is_for_the_key_and_not_for_whoever_asks(world: World) -> None:
    record = world.anchored()
    scope = {"institutions": ["county"], "purposes": ["TREAT"]}
    world.does(PATIENT, "consent", "grant", id="c", subject=PATIENT, scope=scope)
    assert preview(world, record, "gao")["outcome"] == "permit"
    assert preview(world, record, "wang")["outcome"] == "deny"
    own = preview(world, record, PATIENT, purpose="PATRQT")
    assert own["outcome"] == "permit"


# --- Directory ----------------------------------------------------------------------------------


def test_an_officer_of_an_institution_says_where_its_node_answers(world: World) -> None:
    assert world.asks("directory", "place", institution="city") is None
    world.does("city-1", "directory", "announce", institution="city", url="https://a.example:8443")
    place = world.asks("directory", "place", institution="city")
    assert (place["url"], place["by"]) == ("https://a.example:8443", "city-1")
    world.does("city-1", "directory", "announce", institution="city", url="https://b.example/ex")
    assert world.asks("directory", "place", institution="city")["url"] == "https://b.example/ex"
    world.does("city-1", "directory", "announce", institution="city", url="")
    assert world.asks("directory", "place", institution="city") is None


@pytest.mark.parametrize(
    ("who", "institution", "url", "code"),
    [
        ("county-1", "city", "https://evil.example", "not_affiliated"),
        ("he", "city", "https://evil.example", "role_missing"),
        ("city-1", "city", "", "not_announced"),
        ("city-1", "city", "ftp://a.example", "bad_url"),
        ("city-1", "city", "https://", "bad_url"),
        ("city-1", "city", "https://a.example/", "bad_url"),
        ("city-1", "city", "https://a.example/../b", "bad_url"),
        ("city-1", "city", "https://user@a.example", "bad_url"),
        ("city-1", "city", "https://a.example/?q=1", "bad_url"),
        ("city-1", "city", "https://a.example/#f", "bad_url"),
        ("city-1", "city", "https://A.example", "bad_url"),
        ("city-1", "city", "https://a.example/%2e", "bad_url"),
        ("city-1", "city", "https://a.example\r\nx", "bad_url"),
        ("city-1", "city", "https://" + "a" * 193, "bad_url"),
        ("city-1", "city", "javascript:alert(1)", "bad_url"),
    ],
)
def test_nobody_else_does_and_only_plain_places_count(
    world: World, who: str, institution: str, url: str, code: str
) -> None:
    assert world.refuses(who, "directory", "announce", institution=institution, url=url) == code
