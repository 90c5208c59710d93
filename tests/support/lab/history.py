"""What clients did and were told, as Jepsen records it: invoked, then ok, refused or unknown."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

Kind = Literal["add", "write", "read"]
#: ``unknown``: the client can't tell whether it took effect, now or later.
Outcome = Literal["pending", "ok", "refused", "unknown"]


@dataclass(slots=True)
class Operation:
    """One operation of one client.

    ``node``: who answered last. ``key`` and ``value``: of the register written or read, or the
    token added. ``invoked`` and ``completed``: seconds on one monotonic clock. ``transaction``: its
    id in hex, empty for a read. ``height`` and ``index``: where it stands in the chain by the
    answer; of a read the height it speaks of. ``answer``: the value that a write replaced, how
    often a token was added, or what was read.
    """

    kind: Kind
    client: int
    node: str
    key: str
    value: str
    invoked: float
    completed: float = 0.0
    outcome: Outcome = "pending"
    transaction: str = ""
    height: int = -1
    index: int = -1
    answer: str | int = ""
    #: How many nodes it was sent to.
    sent: int = 0
    #: Why it was refused or what is not known.
    why: str = ""


class History:
    """Operations in the order of their invocation. Threads may share it."""

    def __init__(self) -> None:
        self._operations: list[Operation] = []
        self._lock = threading.Lock()

    def invoke(
        self, kind: Kind, client: int, node: str, key: str, value: str = "", transaction: str = ""
    ) -> Operation:
        """Record that an operation begins."""
        with self._lock:
            made = Operation(
                kind, client, node, key, value, time.monotonic(), transaction=transaction
            )
            self._operations.append(made)
            return made

    def complete(self, operation: Operation, outcome: Outcome, why: str = "") -> None:
        """Record how it ended for its client."""
        operation.completed = time.monotonic()
        operation.why = why
        operation.outcome = outcome

    def all(self) -> Sequence[Operation]:
        with self._lock:
            return tuple(self._operations)

    def acknowledged(self) -> list[Operation]:
        """Writes that a node said are final."""
        return [each for each in self.all() if each.outcome == "ok" and each.kind != "read"]

    def save(self, path: Path) -> None:
        """Write one JSON object a line, for whoever reads a failure."""
        lines = (json.dumps(asdict(each)) + "\n" for each in self.all())
        path.write_text("".join(lines))

    def summary(self) -> dict[str, int]:
        """How many operations ended how."""
        counts: dict[str, int] = {}
        for each in self.all():
            name = f"{each.kind} {each.outcome}"
            counts[name] = counts.get(name, 0) + 1
        return dict(sorted(counts.items()))
