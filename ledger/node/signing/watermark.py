"""How far this node may have signed, kept in a file of its own outside the database.

A database can be put back to what it was last night. What the node signed since is then forgotten
there, and remembered here: the file says up to which height votes may exist, and how many of them
the store must hold at that height.

The file has two slots of one disk page each, written in turn and flushed once, so that a write that
was cut short leaves the one before it. Each slot notes when it was written. A file system lets
nobody set the time of a file's last change, so a file that was changed later than its newest slot
says has been copied or put back, and vouches for nothing.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Final, Protocol

from ledger.chain.codec import Malformed, Record, decode, encode
from ledger.chain.database import StoreError, StoreFull, StoreUnusable
from ledger.node.clock import now_ms

#: One page: a disk writes it whole or the checksum tells.
SLOT_BYTES: Final = 4096
#: A file may have been changed so long after its newest slot was stamped, in milliseconds.
TOLERANCE_MS: Final = 2_000
#: As many votes as no store holds: nothing may be signed at the height of the mark.
EVERY_VOTE: Final = 2**53

_DIGEST: Final = 32
_LENGTH: Final = 2


class Mark(Record, frozen=True, array_like=True):
    """What one slot says.

    ``sequence``: counts the writes. ``chain``, ``node``: whose signatures. ``height``: the highest
    for which this node may have signed. ``votes``: how many votes of that height the store held
    before any of them left, or `EVERY_VOTE`. ``written``: ms since 1970 by the clock of the files.
    """

    sequence: int
    chain: bytes
    node: str
    height: int
    votes: int
    written: int


class FileTimes(Protocol):
    """The clock by which the file system notes changes, and what it noted; milliseconds."""

    def now(self) -> int: ...

    def changed(self, descriptor: int) -> int: ...


class KernelTimes:
    """The times of the operating system."""

    def now(self) -> int:
        return now_ms()

    def changed(self, descriptor: int) -> int:
        return os.fstat(descriptor).st_ctime_ns // 1_000_000


class Watermark:
    """The file ``directory/watermark``, made when the first mark is set. One process uses it.

    Args:
        directory: made if it is not there; it should not be part of a backup of the database.
        chain, node: of whoever signs; a file of another is as good as none.

    Raises:
        StoreUnusable: the file or its directory cannot be used.
    """

    def __init__(
        self, directory: Path, chain: bytes, node: str, times: FileTimes | None = None
    ) -> None:
        self.path = directory / "watermark"
        self._chain = chain
        self._node = node
        self._times = times or KernelTimes()
        self._newest: Mark | None = None
        #: Why the file that was found vouches for nothing; empty if it does, or there is none.
        self.flaw = ""
        try:
            self._open(directory)
        except OSError as error:
            raise StoreUnusable(f"{self.path}: cannot be used: {error.strerror}") from None

    def _open(self, directory: Path) -> None:
        directory.mkdir(mode=0o700, exist_ok=True)
        try:
            with _opened(self.path, os.O_RDONLY) as file:
                newest = read_marks(os.pread(file, 2 * SLOT_BYTES, 0))
                changed = self._times.changed(file)
        except FileNotFoundError:
            return
        if newest is None:
            self.flaw = "it cannot be read"
        elif (newest.chain, newest.node) != (self._chain, self._node):
            self.flaw = f"it is that of {newest.node}, or of another chain"
        else:
            self._newest = newest
            if changed > newest.written + TOLERANCE_MS:
                self.flaw = "it was copied or put back"

    @property
    def mark(self) -> Mark | None:
        """The newest mark, if the file is the one that this node wrote."""
        return None if self.flaw else self._newest

    def set(self, height: int, votes: int) -> None:
        """Note that this node may have signed at ``height``; it is on the disk on return.

        A mark is only ever raised: a lower one changes nothing.

        Raises:
            StoreFull, StoreUnusable: the mark is as it was.
        """
        before = self._newest
        if (
            before is not None
            and not self.flaw
            and (before.height, before.votes) >= (height, votes)
        ):
            return
        self._note(height, votes, anew=self._newest is None or bool(self.flaw))

    def replace(self, height: int, votes: int) -> None:
        """Begin anew with a mark that may be lower than the one before.

        Nobody but an operator who vouches for the store may ask for this.

        Raises:
            StoreFull, StoreUnusable: the mark is as it was.
        """
        self._note(height, votes, anew=True)

    def _note(self, height: int, votes: int, *, anew: bool) -> None:
        sequence = 0 if self._newest is None else self._newest.sequence + 1
        mark = Mark(sequence, self._chain, self._node, height, votes, self._times.now())
        try:
            if anew:
                self._create(mark)
            else:
                with _opened(self.path, os.O_WRONLY) as file:
                    _write(file, slot(mark), SLOT_BYTES * (sequence % 2))
                    os.fdatasync(file)
        except OSError as error:
            raise _typed(self.path, error) from error
        self._newest, self.flaw = mark, ""

    def _create(self, mark: Mark) -> None:
        """Put a new file in the place of none, or of one that vouches for nothing."""
        fresh = self.path.with_name("watermark.new")
        empty = bytes(SLOT_BYTES)
        slots = [empty, empty]
        slots[mark.sequence % 2] = slot(mark)
        with _opened(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) as file:
            _write(file, b"".join(slots), 0)
            os.fsync(file)
        fresh.rename(self.path)
        for directory in (self.path.parent, self.path.parent.parent):
            _flush_directory(directory)

    def remove(self) -> None:
        """Take the file away; raises `StoreUnusable`."""
        try:
            self.path.unlink(missing_ok=True)
            _flush_directory(self.path.parent)
        except OSError as error:
            raise _typed(self.path, error) from error
        self._newest = None


def slot(mark: Mark) -> bytes:
    """The `SLOT_BYTES` bytes of a slot: length, record and checksum, then zeros."""
    body = encode(mark)
    raw = len(body).to_bytes(_LENGTH, "big") + body + sha256(body).digest()
    return raw.ljust(SLOT_BYTES, b"\0")


def read_marks(raw: bytes) -> Mark | None:
    """The newer of the marks in the two slots; None where neither is whole."""
    found = [_read_slot(raw[at : at + SLOT_BYTES]) for at in (0, SLOT_BYTES)]
    return max((mark for mark in found if mark), key=lambda mark: mark.sequence, default=None)


def _read_slot(raw: bytes) -> Mark | None:
    length = int.from_bytes(raw[:_LENGTH], "big")
    body = raw[_LENGTH : _LENGTH + length]
    checksum = raw[_LENGTH + length : _LENGTH + length + _DIGEST]
    if not body or sha256(body).digest() != checksum:
        return None
    try:
        return decode(body, Mark, limit=SLOT_BYTES)
    except Malformed:
        return None


def _write(file: int, data: bytes, at: int) -> None:
    while data:
        done = os.pwrite(file, data, at)
        data, at = data[done:], at + done


@contextlib.contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    file = os.open(path, flags | os.O_CLOEXEC, 0o600)
    try:
        yield file
    finally:
        os.close(file)


def _flush_directory(path: Path) -> None:
    with _opened(path, os.O_RDONLY | os.O_DIRECTORY) as directory:
        os.fsync(directory)


def _typed(path: Path, error: OSError) -> StoreError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreFull(f"{path}: no room: {error.strerror}")
    return StoreUnusable(f"{path}: cannot be written: {error.strerror}")
