"""Export files: a whole chain in one file that an outsider can replay.

An export is the line `MAGIC`, then *frames*: four bytes of length, big-endian, and that many bytes.
The first frame is the genesis file (JSON), the second the number of blocks as a canonical integer.
Then come three frames for each block from height 0 on: the encoded block, the encoded certificate
(empty at height 0), and the encoded array of results. Nothing in it is secret to a member: it is
what every member holds.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from ledger.chain.codec import Malformed, decode, encode
from ledger.chain.genesis import Genesis, decode_genesis, encode_genesis
from ledger.chain.store import Store, StoreFull, StoreUnusable

MAGIC: Final = b"health-ledger-export-1\n"
_LENGTH: Final = 4

#: Called with how many blocks are done, and of how many.
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class ExportedBlock:
    """The frames of one block, not yet decoded."""

    height: int
    block: bytes
    certificate: bytes
    results: bytes


def write_export(store: Store, path: Path, progress: Progress | None = None) -> int:
    """Write the chain of a store to a file, all of it or nothing; returns the number of blocks.

    Raises:
        StoreUnusable: the store holds no chain or is damaged, or the file cannot be written.
        StoreFull: there is no room for the file.
    """
    genesis, blocks = store.genesis(), store.height() + 1
    if genesis is None:
        raise StoreUnusable("the store holds no chain")
    if store.base() > 0:
        raise StoreUnusable(
            f"the store holds the blocks from {store.base()} on; those before are in archive files"
        )
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("wb") as file:
            file.write(MAGIC)
            _put(file, encode_genesis(genesis))
            _put(file, encode(blocks))
            for height in range(blocks):
                stored = store.stored(height)
                if stored is None:
                    raise StoreUnusable(f"there is no block {height}")
                _put(file, stored.block)
                _put(file, stored.certificate)
                _put(file, stored.results)
                if progress is not None:
                    progress(height + 1, blocks)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        kind = StoreFull if error.errno == errno.ENOSPC else StoreUnusable
        raise kind(f"cannot write {path}: {error.strerror}") from error
    finally:
        partial.unlink(missing_ok=True)
    return blocks


def _put(file: BinaryIO, data: bytes) -> None:
    file.write(len(data).to_bytes(_LENGTH, "big"))
    file.write(data)


class Export:
    """An export file that is being read. Use it as a context manager.

    Raises:
        Malformed: when opened, and while its blocks are read: not an export, or cut off.
        OSError: it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        try:
            self._left = path.stat().st_size
            if self._file.read(len(MAGIC)) != MAGIC:
                raise Malformed("not an export of a ledger")
            self._left -= len(MAGIC)
            self.genesis: Genesis = decode_genesis(self._frame())
            self.blocks: int = decode(self._frame(), int, limit=16)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Export:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()

    def __iter__(self) -> Iterator[ExportedBlock]:
        """The blocks, from height 0 on; can be gone through once."""
        for height in range(self.blocks):
            yield ExportedBlock(height, self._frame(), self._frame(), self._frame())
        if self._left:
            raise Malformed("bytes after the last block of the export")

    def _frame(self) -> bytes:
        if self._left < _LENGTH:
            raise Malformed("the export is cut off")
        length = int.from_bytes(self._file.read(_LENGTH), "big")
        self._left -= _LENGTH + length
        if self._left < 0:
            raise Malformed("the export is cut off")
        return self._file.read(length)
