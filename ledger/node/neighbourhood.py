"""The nodes around this one: to whom it is connected, who feeds it, and whom it feeds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from prometheus_client import Gauge

from ledger.chain.block import Header
from ledger.chain.constitution import will_validate
from ledger.contracts.replica import Replica
from ledger.node.condition import STALE_INTERVALS
from ledger.node.net import frames
from ledger.node.net.links import Station
from ledger.node.net.membership import Membership
from ledger.node.relay import PATIENCE_SECONDS, Relay, placed
from ledger.node.setup.home import NodeHome
from ledger.node.surroundings import Surroundings

#: A node that lags is told so at most once in this time, in seconds.
REMIND_SECONDS: Final = 0.5
#: How often a follower looks whether those who should feed it do, in seconds.
RELAY_SECONDS: Final = 1.0


class Neighbourhood:
    """Keeps up the connections that the chain asks of a node, and tells its neighbours of blocks.

    Args:
        replica: says who validates.
        membership: says who belongs to the network.
        surroundings: where the links come from.
        on_frame: has each frame that arrives, with the peer's id; it may raise `Malformed`.
        on_lost: told of each peer that is gone; it has to pass that on to `lost`.
        connected: shows how many peers are connected.
    """

    def __init__(
        self,
        home: NodeHome,
        replica: Replica,
        membership: Membership,
        surroundings: Surroundings,
        *,
        on_frame: Callable[[str, frames.Frame], None],
        on_lost: Callable[[str], None],
        connected: Gauge,
    ) -> None:
        self._node = home.node
        self._addresses = home.settings.peers
        self._replica = replica
        self._membership = membership
        self._connected = connected
        self._reminded: dict[str, float] = {}
        self.relay = Relay(home.node)
        self._arrange()
        self.links = surroundings.links(
            Station(
                node=home.node,
                chain=replica.head.chain,
                listen=(home.settings.peer.host, home.settings.peer.port),
                addresses=self._addresses,
                dial=(),  # until `keep_fed` runs
                membership=membership,
                height=lambda: replica.head.height,
                on_frame=on_frame,
                on_lost=on_lost,
                clock=surroundings.clock,
            )
        )

    # --- who is there --------------------------------------------------------------------------

    def met(self, peer: str) -> None:
        """A peer is connected."""
        self.relay.met(peer)
        self._connected.set(len(self.links.peers()))

    def lost(self, peer: str) -> None:
        """A peer is gone."""
        self.relay.lost(peer)
        self._connected.set(len(self.links.peers()))

    @property
    def upwards(self) -> Sequence[str]:
        """Where this node passes transactions on to: towards the validators."""
        validators = self._validators()
        if self._node in validators:
            return [other for other in validators if other != self._node]
        return self.relay.sources

    def below(self, peer: str) -> bool:
        """Whether a peer counts on this node to pass its transactions on."""
        return peer not in self._validators() and peer not in self.relay.choices

    def _validators(self) -> tuple[str, ...]:
        return tuple(member.node for member in self._replica.validators.members)

    # --- connections follow the chain ----------------------------------------------------------

    def follow(self, written: Iterable[bytes]) -> None:
        """A block is final, which wrote these state entries."""
        changed = self._membership.follow(written)
        if changed or self.relay.validators != self._validators():
            self._rearrange()

    def refresh(self) -> None:
        """The chain here is another one than was followed, that of a snapshot: look at it all."""
        self._membership.refresh()
        self._rearrange()

    def _rearrange(self) -> None:
        self._arrange()
        self.links.configure(self._addresses, self.relay.dial(asyncio.get_running_loop().time()))
        self.links.recheck()

    def _arrange(self) -> None:
        validators = self._validators()
        others = set(self._membership.nodes) - set(validators)
        head = self._replica.head.height
        self.relay.arrange(
            validators,
            placed(self._membership.kinds(others)),
            elected=will_validate(self._replica.read, self._node, head),
        )

    async def keep_fed(self, curious: Callable[[], bool]) -> None:
        """Look again and again whether those who should feed this node do.

        ``curious``: whether it has to hear from every validator once.
        """
        loop = asyncio.get_running_loop()
        dialled: set[str] = set()
        height, fed = -1, loop.time()
        while True:
            self.relay.curious = curious()
            head = self._replica.head.height
            if head != height:
                height, fed = head, loop.time()
            elif loop.time() - fed >= self._fasting() + PATIENCE_SECONDS:
                fed += PATIENCE_SECONDS
                self.relay.starve(loop.time())
            wanted = self.relay.dial(loop.time())
            if wanted != dialled:
                self.links.configure(self._addresses, wanted)
                dialled = wanted
            await asyncio.sleep(RELAY_SECONDS)

    def _fasting(self) -> float:
        """For how long no block may come without anything being wrong, in seconds."""
        return STALE_INTERVALS * self._replica.parameters.empty_block_interval / 1000

    # --- news ----------------------------------------------------------------------------------

    def announce(self, header: Header) -> None:
        """Tell those whom this node feeds of a final block."""
        self.links.broadcast(frames.NewHead(header.height, header.hash()), self.relay.fed)

    def remind(self, node: str) -> None:
        """Tell a node that lags where the chain stands, though not all the time."""
        now = asyncio.get_running_loop().time()
        if now - self._reminded.get(node, -REMIND_SECONDS) >= REMIND_SECONDS:
            self._reminded[node] = now
            head = self._replica.head
            self.links.send(node, frames.NewHead(head.height, head.hash()))
