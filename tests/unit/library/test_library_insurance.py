"""Claims, proofs of remote services, and packages paid by the head."""

from hashlib import sha256
from typing import Any

import pytest

from tests.support.contracts import DAY, NEIGHBOUR, PATIENT, World, name_of
from tests.support.contracts.amending import amended, not_amended

DOCUMENT = sha256(b"the package").digest()
FORM = bytes(range(32))
READING = {"clinic": "township", "centre": "city", "modality": "ecg"}
MINUTE = 60_000


@pytest.fixture
def world() -> World:
    """Two consultations, at the first of which an expert was; two readings, the first reported."""
    world = World()
    for identity in ("c1", "c2"):
        world.does(
            "he", "consultation", "convene", id=identity, subject=PATIENT, institution="city",
            kind="consultation", records=["ab" * 32], until=world.time + DAY, form=FORM,
            experts=[{"person": "gao", "institution": "county"}],
        )  # fmt: skip
    world.does("gao", "consultation", "join", id="c1")
    world.later(30 * MINUTE).does("gao", "consultation", "leave", id="c1")
    for governor in ("township-chief", "chief"):
        world.does(governor, "reading", "agree", **READING, report=120, acknowledge=10)
    for identity in ("r1", "r2"):
        record = world.anchored(holder="township", kind="ecg", size=int(identity[1:]))
        world.does(
            "wang", "reading", "order", id=identity, subject=PATIENT, **READING,
            records=[name_of(record).hex()], form=FORM,
        )  # fmt: skip
    world.does("he", "reading", "claim", id="r1")
    report = name_of(world.anchored(kind="note")).hex()
    world.does("he", "reading", "report", id="r1", record=report, critical=False)
    return world


def claim(identity: str, *records: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "id": identity, "subject": PATIENT, "hospital": "city", "insurer": "fund",
        "service": "inpatient", "records": [name_of(record).hex() for record in records], **changes,
    }  # fmt: skip


def claims(world: World, identity: str, *records: dict[str, Any], **changes: Any) -> Any:
    return world.does("clerk", "insurance", "claim", **claim(identity, *records, **changes))


def asks(world: World, record: dict[str, Any], case: str = "k1", **changes: Any) -> Any:
    return world.requests("payer", record, **{"purpose": "HPAYMT", "case": case, **changes})


def test_a_claim_shows_the_insurer_its_records_until_it_is_settled(world: World) -> None:
    record, other = world.anchored(size=1, confidentiality="R"), world.anchored(size=2)
    assert asks(world, record)["outcome"] == "deny"
    claims(world, "k1", record)
    decision = asks(world, record)
    assert (decision["outcome"], decision["rule"]) == ("permit", "insurance:claim-evidence")
    assert {"MINEC", "NOREUSE", "NORDSCLCD", "DELAU"} <= set(decision["obligations"])
    assert asks(world, other)["outcome"] == "deny"
    assert asks(world, record, purpose="CLMATTCH")["outcome"] == "permit"
    world.does("payer", "insurance", "settle", id="k1", result="paid")
    assert asks(world, record)["outcome"] == "deny"
    assert world.refuses("payer", "insurance", "settle", id="k1", result="paid") == "not_open"


@pytest.mark.parametrize(
    "change", [{"confidentiality": "V"}, {"holder": "county"}, {"subject": NEIGHBOUR}]
)
def test_a_claim_shows_nothing_else(world: World, change: dict[str, str]) -> None:
    record, other = world.anchored(), world.anchored(**change)
    claims(world, "k1", record, other)
    assert asks(world, record)["outcome"] == "permit"
    assert asks(world, other)["outcome"] == "deny"


def test_a_patient_who_pays_herself_can_deny_it(world: World) -> None:
    record = world.anchored()
    claims(world, "k1", record)
    world.does(PATIENT, "consent", "deny", id="no", subject=PATIENT, scope={"purposes": ["HPAYMT"]})
    assert asks(world, record)["rule"] == "consent:patient-denies"


def test_a_claim_ends_by_date_and_the_permit_with_it(world: World) -> None:
    record = world.anchored()
    claims(world, "k1", record)
    world.later(90 * DAY - 1)
    assert asks(world, record)["expires"] == world.time + 1
    world.later(1)
    assert asks(world, record)["outcome"] == "deny"
    assert world.refuses("payer", "insurance", "settle", id="k1", result="paid") == "not_open"


def test_an_insurer_only_pays_whatever_was_permitted(world: World) -> None:
    record = world.anchored()
    world.does(
        PATIENT, "consent", "grant", id="c", subject=PATIENT,
        scope={"institutions": ["fund"], "purposes": ["HPAYMT", "HRESCH", "HOPERAT"]},
    )  # fmt: skip
    world.does(
        "fund-clerk", "registry", "affiliate", id="he", institution="fund", roles=["physician"]
    )
    decision = world.requests("he", record, "HQUALIMP", "fund")
    assert decision["rule"] == "insurance:insurer-pays-only"
    assert decision["path"][-1]["effect"] == "forbid"
    # What a patient permits an insurer beside any claim stays bound to paying.
    private = asks(world, record, case="")
    assert private["rule"] == "consent:patient-permits"
    assert {"NOREUSE", "DELAU"} <= set(private["obligations"])


def test_less_than_paid_has_a_reason(world: World) -> None:
    claims(world, "k1", world.anchored())
    assert (
        world.refuses("payer", "insurance", "settle", id="k1", result="refused") == "unknown_reason"
    )
    assert (
        world.refuses("payer", "insurance", "settle", id="k1", result="refused", reason="mood")
        == "unknown_reason"
    )
    assert (
        world.refuses("payer", "insurance", "settle", id="k1", result="paid", reason="other")
        == "unknown_reason"
    )
    assert (
        world.refuses("payer", "insurance", "settle", id="k1", result="perhaps") == "unknown_result"
    )
    assert world.refuses("clerk", "insurance", "settle", id="k1", result="paid") == "not_affiliated"
    world.does("payer", "insurance", "settle", id="k1", result="refused", reason="not-documented")
    assert world.asks("insurance", "get", id="k1")["reason"] == "not-documented"


@pytest.mark.parametrize(
    ("signer", "change", "code"),
    [
        ("nurse", {}, "role_missing"),
        ("county-clerk", {}, "not_affiliated"),
        ("clerk", {"id": ""}, "bad_id"),
        ("clerk", {"id": "x/y"}, "bad_id"),
        ("clerk", {"subject": "p-" + "f" * 32}, "unknown_person"),
        ("clerk", {"subject": "he"}, "unknown_person"),
        ("clerk", {"insurer": "county"}, "not_an_insurer"),
        ("clerk", {"insurer": "nowhere"}, "not_an_insurer"),
        ("clerk", {"service": "massage"}, "unknown_service"),
        ("clerk", {"records": []}, "records_missing"),
        ("clerk", {"records": ["ab" * 32] * 65}, "records_missing"),
        ("clerk", {"records": ["x"]}, "bad_record_name"),
        ("clerk", {"proof": "c1"}, "proof_not_needed"),
    ],
)
def test_a_claim_that_breaks_a_rule_is_refused(
    world: World, signer: str, change: dict[str, Any], code: str
) -> None:
    arguments = {**claim("k1"), "records": ["ab" * 32], **change}
    assert world.refuses(signer, "insurance", "claim", **arguments) == code


# --- Remote services ------------------------------------------------------------------------------

REMOTE = {"service": "consultation-inpatient", "proof": "c1", "expert": "gao"}


def test_a_consultation_is_paid_once_and_when_an_expert_was_there(world: World) -> None:
    record = world.anchored()
    claims(world, "k1", record, **REMOTE)
    assert asks(world, record)["path"][-1]["facts"]["service"] == "consultation-inpatient"
    again = claim("k2", record, **{**REMOTE, "service": "consultation-outpatient"})
    assert world.refuses("clerk", "insurance", "claim", **again) == "already_claimed"
    world.does("clerk", "insurance", "take_back", id="k1")
    claims(world, "k3", record, **REMOTE)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"proof": ""}, "proof_missing"),
        ({"proof": "c2"}, "not_proven"),
        ({"proof": "c9"}, "not_proven"),
        ({"expert": "he"}, "not_proven"),
        ({"subject": NEIGHBOUR}, "not_proven"),
        ({"service": "reading-inpatient", "proof": "r2"}, "not_proven"),
        ({"service": "reading-inpatient", "proof": "c1"}, "not_proven"),
    ],
)
def test_a_service_that_did_not_happen_is_not_claimed(
    world: World, change: dict[str, str], code: str
) -> None:
    arguments = claim("k1", world.anchored(), **{**REMOTE, **change})
    assert world.refuses("clerk", "insurance", "claim", **arguments) == code


def test_a_consultation_is_claimed_by_the_hospital_that_convened_it(world: World) -> None:
    arguments = claim("k1", world.anchored(), **REMOTE, hospital="county")
    assert world.refuses("county-clerk", "insurance", "claim", **arguments) == "not_proven"


def test_both_sides_of_a_reading_are_paid_once_each(world: World) -> None:
    record = world.anchored()
    reading = {"service": "reading-outpatient", "proof": "r1"}
    claims(world, "k1", record, **reading)
    assert (
        world.refuses("clerk", "insurance", "claim", **claim("k2", record, **reading))
        == "already_claimed"
    )
    world.does(
        "township-clerk",
        "insurance",
        "claim",
        **claim("k3", record, **reading, hospital="township"),
    )


def test_a_county_pays_for_what_its_scheme_covers(world: World) -> None:
    amended(world, "insurance", "Yan'an", covers=["inpatient", "consultation-inpatient"])
    record = world.anchored()
    claims(world, "k1", record, **REMOTE)
    remote = claim("k2", record, service="reading-outpatient", proof="r1")
    assert world.refuses("clerk", "insurance", "claim", **remote) == "not_covered"
    assert world.asks("insurance", "covered", county="Yan'an") == [
        "inpatient",
        "consultation-inpatient",
    ]
    assert "reading-outpatient" in world.asks("insurance", "covered", county="Elsewhere")
    assert not_amended(world, "insurance", covers=["massage"]) == "unknown_service"
    assert not_amended(world, "insurance", claim_days=366) == "out_of_bounds"
    assert not_amended(world, "insurance", more=1) == "unknown_parameter"
    assert world.refuses("chief", "insurance", "amend", county="", values={}) == "charter_only"


# --- Packages -------------------------------------------------------------------------------------


def package(world: World, **changes: Any) -> dict[str, Any]:
    return {
        "id": "g1", "insurer": "fund", "hospital": "city", "heads": 3000,
        "ends": world.time + 300 * DAY, "document": DOCUMENT, **changes,
    }  # fmt: skip


def test_an_insurer_draws_few_patients_of_a_package_and_the_hospital_shows_their_records(
    world: World,
) -> None:
    record = world.anchored()
    amended(world, "insurance", sample=1)
    world.does("payer,chief", "insurance", "agree", **package(world))
    assert world.does("payer", "insurance", "draw", id="k1", package="g1", subject=PATIENT) == 0
    assert asks(world, record)["outcome"] == "deny"
    assert (
        world.refuses("payer", "insurance", "draw", id="k2", package="g1", subject=NEIGHBOUR)
        == "sample_used_up"
    )
    assert (
        world.refuses("payer", "insurance", "supply", id="k1", records=["ab" * 32])
        == "not_affiliated"
    )
    world.does("clerk", "insurance", "supply", id="k1", records=[name_of(record).hex()])
    assert asks(world, record)["outcome"] == "permit"
    assert (
        world.refuses("clerk", "insurance", "supply", id="k1", records=["ab" * 32])
        == "already_supplied"
    )
    assert world.refuses("clerk", "insurance", "take_back", id="k1") == "drawn"
    world.does("payer", "insurance", "settle", id="k1", result="paid")
    assert asks(world, record)["outcome"] == "deny"


def test_nothing_is_drawn_after_the_period(world: World) -> None:
    world.does("payer,chief", "insurance", "agree", **package(world))
    world.later(300 * DAY)
    assert (
        world.refuses("payer", "insurance", "draw", id="k1", package="g1", subject=PATIENT)
        == "package_over"
    )
    assert (
        world.refuses("payer", "insurance", "draw", id="k1", package="g2", subject=PATIENT)
        == "unknown_package"
    )


@pytest.mark.parametrize(
    ("signers", "change", "code"),
    [
        ("payer", {}, "signature_missing"),
        ("payer,clerk", {}, "role_missing"),
        ("chief,payer", {}, "not_affiliated"),
        ("payer,chief", {"heads": 0}, "bad_heads"),
        ("payer,chief", {"document": b""}, "document_missing"),
        ("payer,chief", {"ends": 5}, "bad_time"),
        ("payer,chief", {"ends": 1 << 60}, "bad_time"),
        ("payer,chief", {"id": ""}, "bad_id"),
    ],
)
def test_a_package_that_breaks_a_rule_is_refused(
    world: World, signers: str, change: dict[str, Any], code: str
) -> None:
    assert world.refuses(signers, "insurance", "agree", **package(world, **change)) == code
