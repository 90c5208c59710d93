"""What nobody can consent to, order or vote: employers, vendors, insurers, places of custody."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.contracts.machine import BlockContext
from tests.support.contracts import DAY, INMATE, PATIENT, World
from tests.support.sources import constant

CLASSES = constant("records", "CLASSES")
KINDS = constant("governance", "KINDS")
BRANCHES = constant("access", "BRANCH")
ROLES = constant("registry", "ROLES")


@pytest.fixture(scope="module")
def world() -> World:
    """With an agreement for an employer, an order, a claim and a stay, all in force."""
    world = World()
    until = world.time + 20 * DAY
    world.does(
        PATIENT, "cross_sector", "agree", id="x", entry="work-fitness", subject=PATIENT,
        department="firm", holder="city", ends=until,
    )  # fmt: skip
    world.does(
        "clerk", "insurance", "claim", id="k", subject=PATIENT, hospital="city", insurer="fund",
        service="inpatient", records=["ab" * 32],
    )  # fmt: skip
    world.does("lock-clerk", "custody", "admit", subject=INMATE, institution="lock", until=until)
    return world


requests = st.fixed_dictionaries(
    {
        "subject": st.sampled_from([PATIENT, INMATE]),
        "requester": st.sampled_from(["he", "firm-liaison", "engineer"]),
        "roles": st.lists(st.sampled_from(ROLES), min_size=1, max_size=3, unique=True),
        "institution": st.sampled_from(["firm", "maker", "fund", "lock", "city"]),
        "institution_kind": st.sampled_from(KINDS),
        "purpose": st.sampled_from(sorted(BRANCHES)),
        "holder": st.sampled_from(["city", "lock"]),
        "record": st.sampled_from(["ab" * 32, "cd" * 32]),
        "kind": st.sampled_from(CLASSES),
        "case": st.sampled_from(["", "x", "k", "nothing"]),
        "confidentiality": st.sampled_from(["N", "R", "V"]),
    }
)


def answer(world: World, contract: str, facts: dict[str, Any]) -> Any:
    facts = {**facts, "branch": BRANCHES[facts["purpose"]]}
    result = world.machine.query(
        world.state.get, BlockContext(world.chain, world.height, world.time), contract, "decide",
        {"request": facts},
    )  # fmt: skip
    assert result.ok, result.error
    return result.value


@settings(max_examples=400, deadline=None)
@given(requests)
def test_an_employer_is_never_permitted_a_diagnosis(world: World, facts: dict[str, Any]) -> None:
    facts = {**facts, "institution_kind": "employer"}
    told = answer(world, "cross_sector", facts)["effect"]
    harmless = facts["kind"] in ("encounter", "immunization", "other")
    if not harmless or facts["confidentiality"] != "N":
        assert told == "forbid"
    else:
        assert told in ("permit", "deny")


@settings(max_examples=400, deadline=None)
@given(requests)
def test_who_is_not_meant_is_left_to_others(world: World, facts: dict[str, Any]) -> None:
    kind = facts["institution_kind"]
    if kind not in constant("cross_sector", "DEPARTMENTS"):
        assert answer(world, "cross_sector", facts)["effect"] == "none"
    if kind != "insurer":
        assert answer(world, "insurance", facts)["effect"] == "none"


@settings(max_examples=400, deadline=None)
@given(requests)
def test_a_vendor_and_an_insurer_have_no_end_of_their_own(
    world: World, facts: dict[str, Any]
) -> None:
    assert answer(world, "processor", {**facts, "institution_kind": "vendor"})["effect"] == "forbid"
    told = answer(world, "insurance", {**facts, "institution_kind": "insurer"})["effect"]
    if BRANCHES[facts["purpose"]] != "HPAYMT":
        assert told == "forbid"
    else:
        assert told in ("permit", "limit")


@settings(max_examples=400, deadline=None)
@given(requests)
def test_a_place_of_custody_treats_and_custody_permits_nothing(
    world: World, facts: dict[str, Any]
) -> None:
    clinical = {"physician", "nurse", "emergency-physician"} & set(facts["roles"])
    held = {**facts, "institution_kind": "custody", "institution": "lock"}
    treats = BRANCHES[facts["purpose"]] == "TREAT" and clinical and facts["subject"] == INMATE
    assert answer(world, "custody", held)["effect"] == ("limit" if treats else "forbid")
    assert answer(world, "custody", facts)["effect"] in ("limit", "deny", "forbid", "none")


@settings(max_examples=400, deadline=None)
@given(requests)
def test_the_supervision_of_work_sees_no_patient(world: World, facts: dict[str, Any]) -> None:
    told = answer(world, "staff_work", facts)["effect"]
    if facts["purpose"] in ("PERFMSR", "MEMADMIN"):
        assert told == "forbid"
    elif facts["purpose"] != "HSYSADMIN":
        assert told == "none"
