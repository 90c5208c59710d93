"""SQLite's write-ahead log as bytes: where its transactions end, and what a crash leaves of it.

The format is that of https://www.sqlite.org/fileformat2.html#the_write_ahead_log: a header of 32
bytes, then frames of 24 bytes and one page each. A frame is of the present log if its salts are
those of the header, and the last of a transaction if the size of the database stands in it.
"""

from __future__ import annotations

from dataclasses import dataclass

HEADER_BYTES = 32
FRAME_HEADER_BYTES = 24


@dataclass(frozen=True, slots=True)
class WriteAheadLog:
    """Where things are in a log file, in bytes from its start.

    ``start``: of the last finished transaction. ``end``: behind it; both 0 in a log without one.
    ``frame``: bytes of one frame.
    """

    start: int
    end: int
    frame: int


def read_log(log: bytes) -> WriteAheadLog:
    """Find the last finished transaction in the bytes of a log file."""
    if len(log) < HEADER_BYTES:
        return WriteAheadLog(0, 0, 0)
    frame = FRAME_HEADER_BYTES + int.from_bytes(log[8:12])
    salts = log[16:24]
    start = end = 0
    place = HEADER_BYTES
    while place + frame <= len(log) and log[place + 8 : place + 16] == salts:
        place += frame
        if log[place - frame + 4 : place - frame + 8] != bytes(4):
            start, end = end or HEADER_BYTES, place
    return WriteAheadLog(start, end, frame)
