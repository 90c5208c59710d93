"""What carries the bytes between two nodes: TCP with TLS 1.3, or what stands in for it in the
simulator.

A carrier brings an `asyncio.Protocol` together with a transport whose ``ssl_object`` gives the
certificate that the other side has shown. Everything above that is the same for all carriers.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import Final, NamedTuple, Protocol

_SHUTDOWN_SECONDS: Final = 1.0


class Incoming(Protocol):
    """A connection that somebody else has begun."""

    async def open(self, protocol: asyncio.Protocol, timeout_s: float) -> None:
        """Go through with it; raises `OSError`, which `ssl.SSLError` is too."""


class Listener(Protocol):
    """Waits for connections at one address."""

    @property
    def port(self) -> int:
        """The port that is listened on."""

    async def accept(self) -> tuple[Incoming, str]:
        """The next connection and where it comes from; raises `OSError`."""

    def close(self) -> None:
        """Listen no longer."""


class Carrier(Protocol):
    """Makes connections, as the side that listens and as the side that calls."""

    def listen(self, host: str, port: int) -> Listener:
        """Listen from now on; port 0 takes a free one. Raises `OSError`."""

    async def dial(
        self, protocol: asyncio.Protocol, host: str, port: int, timeout_s: float
    ) -> None:
        """Connect to somebody who listens; raises `OSError`."""


class TlsContexts(NamedTuple):
    """How this node shows itself and whom it lets in, when it listens and when it dials."""

    server: ssl.SSLContext
    client: ssl.SSLContext


class TlsCarrier:
    """TCP with TLS 1.3 and certificates on both sides.

    Args:
        contexts: both must demand a certificate of the other side.
    """

    def __init__(self, contexts: TlsContexts) -> None:
        self._contexts = contexts

    def listen(self, host: str, port: int) -> Listener:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.create_server((host, port), family=family, backlog=128)
        listening.setblocking(False)
        return _TlsListener(listening, self._contexts.server)

    async def dial(
        self, protocol: asyncio.Protocol, host: str, port: int, timeout_s: float
    ) -> None:
        await asyncio.get_running_loop().create_connection(
            lambda: protocol,
            host,
            port,
            ssl=self._contexts.client,
            ssl_handshake_timeout=timeout_s,
            ssl_shutdown_timeout=_SHUTDOWN_SECONDS,
        )


class _TlsListener:
    def __init__(self, listening: socket.socket, context: ssl.SSLContext) -> None:
        self._socket = listening
        self._context = context

    @property
    def port(self) -> int:
        return int(self._socket.getsockname()[1])

    async def accept(self) -> tuple[Incoming, str]:
        accepted, address = await asyncio.get_running_loop().sock_accept(self._socket)
        return _TlsIncoming(accepted, self._context), f"{address[0]}:{address[1]}"

    def close(self) -> None:
        self._socket.close()


class _TlsIncoming:
    def __init__(self, accepted: socket.socket, context: ssl.SSLContext) -> None:
        self._socket = accepted
        self._context = context

    async def open(self, protocol: asyncio.Protocol, timeout_s: float) -> None:
        await asyncio.get_running_loop().connect_accepted_socket(
            lambda: protocol,
            self._socket,
            ssl=self._context,
            ssl_handshake_timeout=timeout_s,
            ssl_shutdown_timeout=_SHUTDOWN_SECONDS,
        )
