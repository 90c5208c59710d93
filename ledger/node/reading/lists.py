"""The lists of an index: a page at a time, each by one range of one database index.

A page begins behind a place in the order of time, never at an offset, so that the thousandth page
costs what the first does. What a list may be asked for is what there is an index for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from sqlalchemy import bindparam, select, tuple_

from ledger.chain.database import Database, Query
from ledger.node.reading import tables
from ledger.node.reading.content import Access, Case, Consent, Emergency, Finding
from ledger.node.reading.names import Names
from ledger.node.reading.packing import Place, parse_place, unpack_id
from ledger.node.reading.writing import WHAT

Line = TypeVar("Line")

#: How many lines a page has at most.
MAX_PAGE: Final = 1_000
#: Above every block time and every row.
_END: Final = 2**60

_WHAT = {number: name for name, number in WHAT.items()}


@dataclass(frozen=True, slots=True)
class Page(Generic[Line]):
    """Lines of a list, and the cursor of the next page; None after the last."""

    lines: tuple[Line, ...]
    cursor: str | None


class Lists:
    """What can be asked. Times are block times in ms since 1970 UTC; ``since`` is included,
    ``until`` is not. Every list but `told` is newest first.

    Raises, in every method: `StaleCursor` for a cursor of another list or index, `ValueError` for a
    page of no length, `StoreError`.
    """

    def __init__(self, database: Database, names: Names, mark: Callable[[], bytes]) -> None:
        self._database = database
        self._names = names
        self._mark = mark
        self._pages: dict[tuple[str, str], Query] = {}
        accesses = tables.accesses.c
        self._told = database.query(
            select(tables.accesses)
            .where(accesses.subject == bindparam("subject"), accesses.entry < bindparam("before"))
            .order_by(accesses.subject.desc(), accesses.entry.desc())
            .limit(bindparam("rows"))
        )
        self._range = database.query(
            select(tables.accesses)
            .where(
                accesses.subject == bindparam("subject"),
                accesses.entry >= bindparam("first"),
                accesses.entry < bindparam("end"),
            )
            .order_by(accesses.entry)
        )
        self._leaves = database.query(
            select(accesses.entry, accesses.leaf)
            .where(accesses.subject == bindparam("subject"), accesses.entry < bindparam("end"))
            .order_by(accesses.entry)
        )
        self._sealed = database.query(
            select(tables.accesses)
            .where(accesses.subject == bindparam("subject"), accesses.entry.is_(None))
            .limit(bindparam("rows"))
        )

    # Accesses and enquiries.

    def accesses_of(
        self, subject: str, *, before: int | None = None, limit: int = 100
    ) -> tuple[Access, ...]:
        """What the patient was told of, newest first: the lines of her log of disclosures whose
        ``entry`` is below ``before``. The last line's ``entry`` is the ``before`` of the next page;
        after 0 there is none."""
        wanted = _bounded(limit)
        number = self._names.find(subject)
        if number is None:
            return ()
        end = _END if before is None else before
        rows = self._database.all(self._told, (number, end, wanted))
        return tuple(self._access(row) for row in rows)

    def entries(self, subject: str, first: int, end: int) -> tuple[Access, ...]:
        """The lines of a patient's log from the number ``first`` to before ``end``, ascending."""
        _bounded(max(end - first, 1))
        number = self._names.find(subject)
        if number is None:
            return ()
        rows = self._database.all(self._range, (number, first, end))
        return tuple(self._access(row) for row in rows)

    def leaves(self, subject: str, end: int) -> list[bytes]:
        """The leaf hashes of the first ``end`` entries of a patient's log, as far as they are here
        without a gap."""
        number = self._names.find(subject)
        if number is None:
            return []
        found: list[bytes] = []
        for entry, leaf in self._database.all(self._leaves, (number, end)):
            if entry != len(found):
                break
            found.append(bytes(leaf))
        return found

    def sealed_of(self, subject: str, *, limit: int = 100) -> tuple[Access, ...]:
        """Decisions about a patient that she is not told of yet, in no particular order. Never for
        the patient."""
        wanted = _bounded(limit)
        number = self._names.find(subject)
        if number is None:
            return ()
        rows = self._database.all(self._sealed, (number, wanted))
        return tuple(self._access(row) for row in rows)

    def opened_by(
        self,
        *,
        person: str = "",
        institution: str = "",
        holder: str = "",
        since: int = 0,
        until: int = _END,
        cursor: str | None = None,
        limit: int = 100,
    ) -> Page[Access]:
        """What one person, or those who act for one institution, asked for, or what was asked of
        one holder; exactly one of the three. Decisions that the patient is not told of yet are
        among them: their ``entry`` is None."""
        given = {"requester": person, "institution": institution, "holder": holder}
        column, who = _one(given)
        return self._page(tables.accesses, column, who, since, until, cursor, limit, self._access)

    # Other lists.

    def emergencies(
        self,
        *,
        subject: str = "",
        person: str = "",
        institution: str = "",
        since: int = 0,
        until: int = _END,
        cursor: str | None = None,
        limit: int = 100,
    ) -> Page[Emergency]:
        """The emergencies of one patient, physician or institution; exactly one of the three."""
        given = {"subject": subject, "person": person, "institution": institution}
        column, who = _one(given)
        return self._page(
            tables.emergencies, column, who, since, until, cursor, limit, self._emergency
        )

    def consents_of(
        self, subject: str, *, cursor: str | None = None, limit: int = 100
    ) -> Page[Consent]:
        """What a patient has declared."""
        return self._page(
            tables.consents, "subject", subject, 0, _END, cursor, limit, self._consent
        )

    def cases(
        self,
        *,
        subject: str = "",
        holder: str = "",
        since: int = 0,
        until: int = _END,
        cursor: str | None = None,
        limit: int = 100,
    ) -> Page[Case]:
        """Requests to destroy records and disputes about them, of one patient or one holder."""
        column, who = _one({"subject": subject, "holder": holder})
        return self._page(tables.cases, column, who, since, until, cursor, limit, self._case)

    def findings(
        self,
        since: int,
        until: int,
        *,
        kind: str = "",
        institution: str = "",
        cursor: str | None = None,
        limit: int = 100,
    ) -> Page[Finding]:
        """The findings of a period: all, or of one kind or one institution, not of both."""
        if kind and institution:
            raise ValueError("findings are listed by kind or by institution")
        column, who = ("kind", kind) if kind else ("institution", institution)
        return self._page(
            tables.findings, column if who else "", who, since, until, cursor, limit, self._finding
        )

    # How a page is read.

    def _page(
        self,
        table: Any,
        column: str,
        who: str,
        since: int,
        until: int,
        cursor: str | None,
        limit: int,
        line: Callable[[Sequence[Any]], Line],
    ) -> Page[Line]:
        rows_wanted = _bounded(limit) + 1
        mark = self._mark()
        place = Place(mark, until, 0) if cursor is None else parse_place(cursor, mark)
        # A cursor may have been made for a longer period.
        begin = min((place.time, place.row), (until, 0))
        parameters: list[int] = []
        if column:
            number = self._names.find(who)
            if number is None:
                return Page((), None)
            parameters.append(number)
        parameters += [since, *begin, rows_wanted]
        rows = self._database.all(self._listing(table, column), parameters)
        shown = rows[: rows_wanted - 1]
        following = None
        if len(rows) == rows_wanted:
            last = shown[-1]
            place_of_time = list(table.c).index(table.c.time)
            following = str(Place(mark, last[place_of_time], last[0]))
        return Page(tuple(line(row) for row in shown), following)

    def _listing(self, table: Any, column: str) -> Query:
        found = self._pages.get((table.name, column))
        if found is None:
            time, row = table.c.time, table.c.id
            order = [time.desc(), row.desc()]
            conditions = [
                time >= bindparam("since"),
                tuple_(time, row) < tuple_(bindparam("time_"), bindparam("row_")),
            ]
            if column:
                conditions.insert(0, table.c[column] == bindparam("who"))
            statement = select(table).where(*conditions).order_by(*order).limit(bindparam("rows"))
            found = self._pages[table.name, column] = self._database.query(statement)
        return found

    def _access(self, row: Sequence[Any]) -> Access:
        text = self._names.text
        return Access(
            what=_WHAT[row[3]],
            id=unpack_id(bytes(row[2])),
            subject=text(row[4]),
            entry=row[5],
            time=row[6],
            height=row[7],
            requester=text(row[8]),
            institution=text(row[9]),
            holder=text(row[10]),
            purpose=text(row[11]),
            outcome=text(row[12]),
            rule=text(row[13]),
            kind=text(row[14]),
            record=bytes(row[15]),
            case=row[16],
            released=row[17],
            received=row[18],
        )

    def _emergency(self, row: Sequence[Any]) -> Emergency:
        text = self._names.text
        return Emergency(
            id=unpack_id(bytes(row[2])),
            subject=text(row[3]),
            person=text(row[4]),
            institution=text(row[5]),
            time=row[6],
            reason=text(row[7]),
            due=row[8],
            status=text(row[9]),
            reviewed=row[10],
        )

    def _case(self, row: Sequence[Any]) -> Case:
        text = self._names.text
        return Case(
            id=unpack_id(bytes(row[2])),
            what=text(row[3]),
            subject=text(row[4]),
            holder=text(row[5]),
            record=bytes(row[6]),
            time=row[7],
            status=text(row[8]),
            reason=text(row[9]),
            due=row[10],
            until=row[11],
            ended=row[12],
        )

    def _consent(self, row: Sequence[Any]) -> Consent:
        return Consent(
            id=row[2],
            subject=self._names.text(row[3]),
            time=row[4],
            height=row[5],
            status=self._names.text(row[6]),
            withdrawn=row[7],
        )

    def _finding(self, row: Sequence[Any]) -> Finding:
        return Finding(
            kind=self._names.text(row[1]),
            about=row[2],
            time=row[3],
            institution=self._names.text(row[4]),
            subject="" if row[5] is None else self._names.text(row[5]),
            closed=row[6],
        )


def _bounded(limit: int) -> int:
    if limit < 1 or limit > MAX_PAGE:
        raise ValueError(f"a page has 1 to {MAX_PAGE} lines")
    return limit


def _one(given: dict[str, str]) -> tuple[str, str]:
    named = [(column, who) for column, who in given.items() if who]
    if len(named) != 1:
        raise ValueError(f"exactly one of {', '.join(given)}")
    return named[0]
