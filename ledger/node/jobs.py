"""The jobs of a node: what runs beside each other from its start to its end."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine


class Jobs:
    """Runs jobs until one fails or all are stopped. A job may also just finish."""

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []
        self._ended: asyncio.Queue[asyncio.Task[None]] = asyncio.Queue()

    def spawn(self, job: Coroutine[None, None, None]) -> None:
        """Run one more job."""
        task = asyncio.create_task(job)
        task.add_done_callback(self._ended.put_nowait)
        self._tasks.append(task)

    async def failure(self) -> None:
        """Wait for the first job that fails, and raise what it raised."""
        while True:
            task = await self._ended.get()
            self._tasks.remove(task)
            task.result()

    async def stop(self) -> None:
        """Cancel what runs, and wait until nothing does."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
