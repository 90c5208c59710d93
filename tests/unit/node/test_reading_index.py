"""The index says of the chain what the chain says, wherever it was begun and stopped."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy

from ledger.chain.codec import encode
from ledger.chain.rows import key_number, map_number
from ledger.chain.store import Store
from ledger.node.reading import content, index, tables
from ledger.node.reading.content import KINDS, RECEIPT_GRACE, Access, Unreadable, read_entry
from ledger.node.reading.index import IndexUnusable, ReadingIndex
from ledger.node.reading.packing import StaleCursor, pack_id, unpack_id
from tests.support.contracts import DAY, HOUR, NEIGHBOUR, PATIENT, World, name_of

CHAIN = bytes(32)
END = 2**50


class Followed:
    """A world whose state is in a store as a node would have it, and the index of that store."""

    def __init__(self, directory: Path, address: str) -> None:
        self.world = World()
        self.store = Shelf()
        self._seen: dict[bytes, bytes] = {}
        self.index = ReadingIndex.open(address, CHAIN)

    def catch_up(self) -> None:
        changed = [
            (key, value) for key, value in self.world.state.items() if self._seen.get(key) != value
        ]
        self._seen = dict(self.world.state)
        self.store.add(self.world.height, self.world.time, changed)
        list(self.index.follow(self.store))  # type: ignore[arg-type]


class Shelf:
    """What a `StoreReader` says of its state, kept in memory."""

    class Head:
        def __init__(self, height: int, time: int) -> None:
            self.height = height
            self.time = time

    def __init__(self) -> None:
        self.rows: list[tuple[int, int, bytes, bytes]] = []
        self._head = self.Head(-1, 0)
        self._numbering = 0

    def add(self, height: int, time: int, entries: Any) -> None:
        number = self.newest_row()
        for place, (key, value) in enumerate(sorted(entries), number + 1):
            self.rows.append((place, height, key, value))
        self._head = self.Head(height, time)

    def snapshot(self) -> None:
        """Number what is in force anew, as a store that goes on from a snapshot does."""
        newest = {key: value for _, _, key, value in self.rows}
        self.rows = []
        height, time = self._head.height + 1, self._head.time
        self._numbering = height
        self.add(height, time, newest.items())

    def head(self) -> Any:
        return self._head

    def height(self) -> int:
        return self._head.height

    def newest_row(self) -> int:
        return self.rows[-1][0] if self.rows else 0

    def rows_of(self, maps: Any, after: int, last: int) -> list[tuple[bytes, bytes]]:
        prefixes = tuple(f"{name}/".encode() for name in maps)
        return [
            (key, value)
            for number, _, key, value in self.rows
            if after < number <= last and key.startswith(prefixes)
        ]

    def numbering(self) -> int:
        return self._numbering


@pytest.fixture
def followed(tmp_path: Path, address: str) -> Iterator[Followed]:
    made = Followed(tmp_path, address)
    yield made
    made.index.close()


def consented(world: World) -> None:
    world.does(PATIENT, "consent", "grant", id="c1", subject=PATIENT, scope={"purposes": ["TREAT"]})


def as_line(decision: dict[str, Any]) -> Access:
    found = read_entry(f"access/decisions/{decision['id']}".encode(), encode(decision))
    assert found is not None
    assert isinstance(found.row, Access)
    return found.row


def test_every_list_has_each_decision_once_and_newest_first(followed: Followed) -> None:
    world = followed.world
    record, other = world.anchored(), world.anchored(subject=NEIGHBOUR, holder="county")
    first = world.requests("gao", record)
    consented(world)
    followed.catch_up()
    second = world.later(HOUR).requests("gao", record)
    third = world.later(HOUR).requests("wang", record)
    fourth = world.later(HOUR).requests("gao", other)
    followed.catch_up()
    followed.catch_up()
    lists = followed.index.lists
    assert lists.accesses_of(PATIENT) == tuple(map(as_line, (third, second, first)))
    assert lists.accesses_of(NEIGHBOUR) == (as_line(fourth),)
    assert lists.opened_by(person="gao").lines == tuple(map(as_line, (fourth, second, first)))
    assert lists.opened_by(institution="township").lines == (as_line(third),)
    assert lists.opened_by(holder="city").lines == tuple(map(as_line, (third, second, first)))
    assert lists.accesses_of("p-" + "9" * 32) == ()
    assert lists.opened_by(person="nobody").lines == ()
    assert followed.index.position.height == world.height
    assert followed.index.unread == 0


def test_pages_together_are_the_list(followed: Followed) -> None:
    world = followed.world
    record = world.anchored()
    made = [as_line(world.later(number % 2).requests("gao", record)) for number in range(7)]
    followed.catch_up()
    lists = followed.index.lists
    found: list[Access] = []
    cursor = None
    while True:
        page = lists.opened_by(institution="county", cursor=cursor, limit=2)
        assert len(page.lines) <= 2
        found += page.lines
        cursor = page.cursor
        if cursor is None:
            break
    assert sorted(found, key=lambda line: line.height) == made
    assert [line.time for line in found] == sorted((one.time for one in made), reverse=True)
    assert [line.entry for line in lists.accesses_of(PATIENT, limit=3)] == [6, 5, 4]
    assert [line.entry for line in lists.accesses_of(PATIENT, before=4)] == [3, 2, 1, 0]
    assert lists.accesses_of(PATIENT, before=0) == ()
    within = lists.opened_by(person="gao", since=made[2].time, until=made[5].time).lines
    assert {line.id for line in within} == {
        line.id for line in made if made[2].time <= line.time < made[5].time
    }


def test_a_release_and_a_receipt_change_the_line_and_close_what_waited(followed: Followed) -> None:
    world = followed.world
    record = world.anchored()
    consented(world)
    late, quick = world.requests("gao", record), world.requests("wang", record)
    for decision in (late, quick):
        world.does("city-1", "access", "release", request=decision["id"], digest=record["digest"])
    released = world.time
    receipt = {"digest": record["digest"], "matches": True}
    world.does("wang", "access", "receipt", request=quick["id"], **receipt)
    followed.catch_up()
    lists = followed.index.lists
    assert lists.findings(0, END).lines == ()
    assert {line.released for line in lists.accesses_of(PATIENT)} == {released}
    world.later(RECEIPT_GRACE).anchored(kind="imaging")
    followed.catch_up()
    (finding,) = lists.findings(0, END).lines
    assert (finding.kind, finding.about) == ("release-without-receipt", late["id"])
    assert (finding.institution, finding.subject) == ("county", PATIENT)
    assert (finding.time, finding.closed) == (released + RECEIPT_GRACE, None)
    world.does("gao", "access", "receipt", request=late["id"], **receipt)
    followed.catch_up()
    (closed,) = lists.findings(0, END).lines
    assert closed.closed == world.time
    assert lists.accesses_of(PATIENT)[1].received == world.time


def test_what_a_holder_or_a_requester_says_of_other_bytes_is_a_finding(followed: Followed) -> None:
    world = followed.world
    record = world.anchored()
    consented(world)
    decision = world.requests("gao", record)
    wrong = {"request": decision["id"], "digest": bytes(32)}
    world.does("gao", "access", "receipt", **wrong, matches=False)
    followed.catch_up()
    kinds = {finding.kind for finding in followed.index.lists.findings(0, END).lines}
    assert kinds == {"receipt-differs", "receipt-without-release"}
    world.later(HOUR).does("city-1", "access", "release", **wrong)
    followed.catch_up()
    found = {one.kind: one for one in followed.index.lists.findings(0, END).lines}
    assert set(found) == {"receipt-differs", "receipt-without-release", "release-differs"}
    assert found["receipt-without-release"].closed == world.time
    by_kind = followed.index.lists.findings(0, END, kind="release-differs").lines
    assert by_kind == (found["release-differs"],)
    assert len(followed.index.lists.findings(0, END, institution="city").lines) == 3
    assert followed.index.lists.findings(0, END, institution="county").lines == ()
    assert set(found) <= set(KINDS)


def test_an_emergency_is_listed_and_its_late_review_is_a_finding(followed: Followed) -> None:
    world = followed.world
    decision = world.breaks_glass("gao", world.anchored())
    followed.catch_up()
    lists = followed.index.lists
    (one,) = lists.emergencies(subject=PATIENT).lines
    assert (one.id, one.person, one.status, one.reviewed) == (decision["id"], "gao", "open", None)
    world.later(4 * DAY).anchored(kind="imaging")
    followed.catch_up()
    (finding,) = lists.findings(0, END).lines
    assert (finding.kind, finding.time, finding.closed) == ("review-overdue", one.due, None)
    world.does(
        "auditor", "emergency", "review", emergency=one.id, institution="board", upheld=False,
        note=bytes(32),
    )  # fmt: skip
    followed.catch_up()
    (reviewed,) = lists.emergencies(institution="county").lines
    assert (reviewed.status, reviewed.reviewed) == ("abuse", world.time)
    found = {one.kind: one.closed for one in lists.findings(0, END).lines}
    assert found == {"review-overdue": world.time, "emergency-abuse": None}


def test_consents_are_listed_with_their_end(followed: Followed) -> None:
    world = followed.world
    consented(world)
    begun = world.time
    followed.catch_up()
    world.later(DAY).does(PATIENT, "consent", "withdraw", id="c1")
    followed.catch_up()
    (consent,) = followed.index.lists.consents_of(PATIENT).lines
    assert (consent.id, consent.status) == ("c1", "withdrawn")
    assert (consent.time, consent.withdrawn) == (begun, world.time)


def test_erasures_and_disputes_are_listed_and_what_is_late_is_a_finding(
    followed: Followed,
) -> None:
    world = followed.world
    record = world.anchored()
    asked = world.does(PATIENT, "erasure", "ask", pointer=record, proof={})
    begun = world.time
    disputed = world.does(
        PATIENT, "corrections", "dispute", pointer=record, proof={}, reason="outdated",
        statement=bytes(32),
    )  # fmt: skip
    followed.catch_up()
    lists = followed.index.lists
    found = {case.what: case for case in lists.cases(subject=PATIENT).lines}
    assert (found["erasure"].id, found["erasure"].status) == (asked, "requested")
    assert (found["dispute"].id, found["dispute"].reason) == (disputed, "outdated")
    assert set(found.values()) == set(lists.cases(holder="city").lines)
    world.later(31 * DAY).anchored(kind="note")
    followed.catch_up()
    late = {one.kind: one.closed for one in lists.findings(0, END).lines}
    assert late == {"erasure-unanswered": None, "dispute-unanswered": None}
    world.does("city-1", "erasure", "answer", erasure=asked, ground="outpatient", since=begun)
    world.does(
        "city-1", "corrections", "answer", dispute=disputed, accepted=False, statement=bytes(32)
    )
    followed.catch_up()
    answered = world.time
    late = {one.kind: one.closed for one in lists.findings(0, END).lines}
    assert late == {"erasure-unanswered": answered, "dispute-unanswered": answered}
    (kept,) = [case for case in lists.cases(subject=PATIENT).lines if case.what == "erasure"]
    assert (kept.status, kept.reason) == ("kept", "outpatient")
    world.time = kept.due + 1
    world.anchored(kind="ecg")
    followed.catch_up()
    late = {one.kind: one.closed for one in lists.findings(0, END).lines}
    assert late["erasure-overdue"] is None
    world.does(
        "city-1", "erasure", "destroyed", erasure=asked, parts=["salts", "keys"],
        names=[name_of(record).hex()], statement=bytes(32),
    )  # fmt: skip
    followed.catch_up()
    late = {one.kind: one.closed for one in lists.findings(0, END).lines}
    assert late["erasure-overdue"] == world.time
    ended = {case.what: case.status for case in lists.cases(holder="city").lines}
    assert ended == {"erasure": "destroyed", "dispute": "refused"}
    world.does(PATIENT, "corrections", "withdraw", dispute=disputed)
    followed.catch_up()
    late = {one.kind: one.closed for one in lists.findings(0, END).lines}
    assert late["dispute-unanswered"] == answered


def contents(address: str) -> dict[str, list[tuple[Any, ...]]]:
    """Every row but for the numbers that rows and texts happen to have."""
    engine = sqlalchemy.create_engine(address.replace("postgresql://", "postgresql+psycopg://"))
    with engine.connect() as connection:
        names = dict(
            connection.execute(sqlalchemy.select(tables.names.c.id, tables.names.c.name)).all()
        )
        found = {}
        for table in (
            tables.accesses, tables.emergencies, tables.consents, tables.findings, tables.deadlines,
            tables.cases,
        ):  # fmt: skip
            texts = {
                column.name
                for column in table.c
                if (column.name
                in ("subject", "requester", "institution", "holder", "purpose", "outcome", "rule",
                    "kind", "person", "reason", "status", "what")
                and table is not tables.accesses)
                or column.name in ("subject", "requester", "institution", "holder", "purpose",
                                   "outcome", "rule", "kind")
            }  # fmt: skip
            found[table.name] = sorted(
                repr(
                    [
                        names.get(value) if name in texts else value
                        for name, value in row.items()
                        if name != "id"
                    ]
                )
                for row in connection.execute(sqlalchemy.select(table)).mappings()
            )
    engine.dispose()
    return found


def busy(followed: Followed) -> None:
    """A day with something of everything, taken in bit by bit."""
    world = followed.world
    record = world.anchored()
    for number in range(4):
        world.later(HOUR).requests("gao", record)
        if number == 1:
            consented(world)
        followed.catch_up()
    decision = world.requests("gao", record)
    world.does("city-1", "access", "release", request=decision["id"], digest=record["digest"])
    world.breaks_glass("su", world.anchored(subject=NEIGHBOUR))
    followed.catch_up()
    world.later(4 * DAY).requests("wang", record)
    followed.catch_up()


def test_an_index_made_anew_is_the_same(followed: Followed, address: str) -> None:
    busy(followed)
    before = contents(address)
    mark = followed.index.mark
    assert len(before["reading_accesses"]) == 7
    assert len(before["reading_findings"]) == 2
    followed.index.clear()
    assert followed.index.mark != mark
    assert followed.index.lists.accesses_of(PATIENT) == ()
    list(followed.index.follow(followed.store))  # type: ignore[arg-type]
    assert contents(address) == before


def test_a_snapshot_in_place_of_the_store_changes_nothing(followed: Followed, address: str) -> None:
    busy(followed)
    before = contents(address)
    followed.store.snapshot()
    followed.catch_up()
    assert contents(address) == before
    followed.index.clear()
    list(followed.index.follow(followed.store))  # type: ignore[arg-type]
    assert contents(address) == before


def test_the_size_of_batches_changes_nothing(
    followed: Followed, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy(followed)
    before = contents(address)
    followed.index.clear()
    monkeypatch.setattr(index, "BATCH_ROWS", 7)
    heights = [
        position.height
        for position in followed.index.follow(followed.store)  # type: ignore[arg-type]
    ]
    assert heights[:-1] == [-1] * (len(heights) - 1)
    assert len(heights) > 3
    assert heights[-1] == followed.store.height()
    assert contents(address) == before


def test_an_index_goes_on_where_it_was_stopped(followed: Followed, address: str) -> None:
    busy(followed)
    before, position, mark = contents(address), followed.index.position, followed.index.mark
    followed.index.close()
    followed.index = ReadingIndex.open(address, CHAIN)
    assert (followed.index.position, followed.index.mark) == (position, mark)
    assert list(followed.index.follow(followed.store)) == []  # type: ignore[arg-type]
    assert contents(address) == before
    followed.world.requests("gao", followed.world.anchored(kind="imaging"))
    followed.catch_up()
    assert len(contents(address)["reading_accesses"]) == 8


def test_the_index_of_another_chain_is_left_alone(followed: Followed, address: str) -> None:
    busy(followed)
    before = contents(address)
    followed.index.close()
    with pytest.raises(IndexUnusable):
        ReadingIndex.open(address, b"\x01" * 32)
    assert contents(address) == before


def test_an_index_of_another_form_is_made_anew(
    followed: Followed, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy(followed)
    before = contents(address)
    followed.index.close()
    monkeypatch.setattr(tables, "FORM", tables.FORM + 1)
    followed.index = ReadingIndex.open(address, CHAIN)
    assert followed.index.position.height == -1
    list(followed.index.follow(followed.store))  # type: ignore[arg-type]
    assert contents(address) == before


def test_entries_that_are_not_what_is_usual_are_counted_and_left_out(followed: Followed) -> None:
    world = followed.world
    decision = world.requests("gao", world.anchored())
    strange = {
        **{f"access/decisions/x{n}": value for n, value in enumerate([3, [], {}, "text"])},
        "access/decisions/y": {**decision, "purpose": "P\x00"},
        "access/decisions/z": {**decision, "rule": "r" * 201},
        "consent/consents/z": {"subject": 7},
    }
    for key, value in strange.items():
        world.state[key.encode()] = encode(value)
    followed.catch_up()
    assert followed.index.unread == len(strange)
    assert followed.index.lists.accesses_of(PATIENT) == (as_line(decision),)


def test_cursors_are_read_strictly(followed: Followed) -> None:
    busy(followed)
    lists = followed.index.lists
    cursor = lists.opened_by(person="gao", limit=1).cursor
    assert cursor is not None
    for wrong in ("", "x", cursor + "0" * 30, cursor.replace(".", ","), "00000000" + cursor[8:]):
        with pytest.raises(StaleCursor):
            lists.opened_by(person="gao", cursor=wrong)
    followed.index.clear()
    with pytest.raises(StaleCursor):
        lists.opened_by(person="gao", cursor=cursor)


@pytest.mark.parametrize("limit", [0, -1, 1_001])
def test_pages_have_bounds(followed: Followed, limit: int) -> None:
    with pytest.raises(ValueError, match="1 to 1000"):
        followed.index.lists.accesses_of(PATIENT, limit=limit)
    with pytest.raises(ValueError, match="exactly one"):
        followed.index.lists.opened_by(person="gao", holder="city")


@pytest.mark.parametrize(
    "text", ["ab" * 32 + "-0", "AB" * 32 + "-0", "ab" * 32 + "-70000", "", "x"]
)
def test_ids_are_packed_and_unpacked(text: str) -> None:
    assert unpack_id(pack_id(text)) == text


def test_a_store_gives_the_rows_of_maps_in_the_order_of_writing(tmp_path: Path) -> None:
    store = Store.open(str(tmp_path / "ledger.db"), create=True)
    keys = [b"consent/consents/a", b"access/decisions/b", b"access/other/c", b"access/decisions/d"]
    rows = [
        (number, key_number(key), map_number(key), number, key, b"%d" % number)
        for number, key in enumerate(keys, 1)
    ]
    with store.maintenance() as writer:
        writer.many(store.queries.add_state, rows)
    found = store.rows_of(content.MAPS, 0, 4)
    assert found == [(keys[0], b"1"), (keys[1], b"2"), (keys[3], b"4")]
    assert store.rows_of(content.MAPS, 1, 3) == [(keys[1], b"2")]
    assert store.numbering() == 0
    store.close()


def test_an_entry_of_another_map_adds_nothing() -> None:
    assert read_entry(b"registry/people/x", encode({})) is None
    assert read_entry(b"short", encode({})) is None
    with pytest.raises(Unreadable):
        read_entry(b"consent/consents/c", encode({}))
