"""A long sequence of records in one file, compressed in frames of bounded size.

Each record is preceded by its length (4 bytes, big-endian). The bytes of all of them, one after
the other, are cut into pieces of exactly `PIECE` bytes, the last one shorter; a piece is stored as
one zstandard frame (RFC 8878) behind the frame's length (4 bytes), and a length of 0 ends the
sequence. A frame says how large its content is and carries a checksum of it, so a reader knows
before it decompresses how much memory that takes: never more than `PIECE`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import zstandard

from ledger.chain import limits
from ledger.chain.codec import Malformed

PIECE: Final = 256 * limits.KIB
LENGTH: Final = 4
#: What zstandard makes of incompressible bytes is a little longer than they are.
MAX_FRAME: Final = PIECE + limits.KIB
_LEVEL: Final = 9


class Place(NamedTuple):
    """Where a record begins: the offset of its frame in the file, and its own in the piece."""

    frame: int
    offset: int


class RecordWriter:
    """Writes a sequence of records.

    Args:
        write: takes the bytes of the file in order.
        position: how many bytes of the file come before.
    """

    def __init__(self, write: Callable[[bytes], object], position: int) -> None:
        self._write = write
        self._position = position
        self._piece = bytearray()
        self._compressor = zstandard.ZstdCompressor(
            level=_LEVEL, write_checksum=True, write_content_size=True
        )

    def place(self) -> Place:
        """Where the next record will begin."""
        return Place(self._position, len(self._piece))

    def put(self, record: bytes) -> None:
        """Add a record."""
        self._piece += len(record).to_bytes(LENGTH, "big")
        self._piece += record
        while len(self._piece) >= PIECE:
            self._flush(bytes(self._piece[:PIECE]))
            del self._piece[:PIECE]

    def finish(self) -> int:
        """End the sequence; returns the position in the file after it."""
        if self._piece:
            self._flush(bytes(self._piece))
            self._piece.clear()
        self._write(bytes(LENGTH))
        return self._position + LENGTH

    def _flush(self, piece: bytes) -> None:
        frame = self._compressor.compress(piece)
        self._write(len(frame).to_bytes(LENGTH, "big") + frame)
        self._position += LENGTH + len(frame)


class RecordReader:
    """Reads a sequence of records, from its beginning or from any `Place`.

    Args:
        read: gives exactly as many next bytes of the file as asked for; raises `Malformed` at the
            file's end.
        start: where the file is read from.
    """

    def __init__(self, read: Callable[[int], bytes], start: Place) -> None:
        self._read = read
        self._decompressor = zstandard.ZstdDecompressor()
        self._piece = b""
        self._next = start.frame
        self._frame = start.frame
        self._ended = False
        self._load()
        self._offset = start.offset
        if start.offset >= len(self._piece):
            raise Malformed("a place that is not in its frame")

    def place(self) -> Place:
        """Where the next record begins. Call it only where one follows."""
        if self._offset == len(self._piece):
            return Place(self._next, 0)
        return Place(self._frame, self._offset)

    def take(self, limit: int) -> bytes:
        """The next record, of at most ``limit`` bytes.

        Raises:
            Malformed: it is longer, the sequence is over, or a frame is not what it should be.
        """
        length = int.from_bytes(self._bytes(LENGTH), "big")
        if length > limit:
            raise Malformed(f"a record of {length} bytes where at most {limit} are allowed")
        return self._bytes(length)

    def finish(self) -> None:
        """Make sure that the sequence ends here; raises `Malformed`."""
        if self._offset != len(self._piece):
            raise Malformed("records after the last one")
        if not self._ended and self._load():
            raise Malformed("frames after the last one")

    def _bytes(self, count: int) -> bytes:
        parts = []
        while count:
            if self._offset == len(self._piece) and not self._load():
                raise Malformed("the records end too early")
            part = self._piece[self._offset : self._offset + count]
            self._offset += len(part)
            count -= len(part)
            parts.append(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _load(self) -> bool:
        """Go to the next piece; False at the end of the sequence."""
        if self._ended:
            return False
        if self._piece and len(self._piece) < PIECE:
            # Only the last piece may be short: there is one way to cut a sequence.
            if int.from_bytes(self._read(LENGTH), "big"):
                raise Malformed("a short frame that is not the last")
            self._ended = True
            return False
        length = int.from_bytes(self._read(LENGTH), "big")
        if not length:
            self._ended = True
            return False
        if length > MAX_FRAME:
            raise Malformed(f"a frame of {length} bytes where at most {MAX_FRAME} are allowed")
        self._frame, self._next = self._next, self._next + LENGTH + length
        self._piece, self._offset = self._decompress(self._read(length)), 0
        return True

    def _decompress(self, frame: bytes) -> bytes:
        try:
            said = zstandard.get_frame_parameters(frame)
            if not 0 < said.content_size <= PIECE or said.dict_id or not said.has_checksum:
                raise Malformed("a frame without checksum, or of a size that is not allowed")
            # The size stands in the frame, so no more than that is allocated.
            return self._decompressor.decompress(frame, allow_extra_data=False)
        except zstandard.ZstdError as error:
            raise Malformed(f"a frame is damaged: {error}") from None
