"""What a patient disputes is answered in time, and what was refused stays beside the record."""

from typing import Any

import pytest

from tests.support.contracts import DAY, NEIGHBOUR, PATIENT, World, name_of

HERS, THEIRS = bytes(range(32)), bytes(range(1, 33))


@pytest.fixture
def world() -> World:
    return World()


def dispute(world: World, record: dict[str, Any], **changes: Any) -> str:
    arguments = {"pointer": record, "proof": {}, "reason": "wrong-content", "statement": HERS}
    return str(world.does(PATIENT, "corrections", "dispute", **(arguments | changes)))


def beside(world: World, record: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = world.asks(
        "corrections", "beside", holder="city", record=name_of(record).hex()
    )
    return found


def test_a_dispute_stands_beside_the_record_from_the_beginning(world: World) -> None:
    record = world.anchored()
    identity = dispute(world, record)
    (one,) = beside(world, record)
    assert (one["id"], one["status"], one["reason"]) == (identity, "open", "wrong-content")
    assert one["statement"] == HERS
    assert one["due"] == world.time + 30 * DAY


def test_what_was_refused_stays_until_she_withdraws_it(world: World) -> None:
    record = world.anchored()
    identity = dispute(world, record)
    answer = {"dispute": identity, "accepted": False, "statement": THEIRS}
    result = world.call("city-1", "corrections", "answer", **answer)
    (event,) = result.events
    assert event.fields == {
        "dispute": identity, "subject": PATIENT, "holder": "city", "accepted": False, "late": False,
    }  # fmt: skip
    (one,) = beside(world, record)
    assert (one["status"], one["answer"]["statement"]) == ("refused", THEIRS)
    assert world.refuses("city-1", "corrections", "answer", **answer) == "closed"
    world.does(PATIENT, "corrections", "withdraw", dispute=identity)
    assert beside(world, record) == []
    assert world.asks("corrections", "case", id=identity)["status"] == "withdrawn"
    assert world.refuses(PATIENT, "corrections", "withdraw", dispute=identity) == "closed"


def test_to_accept_the_record_has_to_be_corrected_first(world: World) -> None:
    record = world.anchored()
    identity = dispute(world, record)
    answer = {"dispute": identity, "accepted": True, "statement": THEIRS}
    assert world.refuses("city-1", "corrections", "answer", **answer) == "not_corrected"
    newer = world.anchored(kind="imaging")
    world.does(
        "city-1", "records", "supersede", holder="city", old=name_of(record), new=name_of(newer)
    )
    world.does("city-1", "corrections", "answer", **answer)
    found = world.asks("corrections", "case", id=identity)
    assert (found["status"], found["answer"]["by_record"]) == ("accepted", name_of(newer))
    assert beside(world, record) == []


def test_a_record_in_error_is_corrected_too(world: World) -> None:
    record = world.anchored()
    identity = dispute(world, record, reason="wrong-patient")
    world.does(
        "city-1", "records", "mark_error", holder="city", name=name_of(record),
        reason="wrong-patient",
    )  # fmt: skip
    world.does("city-1", "corrections", "answer", dispute=identity, accepted=True, statement=THEIRS)
    assert world.asks("corrections", "case", id=identity)["status"] == "accepted"


def test_a_late_answer_says_so(world: World) -> None:
    identity = dispute(world, world.anchored())
    world.later(31 * DAY)
    world.does(
        "city-1", "corrections", "answer", dispute=identity, accepted=False, statement=THEIRS
    )
    assert world.asks("corrections", "case", id=identity)["answer"]["late"] is True


def test_nobody_else_disputes_or_answers(world: World) -> None:
    record = world.anchored()
    arguments = {"pointer": record, "proof": {}, "reason": "other", "statement": HERS}
    assert world.refuses(NEIGHBOUR, "corrections", "dispute", **arguments)
    assert world.refuses("gao", "corrections", "dispute", **arguments)
    identity = dispute(world, record)
    for who in ("county-1", "he", PATIENT):
        assert world.refuses(
            who, "corrections", "answer", dispute=identity, accepted=False, statement=THEIRS
        )
    assert world.refuses(NEIGHBOUR, "corrections", "withdraw", dispute=identity)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"reason": "because"}, "unknown_reason"),
        ({"statement": b"short"}, "statement_missing"),
    ],
)
def test_a_dispute_has_a_code_and_words(world: World, changes: dict[str, Any], code: str) -> None:
    arguments = {"pointer": world.anchored(), "proof": {}, "reason": "other", "statement": HERS}
    assert world.refuses(PATIENT, "corrections", "dispute", **(arguments | changes)) == code


def test_what_does_not_count_is_not_disputed_and_eight_are_enough(world: World) -> None:
    record = world.anchored()
    for _ in range(8):
        dispute(world, record)
    arguments = {"pointer": record, "proof": {}, "reason": "other", "statement": HERS}
    assert world.refuses(PATIENT, "corrections", "dispute", **arguments) == "too_many_disputes"
    assert len(beside(world, record)) == 8
    gone = world.anchored(kind="imaging")
    world.does(
        "city-1", "records", "mark_error", holder="city", name=name_of(gone), reason="duplicate"
    )
    assert (
        world.refuses(PATIENT, "corrections", "dispute", **(arguments | {"pointer": gone}))
        == "record_does_not_count"
    )
