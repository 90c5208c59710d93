"""Writing an archive file: out of a store, or block after block."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from ledger.chain.archive import (
    MAGIC,
    TRAILER,
    ArchivedBlock,
    ArchiveName,
    Beginning,
    Tables,
    archive_name,
)
from ledger.chain.archiveverifier import Summary, verify_archive
from ledger.chain.codec import Malformed, encode
from ledger.chain.compressed import RecordWriter
from ledger.chain.handover import Handover, InvalidProof, Trust, handovers
from ledger.chain.result import decode_result
from ledger.chain.store import Store, StoreFull, StoreUnusable
from ledger.crypto.hashing import HASH_SIZE

#: Called again and again during long work, so that a node can let others have their turn.
Breathe = Callable[[], None]


class ArchiveWriter:
    """Writes one archive into an open file, block after block.

    Args:
        file: empty, open for writing bytes.
        beginning: what the archive will hold.
        handovers: those that lead from the genesis to the validators of the last block.
    """

    def __init__(
        self, file: BinaryIO, beginning: Beginning, handovers: tuple[Handover, ...]
    ) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self._beginning = beginning
        self._tables = Tables()
        self._write(MAGIC)
        self._records = RecordWriter(self._write, len(MAGIC))
        self._records.put(encode(beginning))
        for handover in handovers:
            self._records.put(encode(handover))

    def add(self, block: ArchivedBlock) -> None:
        """Write the next block; raises `Malformed` where an archive cannot hold so much."""
        records = self._records
        self._tables.add_block(records.place())
        records.put(encode(block.header))
        records.put(encode(block.certificate))
        records.put(encode(len(block.transactions)))
        for envelope, result in zip(block.transactions, block.results, strict=True):
            self._tables.add_transaction(decode_result(result).transaction)
            records.put(envelope)
            records.put(result)

    def finish(self) -> ArchiveName:
        """Write tables and trailer; the file has to be synced by the caller."""
        tables = self._records.finish()
        self._write(self._tables.bytes())
        of = self._beginning
        fields = (of.chain, of.first, of.last, self._tables.transactions, tables, b"")
        self._write(TRAILER.pack(*fields)[:-HASH_SIZE])
        digest = self._hash.digest()
        self._file.write(digest)
        return archive_name(of.chain, of.first, of.last, digest)

    def _write(self, data: bytes) -> None:
        self._hash.update(data)
        self._file.write(data)


def write_archive(
    store: Store,
    directory: Path,
    first: int,
    last: int,
    trust: Trust,
    breathe: Breathe | None = None,
) -> tuple[Path, Summary]:
    """Write blocks of a store to an archive file in a directory, all of it or nothing.

    The file is on the disk and has been read back and verified before it gets its name. One that
    is there already and holds the same range is verified and used.

    Args:
        store: holds the blocks ``first`` to ``last``, both included.
        directory: where the file goes; made if need be, for its owner only.
        trust: the genesis against which the file is verified.
        breathe: called after each block.

    Raises:
        StoreUnusable: a block is missing or not good, or the file cannot be written.
        StoreFull: there is no room for the file.
    """
    partial = directory / f"{trust.chain.hex()[:16]}-{first:012d}-{last:012d}.partial"
    pause = breathe or _go_on
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        there = next(directory.glob(f"{partial.stem}-*.archive"), None)
        if there is not None:
            return there, verify_archive(there, trust, lambda *_: pause())
        flags = os.O_CREAT | os.O_TRUNC | os.O_WRONLY
        with os.fdopen(os.open(partial, flags, 0o600), "wb") as file:
            name = _write(store, file, first, last, trust.chain, pause)
            file.flush()
            os.fsync(file.fileno())
        summary = verify_archive(partial, trust, lambda *_: pause())
        path = partial.replace(directory / str(name))
        _sync_directory(directory)
    except OSError as error:
        kind = StoreFull if error.errno == errno.ENOSPC else StoreUnusable
        raise kind(f"cannot write an archive to {directory}: {error.strerror}") from error
    except (Malformed, InvalidProof) as error:
        raise StoreUnusable(f"the archive of blocks {first} to {last}: {error}") from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink()
    return path, summary


def _go_on() -> None:
    """What breathing is where nobody waits."""


def _write(
    store: Store, file: BinaryIO, first: int, last: int, chain: bytes, breathe: Breathe
) -> ArchiveName:
    leading = handovers(store, last)
    writer = ArchiveWriter(file, Beginning(chain, first, last, len(leading)), leading)
    for height in range(first, last + 1):
        block, certificate = store.block(height), store.certificate(height)
        results = store.results(height)
        if block is None or certificate is None or results is None:
            raise StoreUnusable(f"there is no block {height}")
        writer.add(ArchivedBlock(block.header, certificate, block.transactions, results))
        breathe()
    return writer.finish()


def _sync_directory(directory: Path) -> None:
    """Put the names in a directory on the disk."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
