"""What many runs add up to."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from ledger.sim.explore import Outcome


@dataclass(slots=True)
class Totals:
    """Sums over runs.

    ``final``: transactions that clients were told to be final. ``virtual_s``: simulated seconds.
    ``slowest_s``: the longest time from the end of the trouble to progress everywhere, in virtual
    seconds. ``acts``, ``lies``: how often each was done.
    """

    seeds: int = 0
    blocks: int = 0
    final: int = 0
    frames: int = 0
    virtual_s: float = 0.0
    view_changes: int = 0
    crashes: int = 0
    starts: int = 0
    slowest_s: float = 0.0
    acts: Counter[str] = field(default_factory=Counter)
    lies: Counter[str] = field(default_factory=Counter)

    def add(self, outcome: Outcome) -> None:
        """Count one more run."""
        self.seeds += 1
        self.blocks += outcome.height
        self.final += outcome.acknowledged
        self.frames += outcome.frames
        self.virtual_s += outcome.virtual_ms / 1000
        self.view_changes += outcome.view_changes
        self.crashes += outcome.crashes
        self.starts += outcome.starts
        self.slowest_s = max(self.slowest_s, outcome.recovery_ms / 1000)
        self.acts.update(outcome.acts)
        self.lies.update(outcome.lies)

    def sentence(self) -> str:
        """The sums for people."""
        return (
            f"{self.blocks} blocks, {self.final} transactions final, {self.frames} frames, "
            f"{self.virtual_s / 3600:.1f} virtual hours, {self.view_changes} view changes asked "
            f"for, {self.crashes} crashes, {self.starts} starts, {self.acts.total()} acts of "
            f"trouble, {self.lies.total()} lies told, slowest recovery {self.slowest_s:.1f} s"
        )
