"""The jobs that run in a node."""

from __future__ import annotations

import asyncio

import pytest

from ledger.node.jobs import Jobs


async def for_ever() -> None:
    await asyncio.Event().wait()


async def nothing() -> None:
    """Just finish."""


async def fails() -> None:
    raise OSError("broken")


async def test_a_job_that_finishes_ends_nothing_and_one_that_fails_is_told():
    jobs = Jobs()
    jobs.spawn(nothing())
    jobs.spawn(for_ever())
    failing = asyncio.create_task(jobs.failure())
    for _ in range(3):
        await asyncio.sleep(0)
    assert not failing.done()
    jobs.spawn(fails())
    with pytest.raises(OSError, match="broken"):
        await failing
    await jobs.stop()


async def test_stopping_ends_every_job_before_it_returns():
    jobs, ended = Jobs(), []

    async def tidies_up() -> None:
        try:
            await for_ever()
        finally:
            await asyncio.sleep(0)
            ended.append(1)

    jobs.spawn(tidies_up())
    jobs.spawn(tidies_up())
    await asyncio.sleep(0)
    await jobs.stop()
    assert ended == [1, 1]


async def test_stopping_twice_is_the_same_as_once():
    jobs = Jobs()
    jobs.spawn(for_ever())
    await jobs.stop()
    await jobs.stop()
