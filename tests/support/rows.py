"""Reading and changing the rows of a store behind its back."""

from __future__ import annotations

import sqlite3
from pathlib import Path

Rows = dict[str, list[tuple[object, ...]]]


def contents(path: Path) -> Rows:
    """Every row of every table but the votes, and what SQLite says about the file."""
    with sqlite3.connect(path) as database:
        names = [name for (name,) in database.execute("SELECT name FROM sqlite_master")]
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        tables = [
            name
            for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            if name != "votes"
        ]
        assert names
        return {
            name: sorted(database.execute(f'SELECT * FROM "{name}"'), key=repr) for name in tables
        }


def execute(path: Path, statement: str) -> int:
    """Carry a statement out on a store's file; how many rows it changed."""
    with sqlite3.connect(path) as database:
        return database.execute(statement).rowcount
