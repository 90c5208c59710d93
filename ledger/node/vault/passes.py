"""What the passes over a source have come to: for operators, while they run and afterwards."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from ledger.node.vault.tables import batches, passes, records

#: Passes that are remembered.
KEPT: Final = 100
#: Seconds between two notes of how far a pass is.
NOTE_SECONDS: Final = 1.0


class VaultBusy(Exception):
    """Another process is taking in or anchoring."""


@dataclass(frozen=True, slots=True)
class PassEntry:
    """One pass. Times are milliseconds since 1970 UTC; ``ended`` is None while it runs, and for
    good where it was cut short. ``counts``: what was taken in and anchored. ``error``: why it
    failed, or nothing."""

    began: int
    changed: int
    ended: int | None
    phase: str
    counts: dict[str, int]
    error: str


@dataclass(frozen=True, slots=True)
class Standing:
    """What the vault holds: records by whether they are current and anchored, batches that wait,
    and the newest pass."""

    current: int
    outdated: int
    anchored: int
    waiting: int
    batches_waiting: int
    newest: PassEntry | None

    def value(self) -> dict[str, Any]:
        """The same as JSON."""
        return asdict(self)


class PassLog:
    """The table `passes`.

    Args:
        engine: of the vault.
        clock: milliseconds since 1970 UTC.
    """

    def __init__(self, engine: sa.Engine, clock: Callable[[], int]) -> None:
        self._engine = engine
        self._clock = clock
        self._pass = 0
        self._noted = 0.0

    def begin(self) -> None:
        now = self._clock()
        with self._engine.begin() as connection:
            made = connection.execute(
                sa.insert(passes).values(began=now, changed=now, phase="taking in", counts="{}")
            )
            (self._pass,) = made.inserted_primary_key or (0,)
            old = sa.delete(passes).where(passes.c.id <= self._pass - KEPT)
            connection.execute(old)

    def note(self, phase: str, counts: dict[str, int], *, at_once: bool = False) -> None:
        """Write down how far the pass is, once a second at most unless ``at_once``."""
        if not at_once and time.monotonic() - self._noted < NOTE_SECONDS:
            return
        self._noted = time.monotonic()
        self._change(phase=phase, counts=msgspec.json.encode(counts).decode())

    def end(self, error: str = "") -> None:
        """Write down that the pass is over, and why it failed if it did."""
        self._change(ended=self._clock(), error=error)

    def _change(self, **values: Any) -> None:
        change = sa.update(passes).where(passes.c.id == self._pass)
        with self._engine.begin() as connection:
            connection.execute(change.values(changed=self._clock(), **values))


def standing(engine: sa.Engine) -> Standing:
    """What a vault holds now; counts every record, so it takes a second at ten million."""
    anchored = sa.select(batches.c.id).where(batches.c.height.is_not(None))
    sums = sa.select(
        sa.func.count(),
        sa.func.coalesce(sa.func.sum(sa.cast(records.c.current, sa.Integer)), 0),
        sa.func.coalesce(sa.func.sum(sa.cast(records.c.batch.in_(anchored), sa.Integer)), 0),
    )
    waiting = sa.select(sa.func.count()).select_from(batches).where(batches.c.height.is_(None))
    newest = sa.select(passes).order_by(passes.c.id.desc()).limit(1)
    with engine.connect() as connection:
        all_, current, on_chain = connection.execute(sums).one()
        batches_waiting = connection.execute(waiting).scalar_one()
        row = connection.execute(newest).first()
    entry = None
    if row is not None:
        counts = msgspec.json.decode(row.counts, type=dict[str, int])
        entry = PassEntry(row.began, row.changed, row.ended, row.phase, counts, row.error)
    return Standing(current, all_ - current, on_chain, all_ - on_chain, batches_waiting, entry)


@contextmanager
def claim_vault(directory: Path) -> Iterator[None]:
    """Be the only process that writes into the vault of a home.

    Raises:
        VaultBusy: another one does.
    """
    handle = os.open(directory / "vault.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise VaultBusy("another process is taking in or anchoring records") from None
        yield
    finally:
        os.close(handle)
