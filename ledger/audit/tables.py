"""Comparing the rows of a store with those that a replay makes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Table

from ledger.audit.report import Fault, difference, shown
from ledger.audit.source import Tables
from ledger.chain import schema
from ledger.chain.database import StoreError
from ledger.chain.rows import MARKS

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class _Compared:
    """A table whose rows follow from the blocks, and how to speak about one of them."""

    table: Table
    height: Callable[[Row], Any]
    key: Callable[[Row], str]


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _hex(value: Any) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


def _completed_by(row: Row) -> Any:
    """The height of the block whose header completed a node of the log."""
    level, place = row[0], row[1]
    if not isinstance(level, int) or not isinstance(place, int) or not 0 <= level < 64:
        return None
    return ((place + 1) << level) - 1


_COMPARED: Final = (
    _Compared(schema.state, lambda row: row[3], lambda row: _text(row[4])),
    _Compared(schema.tiles, lambda row: row[0], lambda row: _hex(row[1])[1::2] or "root"),
    _Compared(schema.transactions, lambda row: row[1], lambda row: _hex(row[0])),
    _Compared(schema.log, _completed_by, lambda row: f"level {row[0]}, place {row[1]}"),
)


def compare(
    expected: Tables, found: Tables, last: int, *, whole: bool, needed: Tables | None = None
) -> Iterator[Fault]:
    """Every row of a derived table that is not as the replay made it.

    Args:
        expected: the tables of the replay.
        found: those of the audited store.
        last: the last height that was replayed.
        whole: whether that is all of the store; if not, rows of later blocks are left aside.
        needed: for a pruned store, the rows that it must still hold; None for all.
    """
    yield from _meta(expected, found)
    for compared in _COMPARED:
        required = None if needed is None else needed.rows(compared.table)
        yield from _table(compared, expected, found, last, whole=whole, required=required)


def _meta(expected: Tables, found: Tables) -> Iterator[Fault]:
    try:
        stored = dict(found.rows(schema.meta))
        for mark in MARKS:
            stored.pop(mark, None)
    except StoreError as error:
        yield Fault("the table cannot be read", table="meta", found=str(error))
        return
    replayed = {name: value for name, value in expected.rows(schema.meta) if name not in MARKS}
    for name in sorted(replayed.keys() | stored.keys(), key=str):
        if stored.get(name) != replayed.get(name):
            yield Fault(
                "an entry is not that of this chain",
                table="meta",
                key=str(name),
                expected=shown(replayed.get(name)),
                found=shown(stored.get(name)),
            )


def _table(
    compared: _Compared,
    expected: Tables,
    found: Tables,
    last: int,
    *,
    whole: bool,
    required: Iterator[Row] | None,
) -> Iterator[Fault]:
    """Go through the tables in the order of their keys, as in merging them."""
    must = None if required is None else next(required, None)
    keys = len(compared.table.primary_key)
    replayed = expected.rows(compared.table)
    stored = found.rows(compared.table)
    ours = next(replayed, None)
    try:
        theirs = next(stored, None)
        while ours is not None or theirs is not None:
            if ours == theirs:
                ours, theirs = next(replayed, None), next(stored, None)
                continue
            order = _order(ours, theirs, keys)
            row = theirs if order > 0 else ours
            assert row is not None
            height = compared.height(row)
            if order < 0 and required is not None:
                while must is not None and _order(must, row, keys) < 0:
                    must = next(required, None)
                if must is None or _order(must, row, keys) > 0:
                    ours = next(replayed, None)  # rightly gone
                    continue
            if whole or not isinstance(height, int) or height <= last:
                yield _row_fault(compared, row, ours, theirs, order)
            if order <= 0:
                ours = next(replayed, None)
            if order >= 0:
                theirs = next(stored, None)
    except StoreError as error:
        where = "after the last row" if ours is None else f"at {compared.key(ours)}"
        height = None if ours is None else compared.height(ours)
        yield Fault(
            f"the table cannot be read {where}",
            height=height,
            table=compared.table.name,
            found=str(error),
        )


def _order(ours: Row | None, theirs: Row | None, keys: int) -> int:
    """Which row comes first: below 0 ours, above 0 theirs, 0 if both have the same key."""
    if ours is None:
        return 1
    if theirs is None:
        return -1
    left, right = _sortable(ours[:keys]), _sortable(theirs[:keys])
    return (left > right) - (left < right)


def _sortable(key: Row) -> list[tuple[int, Any]]:
    """A key as the database orders it, whatever has become of its values: null, numbers, text,
    bytes."""
    ranks: dict[type, int] = {type(None): 0, int: 1, float: 1, str: 2, bytes: 3}
    return [(ranks[type(value)], 0 if value is None else value) for value in key]


def _row_fault(
    compared: _Compared, row: Row, ours: Row | None, theirs: Row | None, order: int
) -> Fault:
    height = compared.height(row)
    name = compared.table.name
    key = compared.key(row)
    place = height if isinstance(height, int) else None
    if order < 0:
        return Fault("a row is missing", place, table=name, key=key, expected="this row")
    if order > 0:
        return Fault("a row that no block makes", place, table=name, key=key, found="this row")
    assert ours is not None
    assert theirs is not None
    column, mine, other = next(
        (column.name, mine, other)
        for column, mine, other in zip(compared.table.columns, ours, theirs, strict=True)
        if mine != other or type(mine) is not type(other)
    )
    if isinstance(mine, bytes) and isinstance(other, bytes):
        expected, found = difference(mine, other)
    else:
        expected, found = shown(mine), shown(other)
    return Fault(
        f"{column} is not what the blocks make",
        place,
        table=name,
        key=key,
        expected=expected,
        found=found,
    )
