"""One simulated connection: two ends, each the transport of a production `Connection`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextvars import Context
from random import Random
from typing import Any, Final, Protocol

from ledger.node.net.frames import HEADER_BYTES
from ledger.sim.loop import Process, SimLoop
from ledger.sim.traffic import Traffic
from ledger.sim.weather import Weather

#: A frame that comes twice or out of order is so many times later than others.
STRAGGLER: Final = 6.0


class SimTls:
    """Stands for the TLS object of a connection: it has the certificate of the other side."""

    def __init__(self, certificate: bytes) -> None:
        self._certificate = certificate

    def getpeercert(self, binary_form: bool = False) -> bytes:
        """The certificate as DER; nobody asks for another form."""
        return self._certificate


class Medium(Protocol):
    """What an end asks of the network that it is in; see `ledger.sim.network.SimNetwork`."""

    loop: SimLoop
    random: Random
    weather: Weather
    traffic: Traffic
    rewriters: dict[str, Callable[[str, bytes], Sequence[bytes]]]
    watchers: list[Callable[[str, str, bytes], None]]

    def passing_time(self, sender: str, receiver: str) -> float:
        """How long something takes in that direction, in seconds."""

    def forget(self, end: End) -> None:
        """An end is closed."""


class End(asyncio.Transport):
    """One node's end. What is written leaves frame by frame."""

    def __init__(
        self,
        network: Medium,
        node: str,
        peer_node: str,
        process: Process | None,
        protocol: asyncio.Protocol,
    ) -> None:
        super().__init__()
        self._network = network
        self._loop = network.loop
        self.node = node
        self.peer_node = peer_node
        self.process = process
        self._protocol = protocol
        self._context: Context = network.loop.context(process)
        self._other: End | None = None
        self._tls: SimTls | None = None
        self._unsent = b""
        self._greeted = False
        self._closing = False
        self._over = False
        # Bytes that have not left yet, and frames that a cut line keeps from leaving.
        self._waiting = 0
        self._held: list[tuple[int, bytes]] = []
        self._written = 0
        self._full = False
        self._high = 2**16
        self._line_free = 0.0
        self._last_arrival = 0.0

    def meet(self, other: End, tls: SimTls) -> None:
        """Know the other end, and what it has shown."""
        self._other = other
        self._tls = tls

    def begin(self, delay: float) -> None:
        """Tell the protocol that the connection stands."""
        if self._other is not None:
            self._other._last_arrival = self._loop.time() + delay
        self._later(delay, self._made)

    def _made(self) -> None:
        if not self._over:
            self._protocol.connection_made(self)

    def _later(self, delay: float, call: Any, *args: Any) -> None:
        self._loop.call_later(delay, call, *args, context=self._context)

    # --- what the node's connection asks of its transport --------------------------------------

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._tls if name == "ssl_object" else default

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._high = high or self._high

    def is_closing(self) -> bool:
        return self._closing or self._over

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self.is_closing():
            return
        stream = self._unsent + bytes(data) if self._unsent else bytes(data)
        position = 0
        while len(stream) - position >= HEADER_BYTES:
            end = position + HEADER_BYTES + int.from_bytes(stream[position : position + 4])
            if end > len(stream):
                break
            frame = stream[position:end]
            rewrite = self._network.rewriters.get(self.node)
            for changed in (frame,) if rewrite is None else rewrite(self.peer_node, frame):
                self.carry(changed)
            position = end
        self._unsent = stream[position:]

    def close(self) -> None:
        """Hang up after everything that was written."""
        if not self.is_closing():
            self._closing = True
            self._send_end(after=self._last_arrival)
            self._later(0, self._finish)

    def abort(self) -> None:
        """Hang up at once; what was written may be lost."""
        if not self._over:
            self._send_end(after=0.0)
            self._later(0, self._finish)
            self._closing = True

    # --- the way of a frame --------------------------------------------------------------------

    def carry(self, frame: bytes) -> None:
        """Put one frame on the line."""
        network = self._network
        network.traffic.leaves(self.node, frame)
        for watch in network.watchers:
            watch(self.node, self.peer_node, frame)
        self._waiting += len(frame)
        self._written += 1
        if self._held or not network.weather.is_open(self.node, self.peer_node):
            self._held.append((self._written, frame))
        else:
            self._depart(self._written, frame)
        if self._waiting > self._high and not self._full:
            self._full = True
            self._later(0, self._pause)

    def release(self) -> None:
        """The line may be open again: let go what waited for that."""
        if self._held and self._network.weather.is_open(self.node, self.peer_node):
            held, self._held = self._held, []
            for number, frame in sorted(held):
                self._depart(number, frame)

    def _depart(self, number: int, frame: bytes) -> None:
        network, line = self._network, self._network.weather.line(self.node, self.peer_node)
        now = self._loop.time()
        leaves = now
        if line.rate:
            leaves = self._line_free = max(now, self._line_free) + len(frame) / line.rate
            self._loop.call_at(leaves, self._departed, len(frame), context=self._context)
        else:
            self._departed(len(frame))
        if not self._greeted:  # a connection whose greeting is lost never stood
            self._greeted = True
        elif line.loss and network.random.random() < line.loss:
            network.traffic.lost[self.node] += 1
            return
        arrives = leaves + network.passing_time(self.node, self.peer_node)
        if line.reordering and network.random.random() < line.reordering:
            self._arrive_at(self._late(arrives), number, frame)
        else:
            arrives = self._last_arrival = max(arrives, self._last_arrival)
            self._arrive_at(arrives, number, frame)
        if line.duplication and network.random.random() < line.duplication:
            self._arrive_at(self._late(arrives), number, frame)

    def _late(self, when: float) -> float:
        slowest = self._network.weather.line(self.node, self.peer_node).delay[1]
        return when + STRAGGLER * self._network.random.random() * slowest / 1000

    def _arrive_at(self, when: float, number: int, frame: bytes) -> None:
        other = self._other
        if other is not None:
            self._loop.call_at(when, other._arrived, number, frame, context=other._context)

    def _departed(self, size: int) -> None:
        self._waiting -= size
        if self._full and self._waiting <= self._high // 4:
            self._full = False
            self._later(0, self._resume)

    def _pause(self) -> None:
        if self._full and not self._over:
            self._protocol.pause_writing()

    def _resume(self) -> None:
        if not self._full and not self._over:
            self._protocol.resume_writing()

    def _arrived(self, number: int, frame: bytes) -> None:
        other = self._other
        if other is None:
            return
        if not self._network.weather.is_open(other.node, self.node):
            other._held.append((number, frame))  # as TCP would send it again
            other._waiting += len(frame)
        elif self._over or self._closing:
            self._send_end(after=0.0)
        else:
            self._network.traffic.arrives(self.node, frame)
            self._protocol.data_received(frame)

    # --- the end -------------------------------------------------------------------------------

    def _send_end(self, *, after: float) -> None:
        """Tell the other end that this one is gone, if the line lets it."""
        other, network = self._other, self._network
        if other is None or not network.weather.is_open(self.node, self.peer_node):
            return
        when = max(after, self._loop.time() + network.passing_time(self.node, self.peer_node))
        self._loop.call_at(when, other._finish, context=other._context)

    def _finish(self) -> None:
        if not self._over:
            self._over = True
            self._held.clear()
            self._network.forget(self)
            self._protocol.connection_lost(None)

    def vanish(self, *, told: bool) -> None:
        """The process of this end is gone without a word of its own."""
        if told:
            self._send_end(after=0.0)
        self._over = True
        self._held.clear()
        self._network.forget(self)
