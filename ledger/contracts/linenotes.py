"""Which lines of a contract ran: noted only by programs that were compiled to note it.

The gas and the results of such a program are the same; only its author is told more.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Lines:
    """``statements``: first lines of the statements of a contract's functions; ``ran``: of those
    that were executed since."""

    statements: set[int] = field(default_factory=set)
    ran: set[int] = field(default_factory=set)

    @property
    def missed(self) -> list[int]:
        return sorted(self.statements - self.ran)

    @property
    def share(self) -> float:
        """The part of the statements that ran, 0 to 1; 1 where there are none."""
        return len(self.statements & self.ran) / len(self.statements) if self.statements else 1.0


class LineNotes:
    """What ran, by the source of the contract."""

    def __init__(self) -> None:
        self.by_source: dict[str, Lines] = {}

    def of(self, source: str) -> Lines:
        """The lines of one contract, empty at first."""
        return self.by_source.setdefault(source, Lines())
