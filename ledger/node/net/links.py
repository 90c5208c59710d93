"""The links of a node to the others, as the node sees them; `tls_links` makes the real ones."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from random import SystemRandom
from typing import Protocol

from ledger.node.clock import now_ms
from ledger.node.net.carrier import Carrier, TlsCarrier
from ledger.node.net.connection import Traffic, TransportSettings
from ledger.node.net.frames import Frame
from ledger.node.net.membership import Membership
from ledger.node.net.transport import PeerNetwork, PeerStatus

_jitter = SystemRandom()


class Links(Protocol):
    """Connections to other nodes, and frames over them; see `PeerNetwork` for what each does."""

    @property
    def port(self) -> int:
        """The port that is listened on; 0 before the start."""

    @property
    def traffic(self) -> Traffic:
        """What went over them since the start."""

    async def start(self) -> None:
        """Listen and begin to dial; raises `OSError` where the address cannot be used."""

    async def close(self) -> None:
        """End every connection."""

    def send(self, node: str, frame: Frame) -> bool:
        """Queue a frame for one peer; False when it is not connected or its queue is full."""

    def broadcast(self, frame: Frame, to: Iterable[str] | None = None) -> int:
        """Queue a frame for some peers, or for all; how many it was queued for."""

    def peers(self) -> list[PeerStatus]:
        """The peers that are connected now, by id."""

    def __contains__(self, node: str) -> bool:
        """Whether a peer is connected now."""

    def configure(self, addresses: Mapping[str, str], dial: Collection[str]) -> None:
        """Follow the chain's membership: where nodes are, and to whom to keep a connection."""

    def recheck(self) -> None:
        """End the connections to peers that the chain no longer admits."""


@dataclass(frozen=True, slots=True)
class Station:
    """What links need to know of the node at this end, and whom they tell.

    ``listen``: host and port. ``addresses``: node id → ``host:port``. ``dial``: the nodes to which
    this one keeps up a connection. ``height``: of its newest final block. ``on_frame``: called with
    peer and frame, and may raise `Malformed`. ``on_lost``: called when a peer is gone. ``clock``:
    milliseconds since 1970 UTC.
    """

    node: str
    chain: bytes
    listen: tuple[str, int]
    addresses: Mapping[str, str]
    dial: Collection[str]
    membership: Membership
    height: Callable[[], int]
    on_frame: Callable[[str, Frame], None]
    on_lost: Callable[[str], None]
    clock: Callable[[], int] = now_ms


def links_over(
    carrier: Carrier,
    station: Station,
    *,
    settings: TransportSettings | None = None,
    jitter: Callable[[], float] = _jitter.random,
) -> Links:
    """Links of a station over whatever carries the bytes; see `PeerNetwork`."""
    return PeerNetwork(
        station.node,
        station.chain,
        station.listen,
        carrier,
        addresses=station.addresses,
        dial=station.dial,
        authorise=station.membership.authorise,
        recognise=station.membership.recognise,
        height=station.height,
        on_frame=station.on_frame,
        on_lost=station.on_lost,
        clock=station.clock,
        settings=settings,
        jitter=jitter,
    )


def tls_links(station: Station) -> Links:
    """Links over TCP and TLS 1.3."""
    return links_over(TlsCarrier(station.membership.tls), station)
