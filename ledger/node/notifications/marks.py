"""What a patient has read: kept by the node where she reads, and nobody else's business."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from ledger.node.answers import Cursor, parse_cursor

#: So many single marks of one patient; beyond that, only all up to a place.
MAX_MARKS: Final = 1_000

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS marks (
    subject TEXT NOT NULL, height INTEGER NOT NULL, place INTEGER NOT NULL, number INTEGER NOT NULL,
    PRIMARY KEY (subject, height, place, number)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS upto (subject TEXT PRIMARY KEY, cursor TEXT NOT NULL) WITHOUT ROWID;
"""
BEGINNING: Final = Cursor(0, 0, 0)


class TooManyMarks(Exception):
    """More single marks than are kept."""


class ReadMarks:
    """The file; one thread at a time."""

    def __init__(self, path: Path | str) -> None:
        self._database = sqlite3.connect(
            str(path), isolation_level=None, timeout=10, check_same_thread=False
        )
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=NORMAL")
        self._database.executescript(_SCHEMA)
        if isinstance(path, Path):
            path.chmod(0o600)

    def mark(self, subject: str, cursors: Iterable[Cursor]) -> None:
        """Note that she has read these; raises `TooManyMarks`."""
        limit = self.up_to(subject)
        rows = [(subject, *cursor) for cursor in cursors if cursor > limit]
        (kept,) = self._database.execute(
            "SELECT count(*) FROM marks WHERE subject = ?", (subject,)
        ).fetchone()
        if kept + len(rows) > MAX_MARKS:
            raise TooManyMarks
        self._database.execute("BEGIN IMMEDIATE")
        self._database.executemany("INSERT OR IGNORE INTO marks VALUES (?, ?, ?, ?)", rows)
        self._database.execute("COMMIT")

    def mark_up_to(self, subject: str, cursor: Cursor) -> None:
        """Note that she has read everything up to a place; never takes a mark back."""
        if cursor <= self.up_to(subject):
            return
        self._database.execute("BEGIN IMMEDIATE")
        self._database.execute("INSERT OR REPLACE INTO upto VALUES (?, ?)", (subject, str(cursor)))
        self._database.execute(
            "DELETE FROM marks WHERE subject = ? AND (height, place, number) <= (?, ?, ?)",
            (subject, *cursor),
        )
        self._database.execute("COMMIT")

    def up_to(self, subject: str) -> Cursor:
        """Everything up to here is read."""
        row = self._database.execute(
            "SELECT cursor FROM upto WHERE subject = ?", (subject,)
        ).fetchone()
        return BEGINNING if row is None else parse_cursor(row[0])

    def read(self, subject: str, cursor: Cursor) -> bool:
        """Whether she has read this one."""
        if cursor <= self.up_to(subject):
            return True
        found = self._database.execute(
            "SELECT 1 FROM marks WHERE (subject, height, place, number) = (?, ?, ?, ?)",
            (subject, *cursor),
        )
        return found.fetchone() is not None

    def close(self) -> None:
        self._database.close()
