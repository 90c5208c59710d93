"""The event loop on virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from ledger.sim import loop as loop_module
from ledger.sim.loop import RUNNING, Overrun, Process, SimLoop


@pytest.fixture
def loop() -> Iterator[SimLoop]:
    made = SimLoop(job_seconds=lambda _process: 0.01)
    yield made
    made.close()


def spawn(loop: SimLoop, job, process: Process | None = None) -> asyncio.Task:
    return loop.inside(lambda: loop.create_task(job), process)


def test_time_jumps_to_the_next_timer_and_stands_still_between(loop: SimLoop):
    seen: list[float] = []

    async def job() -> None:
        for pause in (3600, 0.5, 0):
            await asyncio.sleep(pause)
            seen.append(asyncio.get_running_loop().time())

    spawn(loop, job())
    loop.advance(10_000)
    assert seen == [3600, 3600.5, 3600.5]
    assert loop.time() == 10_000


def test_timers_of_one_moment_come_in_the_order_in_which_they_were_set(loop: SimLoop):
    came: list[int] = []
    for number in (3, 1, 2):
        loop.call_at(5.0, came.append, number)
    loop.advance(6)
    assert came == [3, 1, 2]


def test_a_cancelled_timer_does_not_fire(loop: SimLoop):
    came: list[int] = []
    loop.call_later(1, came.append, 1).cancel()
    loop.advance(2)
    assert came == []


def test_jobs_for_threads_take_their_time_one_after_the_other(loop: SimLoop):
    done: list[tuple[str, float]] = []

    async def job() -> None:
        from concurrent.futures import ThreadPoolExecutor

        pool = ThreadPoolExecutor(max_workers=1)
        first = loop.run_in_executor(pool, lambda: done.append(("first", loop.time())))
        second = loop.run_in_executor(pool, lambda: done.append(("second", loop.time())))
        await asyncio.gather(first, second)
        assert await asyncio.to_thread(lambda: "anywhere") == "anywhere"
        done.append(("end", loop.time()))

    task = spawn(loop, job())
    loop.advance(1)
    task.result()
    assert [name for name, _ in done] == ["first", "second", "end"]
    assert [round(when, 3) for _, when in done] == [0.01, 0.02, 0.03]


def test_what_a_job_raises_reaches_whoever_waits(loop: SimLoop):
    async def job() -> None:
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(lambda: 1 // 0)

    task = spawn(loop, job())
    loop.advance(1)
    task.result()


def test_what_spins_is_stopped(loop: SimLoop, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(loop_module, "MAX_STEPS_AT_ONCE", 1_000)

    async def spin() -> None:
        while True:
            await asyncio.sleep(0)

    spawn(loop, spin())
    with pytest.raises(Overrun, match="something spins"):
        loop.advance(1)


def test_virtual_time_has_an_end():
    limited = SimLoop(limit_s=60)
    with pytest.raises(Overrun, match="virtual time"):
        limited.advance(61)
    limited.close()


def test_timeouts_and_cancellation_work_as_elsewhere(loop: SimLoop):
    ended: list[str] = []

    async def sleeper() -> None:
        try:
            await asyncio.sleep(100)
        finally:
            ended.append("sleeper")

    async def job() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2):
                await sleeper()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(sleeper(), 3)
        ended.append(f"at {loop.time():g}")

    task = spawn(loop, job())
    loop.advance(10)
    task.result()
    assert ended == ["sleeper", "sleeper", "at 5"]


def test_a_process_that_is_killed_has_its_last_words_and_then_nothing(loop: SimLoop):
    said: list[str] = []
    process = Process("A")

    async def job() -> None:
        loop.call_later(5, said.append, "a timer of the dead")
        try:
            await asyncio.sleep(100)
        finally:
            said.append("last words")

    spawn(loop, job(), process)
    loop.advance(1)
    loop.kill(process)
    loop.advance(200)
    assert said == ["last words"]
    assert not process.alive


def test_a_paused_process_catches_up_when_it_goes_on(loop: SimLoop):
    ticks: list[float] = []
    process = Process("A")

    async def job() -> None:
        assert RUNNING.get() is process
        while True:
            await asyncio.sleep(1)
            ticks.append(loop.time())

    spawn(loop, job(), process)
    loop.advance(2.5)
    process.paused = []
    loop.advance(10)
    assert ticks == [1, 2]
    loop.resume(process)
    loop.advance(11.5)
    assert ticks == [1, 2, 10, 11]


def test_what_fails_in_a_callback_is_kept_with_whose_it_was(loop: SimLoop):
    process = Process("A")
    loop.inside(lambda: loop.call_soon(lambda: 1 // 0), process)
    loop.advance(1)
    ((whose, error),) = loop.failures
    assert whose is process
    assert isinstance(error, ZeroDivisionError)
