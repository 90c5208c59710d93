"""What a holder remembers of its records, in a database of its own.

For each record: where it is in the source, the pointer that the ledger knows it by, the salts that
open the pointer's commitments, and its place in an anchored batch. The record itself stays in the
source. The file is the holder's secret (mode 0600): without the salts nobody can tell from a
pointer what a record says, and without the file the holder can release nothing.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Final, TypeVar

import sqlalchemy as sa

from ledger.chain import merkle
from ledger.chain.codec import decode_value
from ledger.chain.pointer import Pointer, pointer_from_value, record_digest
from ledger.crypto.hashing import same
from ledger.fhir.records import Description, InvalidResource, Resource, describe, parse_resource
from ledger.node.vault.connector import (
    FHIR_JSON,
    Connector,
    Problem,
    RecordUnavailable,
    SourceRecord,
)
from ledger.node.vault.pointing import Salts, make_pointer

T = TypeVar("T")

#: Records that are written in one database transaction.
CHUNK: Final = 500
#: Batches whose leaf hashes are kept in memory for making proofs.
CACHED_BATCHES: Final = 64
_POINTER_LIMIT: Final = 4096

_metadata = sa.MetaData()

_batches = sa.Table(
    "batches",
    _metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("root", sa.LargeBinary, nullable=False, unique=True),
    sa.Column("size", sa.Integer, nullable=False),
    sa.Column("height", sa.Integer),  # of the block that anchored it
)

_records = sa.Table(
    "records",
    _metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.LargeBinary, nullable=False, unique=True),
    sa.Column("source", sa.Text, nullable=False, index=True),
    sa.Column("subject", sa.Text, nullable=False, index=True),
    sa.Column("pointer", sa.LargeBinary, nullable=False),
    sa.Column("salts", sa.LargeBinary, nullable=False),
    sa.Column("taken", sa.BigInteger, nullable=False),
    sa.Column("current", sa.Boolean, nullable=False),
    sa.Column("announced", sa.Boolean, nullable=False),  # its successor is known to the chain
    sa.Column("batch", sa.ForeignKey("batches.id"), index=True),
    sa.Column("place", sa.Integer),
)


class RecordAltered(Exception):
    """The source gives other bytes than those that were anchored. A finding; nothing is served."""


class VaultUnusable(Exception):
    """A vault file that cannot be opened or is not one."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Pointers to be anchored together: their RFC 9162 root and how many they are."""

    root: bytes
    size: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One record as the vault knows it. ``height`` is None until its batch is anchored."""

    name: bytes
    source: str
    pointer: Pointer
    salts: Salts
    current: bool
    height: int | None


@dataclass(frozen=True, slots=True)
class Finding:
    """A record whose source no longer gives what was anchored: ``altered`` or ``missing``."""

    name: bytes
    source: str
    what: str


@dataclass(slots=True)
class TakeIn:
    """What one pass over the source has found, as counts of records.

    ``no_record``: resources that are not the record of one patient. ``no_subject``: records of
    patients without a pseudonym here. ``missing``: records known before that the source no longer
    has. ``problems``: what could not be read, one entry each.
    """

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    no_record: int = 0
    no_subject: int = 0
    missing: int = 0
    problems: list[Problem] = field(default_factory=list)

    @property
    def seen(self) -> int:
        """How many items of the source have been looked at."""
        known = self.new + self.changed + self.unchanged
        return known + self.no_record + self.no_subject + len(self.problems)


class Vault:
    """The records of one holder. Methods that write run one at a time; reads may run beside."""

    def __init__(self, engine: sa.Engine, connector: Connector) -> None:
        self._engine = engine
        self._connector = connector
        self._leaves: OrderedDict[int, list[bytes]] = OrderedDict()

    @classmethod
    def open(cls, path: Path, connector: Connector) -> Vault:
        """Open or make the vault file, readable by its owner only; raises `VaultUnusable`."""
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            path.chmod(0o600)
            engine = sa.create_engine(f"sqlite:///{path}")
            sa.event.listen(engine, "connect", _prepare)
            _metadata.create_all(engine)
        except (OSError, sa.exc.DBAPIError) as error:
            raise VaultUnusable(f"{path}: {error}") from None
        return cls(engine, connector)

    def close(self) -> None:
        self._engine.dispose()

    # --- taking in -----------------------------------------------------------------------------

    def take_in(
        self,
        subjects: Mapping[str, str],
        holder: str,
        now: int,
        progress: Callable[[int], None] | None = None,
    ) -> TakeIn:
        """Look at every record of the source and point to those that are new or have changed.

        Safe to stop at any moment and to repeat: what is known and unchanged stays as it is. A
        record whose bytes or description have changed gets a new pointer that replaces the old.

        Args:
            subjects: patient reference, such as ``Patient/f001``, to pseudonym.
            holder: institution id.
            now: milliseconds since 1970 UTC, kept with the entry.
            progress: called with the number of items seen so far.
        """
        report = TakeIn()
        known = set(self._sources())
        for chunk in _chunks(self._described(report), CHUNK):
            self._take_chunk(chunk, subjects, holder, now, report)
            known.difference_update(item.id for item, _ in chunk)
            if progress is not None:
                progress(report.seen)
        report.missing = len(known)
        return report

    def _described(self, report: TakeIn) -> Iterator[tuple[SourceRecord, Description]]:
        """Records with what they say of themselves; other files with what a document says of them.

        A file that is not FHIR (a scan, an image) is described by the DocumentReference in the
        same directory whose attachment url is the file's name.
        """
        documents: dict[str, Description] = {}
        opaque: list[tuple[str, str]] = []
        for item in self._connector.records():
            if isinstance(item, Problem):
                report.problems.append(item)
            elif item.media != FHIR_JSON:
                opaque.append((item.id, item.media))
            else:
                try:
                    resource = parse_resource(item.content)
                except InvalidResource as error:
                    report.problems.append(Problem(item.id, str(error)))
                    continue
                description = describe(resource)
                if description is None:
                    report.no_record += 1
                    continue
                folder = item.id.rpartition("/")[0]
                for name in _attached_files(resource):
                    documents[f"{folder}/{name}" if folder else name] = description
                yield item, description
        for source, media in opaque:
            try:
                if source not in documents:
                    raise RecordUnavailable("no DocumentReference beside it says whose it is")
                yield SourceRecord(source, media, self._connector.fetch(source)), documents[source]
            except RecordUnavailable as error:
                report.problems.append(Problem(source, str(error)))

    def _take_chunk(
        self,
        chunk: Sequence[tuple[SourceRecord, Description]],
        subjects: Mapping[str, str],
        holder: str,
        now: int,
        report: TakeIn,
    ) -> None:
        rows: list[dict[str, Any]] = []
        outdated: list[bytes] = []
        with self._engine.begin() as connection:
            query = sa.select(_records).where(
                _records.c.current, _records.c.source.in_([item.id for item, _ in chunk])
            )
            known = {row.source: row for row in connection.execute(query)}
            for item, description in chunk:
                subject = subjects.get(description.subject)
                if subject is None:
                    report.no_subject += 1
                    continue
                what = (holder, subject, item.media, item.content, description)
                earlier = known.get(item.id)
                if earlier is not None:
                    replaced = _pointer(earlier.pointer).replaces
                    again = make_pointer(*what, Salts.unpack(earlier.salts), replaced)
                    if again.leaf() == earlier.pointer:
                        report.unchanged += 1
                        continue
                    outdated.append(earlier.name)
                    report.changed += 1
                else:
                    report.new += 1
                salts = Salts.fresh()
                pointer = make_pointer(*what, salts, earlier.name if earlier is not None else b"")
                rows.append(
                    {
                        "name": pointer.name(), "source": item.id, "subject": subject,
                        "pointer": pointer.leaf(), "salts": salts.pack(), "taken": now,
                        "current": True, "announced": False,
                    }
                )  # fmt: skip
            if outdated:
                gone = sa.update(_records).where(_records.c.name.in_(outdated))
                connection.execute(gone.values(current=False))
            if rows:
                connection.execute(sa.insert(_records), rows)

    # --- anchoring -----------------------------------------------------------------------------

    def batches(self, size: int = 1000) -> list[Batch]:
        """The batches that wait to be anchored, oldest first.

        Records that are in none yet are put into new ones. A batch never changes once it is made,
        so a holder that stops before its anchoring is final asks for the same root again.
        """
        with self._engine.begin() as connection:
            loose = connection.execute(
                sa.select(_records.c.id, _records.c.name)
                .where(_records.c.batch.is_(None))
                .order_by(_records.c.id)
            ).all()
            for rows in _chunks(loose, size):
                root = merkle.root_of_hashes([row.name for row in rows])
                made = connection.execute(sa.insert(_batches).values(root=root, size=len(rows)))
                (batch,) = made.inserted_primary_key or (None,)
                connection.execute(
                    sa.update(_records)
                    .where(_records.c.id == sa.bindparam("record"))
                    .values(batch=batch, place=sa.bindparam("at")),
                    [{"record": row.id, "at": place} for place, row in enumerate(rows)],
                )
            waiting = sa.select(_batches.c.root, _batches.c.size).where(_batches.c.height.is_(None))
            rows_waiting = connection.execute(waiting.order_by(_batches.c.id)).all()
        return [Batch(row.root, row.size) for row in rows_waiting]

    def anchored(self, root: bytes, height: int) -> None:
        """Note that a batch is on the chain since the block of ``height``."""
        with self._engine.begin() as connection:
            change = sa.update(_batches).where(_batches.c.root == root, _batches.c.height.is_(None))
            connection.execute(change.values(height=height))

    def supersessions(self) -> list[tuple[bytes, bytes]]:
        """(old, new) names of anchored records whose replacement the chain does not know yet."""
        old, new = _records.alias("old"), _records.alias("new")
        before, after = _batches.alias("before"), _batches.alias("after")
        query = (
            sa.select(old.c.name, new.c.pointer, new.c.name.label("successor"))
            .join(new, (new.c.source == old.c.source) & (new.c.id > old.c.id))
            .join(before, (before.c.id == old.c.batch) & before.c.height.is_not(None))
            .join(after, (after.c.id == new.c.batch) & after.c.height.is_not(None))
            .where(~old.c.current, ~old.c.announced)
            .order_by(old.c.id, new.c.id)
        )
        with self._engine.connect() as connection:
            rows = connection.execute(query).all()
        return [
            (row.name, row.successor) for row in rows if _pointer(row.pointer).replaces == row.name
        ]

    def announced(self, old: bytes) -> None:
        """Note that the chain knows a record as superseded."""
        with self._engine.begin() as connection:
            change = sa.update(_records).where(_records.c.name == old)
            connection.execute(change.values(announced=True))

    # --- looking up ----------------------------------------------------------------------------

    def lookup(self, name: bytes) -> Entry | None:
        """The record of a name, if it is one of this holder's."""
        with self._engine.connect() as connection:
            row = connection.execute(_entries().where(_records.c.name == name)).first()
        return _entry(row) if row is not None else None

    def entries(self) -> Iterator[Entry]:
        """All current records in the order in which they were taken in."""
        with self._engine.connect() as connection:
            for row in connection.execute(
                _entries().where(_records.c.current).order_by(_records.c.id)
            ):
                yield _entry(row)

    def pointers_of(self, subject: str) -> list[tuple[Pointer, dict[str, Any]]]:
        """The anchored, current pointers of a subject, each with its proof for `records.find`."""
        query = _entries().where(
            _records.c.subject == subject, _records.c.current, _batches.c.height.is_not(None)
        )
        with self._engine.connect() as connection:
            rows = connection.execute(query.order_by(_records.c.id)).all()
            return [(_pointer(row.pointer), self._proof(connection, row)) for row in rows]

    def proof_of(self, name: bytes) -> dict[str, Any] | None:
        """``{"root", "index", "size", "path"}`` of an anchored record, None for any other."""
        query = _entries().where(_records.c.name == name, _batches.c.height.is_not(None))
        with self._engine.connect() as connection:
            row = connection.execute(query).first()
            return self._proof(connection, row) if row is not None else None

    def _proof(self, connection: sa.Connection, row: sa.Row[Any]) -> dict[str, Any]:
        leaves = self._leaves.get(row.batch)
        if leaves is None:
            query = sa.select(_records.c.name).where(_records.c.batch == row.batch)
            leaves = list(connection.scalars(query.order_by(_records.c.place)))
            self._leaves[row.batch] = leaves
            while len(self._leaves) > CACHED_BATCHES:
                self._leaves.popitem(last=False)
        path = merkle.inclusion_path(leaves, row.place)
        return {"root": row.root, "index": row.place, "size": row.size, "path": list(path)}

    # --- reading -------------------------------------------------------------------------------

    def read(self, entry: Entry) -> bytes:
        """The record's exact bytes, as they were when it was anchored.

        Raises:
            RecordAltered: the source gives other bytes.
            RecordUnavailable: the source gives none, or only a newer version of it.
        """
        content = self._connector.fetch(entry.source)
        if not same(record_digest(entry.salts.digest, content), entry.pointer.digest):
            if not entry.current:
                raise RecordUnavailable("the source has only a newer version")
            raise RecordAltered(f"{entry.source} is not what was anchored")
        return content

    def verify(self, progress: Callable[[int], None] | None = None) -> list[Finding]:
        """Read every current record again and list those that are altered or missing."""
        findings = []
        for count, entry in enumerate(self.entries(), start=1):
            try:
                self.read(entry)
            except RecordAltered:
                findings.append(Finding(entry.name, entry.source, "altered"))
            except RecordUnavailable:
                findings.append(Finding(entry.name, entry.source, "missing"))
            if progress is not None:
                progress(count)
        return findings

    def count(self) -> int:
        """How many current records there are."""
        query = sa.select(sa.func.count()).select_from(_records).where(_records.c.current)
        with self._engine.connect() as connection:
            return connection.execute(query).scalar_one()

    def _sources(self) -> list[str]:
        with self._engine.connect() as connection:
            return list(connection.scalars(sa.select(_records.c.source).where(_records.c.current)))


def _prepare(connection: Any, _record: object) -> None:
    # FULL: a salt that is lost after its pointer was anchored is lost for good.
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=10000"):
        connection.execute(f"PRAGMA {pragma}")


def _entries() -> sa.Select[Any]:
    return sa.select(_records, _batches.c.root, _batches.c.size, _batches.c.height).join(
        _batches, isouter=True
    )


def _entry(row: sa.Row[Any]) -> Entry:
    return Entry(
        row.name, row.source, _pointer(row.pointer), Salts.unpack(row.salts), row.current,
        row.height,
    )  # fmt: skip


def _pointer(leaf: bytes) -> Pointer:
    return pointer_from_value(decode_value(leaf, limit=_POINTER_LIMIT))


def _attached_files(resource: Resource) -> Iterator[str]:
    """File names in the same directory that a DocumentReference is about."""
    content = resource.get("content") if resource["resourceType"] == "DocumentReference" else None
    for part in content if isinstance(content, list) else []:
        attachment = part.get("attachment") if isinstance(part, dict) else None
        url = attachment.get("url") if isinstance(attachment, dict) else None
        if isinstance(url, str) and "/" not in url:
            yield url


def _chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk
