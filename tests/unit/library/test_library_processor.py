"""Vendors that work for hospitals."""

from hashlib import sha256
from typing import Any

import pytest

from tests.support.contracts import DAY, HOUR, PATIENT, World
from tests.support.contracts.amending import amended, not_amended

DOCUMENT = sha256(b"the agreement").digest()


@pytest.fixture
def world() -> World:
    """The engineer acts for the city hospital as well."""
    world = World()
    world.does(
        "clerk",
        "registry",
        "affiliate",
        id="engineer",
        institution="city",
        roles=["vendor-engineer"],
    )
    return world


def agreement(world: World, **changes: Any) -> dict[str, Any]:
    return {
        "id": "v1", "hospital": "city", "vendor": "maker", "purposes": ["CAREMGT"],
        "classes": ["imaging"], "level": "N", "ends": world.time + 100 * DAY, "document": DOCUMENT,
        **changes,
    }  # fmt: skip


def agrees(world: World, **changes: Any) -> None:
    world.does("chief,maker-chief", "processor", "agree", **agreement(world, **changes))
    world.does("clerk", "processor", "name", id=changes.get("id", "v1"), person="engineer")


def asks(world: World, record: dict[str, Any], **changes: Any) -> Any:
    return world.requests(
        "engineer", record, **{"purpose": "CAREMGT", "institution": "city", **changes}
    )


def test_an_engineer_sees_for_the_hospital_what_the_hospital_holds(world: World) -> None:
    record = world.anchored(kind="imaging")
    assert asks(world, record)["rule"] == "processor:not-named-by-the-hospital"
    agrees(world)
    decision = asks(world, record)
    assert (decision["outcome"], decision["rule"]) == ("permit", "processor:works-for-the-holder")
    assert decision["institution"] == "city"
    assert {"NOREUSE", "NORDSCLCD", "NOPERSISTP", "DELAU"} <= set(decision["obligations"])
    assert decision["delete_by"] == world.time + 72 * HOUR
    assert decision["path"][-1]["facts"]["vendor"] == "maker"


def test_what_others_hold_needs_a_permit_for_the_hospital(world: World) -> None:
    record = world.anchored(kind="imaging", holder="county")
    agrees(world)
    assert asks(world, record)["rule"] == "access:nothing-permits"
    world.does(
        PATIENT, "consent", "grant", id="c", subject=PATIENT,
        scope={"institutions": ["city"], "purposes": ["CAREMGT"]},
    )  # fmt: skip
    decision = asks(world, record)
    assert decision["rule"] == "consent:patient-permits"
    assert "DELAU" in decision["obligations"]
    assert decision["delete_by"] == world.time + 72 * HOUR


def test_a_consent_beside_the_agreement_takes_no_duty_away(world: World) -> None:
    agrees(world)
    world.does(
        PATIENT, "consent", "grant", id="c", subject=PATIENT,
        scope={"institutions": ["city"], "purposes": ["CAREMGT"]},
    )  # fmt: skip
    decision = asks(world, world.anchored(kind="imaging"))
    assert {"NOREUSE", "NOPERSISTP", "DELAU"} <= set(decision["obligations"])


def test_a_vendor_has_no_purpose_of_its_own_whatever_was_consented(world: World) -> None:
    record = world.anchored(kind="imaging")
    agrees(world)
    world.does(
        PATIENT, "consent", "grant", id="c", subject=PATIENT,
        scope={"institutions": ["maker"], "purposes": ["CAREMGT", "HOPERAT"]},
    )  # fmt: skip
    decision = asks(world, record, institution="maker")
    assert decision["rule"] == "processor:vendor-has-no-own-purpose"
    assert decision["path"][-1]["effect"] == "forbid"
    for purpose in ("SYSDEV", "TRAIN", "HTEST"):
        assert asks(world, record, purpose=purpose)["rule"] == "processor:outside-the-agreement"


@pytest.mark.parametrize("change", [{"kind": "note"}, {"kind": "imaging", "confidentiality": "R"}])
def test_an_engineer_stays_within_the_agreement(world: World, change: dict[str, str]) -> None:
    agrees(world)
    assert asks(world, world.anchored(**change))["rule"] == "processor:outside-the-agreement"


def test_an_agreement_ends_by_date_and_the_permit_with_it(world: World) -> None:
    record = world.anchored(kind="imaging")
    agrees(world)
    world.later(100 * DAY - 1)
    assert asks(world, record)["expires"] == world.time + 1
    world.later(1)
    assert asks(world, record)["rule"] == "processor:agreement-has-ended"


def test_either_side_ends_it_and_the_vendor_confirms_the_deletion(world: World) -> None:
    record = world.anchored(kind="imaging")
    agrees(world)
    certify = {"id": "v1", "certificate": DOCUMENT}
    assert world.refuses("maker-chief", "processor", "certify", **certify) == "not_ended"
    assert (
        world.refuses("county-chief", "processor", "end", id="v1", institution="county")
        == "not_a_party"
    )
    assert world.refuses("clerk", "processor", "end", id="v1", institution="city") == "role_missing"
    world.does("chief", "processor", "end", id="v1", institution="city")
    assert asks(world, record)["rule"] == "processor:agreement-has-ended"
    assert (
        world.refuses("maker-chief", "processor", "end", id="v1", institution="maker") == "not_open"
    )
    assert world.refuses("chief", "processor", "certify", **certify) == "not_affiliated"
    assert (
        world.refuses("maker-chief", "processor", "certify", id="v1", certificate=b"")
        == "certificate_missing"
    )
    world.later(30 * DAY + 1)
    result = world.call("maker-chief", "processor", "certify", **certify)
    assert result.events[0].fields == {"agreement": "v1", "late": True}
    assert world.refuses("maker-chief", "processor", "certify", **certify) == "already_certified"


def test_an_engineer_is_named_by_the_hospital_and_dismissed_by_it(world: World) -> None:
    record = world.anchored(kind="imaging")
    agrees(world)
    assert (
        world.refuses("maker-chief", "processor", "name", id="v1", person="engineer")
        == "not_affiliated"
    )
    assert world.refuses("clerk", "processor", "name", id="v1", person="he") == "not_an_engineer"
    assert world.refuses("clerk", "processor", "name", id="v1", person="x") == "unknown_person"
    assert world.asks("processor", "mandate", hospital="city", person="engineer") == "v1"
    world.does("clerk", "processor", "dismiss", hospital="city", person="engineer")
    assert asks(world, record)["rule"] == "processor:not-named-by-the-hospital"
    assert (
        world.refuses("clerk", "processor", "dismiss", hospital="city", person="engineer")
        == "not_named"
    )


def test_an_agreement_with_one_hospital_says_nothing_about_another(world: World) -> None:
    agrees(world)
    world.does(
        "county-clerk", "registry", "affiliate", id="engineer", institution="county",
        roles=["vendor-engineer"],
    )  # fmt: skip
    record = world.anchored(kind="imaging", holder="county")
    assert (
        asks(world, record, institution="county")["rule"] == "processor:not-named-by-the-hospital"
    )


@pytest.mark.parametrize(
    ("signers", "change", "code"),
    [
        ("chief", {}, "signature_missing"),
        ("clerk,maker-chief", {}, "role_missing"),
        ("maker-chief,chief", {}, "not_affiliated"),
        ("chief,county-chief", {"vendor": "county"}, "not_a_vendor"),
        ("chief,maker-chief", {"purposes": ["SYSDEV"]}, "wrong_purpose"),
        ("chief,maker-chief", {"purposes": []}, "wrong_purpose"),
        ("chief,maker-chief", {"classes": []}, "unknown_class"),
        ("chief,maker-chief", {"level": "V"}, "unknown_confidentiality"),
        ("chief,maker-chief", {"document": b""}, "document_missing"),
        ("chief,maker-chief", {"ends": 5}, "bad_time"),
        ("chief,maker-chief", {"ends": 1 << 60}, "bad_time"),
        ("chief,maker-chief", {"id": ""}, "bad_id"),
        ("chief,maker-chief", {"id": "x/y"}, "bad_id"),
    ],
)
def test_an_agreement_that_breaks_a_rule_is_refused(
    world: World, signers: str, change: dict[str, Any], code: str
) -> None:
    assert world.refuses(signers, "processor", "agree", **agreement(world, **change)) == code


def test_a_county_can_ask_for_earlier_deletion(world: World) -> None:
    amended(world, "processor", "Yan'an", delete_hours=1)
    agrees(world)
    assert asks(world, world.anchored(kind="imaging"))["delete_by"] == world.time + HOUR
    assert (
        world.refuses("chief,maker-chief", "processor", "agree", **agreement(world))
        == "agreement_exists"
    )
    assert not_amended(world, "processor", delete_hours=721) == "out_of_bounds"
    assert not_amended(world, "processor", more=1) == "unknown_parameter"
    assert world.refuses("chief", "processor", "amend", county="", values={}) == "charter_only"
