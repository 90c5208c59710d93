"""Holding what the chain says of releases against receipts, and against the holder's own log.

The chain alone shows what does not fit together between the two sides of an exchange; the lists of
findings (`ledger.node.reading`) have the same, by the same rules. Only the holder can also say
whether what it wrote down is what went out. What is found is for its own audit and the regulator.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Final

import structlog

from ledger.chain.codec import decode_value
from ledger.chain.database import StoreError
from ledger.chain.limits import MAX_STATE_VALUE_BYTES
from ledger.chain.reader import StoreReader
from ledger.crypto.hashing import same
from ledger.node.reading.content import Access, Unreadable, read_entry
from ledger.node.vault.handed import Handed, HandedLog

_log = structlog.get_logger(__name__)

#: How often a node compares, and how long it waits before it tries again, in seconds.
EVERY_SECONDS: Final = 86_400.0
AGAIN_SECONDS: Final = 600.0
#: How long after its start a node compares for the first time.
FIRST_SECONDS: Final = 120.0

#: What can be wrong, and what it means.
KINDS: Final = {
    "release-without-receipt": "the holder wrote down a release and no receipt came in time",
    "receipt-without-release": "a receipt was written down and no release",
    "release-differs": "the holder wrote down other bytes than the pointer promised",
    "receipt-differs": "other bytes arrived than the pointer promised",
    "handed-out-unrecorded": "the log of the holder has a record going out that the chain has not",
    "recorded-not-handed-out": "the chain has a release that the log of the holder has not",
    "handed-out-differs": "the log of the holder has another record or other bytes than the chain",
    "unreadable": "an entry of the chain is not a decision that can be read",
}
#: How many rows of the state are looked at before others have their turn.
_ROWS: Final = 2_000


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """One thing that does not fit. ``kind``: of `KINDS`. ``decision``: id. ``time``: of the block
    or, for what the log alone has, of the holder's clock; ms since 1970 UTC."""

    kind: str
    decision: str
    time: int
    holder: str
    institution: str
    subject: str


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """What was compared and what does not fit. ``height``, ``time``: of the newest block.
    ``log_since``: when the holder's log begins, None if it has none."""

    holder: str
    height: int
    time: int
    decisions: int
    releases: int
    receipts: int
    handed: int
    log_since: int | None
    discrepancies: tuple[Discrepancy, ...]

    def value(self) -> dict[str, Any]:
        """The same as JSON, with the number of each kind."""
        return {**asdict(self), "counts": self.counts()}

    def counts(self) -> dict[str, int]:
        """How many there are of each kind."""
        counts = dict.fromkeys(KINDS, 0)
        for each in self.discrepancies:
            counts[each.kind] += 1
        return counts


def reconcile(
    store: StoreReader,
    holder: str,
    log: HandedLog | None,
    breath: Callable[[], None] = lambda: None,
) -> Reconciliation:
    """Compare every decision of the newest state, and every entry of the log.

    Args:
        store: of a node; it may go on meanwhile.
        holder: the institution whose log it is; of others only the chain is looked at.
        log: None for whoever has none, such as a regulator.
        breath: called now and then.
    """
    head = store.head()
    if head is None:
        raise LookupError("the store holds no chain")
    tally = _Tally(holder, head.time, log)
    for key, value in _decisions(store, breath):
        tally.decision(key, value)
    if log is not None:
        for entry in log:
            tally.entry(entry, _decision_of(store, entry.decision))
    found = sorted(tally.found, key=lambda each: (each.time, each.decision, each.kind))
    return Reconciliation(
        holder, head.height, head.time, tally.decisions, tally.releases, tally.receipts,
        tally.handed, None if log is None else log.since(), tuple(found),
    )  # fmt: skip


class _Tally:
    def __init__(self, holder: str, now: int, log: HandedLog | None) -> None:
        self._holder = holder
        self._now = now
        self._log = log
        self._since = None if log is None else log.since()
        self.decisions = self.releases = self.receipts = self.handed = 0
        self.found: list[Discrepancy] = []

    def decision(self, key: bytes, value: bytes) -> None:
        try:
            content = read_entry(key, value)
        except Unreadable:
            identity = key.decode(errors="replace").rpartition("/")[2]
            self.found.append(Discrepancy("unreadable", identity, 0, "", "", ""))
            return
        row = None if content is None else content.row
        if content is None or not isinstance(row, Access):
            return
        self.decisions += 1
        self.releases += row.released is not None
        self.receipts += row.received is not None
        met = {(kind, about) for kind, about, _ in content.met}
        late = [due for due in content.deadlines if due.due <= self._now]
        for kind, time in [
            *(
                (each.kind, each.time)
                for each in content.findings
                if (each.kind, row.id) not in met
            ),
            *((each.kind, each.due) for each in late if (each.kind, row.id) not in met),
        ]:
            self._note(kind, row, time)
        if row.holder == self._holder and row.released is not None:
            self._sent(row, row.released)

    def _sent(self, row: Access, released: int) -> None:
        """A release of this holder, which its log has to have, if it is as old."""
        if self._log is None or self._since is None or released < self._since:
            return
        if not self._log.of(row.id):
            self._note("recorded-not-handed-out", row, released)

    def entry(self, entry: Handed, decision: dict[str, Any] | None) -> None:
        self.handed += 1
        released = None if decision is None else decision.get("released")
        if decision is None or released is None or decision.get("outcome") != "permit":
            kind = "handed-out-unrecorded"
        elif not same(released["digest"], entry.digest) or decision["record"] != entry.name:
            kind = "handed-out-differs"
        else:
            return
        subject = "" if decision is None else decision["subject"]
        self.found.append(
            Discrepancy(kind, entry.decision, entry.began, self._holder, entry.institution, subject)
        )

    def _note(self, kind: str, row: Access, time: int) -> None:
        self.found.append(Discrepancy(kind, row.id, time, row.holder, row.institution, row.subject))


def _decisions(store: StoreReader, breath: Callable[[], None]) -> Iterator[tuple[bytes, bytes]]:
    """Every decision with its newest value; one that is written meanwhile is for the next time.

    A decision is written when it is made, released and received; of its rows the last one counts.
    """
    newest, row = store.newest_row(), -1
    while row < newest:
        last = min(newest, row + _ROWS)
        for key, value in store.rows_of(("access/decisions",), row, last):
            if value is not None and store.value(key) == value:
                yield key, value
        row = last
        breath()


def _decision_of(store: StoreReader, identity: str) -> dict[str, Any] | None:
    value = store.value(f"access/decisions/{identity}".encode())
    found = None if value is None else decode_value(value, limit=MAX_STATE_VALUE_BYTES)
    return found if isinstance(found, dict) else None


async def keep_reconciled(
    store: StoreReader,
    holder: str,
    log: HandedLog,
    tell: Callable[[Reconciliation], None],
    breath: Callable[[], None],
) -> None:
    """Compare once a day; runs until cancelled. ``tell``: told what was found."""
    await asyncio.sleep(FIRST_SECONDS)
    while True:
        pause = EVERY_SECONDS
        try:
            found = await asyncio.to_thread(reconcile, store, holder, log, breath)
        except (StoreError, OSError) as error:
            _log.warning("reconciling_interrupted", error=type(error).__name__)
            pause = AGAIN_SECONDS
        else:
            tell(found)
            own = [each for each in found.discrepancies if each.holder == holder]
            _log.log(
                30 if own else 20, "reconciled", decisions=found.decisions, handed=found.handed,
                discrepancies=len(found.discrepancies), own=len(own),
            )  # fmt: skip
        await asyncio.sleep(pause)
