"""Several lists as one, newest first, a page at a time.

A list is read in batches behind a cursor. Where a page ends inside a batch, its place says from
which cursor that batch was read and how many of it were shown; what is new on top since does not
shift it, because every list ends before the moment at which the search began.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

#: Lines that are read at once.
BATCH: Final = 50


class Line(NamedTuple):
    """One line of a list: its block time in milliseconds, and what is known of it."""

    time: int
    value: Any


class Batch(NamedTuple):
    """Lines of a list, newest first, and the cursor behind them; None after the last."""

    lines: Sequence[Line]
    cursor: Any


#: Reads a batch behind a cursor, None for the newest.
Read = Callable[[Any], Awaitable[Batch]]


@dataclass(slots=True)
class _Open:
    """A list that is being read: lines ``at`` and on are not shown yet."""

    read: Read
    cursor: Any
    at: int
    lines: Sequence[Line] = ()
    after: Any = None
    begun: bool = field(default=False)

    async def peek(self) -> Line | None:
        """The next line; None at the end."""
        while not self.begun or self.at >= len(self.lines):
            if self.begun:
                if self.after is None:
                    return None
                self.cursor, self.at = self.after, 0
            self.lines, self.after = await self.read(self.cursor)
            self.begun = True
        return self.lines[self.at]

    @property
    def place(self) -> list[Any] | None:
        """Where to go on; None at the end."""
        if self.begun and self.at >= len(self.lines) and self.after is None:
            return None
        return [self.cursor, self.at]


class Merged:
    """Lists that are read as one.

    Args:
        lists: by name; the names stand in places.
        place: where an earlier page ended, None for the beginning.
    """

    def __init__(self, lists: dict[str, Read], place: dict[str, Any] | None) -> None:
        self._open: dict[str, _Open] = {}
        for name, read in lists.items():
            if place is None:
                self._open[name] = _Open(read, None, 0)
            elif name in place:
                cursor, at = place[name]
                self._open[name] = _Open(read, cursor, at)

    async def next(self) -> tuple[str, Line] | None:
        """The newest line that was not given yet, with the name of its list; None at the end."""
        newest: tuple[str, Line] | None = None
        for name, each in self._open.items():
            line = await each.peek()
            if line is not None and (newest is None or line.time > newest[1].time):
                newest = name, line
        if newest is not None:
            self._open[newest[0]].at += 1
        return newest

    async def place(self) -> dict[str, Any] | None:
        """Where to go on; None where nothing is left."""
        found = {}
        for name, each in self._open.items():
            if await each.peek() is not None:
                found[name] = each.place
        return found or None
