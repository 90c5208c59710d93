"""A record of the source, opened and found to be what was anchored."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, Final, Self

from ledger.chain import limits
from ledger.chain.pointer import Pointer
from ledger.crypto import hashing
from ledger.node.vault.connector import RecordUnavailable

#: Bytes that are read at once.
PIECE: Final = 256 * limits.KIB


class RecordAltered(Exception):
    """The source gives other bytes than those that were anchored. A finding; nothing is served."""


def digest_of(file: BinaryIO, salt: bytes) -> tuple[bytes, int]:
    """The salted digest of what is left of a file, as `pointer.record_digest`, and its length."""
    hash_, size = hashing.RECORD.begin(), 0
    hash_.update(salt)
    for piece in pieces_of(file):
        hash_.update(piece)
        size += len(piece)
    return hash_.digest(), size


def pieces_of(file: BinaryIO) -> Iterator[bytes]:
    """What is left of a file, in pieces; raises `RecordUnavailable` where it cannot be read."""
    try:
        while piece := file.read(PIECE):
            yield piece
    except OSError as error:
        raise RecordUnavailable(f"cannot be read: {error.strerror}") from None


class OpenedRecord:
    """The exact bytes of an anchored record, read as often as need be. A context manager.

    Args:
        file: at its beginning; closed with this.
        pointer: what was anchored.
        salt: of the digest.

    Raises:
        RecordAltered: the file has other bytes.
        RecordUnavailable: it cannot be read.
    """

    def __init__(self, file: BinaryIO, pointer: Pointer, salt: bytes) -> None:
        self._file = file
        self._pointer = pointer
        self._salt = salt
        self._compare(*digest_of(file, salt))

    def _compare(self, digest: bytes, size: int) -> None:
        if size != self._pointer.size or not hashing.same(digest, self._pointer.digest):
            raise RecordAltered("the source does not give what was anchored")

    def pieces(self, start: int = 0) -> Iterator[bytes]:
        """The bytes from an offset on, up to the length that was anchored.

        From the beginning they are hashed once more on the way, and a file that was changed since
        it was opened raises `RecordAltered` before the last piece, so nobody takes it for whole.
        """
        hash_, left = hashing.RECORD.begin(), self._pointer.size - start
        hash_.update(self._salt)
        try:
            self._file.seek(start)
        except OSError as error:
            raise RecordUnavailable(f"cannot be read: {error.strerror}") from None
        held = b""
        for piece in pieces_of(self._file):
            if held:
                yield held
            held = piece
            hash_.update(piece)
            left -= len(piece)
            if left < 0:
                raise RecordAltered("the source gives more than was anchored")
        if left or (start == 0 and not hashing.same(hash_.digest(), self._pointer.digest)):
            raise RecordAltered("the source has changed while it was read")
        if held:
            yield held

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
