"""How many messages and bytes crossed the simulated network, by node and kind of frame."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from ledger.node.net.frames import HEADER_BYTES, KINDS


def kind_of(frame: bytes) -> str:
    """The name of the kind of an encoded frame."""
    known = KINDS.get(frame[HEADER_BYTES]) if len(frame) > HEADER_BYTES else None
    return "?" if known is None else known[0].__name__


@dataclass(slots=True)
class Traffic:
    """Counts of frames and their bytes; keys are (node, kind of frame).

    ``lost``: frames that the network itself lost, by kind.
    """

    sent: Counter[tuple[str, str]] = field(default_factory=Counter)
    sent_bytes: Counter[tuple[str, str]] = field(default_factory=Counter)
    received: Counter[tuple[str, str]] = field(default_factory=Counter)
    received_bytes: Counter[tuple[str, str]] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)

    def leaves(self, node: str, frame: bytes) -> None:
        key = node, kind_of(frame)
        self.sent[key] += 1
        self.sent_bytes[key] += len(frame)

    def arrives(self, node: str, frame: bytes) -> None:
        key = node, kind_of(frame)
        self.received[key] += 1
        self.received_bytes[key] += len(frame)

    def by_kind(self) -> dict[str, tuple[int, int]]:
        """Frames and bytes sent in all, by kind."""
        found: dict[str, tuple[int, int]] = {}
        for (node, kind), count in sorted(self.sent.items()):
            frames, size = found.get(kind, (0, 0))
            found[kind] = frames + count, size + self.sent_bytes[node, kind]
        return found

    def by_node(self) -> dict[str, tuple[int, int]]:
        """Frames and bytes sent by each node."""
        found: dict[str, tuple[int, int]] = {}
        for (node, kind), count in sorted(self.sent.items()):
            frames, size = found.get(node, (0, 0))
            found[node] = frames + count, size + self.sent_bytes[node, kind]
        return found

    def clear(self) -> None:
        """Start counting anew."""
        for counts in (self.sent, self.sent_bytes, self.received, self.received_bytes):
            counts.clear()
        self.lost.clear()
