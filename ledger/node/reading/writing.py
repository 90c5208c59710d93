"""Filling the tables of the index, inside transactions of whoever keeps it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import bindparam, delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from ledger.chain.database import Database, Query, Writer
from ledger.chain.rows import key_number
from ledger.node.reading import tables
from ledger.node.reading.content import (
    Access,
    Case,
    Consent,
    Content,
    Deadline,
    Emergency,
    Finding,
    Unreadable,
    read_entry,
)
from ledger.node.reading.names import Names
from ledger.node.reading.packing import pack_id

#: Kinds of lines in the table of accesses.
WHAT: Final = {"access": 0, "enquiry": 1}
#: How many deadlines are looked at in one go.
_DUE_AT_ONCE: Final = 1_000


class Writing:
    """The statements that write, and the numbers that new rows get."""

    def __init__(self, database: Database, names: Names) -> None:
        self._database = database
        self._names = names
        self.unread = 0
        query = database.query
        meta = tables.meta
        self._meta = query(select(meta.c.value).where(meta.c.name == bindparam("name")))
        self._drop_meta = query(delete(meta).where(meta.c.name == bindparam("name")))
        self._add_meta = query(insert(meta))
        self._kept = {
            kind: _Kept(database, table, changing)
            for kind, table, changing in (
                (Access, tables.accesses, ("entry", "released", "received", "leaf")),
                (Emergency, tables.emergencies, ("status", "reviewed")),
                (Consent, tables.consents, ("status", "withdrawn")),
                (Case, tables.cases, ("status", "reason", "due", "until", "ended")),
            )
        }
        findings, deadlines = tables.findings, tables.deadlines
        self._last_finding = query(select(func.max(findings.c.id)))
        self._next_finding = 1
        self._add_finding = query(_or_nothing(database, findings))
        self._close = query(
            update(findings)
            .where(
                findings.c.about == bindparam("about_"),
                findings.c.kind == bindparam("kind_"),
                findings.c.closed.is_(None),
            )
            .values(closed=bindparam("closed_"))
        )
        again = _insert(database, deadlines)
        self._add_deadline = query(
            again.on_conflict_do_update(
                index_elements=[deadlines.c.about, deadlines.c.kind],
                set_={"due": again.excluded.due},
            )
        )
        self._drop_deadline = query(
            delete(deadlines).where(
                deadlines.c.about == bindparam("about_"), deadlines.c.kind == bindparam("kind_")
            )
        )
        self._due = query(
            select(deadlines)
            .where(deadlines.c.due <= bindparam("now"))
            .order_by(deadlines.c.due, deadlines.c.about, deadlines.c.kind)
            .limit(_DUE_AT_ONCE)
        )

    def load(self) -> None:
        """Begin anew with what the database has."""
        for kept in self._kept.values():
            kept.load()
        self._next_finding = (self._database.one(self._last_finding)[0] or 0) + 1

    def meta(self, name: str) -> bytes | None:
        row = self._database.one(self._meta, (name,))
        return None if row is None else bytes(row[0])

    def put_meta(self, writer: Writer, values: Mapping[str, bytes]) -> None:
        for name, value in values.items():
            writer.run(self._drop_meta, (name,))
            writer.run(self._add_meta, (name, value))

    def settled(self) -> None:
        """The transaction has ended well."""
        self._names.settled()

    def take(self, writer: Writer, rows: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Put entries of the state into the tables: new lines, and what has changed of old ones."""
        # Only the last write of an entry in a batch counts.
        newest = {key: value for key, value in rows if value is not None}
        for key, value in newest.items():
            try:
                content = read_entry(key, value)
            except Unreadable:
                self.unread += 1
                continue
            if content is not None:
                self._take(writer, key_number(key), content)

    def _take(self, writer: Writer, key: int, content: Content) -> None:
        row = content.row
        if row is not None:
            self._kept[type(row)].put(writer, key, self._values(writer, row, content.leaf))
        for finding in content.findings:
            self._find(writer, finding)
        for deadline in content.deadlines:
            self._wait(writer, deadline)
        for kind, about, since in content.met:
            number = self._names.number(writer, kind)
            if not writer.run(self._drop_deadline, (about, number)):
                writer.run(self._close, (since, about, number))

    def _values(
        self, writer: Writer, row: Access | Emergency | Consent | Case, leaf: bytes | None
    ) -> dict[str, Any]:
        def number(text: str) -> int:
            return self._names.number(writer, text)

        match row:
            case Access():
                return {
                    "request": pack_id(row.id),
                    "what": WHAT[row.what],
                    "subject": number(row.subject),
                    "entry": row.entry,
                    "time": row.time,
                    "height": row.height,
                    "requester": number(row.requester),
                    "institution": number(row.institution),
                    "holder": number(row.holder),
                    "purpose": number(row.purpose),
                    "outcome": number(row.outcome),
                    "rule": number(row.rule),
                    "kind": number(row.kind),
                    "record": row.record,
                    "case": row.case,
                    "released": row.released,
                    "received": row.received,
                    "leaf": leaf,
                }
            case Emergency():
                return {
                    "request": pack_id(row.id),
                    "subject": number(row.subject),
                    "person": number(row.person),
                    "institution": number(row.institution),
                    "time": row.time,
                    "reason": number(row.reason),
                    "due": row.due,
                    "status": number(row.status),
                    "reviewed": row.reviewed,
                }
            case Case():
                return {
                    "request": pack_id(row.id),
                    "what": number(row.what),
                    "subject": number(row.subject),
                    "holder": number(row.holder),
                    "record": row.record,
                    "time": row.time,
                    "status": number(row.status),
                    "reason": number(row.reason),
                    "due": row.due,
                    "until": row.until,
                    "ended": row.ended,
                }
            case Consent():
                return {
                    "consent": row.id,
                    "subject": number(row.subject),
                    "time": row.time,
                    "height": row.height,
                    "status": number(row.status),
                    "withdrawn": row.withdrawn,
                }

    def _find(self, writer: Writer, finding: Finding) -> None:
        values = (
            self._next_finding,
            self._names.number(writer, finding.kind),
            finding.about,
            finding.time,
            self._names.number(writer, finding.institution),
            self._names.number(writer, finding.subject) if finding.subject else None,
            finding.closed,
        )
        if writer.run(self._add_finding, values) > 0:
            self._next_finding += 1

    def _wait(self, writer: Writer, deadline: Deadline) -> None:
        values = (
            deadline.about,
            self._names.number(writer, deadline.kind),
            deadline.due,
            self._names.number(writer, deadline.institution),
            self._names.number(writer, deadline.subject) if deadline.subject else None,
        )
        writer.run(self._add_deadline, values)

    def pass_time(self, writer: Writer, now: int) -> None:
        """Block time has come to ``now``: what was due and has not come is a finding."""
        while True:
            due = writer.all(self._due, (now,))
            for about, kind, when, institution, subject in due:
                values = (self._next_finding, kind, about, when, institution, subject, None)
                if writer.run(self._add_finding, values) > 0:
                    self._next_finding += 1
                writer.run(self._drop_deadline, (about, kind))
            if len(due) < _DUE_AT_ONCE:
                return


def _or_nothing(database: Database, table: Any) -> Any:
    """An INSERT that does nothing where the row is there already."""
    return _insert(database, table).on_conflict_do_nothing()


def _insert(database: Database, table: Any) -> Any:
    make = sqlite_insert if database.kind == "sqlite" else postgres_insert
    return make(table)


class _Kept:
    """One table whose rows stand for entries of the state, found by the number of their key.

    Args:
        changing: the columns that a later write of the entry may change.
    """

    def __init__(self, database: Database, table: Any, changing: Sequence[str]) -> None:
        self._database = database
        self._changing = tuple(changing)
        columns = [column for column in table.c if column.name not in ("id", "key")]
        self._columns = tuple(column.name for column in columns)
        # What tells two entries apart whose keys have the same number.
        self._own = self._columns[0]
        own = table.c[self._own]
        self._find: Query = database.query(
            select(table.c.id, own).where(table.c.key == bindparam("key_"))
        )
        self._last = database.query(select(func.max(table.c.id)))
        self._add = database.query(insert(table))
        self._change = database.query(
            update(table)
            .where(table.c.id == bindparam("id_"))
            .values({name: bindparam(f"{name}_") for name in changing})
        )
        self._next = 1

    def load(self) -> None:
        self._next = (self._database.one(self._last)[0] or 0) + 1

    def put(self, writer: Writer, key: int, values: Mapping[str, Any]) -> None:
        """Add a row, or change the one that is there."""
        for row, own in writer.all(self._find, (key,)):
            if own == values[self._own]:
                changed = [values[name] for name in self._changing]
                writer.run(self._change, (*changed, row))
                return
        writer.run(self._add, (self._next, key, *(values[name] for name in self._columns)))
        self._next += 1
