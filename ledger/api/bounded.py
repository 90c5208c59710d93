"""HTTP connections that cannot be used up: slow, idle and oversized ones end by themselves.

uvicorn bounds how long a connection idles between requests, and nothing else: a connection that
never sends a request, sends one byte a minute, or headers without end, stays. Here

- a request's head has to be there within seconds and below a size,
- a body has to keep coming, and a response has to be taken,
- and where there are too many connections, the one that has waited longest without a request goes.

So connections that do nothing never keep out those that do something.
"""

from __future__ import annotations

import asyncio
import resource
from dataclasses import dataclass
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

#: File descriptors that are kept for everything else: peers, the store, files.
RESERVED_FILES: Final = 256
MOST_FILES: Final = 8192
LEAST_CONNECTIONS: Final = 64


@dataclass(frozen=True, slots=True)
class Bounds:
    """``connections``: at a time. ``head_seconds``, ``head_bytes``: until a request's head is
    there, and its size. ``stall_seconds``: how often a body or a response has to have moved on;
    ``least_rate``: bytes a second that a body has to have come with meanwhile. ``body_seconds``:
    for the whole of a request's body."""

    connections: int = 2_048
    head_seconds: float = 10.0
    head_bytes: int = 64 * 1024
    stall_seconds: float = 30.0
    least_rate: int = 256
    body_seconds: float = 300.0


def raise_file_limit() -> None:
    """Allow this process as many open files as it may have, up to `MOST_FILES`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def fitting(bounds: Bounds) -> int:
    """How many connections this process can hold at a time."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return bounds.connections
    return max(LEAST_CONNECTIONS, min(bounds.connections, soft - RESERVED_FILES))


def bounded_protocol(bounds: Bounds) -> type[HttpToolsProtocol]:
    """The protocol of one server, whose connections share the bounds."""
    most = fitting(bounds)
    #: Connections without a request under way, the longest waiting first.
    waiting: dict[BoundedProtocol, None] = {}

    class BoundedProtocol(HttpToolsProtocol):
        """One connection within the bounds of its server."""

        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            self._timer: asyncio.TimerHandle | None = None
            self._head: int | None = 0  # bytes of a head that is not complete; None between heads
            self._received = 0
            self._began = 0.0
            self._blocked = False
            self._fresh = False

        # --- its life ----------------------------------------------------------------------

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            if len(self.connections) > most:
                oldest = next(iter(waiting), None)
                if oldest is None:
                    self._refuse(503, b"too many connections")
                    return
                oldest._drop()
            waiting[self] = None
            self._watch(bounds.head_seconds, self._no_head)

        def connection_lost(self, exc: Exception | None) -> None:
            waiting.pop(self, None)
            self._rest()
            super().connection_lost(exc)

        def _drop(self) -> None:
            waiting.pop(self, None)
            self.connections.discard(self)
            self.transport.abort()

        def _refuse(self, status: int, text: bytes) -> None:
            """Answer without a request, and close."""
            length = str(len(text)).encode()
            self.transport.write(
                STATUS_LINE[status] + b"content-type: text/plain\r\nconnection: close\r\n"
                b"content-length: " + length + b"\r\n\r\n" + text
            )
            self.transport.close()

        # --- what comes --------------------------------------------------------------------

        def data_received(self, data: bytes) -> None:
            self._received += len(data)
            if self._head is None and self in waiting:
                self._head = 0
                self._watch(bounds.head_seconds, self._no_head)
            unfinished, self._fresh = self._head is not None, False
            super().data_received(data)
            # A head that begins in the middle of what came is counted from the next time on.
            if self._head is not None and unfinished and not self._fresh:
                self._head += len(data)
                if self._head > bounds.head_bytes:
                    self._refuse(431, b"the head of the request is too large")

        def on_message_begin(self) -> None:
            super().on_message_begin()
            if self._head is None:
                self._head, self._fresh = 0, True

        def on_headers_complete(self) -> None:
            super().on_headers_complete()
            self._head = None
            waiting.pop(self, None)
            self._received = 0
            self._began = self.loop.time()
            self._watch(bounds.stall_seconds, self._moved)

        def on_response_complete(self) -> None:
            super().on_response_complete()
            if not self.cycle.response_complete:
                return  # the next one is under way already
            if self.transport.is_closing():
                self._watch(bounds.stall_seconds, self._drop)
                return
            waiting[self] = None
            # uvicorn ends one that idles, but not one that does not take the end of its answer.
            idle = self.timeout_keep_alive + bounds.stall_seconds
            self._watch(idle if self._head is None else bounds.head_seconds, self._no_head)

        # --- what takes too long -----------------------------------------------------------

        def _watch(self, seconds: float, then: Any) -> None:
            self._rest()
            self._timer = self.loop.call_later(seconds, then)

        def _rest(self) -> None:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

        def _no_head(self) -> None:
            # One that has begun is told; one that has sent nothing has nothing to be answered.
            if self._head:
                self._refuse(408, b"the head of the request took too long")
            self._drop()

        def _moved(self) -> None:
            """Whether a request has moved on since it was last looked at."""
            body_due = self.cycle.more_body and not self.flow.read_paused
            late = self.loop.time() - self._began > bounds.body_seconds
            slow = self._received < bounds.least_rate * bounds.stall_seconds
            if self._blocked or (body_due and (slow or late)):
                self._drop()
                return
            self._received = 0
            self._blocked = self.flow.write_paused
            self._watch(bounds.stall_seconds, self._moved)

        def resume_writing(self) -> None:
            self._blocked = False
            super().resume_writing()

    return BoundedProtocol
