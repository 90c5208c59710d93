"""What a line between two nodes does to what is sent over it, and which lines are open at all."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

#: Names of nodes: a list, or one text with blanks between.
Names = str | Iterable[str]


def names(given: Names) -> list[str]:
    """The single names."""
    return given.split() if isinstance(given, str) else list(given)


@dataclass(frozen=True, slots=True)
class Line:
    """One direction between two nodes.

    ``delay``: least and most milliseconds. ``loss``, ``duplication``, ``reordering``: the share of
    frames that are lost, come twice, or come late and after others. A connection over TCP does none
    of these three to its frames; they stand for what restarts, relays and full queues do.
    ``rate``: bytes per second, 0 for no limit. ``cut``: nothing passes, though no end is told.
    """

    delay: tuple[float, float] = (1.0, 10.0)
    loss: float = 0.0
    duplication: float = 0.0
    reordering: float = 0.0
    rate: float = 0.0
    cut: bool = False


class Weather:
    """All lines of the network: the usual one, and those that differ."""

    def __init__(self, usual: Line) -> None:
        self.usual = usual
        self._lines: dict[tuple[str, str], Line] = {}
        self._groups: dict[str, int] = {}

    def line(self, sender: str, receiver: str) -> Line:
        """The line in that direction."""
        return self._lines.get((sender, receiver), self.usual)

    def is_open(self, sender: str, receiver: str) -> bool:
        """Whether anything passes in that direction."""
        if self._groups and self._groups.get(sender, -1) != self._groups.get(receiver, -1):
            return False
        line = self._lines.get((sender, receiver))
        return not (self.usual if line is None else line).cut

    def partition(self, groups: Iterable[Names]) -> None:
        """Let only nodes of one group reach each other; nodes not named are a group as well."""
        self._groups = {
            node: number for number, group in enumerate(groups) for node in names(group)
        }

    def change(self, sender: str, receiver: str, **changes: object) -> None:
        """Change some properties of one direction."""
        line = self.line(sender, receiver)
        self._lines[sender, receiver] = replace(line, **changes)  # type: ignore[arg-type]

    def heal(self) -> None:
        """End partitions and cuts; slow and lossy lines stay as they are."""
        self._groups = {}
        self.usual = replace(self.usual, cut=False)
        self._lines = {ends: replace(line, cut=False) for ends, line in self._lines.items()}

    def calm(self) -> None:
        """Nothing is cut, lost, doubled or reordered any more, and no line differs."""
        self._groups = {}
        self._lines = {}
        self.usual = Line(self.usual.delay)
