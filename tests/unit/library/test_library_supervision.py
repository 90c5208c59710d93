"""Inspections and quality control."""

from hashlib import sha256
from typing import Any

import pytest

from tests.support.contracts import DAY, PATIENT, World, key_of, name_of
from tests.support.contracts.amending import amended, not_amended

FINDINGS = sha256(b"what was found").digest()


@pytest.fixture
def world() -> World:
    return World()


def inspection(world: World, **changes: Any) -> dict[str, Any]:
    return {
        "id": "i1", "authority": "board", "institution": "city", "ground": "routine",
        "phase": "during", "purpose": "HCOMPL", "classes": ["laboratory", "note"], "sample": 2,
        "ends": world.time + 10 * DAY, **changes,
    }  # fmt: skip


def begins(world: World, **changes: Any) -> None:
    world.does("auditor", "supervision", "begin", **inspection(world, **changes))


def draws(world: World, *records: dict[str, Any], who: str = "auditor", case: str = "i1") -> Any:
    names = [name_of(record).hex() for record in records]
    return world.does(who, "supervision", "draw", id=case, records=names)


def asks(world: World, record: dict[str, Any], who: str = "auditor", **changes: Any) -> Any:
    return world.requests(who, record, **{"purpose": "HCOMPL", "case": "i1", **changes})


def test_an_inspection_reads_what_it_has_drawn_whatever_the_patient_denied(world: World) -> None:
    record, other = world.anchored(size=1), world.anchored(size=2)
    world.does(PATIENT, "consent", "deny", id="no", subject=PATIENT, scope={})
    begins(world)
    assert asks(world, record)["outcome"] == "deny"
    assert draws(world, record) == 1
    decision = asks(world, record)
    assert (decision["outcome"], decision["rule"]) == ("permit", "supervision:inspection")
    assert {"MINEC", "NOREUSE", "NORDSCLCD", "DELAU"} <= set(decision["obligations"])
    assert "patient" in decision["tell"]
    assert asks(world, other)["outcome"] == "deny"
    assert world.asks("supervision", "drawing", id="i1", record=name_of(record).hex()) == {
        "by": "auditor", "time": world.time,
    }  # fmt: skip


def test_the_number_of_records_is_capped(world: World) -> None:
    records = [world.anchored(size=size) for size in range(1, 4)]
    begins(world)
    names = [name_of(record).hex() for record in records]
    assert (
        world.refuses("auditor", "supervision", "draw", id="i1", records=names) == "sample_used_up"
    )
    assert draws(world, *records[:2]) == 0
    assert (
        world.refuses("auditor", "supervision", "draw", id="i1", records=names[2:])
        == "sample_used_up"
    )
    assert (
        world.refuses("auditor", "supervision", "draw", id="i1", records=names[:1])
        == "already_drawn"
    )
    assert asks(world, records[2])["outcome"] == "deny"


@pytest.mark.parametrize(
    "change",
    [{"kind": "imaging"}, {"confidentiality": "V"}, {"holder": "county"}],
)
def test_an_inspection_reaches_what_it_names(world: World, change: dict[str, str]) -> None:
    record, other = world.anchored(), world.anchored(**change)
    begins(world)
    draws(world, record, other)
    assert asks(world, record)["outcome"] == "permit"
    assert asks(world, other)["outcome"] == "deny"


def test_a_complaint_reaches_very_restricted_records(world: World) -> None:
    record = world.anchored(confidentiality="V")
    begins(world, ground="complaint")
    draws(world, record)
    assert asks(world, record)["outcome"] == "permit"


def test_only_who_drew_it_and_for_the_purpose_of_the_inspection(world: World) -> None:
    record = world.anchored()
    begins(world)
    draws(world, record)
    assert asks(world, record, purpose="HQUALIMP")["outcome"] == "deny"
    assert asks(world, record, case="")["outcome"] == "deny"
    assert asks(world, record, case="i2")["outcome"] == "deny"
    world.does(
        "board-clerk", "registry", "enrol", id="colleague", institution="board", roles=["auditor"],
        keys=[key_of("colleague").public.hex()],
    )  # fmt: skip
    assert asks(world, record, "colleague", institution="board")["outcome"] == "deny"
    assert asks(world, record)["outcome"] == "permit"


def test_an_inspection_ends_by_date_by_report_and_by_stopping(world: World) -> None:
    record = world.anchored()
    begins(world)
    draws(world, record)
    assert (
        world.refuses("auditor", "supervision", "report", id="i1", result="fine", findings=FINDINGS)
        == "unknown_result"
    )
    assert (
        world.refuses("auditor", "supervision", "report", id="i1", result="good", findings=b"")
        == "findings_missing"
    )
    assert (
        world.refuses("qc", "supervision", "report", id="i1", result="good", findings=FINDINGS)
        == "not_affiliated"
    )
    world.does("auditor", "supervision", "report", id="i1", result="good", findings=FINDINGS)
    assert asks(world, record)["outcome"] == "deny"
    begins(world, id="i2")
    draws(world, record, case="i2")
    assert world.refuses("chief", "supervision", "stop", id="i2") == "not_affiliated"
    world.does("auditor", "supervision", "stop", id="i2")
    assert asks(world, record, case="i2")["outcome"] == "deny"
    begins(world, id="i3")
    draws(world, record, case="i3")
    world.later(10 * DAY - 1)
    assert asks(world, record, case="i3")["expires"] == world.time + 1
    world.later(1)
    assert asks(world, record, case="i3")["outcome"] == "deny"
    assert world.refuses("auditor", "supervision", "stop", id="i3") == "not_open"


def test_a_lead_hospital_controls_quality_unless_the_patient_denied(world: World) -> None:
    record = world.anchored(holder="county")
    begins(world, institution="county", lead="city", ground="quality", purpose="HQUALIMP")
    assert (
        world.refuses("auditor", "supervision", "draw", id="i1", records=["ab" * 32])
        == "not_affiliated"
    )
    assert (
        world.refuses("he", "supervision", "draw", id="i1", records=["ab" * 32]) == "role_missing"
    )
    draws(world, record, who="qc")
    decision = asks(world, record, "qc", purpose="HQUALIMP")
    assert (decision["outcome"], decision["rule"]) == ("permit", "supervision:quality-control")
    assert "DEID" in decision["obligations"]
    assert asks(world, record, "auditor", purpose="HQUALIMP")["outcome"] == "deny"
    world.does(PATIENT, "consent", "deny", id="no", subject=PATIENT, scope={})
    assert asks(world, record, "qc", purpose="HQUALIMP")["rule"] == "consent:patient-denies"


def test_the_regulator_treats_nobody(world: World) -> None:
    record = world.anchored()
    world.does(
        "board-clerk", "registry", "affiliate", id="gao", institution="board", roles=["physician"]
    )
    world.does(
        PATIENT, "consent", "grant", id="c", subject=PATIENT,
        scope={"institutions": ["board"], "purposes": ["TREAT"]},
    )  # fmt: skip
    decision = world.requests("gao", record, institution="board")
    assert decision["rule"] == "supervision:regulator-treats-nobody"


@pytest.mark.parametrize(
    ("signer", "change", "code"),
    [
        ("board-chief", {}, "role_missing"),
        ("qc", {}, "not_affiliated"),
        ("auditor", {"id": ""}, "bad_id"),
        ("auditor", {"id": "x/y"}, "bad_id"),
        ("auditor", {"institution": "nowhere"}, "unknown_institution"),
        ("auditor", {"institution": "board"}, "own_case"),
        ("auditor", {"lead": "city"}, "own_case"),
        ("auditor", {"lead": "nowhere"}, "unknown_institution"),
        ("auditor", {"ground": "curiosity"}, "unknown_ground"),
        ("auditor", {"phase": "always"}, "unknown_phase"),
        ("auditor", {"phase": "before"}, "sample_too_large"),
        ("auditor", {"purpose": "TREAT"}, "wrong_purpose"),
        ("auditor", {"classes": ["gossip"]}, "unknown_class"),
        ("auditor", {"sample": 201}, "sample_too_large"),
        ("auditor", {"sample": -1}, "sample_too_large"),
        ("auditor", {"ends": 5}, "bad_time"),
        ("auditor", {"ends": 1 << 60}, "bad_time"),
    ],
)
def test_an_inspection_that_breaks_a_rule_is_refused(
    world: World, signer: str, change: dict[str, Any], code: str
) -> None:
    assert world.refuses(signer, "supervision", "begin", **inspection(world, **change)) == code


def test_a_licence_is_examined_before_the_start_without_records(world: World) -> None:
    begins(world, phase="before", sample=0, classes=[])
    assert (
        world.refuses("auditor", "supervision", "draw", id="i1", records=["ab" * 32])
        == "sample_used_up"
    )
    world.does("auditor", "supervision", "report", id="i1", result="minor", findings=FINDINGS)
    assert world.asks("supervision", "get", id="i1")["result"] == "minor"


def test_what_is_drawn_is_named_properly(world: World) -> None:
    begins(world)
    assert world.refuses("auditor", "supervision", "draw", id="i1", records=[]) == "records_missing"
    assert (
        world.refuses("auditor", "supervision", "draw", id="i1", records=["x"]) == "bad_record_name"
    )
    assert (
        world.refuses("auditor", "supervision", "draw", id="i9", records=["ab" * 32])
        == "unknown_inspection"
    )
    assert (
        world.refuses("auditor", "supervision", "begin", **inspection(world)) == "inspection_exists"
    )


def test_members_set_the_cap_for_all_or_for_a_county(world: World) -> None:
    amended(world, "supervision", sample=1)
    assert (
        world.refuses("auditor", "supervision", "begin", **inspection(world)) == "sample_too_large"
    )
    amended(world, "supervision", "Yan'an", sample=50, days=5)
    assert world.refuses("auditor", "supervision", "begin", **inspection(world)) == "bad_time"
    begins(world, sample=50, ends=world.time + 5 * DAY)
    assert not_amended(world, "supervision", sample=0) == "out_of_bounds"
    assert not_amended(world, "supervision", more=1) == "unknown_parameter"
    assert world.refuses("chief", "supervision", "amend", county="", values={}) == "charter_only"
