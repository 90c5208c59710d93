"""The index of events: in which blocks there is one for a person, an institution, a name.

A listener with a filter that comes back after a year would otherwise have to look through every
block. The index is a file of its own beside the store, made from the stored results and thrown away
without loss. It answers with heights alone, so that a reader looks at the events themselves and a
wrong row costs time, never truth.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS postings (
    term BLOB NOT NULL, height INTEGER NOT NULL, PRIMARY KEY (term, height)
) WITHOUT ROWID;
"""
FORMAT: Final = b"1"


def open_postings(path: Path, chain: bytes) -> Postings:
    """The index in a file; one that is damaged is thrown away and made again.

    Raises:
        OSError: it can be neither opened nor made.
    """
    try:
        return Postings(path, chain)
    except sqlite3.DatabaseError:
        for name in (path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")):
            name.unlink(missing_ok=True)
    try:
        return Postings(path, chain)
    except sqlite3.Error as error:
        raise OSError(f"{path}: {error}") from error


class Postings:
    """The file. One thread writes, any number read.

    Args:
        path: made where it is missing; ":memory:" keeps it in memory.
        chain: id of the chain; an index of another chain is emptied.

    Raises:
        sqlite3.Error: it cannot be opened or made.
    """

    def __init__(self, path: Path | str, chain: bytes) -> None:
        self._lock = threading.Lock()
        self._database = sqlite3.connect(
            str(path), check_same_thread=False, isolation_level=None, timeout=10
        )
        self._database.execute("PRAGMA journal_mode=WAL")
        # What a power cut takes is made again from the store.
        self._database.execute("PRAGMA synchronous=NORMAL")
        self._database.executescript(_SCHEMA)
        if self._about("chain") != chain or self._about("format") != FORMAT:
            self.reset(chain, 1)

    def _about(self, name: str) -> bytes | None:
        row = self._database.execute("SELECT value FROM about WHERE name = ?", (name,)).fetchone()
        return None if row is None else bytes(row[0])

    def _span(self) -> tuple[int, int]:
        values = self._about("first"), self._about("last")
        first, last = (int.from_bytes(value or b"", "big") for value in values)
        return first, last

    @property
    def span(self) -> tuple[int, int]:
        """The first and the last height that are indexed; the last is below the first where none
        is."""
        with self._lock:
            return self._span()

    def reset(self, chain: bytes, first: int) -> None:
        """Forget everything, and begin anew at a height."""
        with self._lock:
            self._database.execute("BEGIN IMMEDIATE")
            self._database.execute("DELETE FROM postings")
            self._put({"chain": chain, "format": FORMAT})
            self._put_span(first, first - 1)
            self._database.execute("COMMIT")

    def add(self, blocks: Sequence[tuple[int, Iterable[bytes]]]) -> None:
        """Index the blocks that follow, ascending and without a gap, each with its terms.

        Raises:
            ValueError: they do not follow what is indexed.
        """
        with self._lock:
            first, last = self._span()
            heights = [height for height, _ in blocks]
            if heights != list(range(last + 1, last + 1 + len(heights))):
                raise ValueError(f"the index has to go on at height {last + 1}")
            self._database.execute("BEGIN IMMEDIATE")
            try:
                self._database.executemany(
                    "INSERT OR IGNORE INTO postings VALUES (?, ?)",
                    ((term, height) for height, terms in blocks for term in terms),
                )
                self._put_span(first, last + len(heights))
            except BaseException:
                self._database.execute("ROLLBACK")
                raise
            self._database.execute("COMMIT")

    def _put_span(self, first: int, last: int) -> None:
        self._put({"first": first.to_bytes(8, "big"), "last": last.to_bytes(8, "big")})

    def _put(self, values: dict[str, bytes]) -> None:
        self._database.executemany(
            "INSERT OR REPLACE INTO about VALUES (?, ?)", list(values.items())
        )

    def heights(self, terms: Sequence[bytes], after: int, limit: int) -> list[int]:
        """The next heights above ``after`` that have any of the terms, ascending, at most
        ``limit``: one look-up in the index for each term."""
        found: set[int] = set()
        with self._lock:
            for term in terms:
                rows = self._database.execute(
                    "SELECT height FROM postings WHERE term = ? AND height > ?"
                    " ORDER BY height LIMIT ?",
                    (term, after, limit),
                )
                found.update(row[0] for row in rows)
        return sorted(found)[:limit]

    def heights_before(self, terms: Sequence[bytes], before: int, limit: int) -> list[int]:
        """The same backwards: the newest heights below ``before``, descending."""
        found: set[int] = set()
        with self._lock:
            for term in terms:
                rows = self._database.execute(
                    "SELECT height FROM postings WHERE term = ? AND height < ?"
                    " ORDER BY height DESC LIMIT ?",
                    (term, before, limit),
                )
                found.update(row[0] for row in rows)
        return sorted(found, reverse=True)[:limit]

    def close(self) -> None:
        with self._lock:
            self._database.close()
