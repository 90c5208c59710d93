"""What a node says about blocks that it does not hold any more: since when, and which file does."""

from __future__ import annotations

from pathlib import Path

from ledger.chain.archive import Archive
from ledger.chain.codec import Malformed
from ledger.chain.rows import StoredArchive
from ledger.chain.store import Store
from ledger.node.answers import Archived


class ArchiveShelf:
    """The archive files of one store.

    Args:
        store: knows which files there are.
        directory: where they are, or were; None for a node that never had any.
    """

    def __init__(self, store: Store, directory: Path | None = None) -> None:
        self._store = store
        self._directory = directory

    def block(self, height: int) -> Archived | None:
        """Where the block of a height went; None if it is here, or not there yet."""
        base = self._store.base()
        if height >= base:
            return None
        return _answer(base, height, self._store.archive_of(height))

    def transaction(self, tx_id: bytes) -> Archived | None:
        """Where a transaction went; None if it is here, or nothing is known of it.

        Files that were moved away are not looked into.
        """
        place = self._store.locate(tx_id)
        if place is not None:
            return self.block(place[0])
        if self._directory is None:
            return None
        for entry in reversed(self._store.archives()):
            try:
                with Archive(self._directory / entry.file) as opened:
                    found = opened.find(tx_id)
                    if found is not None:
                        return _answer(self._store.base(), found[0], entry)
            except (Malformed, OSError):
                continue
        return None


def _answer(base: int, height: int, entry: StoredArchive | None) -> Archived:
    if entry is None:
        return Archived(base=base, height=height)
    return Archived(base=base, height=height, file=entry.file, archived=entry.time)
