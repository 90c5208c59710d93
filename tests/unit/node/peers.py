"""Nodes on loopback for the tests of the transport, and a peer that speaks raw bytes."""

from __future__ import annotations

import asyncio
import datetime
import ssl
from collections.abc import Callable, Collection

from ledger.node.net import admission, pki
from ledger.node.net.admission import PeerIdentity
from ledger.node.net.carrier import TlsCarrier, TlsContexts
from ledger.node.net.connection import TransportSettings
from ledger.node.net.frames import Frame, FrameReader, Hello, decode_frame, encode_frame
from ledger.node.net.pki import TlsKey
from ledger.node.net.transport import PeerNetwork

CHAIN = bytes(range(32))
NOW = datetime.datetime.now(datetime.UTC)
HOSPITAL = pki.new_authority("hospital", now=NOW)
STRANGER = pki.new_authority("hospital", now=NOW)
AUTHORITIES = {"hospital": (HOSPITAL.pem,)}
QUICK = TransportSettings(
    handshake_timeout=0.5,
    ping_interval=0.1,
    silence_timeout=0.4,
    stall_timeout=0.5,
    backoff_first=0.02,
    backoff_cap=0.1,
)


def tls_key(node: str, authority: TlsKey = HOSPITAL) -> TlsKey:
    return authority.issue(PeerIdentity("hospital", node), ["127.0.0.1"], now=NOW)


async def until(condition: Callable[[], object], seconds: float = 5.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


class Node:
    """A node that only records what it gets."""

    def __init__(
        self,
        name: str,
        *,
        dial: dict[str, int] | None = None,
        members: Collection[str] = ("a", "b", "c", "d"),
        settings: TransportSettings = QUICK,
        chain: bytes = CHAIN,
        authority: TlsKey = HOSPITAL,
        port: int = 0,
    ) -> None:
        self.name = name
        self.members = set(members)
        self.frames: list[tuple[str, Frame]] = []
        self.lost: list[str] = []
        key = tls_key(name, authority)
        targets = dial or {}
        self.network = PeerNetwork(
            name,
            chain,
            ("127.0.0.1", port),
            TlsCarrier(
                TlsContexts(
                    pki.server_context(key, AUTHORITIES), pki.client_context(key, AUTHORITIES)
                )
            ),
            addresses={node: f"127.0.0.1:{target}" for node, target in targets.items()},
            dial=set(targets),
            authorise=self.authorise,
            height=lambda: 7,
            on_frame=self.on_frame,
            on_lost=self.lost.append,
            settings=settings,
        )

    def authorise(self, certificate: ssl.SSLObject) -> str | None:
        try:
            shown = admission.shown_certificate(certificate)
            node = admission.issued_to(shown, AUTHORITIES).node
        except admission.UntrustedPeer:
            return None
        return node if node in self.members else None

    def on_frame(self, peer: str, frame: Frame) -> None:
        self.frames.append((peer, frame))

    def got(self, kind: type[Frame]) -> list[Frame]:
        return [frame for _, frame in self.frames if isinstance(frame, kind)]

    @property
    def refused(self) -> dict[str, int]:
        return self.network.traffic.refused


class RawPeer:
    """The other end of a TLS connection, free to misbehave."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.frames = FrameReader()

    @classmethod
    async def connect(
        cls, port: int, name: str, authority: TlsKey = HOSPITAL, *, limit: int = 2**16
    ) -> RawPeer:
        context = pki.client_context(tls_key(name, authority), AUTHORITIES)
        return cls(*await asyncio.open_connection("127.0.0.1", port, ssl=context, limit=limit))

    def send(self, *frames: Frame) -> None:
        self.writer.write(b"".join(map(encode_frame, frames)))

    def greet(self, name: str, chain: bytes = CHAIN) -> None:
        self.send(Hello(1, chain, name, 0))

    async def read(self) -> list[Frame]:
        """The next frames; raises `EOFError` when the node has hung up."""
        data = await self.reader.read(2**16)
        if not data:
            raise EOFError
        return [decode_frame(payload) for payload in self.frames.feed(data)]

    async def hung_up(self, seconds: float = 3.0) -> bool:
        """Whether the node hangs up in time."""
        try:
            async with asyncio.timeout(seconds):
                while await self.reader.read(2**16):
                    pass
        except TimeoutError:
            return False
        except OSError:
            pass
        return True
