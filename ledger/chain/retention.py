"""How much of the chain a node keeps itself, and handing over the rest to archive files.

The order is what makes it safe: the archive file is written, put on the disk, read back and
verified, and only then named; then the store learns of it; then, and not before, rows go
(`ledger.chain.pruning`). Whatever crashes in between is found and gone on with at the next run.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ledger.chain.archive import MAX_BLOCKS, MAX_TRANSACTIONS
from ledger.chain.archivewriter import Breathe, write_archive
from ledger.chain.constitution import longest_window, oldest_repeatable
from ledger.chain.handover import Trust
from ledger.chain.pruning import Pruning
from ledger.chain.rows import StoredArchive
from ledger.chain.store import Store

#: How many blocks one archive file holds, unless their transactions are too many for one.
FILE_BLOCKS: Final = 10_000


class KeepsTooLittle(ValueError):
    """A node that would forget transactions which could still be sent again."""


@dataclass(frozen=True, slots=True)
class Retention:
    """``keep_blocks``: how many of the newest blocks stay in the store. ``directory``: where
    archive files go. ``file_blocks``: how many blocks make one."""

    keep_blocks: int
    directory: Path
    file_blocks: int = FILE_BLOCKS


class Keeper:
    """Keeps one store as small as its retention says.

    Args:
        store: open for writing; it may be in use.
        retention: what is kept.
        trust: the genesis, against which archive files are verified.

    Raises:
        KeepsTooLittle: the retention is below the validity window of the chain.
    """

    def __init__(self, store: Store, retention: Retention, trust: Trust) -> None:
        window = longest_window(store.value)
        if retention.keep_blocks < window:
            raise KeepsTooLittle(
                f"keep_blocks = {retention.keep_blocks} is below the validity window of this "
                f"chain, {window} heights: the node would forget transactions that can still be "
                "sent again, and could let one in twice"
            )
        if not 1 <= retention.file_blocks <= MAX_BLOCKS:
            raise KeepsTooLittle(f"an archive file holds 1 to {MAX_BLOCKS} blocks")
        self._store = store
        self._retention = retention
        self._trust = trust
        self._pruning = Pruning(store)

    def due(self) -> tuple[int, int] | None:
        """The first and the last height of the next archive file, if enough blocks are old."""
        store = self._store
        first = max(self._archived() + 1, store.base(), 1)
        oldest_kept = store.height() + 1 - self._kept()
        last = min(first + self._retention.file_blocks, oldest_kept) - 1
        if last < first:
            return None
        last, full = self._fitting(first, last)
        if full or last - first + 1 == self._retention.file_blocks:
            return first, last
        return None

    def archive(self, now: int, breathe: Breathe | None = None) -> StoredArchive | None:
        """Write the archive file that is due and note it in the store; None where none is due.

        Args:
            now: milliseconds since 1970-01-01 UTC.
            breathe: called after each block, so that others have their turn.

        Raises:
            StoreFull: there is no room for it.
            StoreError: the blocks are not good, or the file cannot be written.
        """
        found = self.due()
        if found is None:
            return None
        path, summary = write_archive(
            self._store, self._retention.directory, *found, self._trust, breathe
        )
        entry = StoredArchive(*found, path.name, summary.size, now)
        with self._store.maintenance() as writer:
            writer.run(
                self._store.queries.add_archive,
                (entry.first, entry.last, entry.file, entry.size, entry.time),
            )
        return entry

    def prune(self) -> Iterator[None]:
        """Remove what archive files hold, and give the room back, in small steps."""
        archived, base = self._archived(), self._store.base()
        if archived >= base:
            kept = self._store.height() + 1 - self._kept()
            base = max(base, min(archived + 1, kept))
        if base:
            yield from self._pruning.steps(base)
        while self._store.reclaim():
            yield

    def _archived(self) -> int:
        """The last height that an archive file holds; -1 for none."""
        return max((entry.last for entry in self._store.archives()), default=-1)

    def _kept(self) -> int:
        """How many blocks stay. A vote may have made the window longer than when the node began."""
        head = self._store.height()
        repeatable = head + 1 - oldest_repeatable(self._store.value, head)
        return max(self._retention.keep_blocks, longest_window(self._store.value), repeatable)

    def _fitting(self, first: int, last: int) -> tuple[int, bool]:
        """The last height up to which the transactions from ``first`` on fit into one archive, and
        whether that is short of ``last``."""
        most = self._store.total(first - 1) + MAX_TRANSACTIONS
        if self._store.total(last) <= most:
            return last, False
        low, high = first, last
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._store.total(middle) <= most else (low, middle)
        return low, True
