"""The timers of the consensus on the running event loop.

A timer measures how long others have had, so it must not count what was this node's own fault. A
process that gets no processor for two seconds finds on waking that its timer is due and that the
messages it waits for lie in its sockets; an event loop runs due timers first. So the time of a view
is counted in slices: a slice that took much longer than it should counts as a short one, and behind
such a slice there is always another one in which the messages that came meanwhile are taken in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from ledger.consensus.inputs import Timer, TimerFired

#: Into how many slices the time of a view is cut.
SLICES: Final = 10
#: A slice counts at most so many times its length, however long it took.
MOST: Final = 2


class Timers:
    """Starts, stops and delivers the timers of one core.

    A firing waits in the queue of inputs like anything else. One whose timer was set anew or
    stopped while it waited must not be delivered: it would end the new time before it began.
    """

    def __init__(self, feed: Callable[[TimerFired], None]) -> None:
        self._feed = feed
        self._running: dict[Timer, asyncio.TimerHandle] = {}
        self._due: dict[Timer, TimerFired] = {}

    def start(self, timer: Timer, height: int, view: int, delay_ms: int) -> None:
        """Feed the matching `TimerFired` after the delay; replaces a timer of the same kind."""
        self.stop(timer)
        fired = TimerFired(timer, height, view)
        slices = SLICES if timer is Timer.VIEW else 1
        self._wait(fired, delay_ms / 1000, delay_ms / 1000 / slices, spared=False)

    def stop(self, timer: Timer) -> None:
        """Let a timer be as if it had never been started."""
        self._due.pop(timer, None)
        handle = self._running.pop(timer, None)
        if handle is not None:
            handle.cancel()

    def deliver(self, fired: TimerFired) -> bool:
        """Whether a firing that comes out of the queue still means something; true once."""
        if self._due.get(fired.timer) is not fired:
            return False
        del self._due[fired.timer]
        return True

    def close(self) -> None:
        """Stop all."""
        for timer in Timer:
            self.stop(timer)

    def _wait(self, fired: TimerFired, left: float, slice_s: float, *, spared: bool) -> None:
        loop = asyncio.get_running_loop()
        delay = slice_s if spared else min(slice_s, left)
        self._running[fired.timer] = loop.call_later(
            delay, self._pass, fired, left, slice_s, loop.time(), spared
        )

    def _pass(
        self, fired: TimerFired, left: float, slice_s: float, since: float, spared: bool
    ) -> None:
        """A slice is over; ``spared``: it was given because the one before took too long."""
        took = asyncio.get_running_loop().time() - since
        stalled = fired.timer is Timer.VIEW and took > MOST * slice_s
        left -= min(took, MOST * slice_s)
        # What little is missing by rounding is not worth a slice of its own.
        if left > slice_s / SLICES or (stalled and not spared):
            self._wait(fired, left, slice_s, spared=stalled)
            return
        del self._running[fired.timer]
        self._due[fired.timer] = fired
        self._feed(fired)
