"""What happened in a simulation, in order: a line for people, and a digest to compare runs by."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator


class Trace:
    """Lines ``virtual milliseconds, node, what``; the newest are kept, all are in the digest.

    Args:
        time: virtual seconds.
        keep: how many lines are kept.
    """

    def __init__(self, time: Callable[[], float], keep: int = 100_000) -> None:
        self._time = time
        self._lines: deque[str] = deque(maxlen=keep)
        self._digest = hashlib.sha256()
        #: Lines so far.
        self.count = 0

    def note(self, node: str, what: str) -> None:
        """Something happened at a node, or, with an empty name, to the world."""
        line = f"{self._time() * 1000:12.3f}  {node or '-':<4} {what}"
        self._lines.append(line)
        self._digest.update(line.encode() + b"\n")
        self.count += 1

    def feed(self, data: bytes) -> None:
        """Let something too long for a line count in the digest."""
        self._digest.update(data)

    @property
    def digest(self) -> str:
        """Hex; equal for equal runs."""
        return self._digest.hexdigest()

    def __iter__(self) -> Iterator[str]:
        return iter(self._lines)

    def last(self, count: int) -> str:
        """The newest lines as one text."""
        return "\n".join(list(self._lines)[-count:])

    def mentions(self, text: str) -> list[str]:
        """The lines that are kept and have a text in them."""
        return [line for line in self._lines if text in line]
