"""Server-sent events (WHATWG HTML §9.2) to a listener that may be slow, silent or gone.

FastAPI's own response keeps a generator and a buffer in between; here nothing is read from the
chain before the last message has left, so a listener costs one page of events at most. One that
does not take a message in `PATIENCE_S` seconds is cut off; it comes back with the last id that it
has and loses nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import Final

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ledger.node.answers import Cursor, LedgerEvent
from ledger.node.events import Passed
from ledger.node.listening.wire import event_json

MEDIA_TYPE: Final = "text/event-stream"
#: Seconds of silence after which a comment goes out: proxies close what is silent for a minute.
HEARTBEAT_S: Final = 15.0
#: How long one message may take to leave, in seconds.
PATIENCE_S: Final = 30.0
#: A stream ends after so many seconds, and the listener comes back with its credential of then.
LIFETIME_S: Final = 900.0


def message(event: LedgerEvent) -> bytes:
    """One event on the wire. JSON has no line ends outside of texts and none unescaped inside."""
    return b"data: %b\nid: %b\n\n" % (event_json(event), str(event.cursor).encode())


def heartbeat(cursor: Cursor | None) -> bytes:
    """A sign of life. Without data it is no event; its id moves the place to come back to."""
    if cursor is None:
        return b": still here\n\n"
    return b": still here\nid: %b\n\n" % str(cursor).encode()


class EventStream(Response):
    """Sends what a feed yields until it ends, the listener goes, or its time is over.

    Args:
        source: closed in the end.
        place: released in the end.
    """

    media_type = MEDIA_TYPE

    def __init__(
        self, source: AsyncGenerator[LedgerEvent | Passed, None], place: contextlib.ExitStack
    ) -> None:
        super().__init__()
        del self.headers["content-length"]
        self._source = source
        self._place = place

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        gone = asyncio.create_task(_gone(receive))
        speaking = asyncio.create_task(self._speak(send))
        try:
            with contextlib.suppress(TimeoutError, OSError):
                async with asyncio.timeout(LIFETIME_S):
                    await asyncio.wait((gone, speaking), return_when=asyncio.FIRST_COMPLETED)
            if speaking.done():
                speaking.result()
        except TimeoutError:
            # Too slow. What is in the buffers of the connection will not arrive in one piece.
            return
        finally:
            left = gone.done()
            for task in (gone, speaking):
                task.cancel()
            await asyncio.gather(gone, speaking, return_exceptions=True)
            await self._source.aclose()
            self._place.close()
        if not left:
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(PATIENCE_S):
                    await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _speak(self, send: Send) -> None:
        async with asyncio.timeout(PATIENCE_S):
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        passed: Cursor | None = None
        told: Cursor | None = None
        waiting: asyncio.Task[LedgerEvent | Passed] | None = None
        try:
            while True:
                if waiting is None:
                    waiting = asyncio.create_task(anext(self._source))
                done, _ = await asyncio.wait((waiting,), timeout=HEARTBEAT_S)
                if not done:
                    await self._send(send, heartbeat(passed if passed != told else None))
                    told = passed
                    continue
                try:
                    item = waiting.result()
                except StopAsyncIteration:
                    return
                finally:
                    waiting = None
                if isinstance(item, Passed):
                    passed = item.cursor
                else:
                    await self._send(send, message(item))
        finally:
            if waiting is not None:
                waiting.cancel()
                await asyncio.gather(waiting, return_exceptions=True)

    async def _send(self, send: Send, body: bytes) -> None:
        async with asyncio.timeout(PATIENCE_S):
            await send({"type": "http.response.body", "body": body, "more_body": True})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
