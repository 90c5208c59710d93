"""The simulated network: production connections over lines that delay, lose and cut.

The transport of the node runs as it is, over a `Carrier` of ours: it dials and greets, keeps queues
and heartbeats, drops who is silent. Frames cross as the bytes that the production codec made of
them. What arrives where nothing is cut arrives in order unless a line reorders; what is cut off
waits at its sender, as TCP would keep it, until the line opens or an end gives up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding

from ledger.node.net.carrier import Incoming
from ledger.node.net.connection import TransportSettings
from ledger.node.net.frames import HEADER_BYTES
from ledger.node.net.links import Links, Station, links_over
from ledger.sim.cable import End, SimTls
from ledger.sim.loop import RUNNING, Process, SimLoop
from ledger.sim.traffic import Traffic
from ledger.sim.weather import Line, Names, Weather, names

#: Sender, receiver, and a whole frame with its length in front.
Watcher = Callable[[str, str, bytes], None]
#: For a receiver and a frame: the frames that are sent instead.
Rewriter = Callable[[str, bytes], Sequence[bytes]]


class SimNetwork:
    """All lines, and who is connected over them.

    Args:
        loop: gives the time.
        random: decides about delay and loss.
        usual: what lines are like that nobody has changed.
    """

    def __init__(self, loop: SimLoop, random: Random, usual: Line | None = None) -> None:
        self.loop = loop
        self.random = random
        self.weather = Weather(usual or Line())
        self.traffic = Traffic()
        #: Told of each frame when it is sent, after rewriting.
        self.watchers: list[Watcher] = []
        #: Node id → what its frames become; how liars get their words out.
        self.rewriters: dict[str, Rewriter] = {}
        self.settings = TransportSettings()
        self._addresses: dict[str, str] = {}
        self._listeners: dict[str, _Listener] = {}
        self._ends: dict[End, None] = {}

    # --- what a story does to it ---------------------------------------------------------------

    def partition(self, *groups: Names) -> None:
        """Split the network; nodes that are not named form one more group."""
        self.weather.partition(groups)

    def link(
        self,
        first: str,
        second: str,
        *,
        delay: tuple[float, float] | None = None,
        loss: float | None = None,
        duplication: float | None = None,
        reordering: float | None = None,
        rate: float | None = None,
        cut: bool | None = None,
        one_way: bool = False,
    ) -> None:
        """Change the line between two nodes, in both directions or only from first to second."""
        given = {
            "delay": delay,
            "loss": loss,
            "duplication": duplication,
            "reordering": reordering,
            "rate": rate,
            "cut": cut,
        }
        changes = {name: value for name, value in given.items() if value is not None}
        self.weather.change(first, second, **changes)
        if not one_way:
            self.weather.change(second, first, **changes)
        self._release()

    def cut(self, first: Names, second: Names, *, one_way: bool = False) -> None:
        """Let nothing pass between two groups, or only nothing from the first to the second."""
        for sender in names(first):
            for receiver in names(second):
                self.link(sender, receiver, cut=True, one_way=one_way)

    def heal(self) -> None:
        """Open all lines again."""
        self.weather.heal()
        self._release()

    def calm(self) -> None:
        """Open all lines, and let them be like the usual one without loss."""
        self.weather.calm()
        self._release()

    def inject(self, sender: str, receiver: str, frame: bytes) -> bool:
        """Send a frame of somebody's choice over an open connection; False when there is none."""
        end = self.end(sender, receiver)
        if end is not None:
            end.carry(frame)
        return end is not None

    def end(self, node: str, peer: str) -> End | None:
        """A node's end of its newest open connection with a peer."""
        found = [end for end in self._ends if end.node == node and end.peer_node == peer]
        return found[-1] if found else None

    # --- what nodes do with it -----------------------------------------------------------------

    def register(self, node: str, address: str) -> None:
        """Let a node be found at ``host:port``."""
        self._addresses[address] = node

    def links(self, station: Station) -> Links:
        """The links of a node that starts: the production transport over this network."""
        membership = station.membership

        def shown() -> bytes:
            return membership.tls_certificate.public_bytes(Encoding.DER)

        return links_over(
            _Carrier(self, station.node, shown),
            station,
            settings=self.settings,
            jitter=self.random.random,
        )

    def vanish(self, process: Process, *, told: bool) -> None:
        """A process is gone; ``told``: its machine still runs and resets the connections."""
        self._listeners = {
            address: listener
            for address, listener in self._listeners.items()
            if listener.process is not process
        }
        for end in [end for end in self._ends if end.process is process]:
            end.vanish(told=told)

    # --- between the ends ----------------------------------------------------------------------

    def passing_time(self, sender: str, receiver: str) -> float:
        """How long something takes in that direction, in seconds."""
        low, high = self.weather.line(sender, receiver).delay
        return (low + (high - low) * self.random.random()) / 1000

    def forget(self, end: End) -> None:
        """An end is closed."""
        self._ends.pop(end, None)

    def _release(self) -> None:
        for end in list(self._ends):
            end.release()

    def listen(self, node: str, address: str) -> _Listener:
        if address in self._listeners:
            raise OSError(f"{address} is in use")
        listener = self._listeners[address] = _Listener(self, node, address)
        return listener

    def stop_listening(self, address: str) -> None:
        self._listeners.pop(address, None)

    async def connect(
        self, node: str, certificate: bytes, protocol: asyncio.Protocol, address: str
    ) -> None:
        """The way of the greetings: there, back, there and back again for TLS."""
        peer = self._addresses.get(address)
        if peer is None:
            raise OSError(f"nobody is at {address}")
        await self._trip(node, peer)
        await self._trip(peer, node)
        await self._trip(node, peer)
        listener = self._listeners.get(address)
        if listener is None:
            raise ConnectionRefusedError(f"{peer} does not listen")
        process = RUNNING.get()
        incoming = _Incoming(
            self, node, peer, certificate, listener.certificate(), protocol, process
        )
        listener.arrived.put_nowait(incoming)
        await incoming.opened

    async def _trip(self, sender: str, receiver: str) -> None:
        await asyncio.sleep(self.passing_time(sender, receiver))
        if not self.weather.is_open(sender, receiver):
            await self.loop.create_future()  # until whoever waits gives up

    def join(self, incoming: _Incoming, protocol: asyncio.Protocol) -> None:
        """Both sides are through with their greetings."""
        caller = End(self, incoming.caller, incoming.listener, incoming.process, incoming.protocol)
        called = End(self, incoming.listener, incoming.caller, RUNNING.get(), protocol)
        caller.meet(called, SimTls(incoming.listener_certificate))
        called.meet(caller, SimTls(incoming.caller_certificate))
        self._ends[caller] = self._ends[called] = None
        called.begin(0.0)
        caller.begin(self.passing_time(incoming.listener, incoming.caller))


class _Carrier:
    """One node's way into the network."""

    def __init__(self, network: SimNetwork, node: str, shown: Callable[[], bytes]) -> None:
        self._network = network
        self._node = node
        self._shown = shown

    def listen(self, host: str, port: int) -> _Listener:
        listener = self._network.listen(self._node, f"{host}:{port}")
        listener.certificate = self._shown
        return listener

    async def dial(
        self, protocol: asyncio.Protocol, host: str, port: int, timeout_s: float
    ) -> None:
        async with asyncio.timeout(timeout_s):
            await self._network.connect(self._node, self._shown(), protocol, f"{host}:{port}")


class _Listener:
    def __init__(self, network: SimNetwork, node: str, address: str) -> None:
        self._network = network
        self._address = address
        self.node = node
        self.process = RUNNING.get()
        self.certificate: Callable[[], bytes] = bytes
        self.arrived: asyncio.Queue[_Incoming] = asyncio.Queue()

    @property
    def port(self) -> int:
        return int(self._address.rpartition(":")[2])

    async def accept(self) -> tuple[Incoming, str]:
        incoming = await self.arrived.get()
        return incoming, f"{incoming.caller}:1"

    def close(self) -> None:
        self._network.stop_listening(self._address)


class _Incoming:
    """A call that waits to be taken."""

    def __init__(
        self,
        network: SimNetwork,
        caller: str,
        listener: str,
        caller_certificate: bytes,
        listener_certificate: bytes,
        protocol: asyncio.Protocol,
        process: Process | None,
    ) -> None:
        self._network = network
        self.caller = caller
        self.listener = listener
        self.caller_certificate = caller_certificate
        self.listener_certificate = listener_certificate
        self.protocol = protocol
        self.process = process
        self.opened: asyncio.Future[Any] = network.loop.create_future()

    async def open(self, protocol: asyncio.Protocol, timeout_s: float) -> None:
        if self.opened.done() or (self.process is not None and not self.process.alive):
            raise ConnectionResetError("the caller has gone")
        self._network.join(self, protocol)
        self.opened.set_result(None)


def payload(frame: bytes) -> bytes:
    """What a frame holds behind its length, for `ledger.node.net.frames.decode_frame`."""
    return frame[HEADER_BYTES:]
