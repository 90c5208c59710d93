"""The disk of a simulated machine: a real SQLite store in memory-backed files, and what happens to
disks.

Every finished transaction is synced, so a crash between two of them loses nothing. A crash in the
middle of one leaves any beginning of what was being written, or a garbled end: that is made from
the write-ahead log, whose format is public. Disk errors reach the production code as SQLite would
report them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from random import Random

from ledger.chain.database.errors import StoreFull
from ledger.chain.database.interface import Writer
from ledger.chain.database.sqlite import SqliteDatabase
from ledger.sim.loop import PowerLoss
from ledger.sim.wal import HEADER_BYTES, read_log


class Remains(StrEnum):
    """What a power failure in the middle of a transaction leaves of it."""

    NOTHING = "nothing"
    PART = "part"
    GARBLED = "garbled"
    WHOLE = "whole"


@dataclass(frozen=True, slots=True)
class Image:
    """The bytes of a store's files: the database and its write-ahead log.

    ``watermark``: of the file beside them that says how far the node may have signed; None where
    that is not a part of the copy.
    """

    main: bytes
    log: bytes
    watermark: bytes | None = None


@dataclass(frozen=True, slots=True)
class Mark:
    """The file that says how far a node may have signed: what is in it, None where there is none,
    and when it was changed, in virtual milliseconds."""

    content: bytes | None
    changed: int


class SimFileTimes:
    """When the watermark was changed, in virtual milliseconds."""

    def __init__(self, time: Callable[[], float]) -> None:
        self._time = time
        self._changed = 0

    def now(self) -> int:
        """Asked right before each write."""
        self._changed = int(self._time() * 1000)
        return self._changed

    def changed(self, descriptor: int) -> int:
        return self._changed

    def put_back(self, changed: int) -> None:
        """The file is again the one that was changed then."""
        self._changed = changed

    def copied(self) -> None:
        """The file was put there by somebody else, now."""
        self._changed = int(self._time() * 1000)


class PowerLossInTransaction(PowerLoss):
    """The power fails in the middle of a transaction. ``image``: what is on the disk then."""

    def __init__(self, image: Image) -> None:
        super().__init__("power loss")
        self.image = image


class SimDisk:
    """Where one node keeps its store.

    Args:
        path: the database file.
        watermark: the file that says how far the node may have signed.
        time: virtual seconds.
        random: decides what a crash leaves.
    """

    def __init__(
        self, path: Path, watermark: Path, time: Callable[[], float], random: Random
    ) -> None:
        self.path = path
        self.times = SimFileTimes(time)
        self._watermark = watermark
        self._random = random
        self._full = False
        self._crash: tuple[int, Remains] | None = None
        #: How long one job that may write takes beyond the usual, in seconds.
        self.delay_s = 0.0
        #: How many transactions were finished.
        self.transactions = 0
        #: Whether something that no crash does was done to the files: flipped, torn, restored.
        self.damaged = False
        #: Whether a bit was flipped: nothing is expected of such a node but that it does no harm.
        self.flipped = False
        self._kept: Image | None = None

    # --- what a story does to it ---------------------------------------------------------------

    def full(self, full: bool = True) -> None:
        """Leave no room for anything, or make room again."""
        self._full = full

    def slow(self, ms: float) -> None:
        """Let every job that may touch the disk take longer."""
        self.delay_s = ms / 1000

    def crash_in_transaction(self, remains: Remains, after: int = 0) -> None:
        """Let the power fail in the middle of a transaction: the next, or some after it."""
        self._crash = after, remains

    def no_crash(self) -> None:
        """Take back a crash that has not come yet."""
        self._crash = None

    def flip(self, *, log: bool = False, place: int | None = None) -> int:
        """Turn one bit of the database or of its log; the byte that it is in."""
        path = self._log_path if log else self.path
        content = bytearray(path.read_bytes() if path.exists() else b"")
        if not content:
            return -1
        place = self._random.randrange(len(content)) if place is None else place
        content[place] ^= 1 << self._random.randrange(8)
        path.write_bytes(content)
        self.damaged = self.flipped = True
        return place

    def tear(self, remains: Remains = Remains.PART) -> None:
        """Undo the last transaction in part, as a disk does that lied about having written it."""
        self._write(self._torn(self._read(), remains))
        self.damaged = True

    def backup(self, *, whole: bool = False) -> Image:
        """A copy of the store as it is now; ``whole``: of the file beside it as well, which no
        backup should have."""
        image = self._read()
        if whole and self._watermark.exists():
            image = replace(image, watermark=self._watermark.read_bytes())
        return image

    def keep(self) -> None:
        """Make a backup, in place of the one that was kept before."""
        self._kept = self.backup()

    @property
    def kept(self) -> Image | None:
        """The backup that was made last."""
        return self._kept

    def restore(self, image: Image) -> None:
        """Put an old copy back; only while the node is stopped."""
        self._write(image)
        if image.watermark is not None:
            self._watermark.write_bytes(image.watermark)
            self.times.copied()
        self.damaged = True

    # --- what the world does with it -----------------------------------------------------------

    def open(self) -> SimDatabase:
        """The database as the node gets it; raises `StoreUnusable`."""
        return SimDatabase(self)

    def mark(self) -> Mark:
        """What the file beside the store is now."""
        content = self._watermark.read_bytes() if self._watermark.exists() else None
        return Mark(content, self.times.changed(0))

    def recover(self, image: Image, mark: Mark) -> None:
        """The machine starts again with what was on the disk; nothing else of it is left.

        ``mark``: as it was when the machine went.
        """
        self._crash = None
        self._write(image)
        if mark.content is None:
            self._watermark.unlink(missing_ok=True)
        else:
            self._watermark.write_bytes(mark.content)
        self.times.put_back(mark.changed)

    def image(self) -> Image:
        """What is on the disk between two transactions."""
        return self._read()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Around each transaction."""
        if self._full:
            raise StoreFull("the disk or the database is full: no space left on device")
        due = None
        if self._crash is not None:
            after, remains = self._crash
            self._crash = (after - 1, remains) if after else None
            due = None if after else remains
        before = self.path.stat().st_mtime_ns
        yield
        self.transactions += 1
        if due is not None:
            # Had the log been moved into the database just now, it would not be in the middle of
            # this transaction any more.
            moved = self.path.stat().st_mtime_ns != before
            raise PowerLossInTransaction(self._torn(self._read(), Remains.WHOLE if moved else due))

    @property
    def _log_path(self) -> Path:
        return self.path.with_name(self.path.name + "-wal")

    def _read(self) -> Image:
        log = self._log_path
        return Image(self.path.read_bytes(), log.read_bytes() if log.exists() else b"")

    def _write(self, image: Image) -> None:
        self.path.write_bytes(image.main)
        self._log_path.write_bytes(image.log)
        self.path.with_name(self.path.name + "-shm").unlink(missing_ok=True)

    def _torn(self, image: Image, remains: Remains) -> Image:
        found = read_log(image.log)
        log = image.log[: max(found.end, HEADER_BYTES)] if image.log else b""
        if found.end == 0 or remains is Remains.WHOLE:
            return Image(image.main, log)
        if remains is Remains.NOTHING:
            return Image(image.main, log[: found.start])
        cut = self._random.randrange(found.start, found.end)
        if remains is Remains.PART:
            return Image(image.main, log[:cut])
        garbage = self._random.randbytes(found.frame)
        # The file has its length already, but not all of its sectors.
        return Image(image.main, (log[:cut] + garbage)[: found.end].ljust(found.end, b"\0"))


class SimDatabase(SqliteDatabase):
    """A store's database on a simulated disk."""

    def __init__(self, disk: SimDisk) -> None:
        super().__init__(disk.path, create=True, read_only=False)
        self._disk = disk

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Writer]:
        with self._disk.transaction(), super().transaction() as writer:
            yield writer
