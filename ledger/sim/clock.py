"""The wall clock of a simulated machine: it may be set wrong, run fast or slow, and jump."""

from __future__ import annotations

from collections.abc import Callable


class SimClock:
    """Milliseconds since 1970-01-01 UTC, as one node believes.

    Args:
        time: virtual seconds since the start of the simulation.
        epoch: what a right clock shows at the start.
    """

    def __init__(self, time: Callable[[], float], epoch: int) -> None:
        self._time = time
        self._epoch = epoch
        self._offset = 0.0
        self._since = 0.0
        self._rate = 1.0

    def __call__(self) -> int:
        return int(self._epoch + self._offset + 1000 * (self._time() - self._since) * self._rate)

    @property
    def error(self) -> int:
        """How far this clock is ahead of a right one, in milliseconds; negative: behind."""
        return self() - int(self._epoch + 1000 * self._time())

    def skew(self, ms: int) -> None:
        """Set the clock to be wrong by so much, ahead or, if negative, behind."""
        self.jump(ms - self.error)

    def jump(self, ms: int) -> None:
        """Move the clock forward or, if negative, back."""
        self._offset += ms

    def later(self, ms: int) -> None:
        """So much time has passed for everybody, and this clock shows it."""
        self._epoch += ms

    def drift(self, ppm: float) -> None:
        """Let the clock gain so many microseconds a second from now on."""
        now = self._time()
        self._offset += 1000 * (now - self._since) * self._rate
        self._since = now
        self._rate = 1 + ppm / 1e6

    def correct(self) -> None:
        """Set the clock right, for good."""
        self.drift(0)
        self.skew(0)
