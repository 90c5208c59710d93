"""Which consents there are, of whom, and when each of them changed: an index for reading.

The chain finds a consent by its id and those in force by their patient. To list the withdrawn ones
too, the consents of an institution's patients, and what has changed since yesterday, a node keeps
this index beside its store. It is made from the writes to two maps of the contract `consent`, holds
nothing that the store does not, and is made anew when it is lost or belongs to another store.

A consent changes when its own entry does (declared, withdrawn) or its rules do (a death ends what
was permitted). That its rules move from one entry to the other is no change.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from ledger.chain import limits
from ledger.chain.codec import decode_value, encode
from ledger.chain.reader import StoreReader
from ledger.fhir.consentview import fhir_id

CONSENTS: Final = b"consent/consents/"
SUBJECTS: Final = b"consent/subjects/"
PEOPLE: Final = b"registry/people/"

#: Rows of each map that are taken in by one database transaction.
_CHUNK: Final = 1_000

#: Under this name the marks keep which numbering of the store's rows they mean.
_NUMBERING: Final = "numbering"

_metadata: Final = sa.MetaData()
_consents: Final = sa.Table(
    "consents",
    _metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("fhir_id", sa.Text, nullable=False, unique=True),
    sa.Column("subject", sa.Text, nullable=False),
    # Where the patient is registered, and of which institution the registrar was, or empty.
    sa.Column("home", sa.Text, nullable=False),
    sa.Column("recorder", sa.Text, nullable=False),
    sa.Column("declared", sa.Integer, nullable=False),
    sa.Column("entry", sa.LargeBinary, nullable=False),
    sa.Column("rules", sa.LargeBinary, nullable=False),
    sa.Column("height", sa.Integer, nullable=False),
    sa.Column("time", sa.Integer, nullable=False),
    sa.Index("consents_by_subject", "subject", "height", "name"),
    sa.Index("consents_by_home", "home", "height", "name"),
    sa.Index("consents_by_recorder", "recorder", "height", "name"),
)
_versions: Final = sa.Table(
    "versions",
    _metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("height", sa.Integer, primary_key=True),
    sa.Column("time", sa.Integer, nullable=False),
    sa.Index("versions_by_height", "height", "name"),
)
_marks: Final = sa.Table(
    "marks",
    _metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("row", sa.Integer, nullable=False),
    sa.Column("key", sa.LargeBinary, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Sight:
    """Whose consents somebody may see: of these patients, and of whom an institution has registered
    or whose declaration it has recorded (empty for none)."""

    subjects: tuple[str, ...] = ()
    institution: str = ""


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a consent: the height of the block that made it, and its time in ms.
    ``first``: whether the consent was declared by it."""

    name: str
    fhir_id: str
    subject: str
    recorder: str
    height: int
    time: int
    first: bool


class ConsentIndex:
    """The index of one store. Any number of threads may use it.

    Args:
        store: where the writes are read.
        path: the file; None keeps the index in memory.
    """

    def __init__(self, store: StoreReader, path: Path | None = None) -> None:
        self._store = store
        self._engine = _open(path)
        self._lock = threading.Lock()
        # In memory there is one connection, which readers and the writer take in turns.
        self._turn: AbstractContextManager[Any] = self._lock if path is None else nullcontext()
        # A snapshot that the node adopts while it runs numbers the rows anew.
        self._numbered = -1

    def close(self) -> None:
        self._engine.dispose()

    # --- keeping up ------------------------------------------------------------------------------

    def catch_up(self, seconds: float) -> bool:
        """Take in what was written since the last time; False where that would take longer."""
        until = time.monotonic() + seconds
        if not self._lock.acquire(timeout=seconds):
            return False
        try:
            if self._numbered != self._store.numbering():
                self._check()
            while self._take_in():
                if time.monotonic() > until:
                    return False
            return True
        finally:
            self._lock.release()

    def _check(self) -> None:
        """Begin anew where the index is of another store than this one, or the rows of that have
        been numbered anew."""
        numbering: dict[str, Any] = {"name": _NUMBERING, "row": self._store.numbering(), "key": b""}
        with self._engine.begin() as connection:
            known = {row.name: row for row in connection.execute(sa.select(_marks))}
            renumbered = _NUMBERING in known and known[_NUMBERING].row != numbering["row"]
            for mark in known.values():
                if mark.name == _NUMBERING and not renumbered:
                    continue
                prefix = mark.name.encode()
                same = self._store.written_under(prefix, mark.row - 1, 1)
                # The row may have been pruned; another one in its place has another key.
                replaced = same and same[0][0] == mark.row and same[0][1] != mark.key
                if renumbered or replaced or self._store.newest_row() < mark.row:
                    for table in (_consents, _versions, _marks):
                        connection.execute(sa.delete(table))
                    break
            put = insert(_marks).values(numbering)
            connection.execute(put.on_conflict_do_update(["name"], set_=numbering))
        self._numbered = int(numbering["row"])

    def _take_in(self) -> bool:
        """One step; whether there may be more."""
        with self._engine.begin() as connection:
            marks = {row.name: row.row for row in connection.execute(sa.select(_marks))}
            more = False
            found: list[tuple[int, bytes, int, bytes | None]] = []
            for prefix in (CONSENTS, SUBJECTS):
                rows = self._store.written_under(prefix, marks.get(prefix.decode(), 0), _CHUNK)
                more = more or len(rows) == _CHUNK
                if rows:
                    mark = {"name": prefix.decode(), "row": rows[-1][0], "key": rows[-1][1]}
                    put = insert(_marks).values(mark)
                    connection.execute(put.on_conflict_do_update(["name"], set_=mark))
                found += [row for row in rows if row[1].startswith(prefix)]
            for _, key, height, value in sorted(found):
                if value is not None:
                    held = decode_value(value, limit=limits.MAX_STATE_VALUE_BYTES)
                    self._note(connection, key, height, held)
        return more

    def _note(self, connection: sa.Connection, key: bytes, height: int, held: Any) -> None:
        if key.startswith(SUBJECTS):
            for entry in held:
                rules = _digest(entry["rules"])
                self._change(connection, entry["consent"], height, {"rules": rules})
            return
        name = key[len(CONSENTS) :].decode()
        change = {"entry": _digest({part: held[part] for part in held if part != "rules"})}
        if "rules" in held:
            change["rules"] = _digest(held["rules"])
        known = connection.execute(
            sa.select(_consents.c.subject).where(_consents.c.name == name)
        ).first()
        if known is None or not known.subject:
            self._enter(connection, name, height, held)
        self._change(connection, name, height, change)

    def _enter(self, connection: sa.Connection, name: str, height: int, held: Any) -> None:
        by = held["given_by"]
        fields = {
            "name": name,
            "fhir_id": fhir_id(name),
            "subject": held["subject"],
            "home": self._home(held["subject"], height),
            "recorder": self._registrar(by[0], height) if len(by) > 1 else "",
            "declared": held["height"],
            "entry": b"",
            "rules": b"",
            "height": 0,
            "time": 0,
        }
        put = insert(_consents).values(fields)
        whose = {part: fields[part] for part in ("subject", "home", "recorder", "declared")}
        connection.execute(put.on_conflict_do_update(["name"], set_=whose))

    def _change(
        self, connection: sa.Connection, name: str, height: int, change: dict[str, bytes]
    ) -> None:
        known = connection.execute(sa.select(_consents).where(_consents.c.name == name)).first()
        if known is not None and all(getattr(known, part) == change[part] for part in change):
            return
        header = self._store.header(height)
        moment = header.time if header is not None else 0
        fields = {**change, "height": height, "time": moment}
        blank = {
            "name": name, "fhir_id": fhir_id(name), "subject": "", "home": "", "recorder": "",
            "declared": 0, "entry": b"", "rules": b"",
        }  # fmt: skip
        put = insert(_consents).values({**blank, **fields})
        connection.execute(put.on_conflict_do_update(["name"], set_=fields))
        version = insert(_versions).values({"name": name, "height": height, "time": moment})
        connection.execute(version.on_conflict_do_nothing())

    def _person(self, name: str, height: int) -> Any:
        raw = self._store.value(PEOPLE + name.encode(), height)
        return {} if raw is None else decode_value(raw, limit=limits.MAX_STATE_VALUE_BYTES)

    def _home(self, subject: str, height: int) -> str:
        return str(self._person(subject, height).get("home", ""))

    def _registrar(self, person: str, height: int) -> str:
        """The institution for which somebody is a registrar."""
        found = self._person(person, height)
        for affiliation in found.get("affiliations", ()):
            if "registrar" in affiliation["roles"]:
                return str(affiliation["institution"])
        return str(found.get("home", ""))

    # --- questions -------------------------------------------------------------------------------

    def newest(self, identifier: str, sight: Sight | None = None) -> Version | None:
        """The newest version of the consent with a FHIR id, if it may be seen; whoever's it is
        without ``sight``."""
        seen = _consents.c.subject != "" if sight is None else _seen(sight)
        chosen = sa.select(_consents).where(_consents.c.fhir_id == identifier, seen)
        with self._turn, self._engine.connect() as connection:
            row = connection.execute(chosen).first()
        return None if row is None else _newest(row)

    def find(
        self,
        sight: Sight,
        *,
        subject: str = "",
        since: int = 0,
        until: int = 0,
        after: Sequence[Any] = (),
        descending: bool = False,
        limit: int = 100,
    ) -> list[Version]:
        """Newest versions, by when they changed.

        Args:
            subject: of this patient only.
            since, until: changed not before and not after, in ms; 0 for any.
            after: height and name of the last one that an earlier call gave.
        """
        columns = _consents.c
        chosen = sa.select(_consents).where(_seen(sight), columns.subject != "")
        if subject:
            chosen = chosen.where(columns.subject == subject)
        if since:
            chosen = chosen.where(columns.time >= since)
        if until:
            chosen = chosen.where(columns.time <= until)
        place = sa.tuple_(columns.height, columns.name)
        if after:
            there = sa.tuple_(sa.literal(int(after[0])), sa.literal(str(after[1])))
            chosen = chosen.where(place < there if descending else place > there)
        order = (columns.height, columns.name)
        chosen = chosen.order_by(*(each.desc() if descending else each for each in order))
        with self._turn, self._engine.connect() as connection:
            return [_newest(row) for row in connection.execute(chosen.limit(limit))]

    def versions(self, name: str) -> list[Version]:
        """All versions of one consent, newest first."""
        return self._past(_versions.c.name == name, limit=10_000)

    def changes(
        self, sight: Sight, *, since: int = 0, before: Sequence[Any] = (), limit: int = 100
    ) -> list[Version]:
        """Versions of all consents that may be seen, newest first.

        ``before``: height and name of the last one that an earlier call gave.
        """
        conditions: list[Any] = [_seen(sight)]
        if since:
            conditions.append(_versions.c.time >= since)
        if before:
            there = sa.tuple_(sa.literal(int(before[0])), sa.literal(str(before[1])))
            conditions.append(sa.tuple_(_versions.c.height, _versions.c.name) < there)
        return self._past(*conditions, limit=limit)

    def _past(self, *conditions: Any, limit: int) -> list[Version]:
        chosen = (
            sa.select(
                _consents.c.name, _consents.c.fhir_id, _consents.c.subject, _consents.c.recorder,
                _consents.c.declared, _versions.c.height, _versions.c.time,
            )
            .join_from(_versions, _consents, _versions.c.name == _consents.c.name)
            .where(_consents.c.subject != "", *conditions)
            .order_by(_versions.c.height.desc(), _versions.c.name.desc())
            .limit(limit)
        )  # fmt: skip
        with self._turn, self._engine.connect() as connection:
            return [
                Version(row.name, row.fhir_id, row.subject, row.recorder, row.height, row.time,
                        row.height == row.declared)
                for row in connection.execute(chosen)
            ]  # fmt: skip


def _seen(sight: Sight) -> sa.ColumnElement[bool]:
    conditions: list[sa.ColumnElement[bool]] = [sa.false()]
    if sight.subjects:
        conditions.append(_consents.c.subject.in_(sight.subjects))
    if sight.institution:
        conditions.append(_consents.c.home == sight.institution)
        conditions.append(_consents.c.recorder == sight.institution)
    return sa.or_(*conditions)


def _newest(row: Any) -> Version:
    first = row.height == row.declared
    return Version(row.name, row.fhir_id, row.subject, row.recorder, row.height, row.time, first)


def _digest(value: Any) -> bytes:
    return sha256(encode(value)).digest()


def _open(path: Path | None) -> sa.Engine:
    if path is None:
        engine = sa.create_engine(
            "sqlite://", poolclass=sa.StaticPool, connect_args={"check_same_thread": False}
        )
    else:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        engine = sa.create_engine(f"sqlite:///{path}")
        sa.event.listen(engine, "connect", _prepare)
    _metadata.create_all(engine)
    return engine


def _prepare(connection: Any, _record: object) -> None:
    # What is lost here is made anew, so nothing waits for the disk.
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=10000"):
        connection.execute(f"PRAGMA {pragma}")
