"""Changing rows of a store behind its back."""

from __future__ import annotations

import sqlite3
from pathlib import Path


def execute(path: Path, statement: str) -> int:
    """Carry a statement out on a store's file; how many rows it changed."""
    with sqlite3.connect(path) as database:
        return database.execute(statement).rowcount
