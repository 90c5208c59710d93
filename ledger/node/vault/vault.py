"""What a holder remembers of its records, in a database of its own.

For each record: where it is in the source, the pointer that the ledger knows it by, the salts that
open the pointer's commitments, and its place in an anchored batch. The record itself stays in the
source. The file is the holder's secret (mode 0600): without the salts nobody can tell from a
pointer what a record says, and without the file the holder can release nothing.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
import sqlalchemy as sa

from ledger.chain import merkle
from ledger.chain.codec import decode_value, encode
from ledger.chain.exchange import Shown
from ledger.chain.pointer import Pointer, pointer_from_value
from ledger.chain.tokens import LabelKey
from ledger.fhir.records import Description
from ledger.node.vault.connector import Connector, RecordUnavailable, SourceRecord
from ledger.node.vault.intake import TakeIn, described
from ledger.node.vault.opened import OpenedRecord, RecordAltered
from ledger.node.vault.pointing import Salts, make_pointer, opening_of
from ledger.node.vault.tables import batches, open_tables, openings, records

T = TypeVar("T")

#: Records that are written in one database transaction.
CHUNK: Final = 500
#: Batches whose leaf hashes are kept in memory for making proofs.
CACHED_BATCHES: Final = 64
_POINTER_LIMIT: Final = 4096


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


class Vault:
    """The records of one holder. Methods that write run one at a time; reads may run beside."""

    def __init__(
        self,
        engine: sa.Engine,
        connector: Connector,
        entropy: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._engine = engine
        self._entropy = entropy
        self._connector = connector
        self._leaves: OrderedDict[int, list[bytes]] = OrderedDict()

    @classmethod
    def open(
        cls,
        path: Path,
        connector: Connector,
        *,
        entropy: Callable[[int], bytes] = secrets.token_bytes,
    ) -> Vault:
        """Open or make the vault file, readable by its owner only; raises `VaultUnusable`.

        Args:
            entropy: so many random bytes, for salts.
        """
        return cls(open_tables(path), connector, entropy)

    def close(self) -> None:
        self._engine.dispose()

    # --- taking in -----------------------------------------------------------------------------

    def take_in(
        self,
        subjects: Mapping[str, str],
        holder: str,
        now: int,
        progress: Callable[[int], None] | None = None,
        *,
        label_keys: Mapping[str, LabelKey] | None = None,
    ) -> TakeIn:
        """Look at every record of the source and point to those that are new or have changed.

        Safe to stop at any moment and to repeat: what is known and unchanged stays as it is. A
        record whose bytes or description have changed gets a new pointer that replaces the old.

        Args:
            subjects: patient reference, such as ``Patient/f001``, to pseudonym.
            holder: institution id.
            now: milliseconds since 1970 UTC, kept with the entry.
            progress: called with the number of items seen so far.
            label_keys: pseudonym to the key under which that patient's labels become tokens. A
                patient who gets one later gets new pointers with the next look.
        """
        report = TakeIn()
        keys = label_keys or {}
        known = set(self._sources())
        for chunk in _chunks(described(self._connector, report), CHUNK):
            self._take_chunk(chunk, subjects, keys, holder, now, report)
            known.difference_update(item.id for item, _ in chunk)
            if progress is not None:
                progress(report.seen)
        report.missing = len(known)
        return report

    def _take_chunk(
        self,
        chunk: Sequence[tuple[SourceRecord, Description]],
        subjects: Mapping[str, str],
        keys: Mapping[str, LabelKey],
        holder: str,
        now: int,
        report: TakeIn,
    ) -> None:
        rows: list[dict[str, Any]] = []
        opened: list[dict[str, Any]] = []
        outdated: list[bytes] = []
        with self._engine.begin() as connection:
            query = sa.select(records).where(
                records.c.current, records.c.source.in_([item.id for item, _ in chunk])
            )
            known = {row.source: row for row in connection.execute(query)}
            for item, description in chunk:
                subject = subjects.get(description.subject)
                if subject is None:
                    report.no_subject += 1
                    continue
                key = keys.get(subject)
                what = (holder, subject, item.media, item.content, description)
                earlier = known.get(item.id)
                if earlier is not None:
                    replaced = _pointer(earlier.pointer).replaces
                    again = make_pointer(*what, Salts.unpack(earlier.salts), replaced, key)
                    if again.leaf() == earlier.pointer:
                        report.unchanged += 1
                        continue
                    outdated.append(earlier.name)
                    report.changed += 1
                else:
                    report.new += 1
                salts = Salts.fresh(self._entropy)
                replaced = earlier.name if earlier is not None else b""
                pointer = make_pointer(*what, salts, replaced, key)
                if tokens := opening_of(description, key, salts):
                    opened.append({"name": pointer.name(), "tokens": encode(list(tokens))})
                rows.append(
                    {
                        "name": pointer.name(), "source": item.id, "subject": subject,
                        "pointer": pointer.leaf(), "salts": salts.pack(), "taken": now,
                        "current": True, "announced": False,
                    }
                )  # fmt: skip
            if outdated:
                gone = sa.update(records).where(records.c.name.in_(outdated))
                connection.execute(gone.values(current=False))
            if rows:
                connection.execute(sa.insert(records), rows)
            if opened:
                connection.execute(sa.insert(openings), opened)

    # --- anchoring -----------------------------------------------------------------------------

    def batches(self, size: int = 1000) -> list[Batch]:
        """The batches that wait to be anchored, oldest first.

        Records that are in none yet are put into new ones. A batch never changes once it is made,
        so a holder that stops before its anchoring is final asks for the same root again.
        """
        with self._engine.begin() as connection:
            loose = connection.execute(
                sa.select(records.c.id, records.c.name)
                .where(records.c.batch.is_(None))
                .order_by(records.c.id)
            ).all()
            for rows in _chunks(loose, size):
                root = merkle.root_of_hashes([row.name for row in rows])
                made = connection.execute(sa.insert(batches).values(root=root, size=len(rows)))
                (batch,) = made.inserted_primary_key or (None,)
                connection.execute(
                    sa.update(records)
                    .where(records.c.id == sa.bindparam("record"))
                    .values(batch=batch, place=sa.bindparam("at")),
                    [{"record": row.id, "at": place} for place, row in enumerate(rows)],
                )
            waiting = sa.select(batches.c.root, batches.c.size).where(batches.c.height.is_(None))
            rows_waiting = connection.execute(waiting.order_by(batches.c.id)).all()
        return [Batch(row.root, row.size) for row in rows_waiting]

    def anchored(self, root: bytes, height: int) -> None:
        """Note that a batch is on the chain since the block of ``height``."""
        with self._engine.begin() as connection:
            change = sa.update(batches).where(batches.c.root == root, batches.c.height.is_(None))
            connection.execute(change.values(height=height))

    def supersessions(self) -> list[tuple[bytes, bytes]]:
        """(old, new) names of anchored records whose replacement the chain does not know yet."""
        old, new = records.alias("old"), records.alias("new")
        before, after = batches.alias("before"), batches.alias("after")
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
            change = sa.update(records).where(records.c.name == old)
            connection.execute(change.values(announced=True))

    # --- looking up ----------------------------------------------------------------------------

    def lookup(self, name: bytes) -> Entry | None:
        """The record of a name, if it is one of this holder's."""
        with self._engine.connect() as connection:
            row = connection.execute(_entries().where(records.c.name == name)).first()
        return _entry(row) if row is not None else None

    def entries(self) -> Iterator[Entry]:
        """All current records in the order in which they were taken in."""
        with self._engine.connect() as connection:
            for row in connection.execute(
                _entries().where(records.c.current).order_by(records.c.id)
            ):
                yield _entry(row)

    def pointers_of(self, subject: str) -> list[Shown]:
        """The anchored, current pointers of a subject, each with its proof and its opening."""
        query = (
            sa.select(records, batches.c.root, batches.c.size, batches.c.height, openings.c.tokens)
            .join(batches)
            .join(openings, openings.c.name == records.c.name, isouter=True)
            .where(records.c.subject == subject, records.c.current, batches.c.height.is_not(None))
        )
        with self._engine.connect() as connection:
            rows = connection.execute(query.order_by(records.c.id)).all()
            return [
                Shown(_pointer(row.pointer), self._proof(connection, row), _tokens(row.tokens))
                for row in rows
            ]

    def proof_of(self, name: bytes) -> dict[str, Any] | None:
        """``{"root", "index", "size", "path"}`` of an anchored record, None for any other."""
        query = _entries().where(records.c.name == name, batches.c.height.is_not(None))
        with self._engine.connect() as connection:
            row = connection.execute(query).first()
            return self._proof(connection, row) if row is not None else None

    def _proof(self, connection: sa.Connection, row: sa.Row[Any]) -> dict[str, Any]:
        leaves = self._leaves.get(row.batch)
        if leaves is None:
            query = sa.select(records.c.name).where(records.c.batch == row.batch)
            leaves = list(connection.scalars(query.order_by(records.c.place)))
            self._leaves[row.batch] = leaves
            while len(self._leaves) > CACHED_BATCHES:
                self._leaves.popitem(last=False)
        path = merkle.inclusion_path(leaves, row.place)
        return {"root": row.root, "index": row.place, "size": row.size, "path": list(path)}

    # --- reading -------------------------------------------------------------------------------

    def retrieve(self, entry: Entry) -> OpenedRecord:
        """The record's exact bytes, as they were when it was anchored; to be closed.

        Raises:
            RecordAltered: the source gives other bytes.
            RecordUnavailable: the source gives none, or only a newer version of it.
        """
        file = self._connector.open(entry.source)
        try:
            return OpenedRecord(file, entry.pointer, entry.salts.digest)
        except BaseException as error:
            file.close()
            if isinstance(error, RecordAltered) and not entry.current:
                raise RecordUnavailable("the source has only a newer version") from None
            raise

    def verify(self, progress: Callable[[int], None] | None = None) -> list[Finding]:
        """Read every current record again and list those that are altered or missing."""
        findings = []
        for count, entry in enumerate(self.entries(), start=1):
            try:
                self.retrieve(entry).close()
            except RecordAltered:
                findings.append(Finding(entry.name, entry.source, "altered"))
            except RecordUnavailable:
                findings.append(Finding(entry.name, entry.source, "missing"))
            if progress is not None:
                progress(count)
        return findings

    def count(self) -> int:
        """How many current records there are."""
        query = sa.select(sa.func.count()).select_from(records).where(records.c.current)
        with self._engine.connect() as connection:
            return connection.execute(query).scalar_one()

    def _sources(self) -> list[str]:
        with self._engine.connect() as connection:
            return list(connection.scalars(sa.select(records.c.source).where(records.c.current)))


def _entries() -> sa.Select[Any]:
    return sa.select(records, batches.c.root, batches.c.size, batches.c.height).join(
        batches, isouter=True
    )


def _entry(row: sa.Row[Any]) -> Entry:
    return Entry(
        row.name, row.source, _pointer(row.pointer), Salts.unpack(row.salts), row.current,
        row.height,
    )  # fmt: skip


def _pointer(leaf: bytes) -> Pointer:
    return pointer_from_value(decode_value(leaf, limit=_POINTER_LIMIT))


def _tokens(stored: bytes | None) -> tuple[bytes, ...]:
    if stored is None:
        return ()
    return msgspec.convert(decode_value(stored, limit=_POINTER_LIMIT), tuple[bytes, ...])


def _chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk
