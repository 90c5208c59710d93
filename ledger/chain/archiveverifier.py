"""Verifying a whole archive file with nothing but the genesis."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ledger.chain import merkle
from ledger.chain.archive import (
    MAGIC,
    TRAILER,
    ArchiveFile,
    ArchiveName,
    Beginning,
    Tables,
    archive_name,
    parse_name,
    read_beginning,
    read_handover,
    read_head,
    read_items,
)
from ledger.chain.block import Header
from ledger.chain.codec import Malformed
from ledger.chain.compressed import Place, RecordReader
from ledger.chain.handover import Handover, InvalidProof, Succession, Trust, check_final
from ledger.chain.result import decode_result
from ledger.chain.transaction import decode_transaction
from ledger.crypto.hashing import HASH_SIZE

#: Called with how many blocks are done, and of how many.
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Summary:
    """What a good archive holds: its chain, its heights, how much, its size in bytes, and
    its hash."""

    chain: bytes
    first: int
    last: int
    transactions: int
    size: int
    hash: bytes

    @property
    def name(self) -> ArchiveName:
        return archive_name(self.chain, self.first, self.last, self.hash)


def verify_archive(path: Path, trust: Trust, progress: Progress | None = None) -> Summary:
    """Read a whole archive and check everything in it.

    Every header is certified by the validators to whom the handovers lead, follows the one before,
    and has the roots of the transactions and results that are there; the tables and the hashes are
    those of the contents; a name of the usual form is the right one. What contracts make of the
    transactions is for `ledger.audit` to replay.

    Args:
        path: of the file, which may come from anybody.
        trust: the verifier's own genesis.
        progress: called after each block.

    Raises:
        Malformed: it is no archive, or damaged; nothing in it can be relied on.
        InvalidProof: it is one, and what it holds is not of this chain.
        OSError: it cannot be read.
    """
    file = ArchiveFile(path)
    try:
        summary = _verify(file, trust, progress)
    finally:
        file.close()
    said = parse_name(path.name)
    if said is not None and said != summary.name:
        raise Malformed(f"the file's name should be {summary.name}")
    return summary


def _verify(file: ArchiveFile, trust: Trust, progress: Progress | None) -> Summary:
    hashed = hashlib.sha256()

    def read(count: int) -> bytes:
        data = file.read(count)
        hashed.update(data)
        return data

    if read(len(MAGIC)) != MAGIC:
        raise Malformed("not an archive of a ledger")
    records = RecordReader(read, Place(len(MAGIC), 0))
    beginning = read_beginning(records)
    if beginning.chain != trust.chain:
        raise InvalidProof(f"an archive of the chain {beginning.chain.hex()}")
    succession, later = _follow(records, beginning, trust)
    tables = Tables()
    parent = b""
    for height in range(beginning.first, beginning.last + 1):
        while later and later[0].header.height < height:
            succession.follow(later.pop(0))
        tables.add_block(records.place())
        header, certificate, count = read_head(records, height)
        check_final(trust.chain, header, certificate, succession.validators)
        if parent not in (b"", header.parent):
            raise InvalidProof(f"block {height} does not follow the one before")
        parent = header.hash()
        _check_items(records, header, count, tables)
        if progress is not None:
            progress(height - beginning.first + 1, beginning.last - beginning.first + 1)
    if later:
        raise InvalidProof("a handover is out of order")
    records.finish()
    return _check_end(file, read, hashed, beginning, tables)


def _follow(
    records: RecordReader, beginning: Beginning, trust: Trust
) -> tuple[Succession, list[Handover]]:
    """The validators of the first block, and the handovers that come after it."""
    succession = Succession(trust)
    later: list[Handover] = []
    for _ in range(beginning.handovers):
        handover = read_handover(records)
        if handover.header.height < beginning.first and not later:
            succession.follow(handover)
        elif len(later) < beginning.last - beginning.first:
            later.append(handover)
        else:
            raise InvalidProof("a handover is out of order")
    return succession, later


def _check_items(records: RecordReader, header: Header, count: int, tables: Tables) -> None:
    envelopes, results = [], []
    for envelope, raw in read_items(records, count):
        transaction, result = decode_transaction(envelope), decode_result(raw)
        if result.transaction != transaction.id:
            raise InvalidProof(f"a result in block {header.height} is of another transaction")
        envelopes.append(merkle.leaf_hash(envelope))
        results.append(merkle.leaf_hash(raw))
        tables.add_transaction(transaction.id)
    if merkle.root_of_hashes(envelopes) != header.transactions_root:
        raise InvalidProof(f"the transactions of block {header.height} are not those certified")
    if merkle.root_of_hashes(results) != header.results_root:
        raise InvalidProof(f"the results of block {header.height} are not those certified")


def _check_end(
    file: ArchiveFile,
    read: Callable[[int], bytes],
    hashed: hashlib._Hash,
    beginning: Beginning,
    tables: Tables,
) -> Summary:
    expected = tables.bytes()
    start = file.position()
    if read(len(expected)) != expected:
        raise Malformed("the tables are not those of the contents")
    said = TRAILER.unpack(read(TRAILER.size - HASH_SIZE) + bytes(HASH_SIZE))
    digest = hashed.digest()
    if file.read(HASH_SIZE) != digest:
        raise Malformed("the hash at the end is not that of the contents")
    right = (beginning.chain, beginning.first, beginning.last, tables.transactions, start)
    if said[:-1] != right:
        raise Malformed("the trailer is not that of the contents")
    if file.position() != file.size:
        raise Malformed("bytes after the end of the archive")
    return Summary(
        beginning.chain, beginning.first, beginning.last, tables.transactions, file.size, digest
    )
