"""One pass over a source: pointers for what is new or has changed, nothing for what has not.

What a chunk of records needs is computed first and written in one transaction, so a pass can stop
anywhere. The next one goes over the source again and passes over what it finds as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Any, Final, NamedTuple

import sqlalchemy as sa

from ledger.chain.codec import encode
from ledger.chain.pointer import Pointer, record_digest
from ledger.chain.tokens import LabelKey
from ledger.node.vault.connector import Connector, Problem, RecordUnavailable, SourceRecord
from ledger.node.vault.intake import Described, TakeIn, described
from ledger.node.vault.keysafe import KeyGone, KeySafe
from ledger.node.vault.opened import digest_of
from ledger.node.vault.pointing import Salts, make_pointer, opening_of, salts_id
from ledger.node.vault.tables import openings, pointer_of, records, seen

#: What is said of a record that was destroyed here and is still in the source.
ERASED: Final = "destroyed at the patient's request, and still in the source"


class Rules(NamedTuple):
    """What a pass goes by. ``subjects``: patient reference → pseudonym. ``keys``: pseudonym → label
    key. ``holder``: institution id. ``now``: milliseconds since 1970 UTC."""

    subjects: Mapping[str, str]
    keys: Mapping[str, LabelKey]
    holder: str
    now: int


class Pass:
    """One pass.

    Args:
        engine: of the vault.
        connector: the source.
        entropy: so many random bytes, for salts.
        rules: what it goes by.
        progress: told after every chunk.
        safe: the keys under which salts are stored.
    """

    def __init__(
        self,
        engine: sa.Engine,
        connector: Connector,
        entropy: Callable[[int], bytes],
        rules: Rules,
        progress: Callable[[TakeIn], None],
        safe: KeySafe,
    ) -> None:
        self._engine = engine
        self._connector = connector
        self._entropy = entropy
        self._rules = rules
        self._progress = progress
        self._safe = safe
        self._prints = {subject: _print_of(key) for subject, key in rules.keys.items()}
        self.report = TakeIn()

    def run(self) -> TakeIn:
        """Go over the whole source."""
        with self._engine.begin() as connection:
            connection.execute(sa.delete(seen))
        for chunk in described(self._connector, self.report, self._unchanged):
            self._take(chunk)
            self._progress(self.report)
        if self._connector.complete:
            gone = sa.select(sa.func.count()).select_from(records).where(
                records.c.current, records.c.id.not_in(sa.select(seen.c.record))
            )  # fmt: skip
            with self._engine.connect() as connection:
                self.report.missing = connection.execute(gone).scalar_one()
        self._connector.taken()
        self._progress(self.report)
        return self.report

    def _known(self, items: Sequence[SourceRecord]) -> dict[str, sa.Row[Any]]:
        query = sa.select(records).where(
            records.c.current, records.c.source.in_([item.id for item in items])
        )
        with self._engine.connect() as connection:
            return {row.source: row for row in connection.execute(query)}

    def _unchanged(self, items: Sequence[SourceRecord]) -> set[str]:
        """Those that are known and about which neither the source nor the rules say otherwise."""
        if not items:
            return set()
        erased = self._erased(items)
        for source in erased:
            self.report.cannot(Problem(source, ERASED))
        known = self._known(items)
        same = [known[item.id] for item in items if item.id in known and self._is_same(item, known)]
        with self._engine.begin() as connection:
            _note_seen(connection, [row.id for row in same])
        return {row.source for row in same} | erased

    def _erased(self, items: Sequence[SourceRecord]) -> set[str]:
        """Those that were destroyed at a patient's request. They are never taken in again, and as
        long as the source has them that is said."""
        query = sa.select(records.c.source).where(
            records.c.erased.is_not(None), records.c.source.in_([item.id for item in items])
        )
        with self._engine.connect() as connection:
            return set(connection.scalars(query))

    def _is_same(self, item: SourceRecord, known: Mapping[str, sa.Row[Any]]) -> bool:
        row = known[item.id]
        return (
            item.stamp != ""
            and row.stamp == item.stamp
            and self._rules.subjects.get(row.reference) == row.subject
            and row.labelled == self._prints.get(row.subject, "")
        )

    def _take(self, chunk: Sequence[Described]) -> None:
        # A source may list something twice; the later word counts.
        chunk = list({one.item.id: one for one in chunk}.values())
        erased = self._erased([one.item for one in chunk])
        chunk = [one for one in chunk if one.item.id not in erased]
        known = self._known([one.item for one in chunk])
        rows: list[dict[str, Any]] = []
        opened: list[dict[str, Any]] = []
        outdated: list[int] = []
        noted: list[dict[str, Any]] = []
        present: list[int] = []
        for one in chunk:
            subject = self._rules.subjects.get(one.description.subject)
            if subject is None:
                self.report.no_subject += 1
                continue
            earlier = known.get(one.item.id)
            try:
                again = None if earlier is None else self._again(one, subject, earlier)
                if earlier is not None and again is not None and again.leaf() == earlier.pointer:
                    self.report.unchanged += 1
                    present.append(earlier.id)
                    noted.append({"record": earlier.id, **self._notes(one, subject)})
                    continue
                pointer, salts = self._new(one, subject, earlier)
            except (RecordUnavailable, KeyGone) as error:
                self.report.cannot(Problem(one.item.id, str(error)))
                continue
            if earlier is not None:
                outdated.append(earlier.id)
                self.report.changed += 1
            else:
                self.report.new += 1
            if tokens := opening_of(one.description, self._rules.keys.get(subject), salts):
                opened.append({"name": pointer.name(), "tokens": encode(list(tokens))})
            rows.append(
                {
                    "name": pointer.name(), "source": one.item.id, "subject": subject,
                    "pointer": pointer.leaf(), "salts": salts.pack(), "taken": self._rules.now,
                    "current": True, "announced": False,
                    **{key[3:]: value for key, value in self._notes(one, subject).items()},
                }
            )  # fmt: skip
        # The keys first: a pointer whose salts cannot be opened is worth nothing.
        boxes = self._safe.seal([(salts_id(row["name"]), row["salts"]) for row in rows])
        for row, box in zip(rows, boxes, strict=True):
            row["salts"] = box
        with self._engine.begin() as connection:
            if outdated:
                gone = sa.update(records).where(records.c.id.in_(outdated))
                connection.execute(gone.values(current=False))
            if rows:
                made = sa.insert(records).returning(records.c.id)
                present.extend(connection.scalars(made, rows))
            if opened:
                connection.execute(sa.insert(openings), opened)
            if noted:
                change = sa.update(records).where(records.c.id == sa.bindparam("record"))
                names = ("stamp", "reference", "labelled")
                connection.execute(
                    change.values({name: sa.bindparam(f"at_{name}") for name in names}), noted
                )
            _note_seen(connection, present)

    def _notes(self, one: Described, subject: str) -> dict[str, str]:
        """By what the next pass sees that nothing has changed."""
        return {
            "at_stamp": one.item.stamp,
            "at_reference": one.description.subject,
            "at_labelled": self._prints.get(subject, ""),
        }

    def _again(self, one: Described, subject: str, earlier: sa.Row[Any]) -> Pointer:
        """The pointer that the record would have with the salts that it has."""
        opened = self._safe.open(salts_id(earlier.name), earlier.salts)
        salts, before = Salts.unpack(opened), pointer_of(earlier.pointer)
        if one.content is None and one.item.stamp and one.item.stamp == earlier.stamp:
            digest, size = before.digest, before.size
        else:
            digest, size = self._measure(one, salts)
        return self._pointer(one, subject, digest, size, salts, before.replaces)

    def _new(
        self, one: Described, subject: str, earlier: sa.Row[Any] | None
    ) -> tuple[Pointer, Salts]:
        salts = Salts.fresh(self._entropy)
        digest, size = self._measure(one, salts)
        replaces = b"" if earlier is None else earlier.name
        return self._pointer(one, subject, digest, size, salts, replaces), salts

    def _measure(self, one: Described, salts: Salts) -> tuple[bytes, int]:
        if one.content is not None:
            return record_digest(salts.digest, one.content), len(one.content)
        with self._connector.open(one.item.id, one.item.stamp) as file:
            return digest_of(file, salts.digest)

    def _pointer(
        self, one: Described, subject: str, digest: bytes, size: int, salts: Salts, replaces: bytes
    ) -> Pointer:
        key = self._rules.keys.get(subject)
        return make_pointer(
            self._rules.holder, subject, one.item.media, digest, size, one.description, salts,
            replaces, key,
        )  # fmt: skip


def _note_seen(connection: sa.Connection, ids: Sequence[int]) -> None:
    if ids:
        given = [{"record": identity} for identity in ids]
        connection.execute(sa.insert(seen).prefix_with("OR IGNORE"), given)


def _print_of(key: LabelKey) -> str:
    """By which a changed key is noticed; the vault is secret, and this leads to no key."""
    return sha256(b"health-ledger/label-key\x00" + key.secret).hexdigest()[:16]
