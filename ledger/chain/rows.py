"""What the rows of a store hold, and how it is read back from them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Any, NamedTuple

from ledger.chain import limits
from ledger.chain.block import Header, check_header
from ledger.chain.codec import Malformed, decode
from ledger.chain.database import StoreUnusable
from ledger.chain.result import decode_result
from ledger.crypto.hashing import STATE_KEY

#: Results are kept, not sent: a block's worth of the largest ones bounds what is read back.
MAX_RESULTS_BYTES = 2**30


@dataclass(frozen=True, slots=True)
class StoredBlock:
    """One row of blocks as it is on the disk. ``body`` and ``results`` are encoded arrays."""

    height: int
    tree: int
    total: int
    header: bytes
    certificate: bytes
    results: bytes
    body: bytes

    @property
    def block(self) -> bytes:
        """The encoded block: an array of its header and its envelopes."""
        return b"\x92" + self.header + self.body


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """A state entry, and the height of the block that wrote its value; None if it deleted it."""

    key: bytes
    height: int
    value: bytes | None


@dataclass(frozen=True, slots=True)
class StoredArchive:
    """An archive file that holds the blocks ``first`` to ``last``, its name, its size in bytes, and
    when it was written, in milliseconds since 1970-01-01 UTC."""

    first: int
    last: int
    file: str
    size: int
    time: int


class WrittenRow(NamedTuple):
    """A row of ``state`` without its value; ``deleted`` where it has none."""

    id: int
    name: int
    height: int
    key: bytes
    deleted: bool


#: The entries of ``meta`` that say what a store does not hold; one that holds all has none.
BASE_MARK = "base"
STATE_MARK = "swept-state"
TILES_MARK = "swept-tiles"
#: The snapshot by which the rows of ``state`` were numbered.
NUMBERED_MARK = "numbered"
MARKS = (BASE_MARK, STATE_MARK, TILES_MARK, NUMBERED_MARK)
_MARK = 8


def encode_mark(*numbers: int) -> bytes:
    """Numbers as an entry of ``meta``: 8 bytes each, big-endian."""
    return b"".join(number.to_bytes(_MARK, "big") for number in numbers)


def decode_mark(raw: bytes) -> tuple[int, ...]:
    """The numbers of an entry of ``meta``."""
    return tuple(int.from_bytes(raw[at : at + _MARK], "big") for at in range(0, len(raw), _MARK))


def key_number(key: bytes) -> int:
    """By what an entry is found: the first 8 bytes of its key's hash, as a signed number."""
    return int.from_bytes(STATE_KEY(key)[:8], "big", signed=True)


def map_number(key: bytes) -> int:
    """By what the entries of one map are listed: 4 bytes of the hash of ``contract/map``."""
    return _map_number(b"/".join(key.split(b"/", 2)[:2]))


@lru_cache(maxsize=1_024)
def _map_number(name: bytes) -> int:
    return int.from_bytes(sha256(name).digest()[:4], "big", signed=True)


@contextlib.contextmanager
def odd_cells() -> Iterator[None]:
    """Around code that takes the types of cells for granted: in a damaged row they may be any.

    Raises:
        StoreUnusable: for what only a cell of the wrong type leads to.
    """
    try:
        yield
    except (TypeError, AttributeError, ValueError, OverflowError) as error:
        raise StoreUnusable(f"a row of the store is damaged: {error}") from error


def decoded(raw: bytes, kind: Any, limit: int, height: int) -> Any:
    """Read one cell of a block's row; raises `StoreUnusable` where it is not what it was."""
    if not isinstance(raw, bytes):
        raise StoreUnusable(f"block {height} is damaged in the store: no bytes where they belong")
    try:
        return decode(raw, kind, limit=limit)
    except Malformed as error:
        raise StoreUnusable(f"block {height} is damaged in the store: {error}") from None


def decoded_header(raw: bytes, height: int) -> Header:
    """Read a stored header; raises `StoreUnusable`."""
    header: Header = decoded(raw, Header, limits.MAX_BLOCK_BYTES, height)
    try:
        check_header(header)
    except Malformed as error:
        raise StoreUnusable(f"block {height} is damaged in the store: {error}") from None
    return header


def result_id(raw: bytes, height: int) -> bytes:
    """The id of the transaction that a stored result is of; raises `StoreUnusable`."""
    try:
        return decode_result(raw).transaction
    except Malformed as error:
        raise StoreUnusable(f"block {height} is damaged in the store: {error}") from None


def decoded_array(raw: bytes, limit: int, height: int) -> tuple[bytes, ...]:
    """Read a stored array of byte strings; raises `StoreUnusable`."""
    items: tuple[bytes, ...] = decoded(raw, tuple[bytes, ...], limit, height)
    return items
