"""A record is destroyed when a patient asks and no law keeps it, and is closed until then."""

from typing import Any

import pytest

from tests.support.contracts import DAY, HOUR, NEIGHBOUR, PATIENT, World, name_of

HASH = bytes(range(32))
YEAR = 366 * DAY


@pytest.fixture
def world() -> World:
    world = World()
    world.does(PATIENT, "consent", "grant", id="c1", subject=PATIENT, scope={"purposes": ["TREAT"]})
    return world


def ask(world: World, record: dict[str, Any], who: str = PATIENT) -> str:
    return str(world.does(who, "erasure", "ask", pointer=record, proof={}))


def status(world: World, record: dict[str, Any]) -> str:
    return str(world.asks("records", "find", pointer=record, proof={})["status"])


def destroy(world: World, request: str, record: dict[str, Any], **changes: Any) -> None:
    arguments = {
        "parts": ["salts", "keys", "copies"], "names": [name_of(record).hex()], "statement": HASH,
    }  # fmt: skip
    world.does("city-1", "erasure", "destroyed", erasure=request, **(arguments | changes))


def refuses_to_destroy(world: World, request: str, record: dict[str, Any], **changes: Any) -> str:
    arguments = {
        "parts": ["salts", "keys"], "names": [name_of(record).hex()], "statement": HASH,
    }  # fmt: skip
    return world.refuses("city-1", "erasure", "destroyed", erasure=request, **(arguments | changes))


def test_what_is_asked_for_is_closed_at_once_but_not_to_herself(world: World) -> None:
    record = world.anchored()
    assert world.requests("gao", record)["outcome"] == "permit"
    ask(world, record)
    assert status(world, record) == "restricted"
    decision = world.requests("gao", record)
    assert (decision["outcome"], decision["rule"]) == ("deny", "access:record-restricted")
    glass = world.breaks_glass("gao", record)
    assert (glass["outcome"], glass["rule"]) == ("deny", "access:record-restricted")
    own = world.does(
        PATIENT, "access", "request", pointer=record, proof={}, purpose="PATRQT", institution="",
        reply_key=HASH,
    )  # fmt: skip
    assert own["outcome"] == "permit"


def test_a_record_is_kept_until_the_years_after_the_visit_are_over(world: World) -> None:
    record = world.anchored()
    request = ask(world, record)
    until = world.does("city-1", "erasure", "answer", erasure=request, ground="outpatient",
                       since=world.time)  # fmt: skip
    assert 15 * 365 * DAY <= until - world.time <= 15 * YEAR
    found = world.asks("erasure", "erasure", id=request)
    assert (found["status"], found["ground"], found["until"]) == ("kept", "outpatient", until)
    assert refuses_to_destroy(world, request, record) == "too_early"
    world.time = until - 2
    assert refuses_to_destroy(world, request, record) == "too_early"
    assert status(world, record) == "restricted"
    world.later(2)
    destroy(world, request, record)
    assert status(world, record) == "destroyed"


def test_after_a_stay_it_is_kept_for_thirty_years(world: World) -> None:
    request = ask(world, world.anchored())
    until = world.does("city-1", "erasure", "answer", erasure=request, ground="inpatient",
                       since=world.time - HOUR)  # fmt: skip
    assert 30 * 365 * DAY <= until - world.time <= 30 * YEAR


def test_an_order_is_named_and_has_a_date(world: World) -> None:
    request = ask(world, world.anchored())
    order = {"erasure": request, "ground": "order", "since": world.time + 400 * DAY}
    assert world.refuses("city-1", "erasure", "answer", **order) == "evidence_missing"
    until = world.does("city-1", "erasure", "answer", **order, evidence=HASH)
    assert until == world.time + 400 * DAY
    late = order | {"since": world.time + 37_000 * DAY}
    assert world.refuses("city-1", "erasure", "answer", **late, evidence=HASH) == "bad_time"


def test_what_no_law_keeps_is_destroyed_and_never_given_again(world: World) -> None:
    record = world.anchored()
    before = world.requests("gao", record)
    request = ask(world, record)
    assert refuses_to_destroy(world, request, record) == "not_due"
    world.does("city-1", "erasure", "answer", erasure=request, ground="none", since=0)
    result = world.call(
        "city-1", "erasure", "destroyed", erasure=request, parts=["salts", "keys", "copies"],
        names=[name_of(record).hex()], statement=HASH,
    )  # fmt: skip
    (event,) = result.events
    assert (event.name, event.fields["subject"], event.fields["late"]) == (
        "destroyed", PATIENT, False,
    )  # fmt: skip
    found = world.asks("erasure", "about", holder="city", record=name_of(record).hex())
    assert found["receipt"]["by"] == "city-1"
    assert found["receipt"]["parts"] == ["salts", "keys", "copies"]
    for who in ("gao", "he"):
        assert world.requests(who, record)["rule"] == "access:record-destroyed"
    own = world.does(
        PATIENT, "access", "request", pointer=record, proof={}, purpose="PATRQT", institution="",
        reply_key=HASH,
    )  # fmt: skip
    assert own["rule"] == "access:record-destroyed"
    # What was decided before stays on the chain as it was.
    assert world.asks("access", "decision", id=before["id"]) == before
    assert world.refuses(PATIENT, "erasure", "take_back", erasure=request) == "already_destroyed"
    assert world.refuses(PATIENT, "erasure", "ask", pointer=record, proof={}) == "already_asked"


def test_a_late_destruction_says_so(world: World) -> None:
    record = world.anchored()
    request = ask(world, record)
    world.does("city-1", "erasure", "answer", erasure=request, ground="none", since=0)
    world.later(31 * DAY)
    destroy(world, request, record)
    found = world.asks("erasure", "erasure", id=request)
    assert found["due"] < found["ended"]


def test_she_can_take_it_back_and_the_record_is_as_before(world: World) -> None:
    record = world.anchored()
    request = ask(world, record)
    world.does(PATIENT, "erasure", "take_back", erasure=request)
    assert status(world, record) == "anchored"
    assert world.requests("gao", record)["outcome"] == "permit"
    assert world.refuses(PATIENT, "erasure", "take_back", erasure=request) == "already_taken_back"
    assert refuses_to_destroy(world, request, record) == "not_due"
    again = ask(world, record)
    assert again != request


def test_a_holder_can_answer_anew_while_the_record_is_there(world: World) -> None:
    record = world.anchored()
    request = ask(world, record)
    answer = {"erasure": request, "ground": "outpatient", "since": world.time}
    world.does("city-1", "erasure", "answer", **answer)
    world.does("city-1", "erasure", "answer", erasure=request, ground="none", since=0)
    destroy(world, request, record)
    assert world.refuses("city-1", "erasure", "answer", **answer) == "closed"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"parts": []}, "unknown_part"),
        ({"parts": ["salts", "keys", "paper"]}, "unknown_part"),
        ({"parts": ["salts"]}, "not_destroyed"),
        ({"parts": ["keys", "copies"]}, "not_destroyed"),
        ({"statement": b"x"}, "statement_missing"),
        ({"names": []}, "another_record"),
        ({"names": ["0" * 64]}, "another_record"),
        ({"names": ["0" * 63]}, "bad_record_name"),
    ],
)
def test_a_destruction_is_signed_whole(world: World, changes: dict[str, Any], code: str) -> None:
    record = world.anchored()
    request = ask(world, record)
    world.does("city-1", "erasure", "answer", erasure=request, ground="none", since=0)
    assert refuses_to_destroy(world, request, record, **changes) == code


def test_nobody_else_asks_answers_destroys_or_closes(world: World) -> None:
    record = world.anchored()
    arguments = {"pointer": record, "proof": {}}
    assert world.refuses(NEIGHBOUR, "erasure", "ask", **arguments)
    assert world.refuses("he", "erasure", "ask", **arguments)
    unknown = {**record, "size": 1}
    assert world.refuses(PATIENT, "erasure", "ask", pointer=unknown, proof={}) == "unknown_record"
    request = ask(world, record)
    assert world.refuses(NEIGHBOUR, "erasure", "take_back", erasure=request)
    for who in ("county-1", "he", "clerk", PATIENT):
        assert world.refuses(
            who, "erasure", "answer", erasure=request, ground="none", since=0
        )  # fmt: skip
    world.does("city-1", "erasure", "answer", erasure=request, ground="none", since=0)
    for who in ("county-1", "he", PATIENT):
        assert world.refuses(
            who, "erasure", "destroyed", erasure=request, parts=["salts", "keys"],
            names=[name_of(record).hex()], statement=HASH,
        )  # fmt: skip
    close = {"holder": "city", "name": name_of(record), "how": "destroyed"}
    for who in ("city-1", PATIENT):
        assert world.refuses(who, "records", "restrict", **close) == "erasure_only"


def test_years_do_not_count_from_before_the_record_or_from_tomorrow(world: World) -> None:
    record = world.anchored(start=world.time - DAY, end=world.time - HOUR)
    request = ask(world, record)
    for since in (world.time - DAY, world.time + 10 * DAY):
        assert world.refuses(
            "city-1", "erasure", "answer", erasure=request, ground="outpatient", since=since
        ) == "bad_time"  # fmt: skip


def test_a_mark_of_the_holder_and_a_request_do_not_undo_each_other(world: World) -> None:
    record = world.anchored()
    newer = world.anchored(kind="imaging")
    request = ask(world, record)
    world.does(
        "city-1", "records", "supersede", holder="city", old=name_of(record), new=name_of(newer)
    )
    assert status(world, record) == "superseded"
    world.does("city-1", "erasure", "answer", erasure=request, ground="none", since=0)
    destroy(world, request, record)
    assert status(world, record) == "destroyed"
    other = world.anchored(kind="note")
    world.does(
        "city-1", "records", "supersede", holder="city", old=name_of(other), new=name_of(newer)
    )
    request = ask(world, other)
    world.does(PATIENT, "erasure", "take_back", erasure=request)
    assert status(world, other) == "superseded"


def test_shorter_times_than_the_law_has_cannot_be_voted(world: World) -> None:
    from ledger.contracts.machine import GenesisFailed

    for values in ({"outpatient_years": 14}, {"inpatient_years": 29}, {"answer_days": 0}):
        with pytest.raises(GenesisFailed):
            World(arguments={"erasure": values})
    longer = World(arguments={"erasure": {"outpatient_years": 20}})
    record = longer.anchored()
    request = ask(longer, record)
    until = longer.does("city-1", "erasure", "answer", erasure=request, ground="outpatient",
                        since=longer.time)  # fmt: skip
    assert until - longer.time > 20 * 365 * DAY
    assert longer.refuses("gao", "erasure", "amend", county="", values={}) == "charter_only"
