"""People in custody, and the places that hold them."""

from typing import Any

import pytest

from tests.support.contracts import DAY, INMATE, PATIENT, World


@pytest.fixture
def world() -> World:
    return World()


def admits(world: World, **changes: Any) -> None:
    arguments = {
        "subject": INMATE,
        "institution": "lock",
        "until": world.time + 100 * DAY,
        **changes,
    }
    world.does("lock-clerk", "custody", "admit", **arguments)


def permits(
    world: World, *purposes: str, institutions: tuple[str, ...] = ("city", "lock", "aid", "uni")
) -> None:
    world.does(
        INMATE, "consent", "grant", id="c", subject=INMATE,
        scope={
            "institutions": list(institutions), "purposes": list(purposes), "confidentiality": "R",
        },
    )  # fmt: skip


def ecg(world: World, **changes: Any) -> dict[str, Any]:
    return world.anchored(**{"subject": INMATE, "holder": "city", "kind": "ecg", **changes})


def test_a_reading_centre_may_treat_and_nothing_else(world: World) -> None:
    world.does(
        "clerk",
        "registry",
        "affiliate",
        id="he",
        institution="city",
        roles=["physician", "researcher"],
    )
    record = ecg(world, holder="county")
    permits(world, "TREAT", "HRESCH", "GOV")
    admits(world)
    decision = world.requests("he", record)
    assert decision["outcome"] == "permit"
    assert {"NOREUSE", "NORDSCLCD"} <= set(decision["obligations"])
    assert world.requests("he", record, "GOV")["rule"] == "custody:not-freely-consented"


def test_the_custodian_gets_what_treatment_needs_by_its_clinicians(world: World) -> None:
    record = ecg(world)
    permits(world, "TREAT", "GOV", "SUPNWK")
    admits(world)
    decision = world.requests("lock-doctor", record)
    assert decision["outcome"] == "permit"
    assert "NOREUSE" in decision["obligations"]
    for purpose in ("GOV", "SUPNWK"):
        denied = world.requests("guard", record, purpose)
        assert denied["rule"] == "custody:custodian-treats-only"
        assert denied["path"][-1]["effect"] == "forbid"
    assert (
        world.requests("lock-doctor", record, "HQUALIMP")["rule"] == "custody:custodian-treats-only"
    )


def test_no_care_no_record(world: World) -> None:
    record, other = ecg(world), world.anchored()
    permits(world, "TREAT")
    assert world.requests("lock-doctor", record)["rule"] == "custody:not-in-its-care"
    admits(world)
    assert world.requests("lock-doctor", record)["outcome"] == "permit"
    assert world.requests("lock-doctor", other)["rule"] == "custody:not-in-its-care"
    world.does("lock-clerk", "custody", "discharge", subject=INMATE, ending="released")
    assert world.requests("lock-doctor", record)["rule"] == "custody:not-in-its-care"


def test_a_stay_ends_by_date(world: World) -> None:
    record = ecg(world)
    permits(world, "TREAT")
    admits(world)
    world.later(100 * DAY - 1)
    assert world.requests("lock-doctor", record)["expires"] == world.time + 1
    world.later(1)
    assert world.requests("lock-doctor", record)["rule"] == "custody:not-in-its-care"


def test_what_was_signed_in_custody_counts_for_treatment_only_also_afterwards(world: World) -> None:
    record = ecg(world, kind="encounter")
    admits(world)
    permits(world, "TREAT", "SUPNWK", "GOV")
    world.does(
        INMATE, "cross_sector", "agree", id="x", entry="charity-aid", subject=INMATE,
        department="aid", holder="city", ends=world.time + DAY,
    )  # fmt: skip
    assert world.requests("donor", record, "SUPNWK", case="x")["outcome"] == "deny"
    world.does("lock-clerk", "custody", "discharge", subject=INMATE, ending="released")
    denied = world.requests("donor", record, "SUPNWK", case="x")
    assert denied["rule"] == "custody:not-freely-consented"


def test_records_of_a_place_of_custody_are_bound_also_when_nobody_entered_the_stay(
    world: World,
) -> None:
    other = ecg(world, holder="lock", subject=PATIENT, kind="encounter")
    world.does(
        PATIENT, "consent", "grant", id="c", subject=PATIENT,
        scope={"institutions": ["city"], "purposes": ["TREAT", "GOV"]},
    )  # fmt: skip
    admits(world)
    assert "NOREUSE" in world.requests("he", other)["obligations"]
    assert world.requests("he", other, "GOV")["rule"] == "custody:not-freely-consented"


def test_duties_to_report_and_inspections_go_on(world: World) -> None:
    record = ecg(world, holder="lock", kind="laboratory")
    admits(world)
    world.does(
        "lock-doctor", "public_health", "report", id="n1", schedule="within-24-hours",
        subject=INMATE, source="lock", receiver="cdc", matter=bytes(32), found=world.time,
    )  # fmt: skip
    assert world.requests("officer", record, "PUBHLTH", case="n1")["outcome"] == "permit"


def test_a_patient_reads_her_own_records_in_custody(world: World) -> None:
    admits(world)
    assert world.requests(INMATE, ecg(world), "PATRQT")["rule"] == "own_access:own-record"


def test_nobody_is_marked_under_the_ordinary_pseudonym(world: World) -> None:
    arguments = {"subject": PATIENT, "institution": "lock", "until": world.time + DAY}
    assert world.refuses("lock-clerk", "custody", "admit", **arguments) == "ordinary_pseudonym"
    assert (
        world.refuses("lock-clerk", "custody", "admit", **{**arguments, "subject": "p-" + "f" * 32})
        == "unknown_person"
    )


@pytest.mark.parametrize(
    ("signer", "change", "code"),
    [
        ("guard", {}, "role_missing"),
        ("clerk", {}, "not_affiliated"),
        ("clerk", {"institution": "city"}, "not_custody"),
        ("lock-clerk", {"until": 5}, "bad_time"),
        ("lock-clerk", {"until": 1 << 60}, "bad_time"),
    ],
)
def test_a_stay_that_breaks_a_rule_is_refused(
    world: World, signer: str, change: dict[str, Any], code: str
) -> None:
    arguments = {"subject": INMATE, "institution": "lock", "until": world.time + DAY, **change}
    assert world.refuses(signer, "custody", "admit", **arguments) == code


def test_a_stay_ends_once_and_by_the_custodian(world: World) -> None:
    assert (
        world.refuses("lock-clerk", "custody", "discharge", subject=INMATE, ending="released")
        == "not_in_care"
    )
    admits(world)
    assert (
        world.refuses("lock-clerk", "custody", "discharge", subject=INMATE, ending="escaped")
        == "unknown_reason"
    )
    assert (
        world.refuses("clerk", "custody", "discharge", subject=INMATE, ending="released")
        == "not_affiliated"
    )
    world.does("lock-doctor", "custody", "discharge", subject=INMATE, ending="moved")
    assert (
        world.refuses("lock-clerk", "custody", "discharge", subject=INMATE, ending="moved")
        == "not_in_care"
    )
    assert world.asks("custody", "get", subject=INMATE)["status"] == "moved"
