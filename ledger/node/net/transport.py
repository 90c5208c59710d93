"""The connections of one node: TLS 1.3 with certificates on both sides, one per pair of nodes.

Who dials whom is fixed (see `ledger.node.relay`), so there is normally one connection per pair.
Where two meet all the same, both ends keep the one that the node with the smaller id dialled; of
two in the same direction the newer, because the dialler only dials when it has lost the older.
"""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import structlog

from ledger.chain.block import PROTOCOL_VERSION
from ledger.node.clock import now_ms
from ledger.node.net.carrier import Carrier, Incoming, Listener
from ledger.node.net.connection import Connection, Traffic, TransportSettings
from ledger.node.net.frames import Frame, Hello, Ping, Pong, encode_frame
from ledger.node.net.throttle import LogThrottle

_log = structlog.get_logger(__name__)
_jitter = random.SystemRandom()

_SHUTDOWN_SECONDS: Final = 1.0
#: Ends of a connection that are nobody's fault: neither counted nor logged as refusals.
_ORDINARY: Final = frozenset({"lost", "closing", "replaced", "duplicate", "unwanted"})


@dataclass(frozen=True, slots=True)
class PeerStatus:
    """A connected peer, for status and metrics; ``queued`` in bytes."""

    node: str
    address: str
    dialled: bool
    height: int
    queued: int


def backoff(attempts: int, settings: TransportSettings, chance: float) -> float:
    """Seconds to wait after so many failed attempts in a row: doubling, capped, 50–100 % of it.

    ``chance``: a random number in [0, 1).
    """
    pause = min(settings.backoff_cap, settings.backoff_first * 2.0 ** min(attempts, 30))
    return pause * (0.5 + chance / 2)


class PeerNetwork:
    """Keeps connections to other nodes and passes frames.

    Args:
        node: this node's id.
        chain: 32-byte chain id; peers on another chain are turned away.
        listen: host and port; port 0 takes a free one, see `port`.
        carrier: makes the connections.
        addresses: where nodes listen, as ``host:port``.
        dial: the nodes to which this node keeps up a connection.
        authorise: the id of the node to which the chain says the shown certificate belongs, or
            None. Asked on every new connection.
        recognise: the same for a connection that stands, asked by `recheck`; ``authorise`` if None.
        height: of this node's newest final block.
        on_frame: called with peer and frame, in order of arrival. The first frame of each
            connection is its `Hello`; `Ping` is passed on too, but already answered. It may raise
            `Malformed`, which costs the peer its connection.
        on_lost: called when a peer is no longer connected.
        settings: local limits.
        clock: milliseconds since 1970 UTC, told to peers so that they can notice a wrong clock.
        jitter: a fresh number in [0, 1) at each call, for the pauses between attempts to connect.
    """

    def __init__(
        self,
        node: str,
        chain: bytes,
        listen: tuple[str, int],
        carrier: Carrier,
        *,
        addresses: Mapping[str, str],
        dial: Collection[str],
        authorise: Callable[[ssl.SSLObject], str | None],
        recognise: Callable[[ssl.SSLObject], str | None] | None = None,
        height: Callable[[], int],
        on_frame: Callable[[str, Frame], None],
        on_lost: Callable[[str], None] = lambda _node: None,
        settings: TransportSettings | None = None,
        clock: Callable[[], int] = now_ms,
        jitter: Callable[[], float] = _jitter.random,
    ) -> None:
        self.node = node
        self.settings = settings or TransportSettings()
        self._jitter = jitter
        self._clock = clock
        self._traffic = Traffic()
        self._chain = chain
        self._listen = listen
        self._carrier = carrier
        self._addresses = dict(addresses)
        self._dial = set(dial) - {node}
        self._authorise = authorise
        self._recognise = recognise or authorise
        self._height = height
        self._on_frame = on_frame
        self._on_lost = on_lost
        self._peers: dict[str, Connection] = {}
        self._listener: Listener | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._diallers: dict[str, asyncio.Task[None]] = {}
        # Incoming connections that are not established, oldest first.
        self._handshakes: dict[asyncio.Task[None], None] = {}
        self._throttle = LogThrottle()

    # the life of the network

    async def start(self) -> None:
        """Listen and begin to dial; raises `OSError` where the address cannot be used."""
        host, port = self._listen
        self._listener = self._carrier.listen(host, port)
        self._tasks = [
            asyncio.create_task(self._accept(self._listener)),
            asyncio.create_task(self._heartbeat()),
        ]
        self._start_diallers()
        _log.info("peers_listening", host=host, port=self.port)

    async def close(self) -> None:
        """Stop listening and dialling, end every connection, wait until they are gone."""
        listener, self._listener = self._listener, None
        tasks = [*self._tasks, *self._diallers.values(), *self._handshakes]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._tasks.clear()
        self._diallers.clear()
        if listener is not None:
            listener.close()
        connections = list(self._peers.values())
        for connection in connections:
            connection.end("closing", politely=True)
        if connections:
            await asyncio.wait(
                [connection.gone for connection in connections], timeout=2 * _SHUTDOWN_SECONDS
            )

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return self._listener.port if self._listener is not None else self._listen[1]

    @property
    def traffic(self) -> Traffic:
        """What became of connections and frames since the start."""
        return self._traffic

    # what the node does with it

    def send(self, node: str, frame: Frame) -> bool:
        """Queue a frame for one peer; False when it is not connected or its queue is full."""
        connection = self._peers.get(node)
        return connection is not None and connection.send(type(frame), encode_frame(frame))

    def broadcast(self, frame: Frame, to: Iterable[str] | None = None) -> int:
        """Queue a frame for some peers, or for all; how many it was queued for."""
        data, kind = encode_frame(frame), type(frame)
        nodes = list(self._peers) if to is None else to
        return sum(
            connection.send(kind, data)
            for node in nodes
            if (connection := self._peers.get(node)) is not None
        )

    def peers(self) -> list[PeerStatus]:
        """The peers that are connected now, by id."""
        return [
            PeerStatus(node, peer.address, peer.dialled, peer.height, peer.queued)
            for node, peer in sorted(self._peers.items())
        ]

    def __contains__(self, node: str) -> bool:
        """Whether a peer is connected now."""
        return node in self._peers

    def configure(self, addresses: Mapping[str, str], dial: Collection[str]) -> None:
        """Follow the chain's membership: addresses, and nodes to dial.

        A connection that this node dialled ends when it is no longer wanted. Those that others
        dialled are kept; `recheck` ends the ones that lost their right.
        """
        self._addresses = dict(addresses)
        self._dial = set(dial) - {self.node}
        for node in sorted(set(self._diallers) - self._dial):
            self._diallers.pop(node).cancel()
        for node, connection in list(self._peers.items()):
            if connection.dialled and node not in self._dial:
                connection.end("unwanted", politely=True)
        self._start_diallers()

    def recheck(self) -> None:
        """Ask again whose certificates are shown, and end connections that lost their right."""
        for node, connection in list(self._peers.items()):
            certificate = connection.certificate
            if certificate is None or self._recognise(certificate) != node:
                connection.end("unknown_certificate")

    # what connections ask of their owner

    def identify(self, certificate: ssl.SSLObject) -> str | None:
        node = self._authorise(certificate)
        return None if node == self.node else node

    def hello(self) -> Hello:
        return Hello(PROTOCOL_VERSION, self._chain, self.node, self._height())

    def pong(self) -> Pong:
        return Pong(self._height(), self._clock())

    def admit(self, connection: Connection, hello: Hello) -> str:
        if hello.version != PROTOCOL_VERSION:
            return "wrong_version"
        if hello.chain != self._chain:
            return "wrong_chain"
        if hello.node != connection.node:
            return "wrong_identity"
        current = self._peers.get(hello.node)
        if current is not None:
            if current.dialled != connection.dialled and self._is_preferred(current):
                return "duplicate"
        elif (
            len(self._peers) >= self.settings.max_connections
            and connection.node not in self._addresses
        ):
            return "too_many_connections"
        self._peers[hello.node] = connection
        if current is not None:
            current.end("replaced")
        else:
            _log.info("peer_connected", peer=hello.node, height=hello.height)
        return ""

    def deliver(self, connection: Connection, frame: Frame) -> None:
        self._on_frame(connection.node, frame)

    def ended(self, connection: Connection, explanation: str) -> None:
        self._note_end(connection, explanation)
        node = connection.node
        if node and self._peers.get(node) is connection:
            del self._peers[node]
            _log.info("peer_lost", peer=node, reason=connection.reason)
            self._on_lost(node)

    # inner workings

    def _is_preferred(self, connection: Connection) -> bool:
        return connection.dialled == (self.node < connection.node)

    def _note_end(self, connection: Connection, explanation: str) -> None:
        reason, peer = connection.reason, connection.node or connection.expected
        if reason in _ORDINARY:
            return
        if reason == "unreachable":
            self.traffic.failed_dials += 1
        else:
            self.traffic.refused[reason] = self.traffic.refused.get(reason, 0) + 1
        host = connection.address.rpartition(":")[0]
        repeats = self._throttle.allow((reason, peer or host), asyncio.get_running_loop().time())
        if repeats is not None:
            _log.warning(
                "peer_connection_ended",
                reason=reason,
                peer=peer or None,
                address=connection.address,
                explanation=explanation[:200],
                repeats=repeats,
            )

    async def _accept(self, listener: Listener) -> None:
        pause = 1 / self.settings.accepts_per_second
        while True:
            try:
                incoming, address = await listener.accept()
            except OSError as error:  # the peer gave up already, or no descriptors are left
                _log.warning("accept_failed", error=str(error))
                await asyncio.sleep(0.1)
                continue
            if len(self._handshakes) >= self.settings.max_handshakes:
                next(iter(self._handshakes)).cancel()
            task = asyncio.create_task(self._welcome(incoming, address))
            self._handshakes[task] = None
            task.add_done_callback(lambda done: self._handshakes.pop(done, None))
            await asyncio.sleep(pause)

    async def _welcome(self, incoming: Incoming, address: str) -> None:
        connection = Connection(self, address=address)
        opening = incoming.open(connection, 2 * self.settings.handshake_timeout)
        await self._establish(connection, opening)

    async def _establish(self, connection: Connection, opening: Awaitable[object]) -> None:
        """Wait until TLS and greetings are through, or end the connection with the reason.

        The carrier's own time limit for TLS is set higher, so that this one decides.
        """
        try:
            async with asyncio.timeout(self.settings.handshake_timeout):
                await opening
                await connection.ready
        except TimeoutError:
            connection.end("handshake_timeout")
        except ssl.SSLError as error:
            connection.end("handshake_failed", str(error))
        except OSError as error:
            connection.end("unreachable" if connection.dialled else "handshake_failed", str(error))
        except asyncio.CancelledError:
            connection.end("closing" if self._listener is None else "evicted")
            raise

    def _start_diallers(self) -> None:
        for node in sorted(self._dial - set(self._diallers)):
            self._diallers[node] = asyncio.create_task(self._keep_connected(node))

    async def _keep_connected(self, node: str) -> None:
        loop = asyncio.get_running_loop()
        attempts = -1
        while True:
            begun = loop.time()
            while (current := self._peers.get(node)) is not None:
                await asyncio.wait([current.closed])
            # A connection that did not last is a failed attempt too.
            lasted = loop.time() - begun > self.settings.backoff_cap
            attempts = 0 if lasted else attempts + 1
            await asyncio.sleep(backoff(attempts, self.settings, self._jitter()))
            if node not in self._peers:
                await self._dial_once(node)

    async def _dial_once(self, node: str) -> None:
        self.traffic.dials += 1
        address = self._addresses.get(node, "")
        connection = Connection(self, expected=node, address=address)
        host, _, port = address.rpartition(":")
        if not host or not port.isdecimal():
            connection.end("unreachable", "no address of the form host:port is configured")
            return
        opening = self._carrier.dial(
            connection, host.strip("[]"), int(port), 2 * self.settings.handshake_timeout
        )
        await self._establish(connection, opening)

    async def _heartbeat(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self.settings.ping_interval)
            now, ping = loop.time(), Ping(self._height(), self._clock())
            for connection in list(self._peers.values()):
                connection.beat(now, ping)
