"""Ids as they are stored, and cursors as they are given out."""

from __future__ import annotations

import re
from dataclasses import dataclass

_ID = re.compile(r"([0-9a-f]{64})-(0|[1-9][0-9]{0,4})", re.ASCII)
_CURSOR = re.compile(r"([0-9a-f]{8})\.(-?[0-9]{1,18})\.([0-9]{1,18})", re.ASCII)


def pack_id(text: str) -> bytes:
    """The id of a transaction with a place in it, in 34 bytes; any other text as it is."""
    match = _ID.fullmatch(text)
    if match is None or int(match[2]) > 65_535:
        return b"\x00" + text.encode()
    return b"\x01" + bytes.fromhex(match[1]) + int(match[2]).to_bytes(2, "big")


def unpack_id(raw: bytes) -> str:
    """The text that `pack_id` has packed."""
    if raw[:1] == b"\x01":
        return f"{raw[1:33].hex()}-{int.from_bytes(raw[33:], 'big')}"
    return raw[1:].decode()


class StaleCursor(ValueError):
    """A cursor that is none, or is of an index that was made anew since."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page ended: behind the row of that time and number. ``mark``: of the index."""

    mark: bytes
    time: int
    row: int

    def __str__(self) -> str:
        return f"{self.mark.hex()}.{self.time}.{self.row}"


def parse_place(text: str, mark: bytes) -> Place:
    """Read a cursor; raises `StaleCursor`."""
    match = _CURSOR.fullmatch(text)
    if match is None:
        raise StaleCursor("that is no cursor of this list")
    if match[1] != mark.hex():
        raise StaleCursor("the index was made anew since; begin the list again")
    return Place(mark, int(match[2]), int(match[3]))
