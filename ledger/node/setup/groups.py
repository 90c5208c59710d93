"""Groups: one table of a configuration that stands for many institutions or people of one sort.

A consortium with 2,195 stations is not written down station by station. A table with ``count = 87``
stands for 87 tables, in whose texts ``{n}`` is 1, 2 … 87. They are spread out before anything else
is checked, so that every rule of a configuration holds for each of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from ledger.node.setup.tomllines import FieldPath

#: The arrays of tables in which a table may stand for many.
GROUPED: Final = ("institutions", "people")
#: The field that says for how many, and what is replaced by the number of each.
COUNT, NUMBER = "count", "{n}"
#: A group is larger than one and smaller than this.
LARGEST: Final = 3_000

#: Where a table of the spread configuration stands in the text.
Origins = dict[FieldPath, FieldPath]


class BadGroup(ValueError):
    """A group that cannot be spread out. ``path``: the field that is wrong."""

    def __init__(self, path: FieldPath, message: str) -> None:
        super().__init__(message)
        self.path = path


def spread(data: dict[str, Any]) -> tuple[dict[str, Any], Origins]:
    """The configuration with one table for each member of a group, and where each came from.

    Args:
        data: as parsed from TOML; it is not changed.

    Raises:
        BadGroup: a count that is none, or a group whose members would all have the same name.
    """
    result = dict(data)
    origins: Origins = {}
    for name in GROUPED:
        tables = data.get(name)
        if not isinstance(tables, list):
            continue
        members: list[Any] = []
        for place, table in enumerate(tables):
            for member in _members(name, place, table):
                origins[name, len(members)] = (name, place)
                members.append(member)
        result[name] = members
    return result, origins


def _members(name: str, place: int, table: Any) -> Iterator[Any]:
    if not isinstance(table, dict) or COUNT not in table:
        yield table
        return
    count = table[COUNT]
    path: FieldPath = (name, place, COUNT)
    if not isinstance(count, int) or isinstance(count, bool) or not 1 < count <= LARGEST:
        raise BadGroup(path, f"{count!r} is not a number from 2 to {LARGEST:,}")
    key = "id" if name == "institutions" else "key"
    if NUMBER not in str(table.get(key, NUMBER)):
        raise BadGroup((name, place, key), f"needs {NUMBER} for the number of each of the {count}")
    rest = {field: value for field, value in table.items() if field != COUNT}
    for number in range(1, count + 1):
        yield _numbered(rest, str(number))


def _numbered(value: Any, number: str) -> Any:
    if isinstance(value, str):
        return value.replace(NUMBER, number)
    if isinstance(value, list):
        return [_numbered(item, number) for item in value]
    if isinstance(value, dict):
        return {field: _numbered(item, number) for field, item in value.items()}
    return value
