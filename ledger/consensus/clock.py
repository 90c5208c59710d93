"""The clock of one height: what to wait for, and for how long, as requests to the driver."""

from __future__ import annotations

from ledger.chain.constitution import Parameters
from ledger.consensus import timeouts
from ledger.consensus.inputs import Timer
from ledger.consensus.outbox import Outbox


class Clock:
    """Two timers: one ends a view that leads nowhere, one ends the wait for work."""

    def __init__(self, parameters: Parameters, outbox: Outbox) -> None:
        self._parameters = parameters
        self._outbox = outbox
        #: Whether the time of the present view runs.
        self.view_runs = False

    def give_time(self, view: int, *, idle: bool = False) -> None:
        """Let the time of a view run; ``idle``: its proposer may wait for work first."""
        self.view_runs = True
        delay = timeouts.view_timeout(self._parameters, view)
        if idle:
            delay += self._parameters.empty_block_interval
        self._outbox.start(Timer.VIEW, view, delay)

    def wait_for_work(self, view: int) -> None:
        """Hold back a block that would be empty for as long as the constitution says."""
        self._outbox.start(Timer.IDLE, view, self._parameters.empty_block_interval)

    def stop_waiting(self) -> None:
        """There is work, or somebody else has found some."""
        self._outbox.stop(Timer.IDLE)

    def leave_view(self) -> None:
        """The next view's time runs only once it is given some."""
        self.view_runs = False
        self._outbox.stop(Timer.IDLE, Timer.VIEW)

    def stop(self) -> None:
        """The height is over."""
        self._outbox.stop(*Timer)
