"""Lines of `tests.support.lab.line` for tests whose nodes are processes: they run on a thread."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Self, TypeVar

from tests.support.lab.line import Line, Shape

T = TypeVar("T")


class ThinLines:
    """Proxies on loopback, all of one shape. Use as a context manager."""

    def __init__(self, shape: Shape) -> None:
        self._shape = shape
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._servers: list[asyncio.Server] = []
        #: The lines in the order in which they were laid.
        self.lines: list[Line] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, job: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(job, self._loop).result(timeout=30)

    def lay(self, port: int) -> int:
        """Lay a line to a port on this machine; the port at its near end."""
        return self._run(self._lay(functools.partial(asyncio.open_connection, "127.0.0.1", port)))

    async def _lay(self, dial: Callable[[], Any]) -> int:
        line = Line(dial, seed=len(self.lines))
        line.shape = self._shape
        server = await asyncio.start_server(line.serve, "127.0.0.1", 0)
        self.lines.append(line)
        self._servers.append(server)
        port: int = server.sockets[0].getsockname()[1]
        return port

    @property
    def carried(self) -> int:
        """Bytes that have come through, both ways, on all lines."""
        return sum(line.carried for line in self.lines)

    async def _close(self) -> None:
        for server in self._servers:
            server.close()
        for line in self.lines:
            line.reset()
        left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
