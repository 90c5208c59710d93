"""Each patient's log of disclosures has every decision that she is told of, in order."""

from typing import Any

import pytest

from ledger.chain import disclosures
from ledger.chain.disclosures import check_all, entry_of, read_log
from ledger.chain.handover import InvalidProof
from tests.support.contracts import NEIGHBOUR, PATIENT, REPLY_KEY, World
from tests.support.sources import constant


@pytest.fixture
def world() -> World:
    return World()


def log(world: World, subject: str = PATIENT) -> Any:
    return read_log(world.entry(f"disclosures/logs/{subject}"))


def test_the_entries_are_made_here_as_in_the_contract() -> None:
    assert disclosures.SOURCES["access"] == ("decisions", tuple(constant("access", "ENTRY")))
    assert disclosures.SOURCES["enquiry"] == ("enquiries", tuple(constant("enquiry", "ENTRY")))
    assert set(disclosures.SOURCES) <= set(constant("disclosures", "WRITERS"))


def test_every_decision_is_in_the_log_in_its_order(world: World) -> None:
    record = world.anchored()
    decided = [world.requests("gao", record)]
    world.does(PATIENT, "consent", "grant", id="c1", subject=PATIENT, scope={"purposes": ["TREAT"]})
    decided += [world.requests(who, record) for who in ("gao", "wang", "gao", "su", "gao")]
    decided.append(world.breaks_glass("gao", record))
    assert {one["outcome"] for one in decided} == {"permit", "deny"}
    assert [one["entry"] for one in decided] == list(range(7))
    entries = [entry_of("access", one) for one in decided]
    check_all(log(world), entries)
    assert world.asks("disclosures", "log", subject=PATIENT)["count"] == 7
    with pytest.raises(InvalidProof):
        check_all(log(world), entries[:-1])


def test_an_enquiry_is_in_the_log_between_decisions(world: World) -> None:
    first = world.requests("gao", world.anchored())
    asked = world.does(
        "gao", "enquiry", "ask", subject=PATIENT, purpose="TREAT", institution="county",
        reply_key=REPLY_KEY,
    )  # fmt: skip
    assert (first["entry"], asked["entry"]) == (0, 1)
    assert world.entry(f"enquiry/enquiries/{asked['id']}") == asked
    check_all(log(world), [entry_of("access", first), entry_of("enquiry", asked)])


def test_handing_over_changes_no_entry(world: World) -> None:
    record = world.anchored()
    world.does(PATIENT, "consent", "grant", id="c1", subject=PATIENT, scope={"purposes": ["TREAT"]})
    decision = world.requests("gao", record)
    identity = decision["id"]
    world.does("city-1", "access", "release", request=identity, digest=record["digest"])
    stored = world.entry(f"access/decisions/{identity}")
    assert stored != decision
    check_all(log(world), [entry_of("access", stored)])


def test_logs_of_patients_are_apart(world: World) -> None:
    world.requests("gao", world.anchored())
    other = world.requests("gao", world.anchored(subject=NEIGHBOUR))
    assert other["entry"] == 0
    assert log(world).size == log(world, NEIGHBOUR).size == 1
    assert log(world).root() != log(world, NEIGHBOUR).root()
    assert world.asks("disclosures", "log", subject="p-" + "9" * 32) == {"count": 0, "peaks": []}


def test_nobody_else_writes_into_a_log(world: World) -> None:
    entry = {"id": "made up"}
    assert world.refuses("gao", "disclosures", "record", subject=PATIENT, entry=entry) == (
        "not_a_writer"
    )
