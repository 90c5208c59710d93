"""Archive files as a source of blocks for an audit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from ledger.audit.source import FoundBlock, Source, StoreSource, open_store
from ledger.chain.archive import Archive, archives_in
from ledger.chain.codec import encode


class Shelf:
    """Archive files in the order of their heights.

    Args:
        paths: of the files.

    Raises:
        Malformed: one is not an archive.
        OSError: one cannot be read.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self._ranges: list[tuple[int, int, int, Path]] = []
        for path in paths:
            with Archive(path) as opened:
                self._ranges.append((opened.first, opened.last, opened.transactions, path))
        self._ranges.sort(key=lambda entry: (entry[0], -entry[1]))

    def line(self) -> tuple[list[Path], int, int]:
        """The files that follow each other from height 1 on, the last height that they reach, and
        how many transactions they hold, which counts double where files overlap."""
        files: list[Path] = []
        last = transactions = 0
        for first, end, count, path in self._ranges:
            if first <= last + 1 and end > last:
                files.append(path)
                last = end
                transactions += count
        return files, last, transactions


class ArchivedSource(Source):
    """A chain out of archive files, and where a store goes on from there, out of both.

    Args:
        paths: archive files; any that are not needed do no harm.
        store: a pruned store, or one that was begun by a snapshot; closed with this source.
    """

    start = 1
    _counts = False

    def __init__(self, paths: Sequence[Path], store: StoreSource | None = None) -> None:
        self._store = store
        self._files, self._last, transactions = Shelf(paths).line()
        self.blocks = self._last + 1
        if store is None:
            self.unchecked = tuple(
                f"{path.name}: a file before it is missing"
                for path in paths
                if path not in self._files and not self._covered(path)
            )
            return
        if self._last + 1 < store.base:
            gap = (
                f"the blocks {self._last + 1} to {store.base - 1} are in none of the archive files"
            )
            if self._files:
                kept = f"the blocks from {store.base} on in the store, which rest on them"
                self.unchecked = (gap, kept)
            else:
                self._begin_with(store, gap)
            return
        self._last = store.base - 1
        self.blocks = store.height + 1
        self.base = store.base
        # A store that was begun by a snapshot counts its transactions from there.
        self._counts = store.counted() == self._transactions_below(transactions)
        if self._counts:
            self.tables = store.tables
        else:
            self.unchecked = ("the tables of the store, which was begun by a snapshot",)

    def _begin_with(self, store: StoreSource, gap: str) -> None:
        """Start from where the store begins, because the blocks before are not to be had."""
        self.start = store.base
        self.blocks = store.height + 1
        self.origin = store.url
        self.unchecked = (gap,)
        self._counts = store.counted() == 0
        if self._counts:
            self.tables = store.tables
        else:
            self.unchecked += ("the tables of the store, from which older rows were removed",)

    def _covered(self, path: Path) -> bool:
        with Archive(path) as opened:
            last: int = opened.last
        return last <= self._last

    def _transactions_below(self, counted: int) -> int:
        """How many transactions the archives hold up to where the store goes on."""
        for path in reversed(self._files):
            with Archive(path) as opened:
                for height in range(max(self._last + 1, opened.first), opened.last + 1):
                    counted -= len(opened.block(height).transactions)
        return counted

    def close(self) -> None:
        if self._store is not None:
            self._store.close()

    def chain(self) -> bytes | None:
        if not self._files:
            return None if self._store is None else self._store.chain()
        with Archive(self._files[0]) as opened:
            chain: bytes = opened.chain
        return chain

    def __iter__(self) -> Iterator[FoundBlock]:
        following = 1
        for path in self._files:
            with Archive(path) as opened:
                for height in range(following, min(opened.last, self._last) + 1):
                    block = opened.block(height)
                    yield FoundBlock(
                        height,
                        encode(block.header),
                        encode(block.transactions),
                        encode(block.certificate),
                        encode(block.results),
                    )
                following = max(following, min(opened.last, self._last) + 1)
        if self._store is not None and (self.base or self.origin):
            yield from self._store.kept(counts=self._counts)


def open_archives(places: Sequence[Path], store: str | None = None) -> Source:
    """What there is of a chain in archive files and in a store, to be audited.

    Args:
        places: archive files, or directories of them.
        store: path or URL of a store; one that holds everything needs no archives.

    Raises:
        Malformed: one of the files is not an archive.
        StoreUnusable, StoreBusy, OSError: the store or a file cannot be read.
    """
    paths: list[Path] = []
    for place in places:
        paths += archives_in(place) if place.is_dir() else [place]
    if store is None:
        return ArchivedSource(paths)
    opened = open_store(store)
    try:
        return ArchivedSource(paths, opened) if opened.base else opened
    except BaseException:
        opened.close()
        raise
