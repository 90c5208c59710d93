"""What a holder remembers of its records, in a database of its own.

For each record: where it is in the source, the pointer that the ledger knows it by, the salts that
open the pointer's commitments, and its place in an anchored batch. The record itself stays in the
source. The file is the holder's secret (mode 0600): without the salts nobody can tell from a
pointer what a record says, and without the file the holder can release nothing.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import sqlalchemy as sa

from ledger.chain import merkle
from ledger.chain.exchange import Shown
from ledger.chain.pointer import SALT_SIZE, Pointer
from ledger.chain.tokens import LabelKey
from ledger.node.vault.connector import Connector, RecordUnavailable
from ledger.node.vault.handed import HandedLog
from ledger.node.vault.intake import TakeIn
from ledger.node.vault.kept import copies_id
from ledger.node.vault.keysafe import KEYS_FILE, KeyGone, KeySafe, SafeUnusable
from ledger.node.vault.opened import OpenedRecord, RecordAltered
from ledger.node.vault.passes import PassLog, Standing, standing
from ledger.node.vault.pointing import Salts, salts_id
from ledger.node.vault.tables import (
    VaultUnusable,
    batches,
    open_tables,
    openings,
    pointer_of,
    records,
    tokens_of,
)
from ledger.node.vault.taking import Pass, Rules

#: The version (SQLite's ``user_version``) of a vault whose salts are all sealed.
_SEALED: Final = 1
#: Batches whose leaf hashes are kept in memory for making proofs.
CACHED_BATCHES: Final = 64


@dataclass(frozen=True, slots=True)
class Batch:
    """Pointers to be anchored together: their RFC 9162 root and how many they are."""

    root: bytes
    size: int


class Supersession(NamedTuple):
    """A record that another one replaces: its number in the vault, its name, the other's name."""

    record: int
    old: bytes
    new: bytes


@dataclass(frozen=True, slots=True)
class Entry:
    """One record as the vault knows it. ``height`` is None until its batch is anchored.
    ``stamp``: that of the source when it was taken in."""

    name: bytes
    source: str
    pointer: Pointer
    salts: Salts
    current: bool
    height: int | None
    stamp: str = ""


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
        safe: KeySafe,
        entropy: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._engine = engine
        self._safe = safe
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
        """Open or make the vault file and, beside it, `KEYS_FILE`, readable by their owner only;
        raises `VaultUnusable`.

        Args:
            entropy: so many random bytes, for salts and keys.
        """
        engine = open_tables(path)
        try:
            vault = cls(engine, connector, KeySafe(path.with_name(KEYS_FILE), entropy), entropy)
        except SafeUnusable as error:
            engine.dispose()
            raise VaultUnusable(str(error)) from None
        vault._settle()
        return vault

    def _settle(self) -> None:
        """Seal the salts of a vault of an earlier version, and destroy again what was destroyed, in
        case the file of keys was put back from a copy."""
        with self._engine.connect() as connection:
            sealed = connection.exec_driver_sql("PRAGMA user_version").scalar_one() >= _SEALED
        if not sealed:
            self._seal_all()
        with self._engine.connect() as connection:
            gone = sa.select(records.c.name, records.c.source).where(records.c.erased.is_not(None))
            erased = connection.execute(gone).all()
        if erased:
            self._safe.destroy([salts_id(row.name) for row in erased])
            self._safe.bar(sorted({copies_id(row.source) for row in erased}))

    def _seal_all(self) -> None:
        """Seal salts that stand in clear, and leave nothing of them in the file."""
        found = False
        plain = sa.select(records.c.id, records.c.name, records.c.salts).where(
            sa.func.length(records.c.salts) == 3 * SALT_SIZE
        )
        change = sa.update(records).where(records.c.id == sa.bindparam("record"))
        while True:
            with self._engine.begin() as connection:
                rows = connection.execute(plain.limit(1_000)).all()
                if not rows:
                    break
                found = True
                boxes = self._safe.seal([(salts_id(row.name), row.salts) for row in rows])
                connection.execute(
                    change.values(salts=sa.bindparam("box")),
                    [{"record": row.id, "box": box} for row, box in zip(rows, boxes, strict=True)],
                )
        with closing(self._engine.raw_connection()) as connection:
            if found:
                connection.execute("VACUUM")
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.execute(f"PRAGMA user_version = {_SEALED}")

    def close(self) -> None:
        """Let go of the files and of the source."""
        self._safe.close()
        self._engine.dispose()
        self._connector.close()

    # --- taking in -----------------------------------------------------------------------------

    def take_in(
        self,
        subjects: Mapping[str, str],
        holder: str,
        now: int,
        progress: Callable[[TakeIn], None] | None = None,
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
            progress: told after every chunk of the source what was found so far.
            label_keys: pseudonym to the key under which that patient's labels become tokens. A
                patient who gets one later gets new pointers with the next look.
        """
        rules = Rules(subjects, label_keys or {}, holder, now)
        told = _ignored if progress is None else progress
        return Pass(self._engine, self._connector, self._entropy, rules, told, self._safe).run()

    def passing(self, clock: Callable[[], int]) -> PassLog:
        """Where a pass writes down how far it is."""
        return PassLog(self._engine, clock)

    def handed(self, clock: Callable[[], int]) -> HandedLog:
        """The log of what was handed out."""
        return HandedLog(self._engine, clock)

    def standing(self) -> Standing:
        """What the vault holds, and how far the newest pass is."""
        return standing(self._engine)

    # --- anchoring -----------------------------------------------------------------------------

    def batches(self, size: int = 1000) -> list[Batch]:
        """The batches that wait to be anchored, oldest first.

        Records that are in none yet are put into new ones. A batch never changes once it is made,
        so a holder that stops before its anchoring is final asks for the same root again.
        """
        while self._batch(size):
            pass
        waiting = sa.select(batches.c.root, batches.c.size).where(batches.c.height.is_(None))
        with self._engine.connect() as connection:
            rows = connection.execute(waiting.order_by(batches.c.id)).all()
        return [Batch(row.root, row.size) for row in rows]

    def _batch(self, size: int) -> bool:
        """Make one batch of records that are in none yet; whether there were any."""
        loose = (
            sa.select(records.c.id, records.c.name)
            .where(records.c.batch.is_(None))
            .order_by(records.c.id)
            .limit(size)
        )
        with self._engine.begin() as connection:
            rows = connection.execute(loose).all()
            if not rows:
                return False
            root = merkle.root_of_hashes([row.name for row in rows])
            made = connection.execute(sa.insert(batches).values(root=root, size=len(rows)))
            (batch,) = made.inserted_primary_key or (None,)
            connection.execute(
                sa.update(records)
                .where(records.c.id == sa.bindparam("record"))
                .values(batch=batch, place=sa.bindparam("at")),
                [{"record": row.id, "at": place} for place, row in enumerate(rows)],
            )
        return True

    def anchored(self, root: bytes, height: int) -> None:
        """Note that a batch is on the chain since the block of ``height``."""
        with self._engine.begin() as connection:
            change = sa.update(batches).where(batches.c.root == root, batches.c.height.is_(None))
            connection.execute(change.values(height=height))

    def supersessions(self, after: int = 0, limit: int = 1_000) -> list[Supersession]:
        """Anchored records whose replacement is anchored too and not yet told to the chain, by
        the order in which they were taken in: up to ``limit`` of those behind ``after``."""
        old, new = records.alias("old"), records.alias("new")
        before, anchored = batches.alias("before"), batches.alias("anchored")
        query = (
            sa.select(old.c.id, old.c.name, new.c.pointer, new.c.name.label("successor"))
            .join(new, (new.c.source == old.c.source) & (new.c.id > old.c.id))
            .join(before, (before.c.id == old.c.batch) & before.c.height.is_not(None))
            .join(anchored, (anchored.c.id == new.c.batch) & anchored.c.height.is_not(None))
            .where(~old.c.current, ~old.c.announced, old.c.id > after)
            .order_by(old.c.id, new.c.id)
        )
        found = []
        with self._engine.connect() as connection:
            for row in connection.execute(query):
                if pointer_of(row.pointer).replaces == row.name:
                    found.append(Supersession(row.id, row.name, row.successor))
                if len(found) == limit:
                    break
        return found

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
        return self._entry(row) if row is not None else None

    def entries(self) -> Iterator[Entry]:
        """All current records in the order in which they were taken in."""
        with self._engine.connect() as connection:
            for row in connection.execute(
                _entries().where(records.c.current).order_by(records.c.id)
            ):
                if (entry := self._entry(row)) is not None:
                    yield entry

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
                Shown(pointer_of(row.pointer), self._proof(connection, row), tokens_of(row.tokens))
                for row in rows
            ]

    def proof_of(self, name: bytes) -> dict[str, Any] | None:
        """``{"root", "index", "size", "path"}`` of an anchored record, None for any other."""
        query = _entries().where(
            records.c.name == name, batches.c.height.is_not(None), records.c.erased.is_(None)
        )
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

    # --- destroying ----------------------------------------------------------------------------

    def erase(self, name: bytes, now: int) -> tuple[bytes, ...]:
        """Destroy what opens a record, in all the versions that were taken in: the keys of its
        salts, the salts, the openings of its labels, and bytes that are kept of it with their key.
        Done again, it does the same.

        Args:
            now: milliseconds since 1970 UTC.

        Returns:
            The names of the versions; none where this holder never had such a record.
        """
        find = sa.select(records.c.source).where(records.c.name == name)
        with self._engine.connect() as connection:
            source = connection.execute(find).scalar()
            if source is None:
                return ()
            versions = sa.select(records.c.name).where(records.c.source == source)
            names = tuple(connection.scalars(versions.order_by(records.c.id)))
        # The keys first: whatever happens after, nobody opens the rest of it.
        self._safe.destroy([salts_id(one) for one in names])
        self._safe.bar([copies_id(source)])
        self._connector.discard(source)
        with self._engine.begin() as connection:
            connection.execute(
                sa.update(records)
                .where(records.c.source == source, records.c.erased.is_(None))
                .values(
                    salts=b"",
                    pointer=b"",
                    current=False,
                    announced=True,
                    erased=now,
                    stamp="",
                    reference="",
                    labelled="",
                )
            )
            connection.execute(sa.delete(openings).where(openings.c.name.in_(names)))
        return names

    # --- reading -------------------------------------------------------------------------------

    def _entry(self, row: sa.Row[Any]) -> Entry | None:
        """The entry of a row; None where the record was destroyed, or its key is not here."""
        if row.erased is not None:
            return None
        try:
            salts = Salts.unpack(self._safe.open(salts_id(row.name), row.salts))
        except KeyGone:
            return None
        return Entry(
            row.name, row.source, pointer_of(row.pointer), salts, row.current, row.height,
            row.stamp,
        )  # fmt: skip

    def retrieve(self, entry: Entry) -> OpenedRecord:
        """The record's exact bytes, as they were when it was anchored; to be closed.

        Raises:
            RecordAltered: the source gives other bytes.
            RecordUnavailable: the source gives none, or only a newer version of it.
        """
        file = self._connector.open(entry.source, entry.stamp)
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


def _entries() -> sa.Select[Any]:
    return sa.select(records, batches.c.root, batches.c.size, batches.c.height).join(
        batches, isouter=True
    )


def _ignored(_report: TakeIn) -> None:
    """Nobody wants to know."""
