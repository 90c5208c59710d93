"""Archive files: consecutive final blocks that verify with nothing but the genesis file.

A file holds the blocks of one range with certificates and results, and the handovers that lead from
the genesis to the validators of its last block. Whoever reads it needs no node, no database and no
other archive. The layout is in `docs/protocol/archive.md`: compressed records
(`ledger.chain.compressed`), two tables by which a block or a transaction is found without reading
the rest, and a trailer that ends with the hash of everything before it.

Reading is strict and takes bounded memory whatever a file holds: no more than one record, one
frame, the hashes of one block's transactions, and the tables, whose sizes are limited here.
"""

from __future__ import annotations

import os
import re
import struct
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple, Self

from ledger.chain import limits
from ledger.chain.block import Certificate, Header, check_header
from ledger.chain.codec import Malformed, Record, decode
from ledger.chain.compressed import Place, RecordReader
from ledger.chain.handover import Handover
from ledger.chain.receipt import Receipt, assemble_receipt
from ledger.chain.result import decode_result
from ledger.chain.rows import MAX_RESULTS_BYTES
from ledger.crypto.hashing import HASH_SIZE

MAGIC: Final = b"health-ledger-archive-1\n"
MAX_BLOCKS: Final = 2**16
MAX_TRANSACTIONS: Final = 2**18
MAX_HANDOVERS: Final = 2**12
#: How many bytes of a transaction's id stand in the table.
_PREFIX: Final = 8
#: So many ids with one prefix do not come about by themselves.
_MAX_CANDIDATES: Final = 16

_BLOCK = struct.Struct(">QI")
_TRANSACTION = struct.Struct(f">{_PREFIX}sI")
TRAILER = struct.Struct(f">{HASH_SIZE}sQQIQ{HASH_SIZE}s")
_NAME = re.compile(r"([0-9a-f]{16})-([0-9]{12})-([0-9]{12})-([0-9a-f]{32})\.archive", re.ASCII)


class Beginning(Record, frozen=True, array_like=True):
    """The first record: which chain and which heights, both included, and how many handovers."""

    chain: bytes
    first: int
    last: int
    handovers: int


class ArchivedBlock(NamedTuple):
    """A block with all that a node kept of it. ``transactions``: raw envelopes; ``results``: the
    encoded result of each."""

    header: Header
    certificate: Certificate
    transactions: tuple[bytes, ...]
    results: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class ArchiveName:
    """What the name of an archive file says: the beginnings of the chain's id and of the file's
    hash in hex, and the range of heights."""

    chain: str
    first: int
    last: int
    hash: str

    def __str__(self) -> str:
        return f"{self.chain}-{self.first:012d}-{self.last:012d}-{self.hash}.archive"


def archive_name(chain: bytes, first: int, last: int, digest: bytes) -> ArchiveName:
    """The name that a file with these contents has."""
    return ArchiveName(chain.hex()[:16], first, last, digest.hex()[:32])


def parse_name(name: str) -> ArchiveName | None:
    """What a file's name says, or None for one that is not the name of an archive."""
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    return ArchiveName(found[1], int(found[2]), int(found[3]), found[4])


def archives_in(directory: Path) -> list[Path]:
    """The files of a directory that have the name of an archive, in the order of their heights."""
    named = ((parse_name(path.name), path) for path in directory.iterdir())
    found = [(name.chain, name.first, name.last, path) for name, path in named if name is not None]
    return [path for *_, path in sorted(found)]


class Tables:
    """Where each block begins, and which block holds which transaction."""

    def __init__(self) -> None:
        self._blocks = bytearray()
        self._transactions: list[bytes] = []

    def add_block(self, place: Place) -> None:
        if len(self._blocks) >= MAX_BLOCKS * _BLOCK.size:
            raise Malformed(f"more than {MAX_BLOCKS} blocks in one archive")
        self._blocks += _BLOCK.pack(*place)

    def add_transaction(self, tx_id: bytes) -> None:
        if len(self._transactions) >= MAX_TRANSACTIONS:
            raise Malformed(f"more than {MAX_TRANSACTIONS} transactions in one archive")
        number = len(self._blocks) // _BLOCK.size - 1
        self._transactions.append(_TRANSACTION.pack(tx_id[:_PREFIX], number))

    @property
    def transactions(self) -> int:
        return len(self._transactions)

    def bytes(self) -> bytes:
        return bytes(self._blocks) + b"".join(sorted(self._transactions))


class ArchiveFile:
    """An open file that gives exactly what it is asked for."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        self.size = os.fstat(self._file.fileno()).st_size

    def read(self, count: int) -> bytes:
        data = self._file.read(count)
        if len(data) != count:
            raise Malformed("the archive is cut off")
        return data

    def at(self, offset: int, count: int) -> bytes:
        data = os.pread(self._file.fileno(), count, offset)
        if len(data) != count:
            raise Malformed("the archive is cut off")
        return data

    def position(self) -> int:
        return self._file.tell()

    def seek(self, offset: int) -> None:
        self._file.seek(offset)

    def close(self) -> None:
        self._file.close()


def read_beginning(records: RecordReader) -> Beginning:
    beginning = decode(records.take(limits.KIB), Beginning, limit=limits.KIB)
    if len(beginning.chain) != HASH_SIZE:
        raise Malformed("the chain's id is not 32 bytes")
    if not 1 <= beginning.first <= beginning.last < beginning.first + MAX_BLOCKS:
        raise Malformed("the range of heights is empty, too long, or begins below 1")
    if not 0 <= beginning.handovers <= MAX_HANDOVERS:
        raise Malformed(f"{beginning.handovers} handovers; at most {MAX_HANDOVERS} are allowed")
    return beginning


def read_handover(records: RecordReader) -> Handover:
    limit = limits.MAX_RECEIPT_BYTES
    return decode(records.take(limit), Handover, limit=limit)


def read_head(records: RecordReader, height: int) -> tuple[Header, Certificate, int]:
    """The header of the block at a height, its certificate, and how many transactions follow."""
    header = decode(records.take(limits.MIB), Header, limit=limits.MIB)
    check_header(header)
    if header.height != height:
        raise Malformed(f"block {header.height} where block {height} is due")
    certificate = decode(records.take(limits.MIB), Certificate, limit=limits.MIB)
    count = decode(records.take(9), int, limit=9)
    if not 0 <= count <= limits.MAX_BLOCK_TRANSACTIONS:
        raise Malformed(f"a block with {count} transactions")
    return header, certificate, count


def read_items(records: RecordReader, count: int) -> Iterator[tuple[bytes, bytes]]:
    """The envelopes of a block, each with its result."""
    bodies, results = limits.MAX_BLOCK_BYTES, MAX_RESULTS_BYTES
    for _ in range(count):
        envelope = records.take(min(bodies, limits.MAX_TRANSACTION_BYTES))
        result = records.take(min(results, limits.MAX_RESULT_BYTES))
        bodies -= len(envelope)
        results -= len(result)
        yield envelope, result


class Archive:
    """An archive file in which single blocks are looked up. Use it as a context manager.

    Only what is looked up is read, so only that is checked, and only for its form: see
    `verify_archive`.

    Raises:
        Malformed: when opened, and from every method: not an archive, or damaged.
        OSError: it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._file = ArchiveFile(path)
        try:
            self._open()
        except BaseException:
            self._file.close()
            raise

    def _open(self) -> None:
        if self._file.size < len(MAGIC) + TRAILER.size:
            raise Malformed("not an archive of a ledger, or cut off")
        if self._file.at(0, len(MAGIC)) != MAGIC:
            raise Malformed("not an archive of a ledger")
        end = self._file.size - TRAILER.size
        (self.chain, self.first, self.last, self.transactions, self._tables, self.hash) = (
            TRAILER.unpack(self._file.at(end, TRAILER.size))
        )
        blocks = self.last - self.first + 1
        if not 1 <= blocks <= MAX_BLOCKS or self.transactions > MAX_TRANSACTIONS:
            raise Malformed("the range of heights or the number of transactions is not possible")
        self._ids = self._tables + blocks * _BLOCK.size
        if self._ids + self.transactions * _TRANSACTION.size != end:
            raise Malformed("the archive is cut off, or its tables have another size")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()

    def beginning(self) -> Beginning:
        """The first record."""
        return read_beginning(self._records(Place(len(MAGIC), 0)))

    def handovers(self, height: int) -> tuple[Handover, ...]:
        """Those that lead from the genesis to the validators of a height in the archive."""
        records = self._records(Place(len(MAGIC), 0))
        count = read_beginning(records).handovers
        found = (read_handover(records) for _ in range(count))
        return tuple(handover for handover in found if handover.header.height < height)

    def block(self, height: int) -> ArchivedBlock:
        """One block; raises `LookupError` for a height that is not in the archive."""
        if not self.first <= height <= self.last:
            raise LookupError(f"the archive holds the blocks {self.first} to {self.last}")
        entry = self._tables + (height - self.first) * _BLOCK.size
        place = Place(*_BLOCK.unpack(self._file.at(entry, _BLOCK.size)))
        if not len(MAGIC) <= place.frame < self._tables:
            raise Malformed("a block's place is outside of the archive")
        records = self._records(place)
        header, certificate, count = read_head(records, height)
        items = list(read_items(records, count))
        return ArchivedBlock(
            header,
            certificate,
            tuple(envelope for envelope, _ in items),
            tuple(result for _, result in items),
        )

    def find(self, tx_id: bytes) -> tuple[int, int] | None:
        """The height and the place in the block of a transaction, or None."""
        prefix = tx_id[:_PREFIX]
        entry = bisect_left(range(self.transactions), prefix, key=lambda at: self._entry(at)[0])
        for at in range(entry, min(entry + _MAX_CANDIDATES, self.transactions)):
            found, number = self._entry(at)
            if found != prefix:
                break
            for place, raw in enumerate(self.block(self.first + number).results):
                if decode_result(raw).transaction == tx_id:
                    return self.first + number, place
        return None

    def receipt(self, tx_id: bytes) -> Receipt | None:
        """The receipt of a transaction, or None where the archive does not hold it."""
        found = self.find(tx_id)
        if found is None:
            return None
        height, place = found
        block = self.block(height)
        return assemble_receipt(*block, place, self.handovers(height))

    def _entry(self, place: int) -> tuple[bytes, int]:
        offset = self._ids + place * _TRANSACTION.size
        prefix, number = _TRANSACTION.unpack(self._file.at(offset, _TRANSACTION.size))
        if number > self.last - self.first:
            raise Malformed("a transaction's place is outside of the archive")
        return prefix, number

    def _records(self, place: Place) -> RecordReader:
        self._file.seek(place.frame)
        return RecordReader(self._file.read, place)
