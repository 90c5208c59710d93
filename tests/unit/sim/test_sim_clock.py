"""Wall clocks of simulated machines."""

from __future__ import annotations

from ledger.sim.clock import SimClock

EPOCH = 1_767_225_600_000


class Time:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_right_clock_follows_virtual_time():
    time = Time()
    clock = SimClock(time, EPOCH)
    time.now = 12.5
    assert clock() == EPOCH + 12_500
    assert clock.error == 0


def test_a_skewed_clock_is_wrong_by_that_much_and_jumps_add_up():
    clock = SimClock(Time(), EPOCH)
    clock.skew(-60_000)
    assert clock.error == -60_000
    clock.skew(2_000)
    clock.jump(500)
    assert clock.error == 2_500


def test_a_drifting_clock_gains_from_now_on_and_can_be_set_right():
    time = Time()
    clock = SimClock(time, EPOCH)
    time.now = 1_000.0
    clock.drift(1_000)  # a millisecond a second
    assert clock.error == 0
    time.now = 2_000.0
    assert clock.error == 1_000
    clock.correct()
    time.now = 3_000.0
    assert clock.error == 0
