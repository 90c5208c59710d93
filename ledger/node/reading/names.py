"""Texts that repeat, as numbers."""

from __future__ import annotations

from collections import OrderedDict
from typing import TypeVar

from sqlalchemy import bindparam, func, insert, select

from ledger.chain.database import Database, Writer
from ledger.node.reading import tables

Key = TypeVar("Key")
Kept = TypeVar("Kept")

#: How many texts are kept in memory, in each direction.
KEPT = 200_000


class Names:
    """The texts of an index. One thread writes; any number read."""

    def __init__(self, database: Database) -> None:
        names = tables.names.c
        self._database = database
        self._by_name = database.query(select(names.id).where(names.name == bindparam("name")))
        self._by_id = database.query(select(names.name).where(names.id == bindparam("id")))
        self._last = database.query(select(func.max(names.id)))
        self._add = database.query(insert(tables.names))
        self._ids: OrderedDict[str, int] = OrderedDict()
        self._texts: OrderedDict[int, str] = OrderedDict()
        self._next = 0
        self._fresh: dict[str, int] = {}

    def load(self) -> None:
        """Begin anew with what the database has."""
        self._ids.clear()
        self._texts.clear()
        self._fresh.clear()
        self._next = (self._database.one(self._last)[0] or 0) + 1

    def number(self, writer: Writer, text: str) -> int:
        """The number of a text, a new one if need be; inside a transaction."""
        found = self._ids.get(text, 0) or self._fresh.get(text, 0)
        if found:
            return found
        row = writer.one(self._by_name, (text,))
        if row is not None:
            self._keep(self._ids, text, row[0])
            return int(row[0])
        found, self._next = self._next, self._next + 1
        writer.run(self._add, (found, text))
        self._fresh[text] = found
        return found

    def settled(self) -> None:
        """The transaction in which numbers were given has ended well."""
        for text, number in self._fresh.items():
            self._keep(self._ids, text, number)
        self._fresh.clear()

    def find(self, text: str) -> int | None:
        """The number of a text that is in the database."""
        found = self._ids.get(text)
        if found is None:
            row = self._database.one(self._by_name, (text,))
            found = None if row is None else int(row[0])
        return found

    def text(self, number: int) -> str:
        """The text of a number that is in the database."""
        found = self._texts.get(number)
        if found is None:
            row = self._database.one(self._by_id, (number,))
            found = "" if row is None else str(row[0])
            self._keep(self._texts, number, found)
        return found

    @staticmethod
    def _keep(known: OrderedDict[Key, Kept], key: Key, value: Kept) -> None:
        known[key] = value
        if len(known) > KEPT:
            known.popitem(last=False)
