"""What a node says about itself: its status, and whether it is ready for clients."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version

from ledger.contracts.replica import Replica
from ledger.node.answers import LiarStatus, PeerStatus, Status
from ledger.node.clockwatch import ClockWatch
from ledger.node.condition import Situation, explain, validator_statuses
from ledger.node.expiry import ExpiryWatch
from ledger.node.inquiry import Dispute
from ledger.node.mempool import Mempool
from ledger.node.net.links import Links
from ledger.node.relay import Relay
from ledger.node.room import Room
from ledger.node.seat import Seat
from ledger.node.setup.home import NodeHome
from ledger.node.sync import Sync

#: A node that lacks more blocks than this is not ready for clients.
READY_BLOCKS = 10


class StatusBoard:
    """Gathers from the parts of a node what its operator wants to know.

    Args:
        clock: milliseconds since 1970-01-01 UTC.
        expiry: the certificates that matter to this node.
    """

    def __init__(
        self,
        home: NodeHome,
        replica: Replica,
        links: Links,
        seat: Seat,
        sync: Sync,
        relay: Relay,
        mempool: Mempool,
        room: Room,
        dispute: Dispute,
        clocks: ClockWatch,
        *,
        clock: Callable[[], int],
        expiry: ExpiryWatch,
    ) -> None:
        self._home = home
        self._replica = replica
        self._links = links
        self._seat = seat
        self._sync = sync
        self._relay = relay
        self._mempool = mempool
        self._room = room
        self._dispute = dispute
        self._clocks = clocks
        self._clock = clock
        self._expiry = expiry
        self._started = clock()
        self._missing_since = dict.fromkeys(seat.others, self._started)
        self._view_changes = 0

    def connected(self, peer: str) -> None:
        """A peer is here."""
        self._missing_since.pop(peer, None)

    def lost(self, peer: str) -> None:
        """A peer is gone."""
        self._missing_since[peer] = self._clock()

    def left_views(self, count: int) -> None:
        """So many views of a height passed without a decision."""
        self._view_changes += count

    def status(self) -> Status:
        """The whole answer of ``node status`` and ``/v1/status``."""
        core = self._seat.status()
        validators = self._replica.validators
        behind = self._clocks.behind([member.node for member in validators.members])
        peers = {peer.node: peer for peer in self._links.peers()}
        head = self._replica.head
        committing, reason = explain(
            Situation(
                now=self._clock(),
                height=head.height,
                block_time=head.time if head.height else self._started,
                target=self._sync.target,
                progress=self._sync.progress,
                clock_behind=behind,
                clock_ahead=self._replica.parameters.clock_ahead,
                missing_since=self._missing_since,
                trouble=self._dispute.halted or self._room.shortage,
                pending=len(self._mempool),
                idle_interval=self._replica.parameters.empty_block_interval,
                validators=[member.node for member in validators.members],
                quorum=validators.quorum,
                connected=list(peers),
                sources=self._relay.sources,
                node=self._home.node,
                core=core,
                withheld=self._seat.withheld,
                expired=self._expiry.lapsed(),
                damage=self._room.damage,
            )
        )
        return Status(
            node=self._home.node,
            institution=self._home.institution,
            network=self._replica.genesis.network,
            chain=head.chain.hex(),
            role="validator" if self._seat.taken else "observer",
            height=head.height,
            block=head.hash().hex(),
            block_time=head.time,
            view=core.view if core is not None else 0,
            phase=core.phase.value if core is not None else "following",
            proposer=core.proposer if core is not None else head.proposer,
            committing=committing,
            reason=reason,
            validators=validator_statuses(
                core,
                {member.node: member.institution for member in validators.members},
                list(peers),
                self._missing_since,
                self._home.node,
            ),
            peers=tuple(
                PeerStatus(
                    node=node,
                    address=address,
                    connected=node in peers,
                    height=peers[node].height if node in peers else None,
                )
                for node, address in sorted(self._home.settings.peers.items())
            ),
            pending_transactions=len(self._mempool),
            pending_bytes=self._mempool.size_bytes,
            view_changes=self._view_changes,
            syncing=self._sync.target > head.height + 1,
            ready_to_vote=self._seat.ready,
            liars=tuple(
                LiarStatus(node=node, what=what) for node, what in self._sync.liars.items()
            ),
            clock_behind=behind,
            divergence=self._dispute.difference,
            next_expiry=self._expiry.next(),
            certificates=self._expiry.certificates(),
            version=version("health-ledger"),
        )

    def ready(self) -> tuple[bool, str]:
        """Whether clients should use this node, and why not."""
        height = self._replica.head.height
        if self._dispute.halted:
            return False, self._dispute.halted
        if self._links.port == 0:
            return False, "the node is starting"
        if self._sync.target > height + READY_BLOCKS:
            return False, f"catching up: at {height} of {self._sync.target}"
        return True, "ready"
