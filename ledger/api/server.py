"""Serving an application inside a process that has other work and its own signal handling."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator

import uvicorn
from starlette.types import ASGIApp

from ledger.api.bounded import Bounds, bounded_protocol

DEFAULT_BOUNDS = Bounds()
BACKLOG = 512
#: How long an idle connection stays open, in seconds: longer than clients keep theirs (httpx: 5),
#: or a request can meet the end of its connection half-way.
KEEP_ALIVE_S = 20
GRACE_S = 2


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the node decides when to stop."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def serving(
    app: ASGIApp, host: str, port: int, bounds: Bounds = DEFAULT_BOUNDS
) -> AsyncIterator[str]:
    """Serve ``app`` for the length of the block; yields the base URL (port 0 picks a free one).

    Raises:
        OSError: the address can't be bound.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
    listener.setblocking(False)
    config = uvicorn.Config(
        app,
        loop="none",
        http=bounded_protocol(bounds),
        ws="none",
        lifespan="off",
        access_log=False,
        log_level="warning",
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACE_S,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]), name="http-api")
    try:
        while not server.started and not task.done():
            await asyncio.sleep(0.01)
        if task.done():
            task.result()
        shown = f"[{host}]" if ":" in host else host
        yield f"http://{shown}:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task
        listener.close()


async def serve(app: ASGIApp, host: str, port: int) -> None:
    """Serve until cancelled; raises as `serving` does."""
    async with serving(app, host, port):
        await asyncio.Event().wait()
