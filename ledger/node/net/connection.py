"""One TLS connection to another node, from the end of the TLS handshake until it is lost.

What is to be sent is collected during one turn of the event loop and written in large pieces: one
TLS record and one system call then carry many frames.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass, field
from typing import Final, Protocol, cast

from ledger.chain import limits
from ledger.chain.codec import Malformed
from ledger.node.net.frames import (
    HEADER_BYTES,
    KINDS,
    MAX_HELLO_BYTES,
    Frame,
    FrameError,
    FrameReader,
    Hello,
    NewHead,
    Ping,
    Pong,
    decode_frame,
    encode_frame,
)
from ledger.node.net.outbox import Outbox

_WRITE_BYTES: Final = 256 * limits.KIB


@dataclass(frozen=True, slots=True)
class TransportSettings:
    """Local limits of a node's connections; times in seconds, sizes in bytes.

    ``handshake_timeout``: for TLS and `Hello` together. ``ping_interval``: between heartbeats.
    ``silence_timeout``: a peer that sent nothing for so long is dead. ``stall_timeout``: a peer
    that let no 256 KiB through for so long is dropped. ``backoff_first`` and ``backoff_cap``:
    pauses between attempts to connect. ``queue_bytes``: what may wait for one peer.
    ``max_connections``: established ones; nodes with a configured address are let in beyond it.
    ``max_handshakes``: incoming ones that are not established yet; beyond it the oldest has to go.
    ``accepts_per_second`` bounds what a flood of handshakes may cost, and with it how soon an
    honest handshake could be pushed out: with 128 and 200, not within 0.6 seconds.
    """

    handshake_timeout: float = 5.0
    ping_interval: float = 3.0
    silence_timeout: float = 10.0
    stall_timeout: float = 20.0
    backoff_first: float = 0.1
    backoff_cap: float = 3.0
    queue_bytes: int = 64 * limits.MIB
    max_connections: int = 256
    max_handshakes: int = 128
    accepts_per_second: int = 200

    def __post_init__(self) -> None:
        if self.queue_bytes < limits.MAX_FRAME_BYTES + 4:
            raise ValueError("queue_bytes must hold the largest frame")
        if self.silence_timeout < 2 * self.ping_interval:
            raise ValueError("silence_timeout must be at least two ping_intervals")


@dataclass(slots=True)
class Volume:
    """So many frames, with so many bytes in all."""

    frames: int = 0
    bytes: int = 0

    def add(self, size: int) -> None:
        """Count one frame of that many bytes."""
        self.frames += 1
        self.bytes += size


def _volumes() -> dict[str, Volume]:
    # Every kind from the beginning: whoever reads while others count never sees the dict grow.
    return {record.__name__: Volume() for record, _ in KINDS.values()}


@dataclass(slots=True)
class Traffic:
    """What became of connections and frames since the start.

    ``dials`` and ``failed_dials``: attempts to connect. ``dropped``: frames that found no room, by
    kind. ``refused``: connections that this node turned away or ended, by reason. ``sent`` and
    ``received``: frames and their bytes by kind; a frame counts as sent when it is queued.
    """

    dials: int = 0
    failed_dials: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    sent: dict[str, Volume] = field(default_factory=_volumes)
    received: dict[str, Volume] = field(default_factory=_volumes)


class Owner(Protocol):
    """What a connection asks of the network that it belongs to."""

    settings: TransportSettings

    @property
    def traffic(self) -> Traffic:
        """Where connections and frames are counted."""

    def identify(self, certificate: ssl.SSLObject) -> str | None:
        """The id of the node whose certificate the other side showed, or None."""

    def hello(self) -> Hello:
        """This node's greeting."""

    def pong(self) -> Pong:
        """This node's answer to a `Ping`."""

    def admit(self, connection: Connection, hello: Hello) -> str:
        """Register a connection whose greeting came; empty, or the reason why not."""

    def deliver(self, connection: Connection, frame: Frame) -> None:
        """Take a frame of a registered connection; `Malformed` makes the peer pay for it."""

    def ended(self, connection: Connection, explanation: str) -> None:
        """The connection is over; `Connection.reason` says why."""


class Connection(asyncio.Protocol):
    """One end of a connection.

    Args:
        owner: the network that it belongs to.
        expected: the node that was dialled; empty for an incoming connection.
        address: where the other side is, for the log.
    """

    def __init__(self, owner: Owner, *, expected: str = "", address: str = "") -> None:
        loop = asyncio.get_running_loop()
        self._loop = loop
        self._owner = owner
        self._transport: asyncio.Transport | None = None
        self._reader = FrameReader(first_limit=MAX_HELLO_BYTES)
        self._outbox = Outbox(owner.settings.queue_bytes, owner.traffic.dropped)
        self._flushing = False
        self._paused_at: float | None = None
        self._heard_at = loop.time()
        self.expected = expected
        self.address = address
        self.dialled = bool(expected)
        #: The node on the other side, known when TLS is up.
        self.node = ""
        #: Whether the greeting was accepted and the connection is in use.
        self.established = False
        #: Height of the peer's newest final block, as it last said.
        self.height = 0
        #: Why it ended; empty as long as it has not.
        self.reason = ""
        #: Done when the connection is established or over.
        self.ready: asyncio.Future[None] = loop.create_future()
        #: Done when the connection is over.
        self.closed: asyncio.Future[None] = loop.create_future()
        #: Done when the socket is closed too.
        self.gone: asyncio.Future[None] = loop.create_future()

    @property
    def queued(self) -> int:
        """Bytes that wait to be sent."""
        return self._outbox.size

    @property
    def certificate(self) -> ssl.SSLObject | None:
        """The TLS object that holds the peer's certificate."""
        return self._transport.get_extra_info("ssl_object") if self._transport else None

    def send(self, kind: type[Frame], data: bytes) -> bool:
        """Queue an encoded frame; False when it was dropped or the connection is over."""
        if self.reason or not self._outbox.put(kind, data):
            return False
        self._owner.traffic.sent[kind.__name__].add(len(data))
        if not self._flushing and self._paused_at is None:
            self._flushing = True
            self._loop.call_soon(self._flush)
        return True

    def beat(self, now: float, ping: Ping) -> None:
        """Send a heartbeat, or give up on a peer that is silent or does not read."""
        settings = self._owner.settings
        if now - self._heard_at > settings.silence_timeout:
            self.end("silent")
        elif self._paused_at is not None and now - self._paused_at > settings.stall_timeout:
            self.end("stalled")
        else:
            self.send(Ping, encode_frame(ping))

    def end(self, reason: str, explanation: str = "", *, politely: bool = False) -> None:
        """End the connection; politely means that what waits to be sent still goes out."""
        if self.reason:
            return
        if politely:
            self._flush()
        self.reason = reason
        if self._transport is not None:
            if politely:
                self._transport.close()
            else:
                self._transport.abort()
        self._finish(explanation)

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do not inherit from asyncio's.
        transport = self._transport = cast(asyncio.Transport, transport)
        if self.reason:
            transport.abort()
            return
        self._heard_at = self._loop.time()
        transport.set_write_buffer_limits(high=_WRITE_BYTES)
        node = self._owner.identify(transport.get_extra_info("ssl_object"))
        if node is None:
            self.end("unknown_certificate")
        elif self.expected and node != self.expected:
            self.end("wrong_identity", f"{self.expected} was dialled, {node} answered")
        else:
            self.node = node
            self.send(Hello, encode_frame(self._owner.hello()))

    def data_received(self, data: bytes) -> None:
        if self.closed.done():
            return
        self._heard_at = self._loop.time()
        try:
            for payload in self._reader.feed(data):
                frame = decode_frame(payload)
                received = self._owner.traffic.received[type(frame).__name__]
                received.add(HEADER_BYTES + len(payload))
                self._receive(frame)
                if self.closed.done():
                    return
        except FrameError as fault:
            self.end(fault.reason, str(fault))
        except Malformed as fault:
            self.end("malformed", str(fault))

    def pause_writing(self) -> None:
        self._paused_at = self._loop.time()

    def resume_writing(self) -> None:
        self._paused_at = None
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.reason:
            self.reason = "lost" if self.established else "closed_by_peer"
            self._finish(str(exc or ""))
        if not self.gone.done():
            self.gone.set_result(None)

    # inner workings

    def _receive(self, frame: Frame) -> None:
        if isinstance(frame, Hello):
            self._greet(frame)
            return
        if not self.established:
            self.end("no_hello", f"the first frame is a {type(frame).__name__}")
            return
        if isinstance(frame, Ping):
            self.send(Pong, encode_frame(self._owner.pong()))
        if isinstance(frame, Ping | Pong | NewHead):
            self.height = frame.height
        self._owner.deliver(self, frame)

    def _greet(self, hello: Hello) -> None:
        if self.ready.cancelled():
            return  # too late by a moment: whoever waited has given up, and ends the connection
        if self.established:
            self.end("repeated_hello")
            return
        self.height = hello.height
        refusal = self._owner.admit(self, hello)
        if refusal:
            # The peer should still get our greeting: its operator then sees what differs.
            self.end(
                refusal,
                f"it says: version {hello.version}, chain {hello.chain.hex()}, node {hello.node!r}",
                politely=True,
            )
            return
        self.established = True
        self.ready.set_result(None)
        self._owner.deliver(self, hello)

    def _flush(self) -> None:
        self._flushing = False
        transport, outbox = self._transport, self._outbox
        if transport is None:
            return
        while self._paused_at is None and not transport.is_closing():
            data = outbox.take(_WRITE_BYTES)
            if not data:
                break
            transport.write(data)

    def _finish(self, explanation: str) -> None:
        if not self.ready.done():
            self.ready.set_result(None)
        if not self.closed.done():
            self.closed.set_result(None)
        self._owner.ended(self, explanation)
