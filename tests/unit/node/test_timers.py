"""Timers that count the time of others and not the node's own stalls."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any

import pytest

from ledger.consensus.inputs import Timer, TimerFired
from ledger.node import timers as timers_module
from ledger.node.timers import SLICES, Timers


class Handle:
    def __init__(self) -> None:
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Loop:
    """An event loop whose time passes when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0
        self._waiting: list[tuple[float, int, Handle, Callable[[], None]]] = []

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, job: Callable[..., None], *arguments: Any) -> Handle:
        handle = Handle()
        entry = (self.now + delay, len(self._waiting), handle, lambda: job(*arguments))
        heapq.heappush(self._waiting, entry)
        return handle

    def run(self, seconds: float, lag: float = 0.0) -> None:
        """Let time pass; every job runs ``lag`` seconds late."""
        end = self.now + seconds
        while self._waiting and self._waiting[0][0] + lag <= end:
            due, _, handle, job = heapq.heappop(self._waiting)
            self.now = max(self.now, due + lag)
            if not handle.cancelled:
                job()
        self.now = max(self.now, end)

    def stall(self, seconds: float) -> None:
        """Stand still; whatever is due comes after that."""
        self.now += seconds


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> Loop:
    loop = Loop()
    monkeypatch.setattr(timers_module.asyncio, "get_running_loop", lambda: loop)
    return loop


@pytest.fixture
def fed() -> list[TimerFired]:
    return []


@pytest.fixture
def timers(loop: Loop, fed: list[TimerFired]) -> Timers:
    return Timers(fed.append)


@pytest.mark.parametrize("timer", Timer)
def test_a_timer_fires_when_its_time_is_over(
    timer: Timer, timers: Timers, loop: Loop, fed: list[TimerFired]
) -> None:
    timers.start(timer, 3, 1, 1_000)
    loop.run(0.95)
    assert fed == []
    loop.run(0.1)
    assert fed == [TimerFired(timer, 3, 1)]
    loop.run(10)
    assert len(fed) == 1


def test_small_delays_of_the_loop_add_up_to_no_long_one(
    timers: Timers, loop: Loop, fed: list[TimerFired]
) -> None:
    timers.start(Timer.VIEW, 1, 0, 1_000)
    loop.run(1.1, lag=0.02)
    assert len(fed) == 1


def test_a_stall_of_the_process_does_not_use_up_the_time_of_a_view(
    timers: Timers, loop: Loop, fed: list[TimerFired]
) -> None:
    timers.start(Timer.VIEW, 1, 0, 1_000)
    loop.run(0.15)
    loop.stall(60)
    loop.run(0.6)
    assert fed == []
    loop.run(0.3)
    assert len(fed) == 1


def test_after_a_stall_at_the_very_end_messages_still_have_a_slice(
    timers: Timers, loop: Loop, fed: list[TimerFired]
) -> None:
    timers.start(Timer.VIEW, 1, 0, 1_000)
    loop.run(0.95)
    loop.stall(5)
    loop.run(0.9 / SLICES)
    assert fed == []
    loop.run(0.2 / SLICES)
    assert len(fed) == 1


def test_a_node_that_always_stalls_still_gives_up_in_the_end(
    timers: Timers, loop: Loop, fed: list[TimerFired]
) -> None:
    timers.start(Timer.VIEW, 1, 0, 1_000)
    loop.run(10, lag=0.5)
    assert len(fed) == 1


def test_a_timer_set_anew_starts_from_the_beginning(
    timers: Timers, loop: Loop, fed: list[TimerFired]
) -> None:
    timers.start(Timer.VIEW, 1, 0, 1_000)
    loop.run(0.9)
    timers.start(Timer.VIEW, 1, 1, 1_000)
    loop.run(0.9)
    assert fed == []
    loop.run(0.2)
    assert fed == [TimerFired(Timer.VIEW, 1, 1)]


@pytest.mark.parametrize("anew", [True, False])
def test_a_firing_that_waited_while_its_timer_was_set_anew_or_stopped_means_nothing(
    anew: bool, timers: Timers, loop: Loop, fed: list[TimerFired]
) -> None:
    timers.start(Timer.VIEW, 1, 0, 1_000)
    loop.run(2)
    (waiting,) = fed
    if anew:
        timers.start(Timer.VIEW, 1, 0, 1_000)
    else:
        timers.stop(Timer.VIEW)
    assert not timers.deliver(waiting)
    loop.run(2)
    assert len(fed) == 1 + anew
    assert all(timers.deliver(fired) for fired in fed[1:])


def test_a_firing_is_delivered_once(timers: Timers, loop: Loop, fed: list[TimerFired]) -> None:
    timers.start(Timer.IDLE, 1, 0, 10)
    loop.run(1)
    assert timers.deliver(fed[0])
    assert not timers.deliver(fed[0])


def test_closing_stops_every_timer(timers: Timers, loop: Loop, fed: list[TimerFired]) -> None:
    for timer in Timer:
        timers.start(timer, 1, 0, 10)
    timers.close()
    loop.run(1)
    assert fed == []
