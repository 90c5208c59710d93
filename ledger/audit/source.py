"""Where an auditor reads a chain from: a node's store, opened without changing it, or an export.

Nothing that is read here is believed. A row is handed on as bytes, whatever is in it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import msgspec
from sqlalchemy import Table, func, select

from ledger.chain import schema
from ledger.chain.codec import Malformed
from ledger.chain.database import Database, StoreError, open_database
from ledger.chain.export import Export
from ledger.chain.genesis import decode_genesis
from ledger.chain.rows import BASE_MARK, decode_mark


@dataclass(frozen=True, slots=True)
class FoundBlock:
    """What a source holds of one height; odd types where a row of a store is damaged.

    ``tree``, ``total`` and ``table`` are those of a store; an export has none.
    """

    height: int
    header: Any
    body: Any
    certificate: Any
    results: Any
    tree: Any = None
    total: Any = None
    table: str = ""


class Source(ABC):
    """A chain to be audited. Use it as a context manager."""

    #: How many blocks it claims to hold.
    blocks: int
    #: The height of the first block; 1 where block 0, which follows from the genesis, is not there.
    start: int = 0
    #: The rows of a store; None where there is none to compare.
    tables: Tables | None = None
    #: The first height that a pruned store holds whole; 0 for one that holds everything.
    base: int = 0
    #: The store from whose beginning the audit starts, where nothing reaches back to the genesis.
    origin: str | None = None
    #: What cannot be checked, and why.
    unchecked: tuple[str, ...] = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @abstractmethod
    def close(self) -> None: ...

    @abstractmethod
    def chain(self) -> bytes | None:
        """The hash of the genesis that the source holds; None if that cannot be read."""

    @abstractmethod
    def __iter__(self) -> Iterator[FoundBlock]:
        """Its blocks from height 0 on, up to the first gap.

        Raises:
            StoreError, Malformed: it cannot be read any further.
        """


class Tables:
    """The tables of a store as they are at one moment, also while a node goes on writing."""

    def __init__(self, database: Database) -> None:
        self._moment = database.moment()

    def close(self) -> None:
        self._moment.close()

    def rows(self, table: Table) -> Iterator[tuple[Any, ...]]:
        """Every row of a table by its primary key; raises `StoreError` where one is unreadable."""
        return self._moment.rows(select(table).order_by(*table.primary_key))

    def count(self, table: Table) -> int:
        """The number of rows."""
        (row,) = self._moment.rows(select(func.count()).select_from(table))
        number: int = row[0]
        return number

    def integrity(self) -> list[str]:
        """What the database itself finds wrong with its file; empty for nothing."""
        return self._moment.integrity()


class StoreSource(Source):
    """A node's store, opened read-only."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._database = open_database(url, read_only=True)
        try:
            self.tables: Tables = Tables(self._database)
            self.blocks = self.tables.count(schema.blocks)
            mark = dict(self.tables.rows(schema.meta)).get(BASE_MARK)
            self.base = decode_mark(mark)[0] if isinstance(mark, bytes) and mark else 0
            # Of the block below the base only the header is there.
            self.height = self.blocks - 1 if not self.base else self.base + self.blocks - 2
        except BaseException:
            self._database.close()
            raise

    def close(self) -> None:
        self.tables.close()
        self._database.close()

    def chain(self) -> bytes | None:
        try:
            return decode_genesis(dict(self.tables.rows(schema.meta))["genesis"]).chain_id()
        except (StoreError, Malformed, KeyError, TypeError):
            return None

    def __iter__(self) -> Iterator[FoundBlock]:
        return self.kept()

    def counted(self) -> int | None:
        """How many transactions the store says there are below its base."""
        return next((row[2] for row in self.tables.rows(schema.blocks)), None)

    def kept(self, *, counts: bool = True) -> Iterator[FoundBlock]:
        """The blocks from the base on.

        Args:
            counts: whether its index columns are to be compared; those of a store that was begun
                by a snapshot start from there.
        """
        names = [column.name for column in schema.blocks.columns]
        following = self.base
        for row in self.tables.rows(schema.blocks):
            block = FoundBlock(**dict(zip(names, row, strict=True)), table=schema.blocks.name)
            if not counts:
                block = replace(block, tree=None, total=None)
            if isinstance(block.height, int) and block.height < following:
                continue
            if block.height != following:
                return
            yield block
            following += 1


class ExportSource(Source):
    """An export file."""

    def __init__(self, path: Path) -> None:
        self._export = Export(path)
        self.blocks = self._export.blocks

    def close(self) -> None:
        self._export.close()

    def chain(self) -> bytes | None:
        return self._export.genesis.chain_id()

    def __iter__(self) -> Iterator[FoundBlock]:
        for exported in self._export:
            header, body = _split(exported.block)
            yield FoundBlock(exported.height, header, body, exported.certificate, exported.results)


def _split(block: bytes) -> tuple[bytes, bytes]:
    """The encoded header and the encoded array of envelopes in an encoded block."""
    try:
        header, body = msgspec.msgpack.decode(block, type=tuple[msgspec.Raw, msgspec.Raw])
    except (msgspec.DecodeError, RecursionError):
        return block, b""
    return bytes(header), bytes(body)


def open_store(url: str) -> StoreSource:
    """A store by its path or URL, to be audited; raises `StoreUnusable` or `StoreBusy`."""
    return StoreSource(url)


def open_export(path: Path) -> ExportSource:
    """An export file, to be audited; raises `Malformed` or `OSError`."""
    return ExportSource(path)
