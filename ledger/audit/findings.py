"""The findings about validators in a state that was replayed from the genesis."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ledger.chain import limits
from ledger.chain.codec import decode_value

#: A report lists so many, the newest; the state has them all.
MAX_LISTED = 1_000


@dataclass(frozen=True, slots=True)
class Finding:
    """A validator that broke the rules of the consensus, as contract `evidence` wrote it down.

    ``institution``: answered for the node when its key signed. ``height``, ``view``: of what it
    signed. ``since``: the height at which it was found. ``reporter``: who brought it first.
    ``witnesses``: the nodes that stated it, where statements alone do not prove it.
    """

    number: int
    rule: str
    node: str
    institution: str
    height: int
    view: int
    since: int
    reporter: str
    witnesses: tuple[str, ...]

    def __str__(self) -> str:
        stated = f", stated by {', '.join(self.witnesses)}" if self.witnesses else ""
        return (
            f"{self.institution} ({self.node}): {self.rule} at height {self.height}, "
            f"view {self.view}; found in block {self.since}{stated}"
        )


def findings_in(read: Callable[[bytes], bytes | None]) -> tuple[Finding, ...]:
    """All findings of a state in the order in which they were made, at most `MAX_LISTED`."""
    count = _value(read, "finding_count") or 0
    entries = [
        _value(read, f"findings/{number}")
        for number in range(max(1, count - MAX_LISTED + 1), count + 1)
    ]
    return tuple(
        Finding(
            number=entry["number"],
            rule=entry["rule"],
            node=entry["node"],
            institution=entry["institution"],
            height=entry["height"],
            view=entry["view"],
            since=entry["since"],
            reporter=entry["reporter"],
            witnesses=tuple(witness["node"] for witness in entry["witnesses"]),
        )
        for entry in entries
    )


def _value(read: Callable[[bytes], bytes | None], name: str) -> Any:
    raw = read(f"evidence/{name}".encode())
    return None if raw is None else decode_value(raw, limit=limits.MAX_STATE_VALUE_BYTES)
