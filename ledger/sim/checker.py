"""What must hold whatever happens, looked at while it happens.

The checker hears of every frame, every vote and every block the moment it is sent or durable, so
that each is looked at once and a breach is found where it happens. It trusts no node: certificates
are verified here, against the validators that the chain itself has put in force.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ledger.chain.block import (
    Block,
    Certificate,
    InvalidCertificate,
    ValidatorSet,
    verify_certificate,
)
from ledger.chain.codec import Malformed, encode
from ledger.chain.constitution import validators_at
from ledger.chain.limits import MAX_BLOCK_TRANSACTIONS
from ledger.chain.store import Store
from ledger.chain.transaction import decode_transaction
from ledger.chain.vote import Vote
from ledger.consensus.messages import (
    Commit,
    Message,
    NewView,
    Prepare,
    PrePrepare,
    ViewChange,
    decode_message,
)
from ledger.node.net.frames import KINDS, Consensus, FrameError, decode_frame
from ledger.sim.client import Ticket
from ledger.sim.network import payload

#: The first byte of the only kind of frame that is looked into.
_CONSENSUS = bytes(number for number, (record, _) in KINDS.items() if record is Consensus)
#: Promises at heights further back than this below the newest block are forgotten.
_REMEMBERED = 64


class Broken(AssertionError):
    """An invariant does not hold. The message says which, where and when."""


class Reference(Protocol):
    """Another implementation of what a block does to the state."""

    def apply(self, block: Block) -> bytes:
        """Execute the next block; the state root that it should have."""


@dataclass(slots=True)
class Final:
    """A block that is final: by its header's hash, with the ids of its transactions."""

    digest: bytes
    state_root: bytes
    ids: frozenset[bytes]
    certificates: set[bytes] = field(default_factory=set)


class Checker:
    """The invariants of one run.

    Args:
        genesis: a store with nothing but the genesis; who may certify block 1 is read from it.
        complain: called with a sentence for each breach.
        reference: executes each block once more, in another way.
        note: called with a node and what it did, for the trace.
    """

    def __init__(
        self,
        genesis: Store,
        complain: Callable[[str], None],
        reference: Reference | None = None,
        note: Callable[[str, str], None] = lambda _node, _what: None,
    ) -> None:
        self._complain = complain
        self._reference = reference
        self._note = note
        self._validators: dict[int, ValidatorSet] = {
            1: validators_at(lambda key: genesis.value(key, 0), 1)
        }
        #: Height → what is final there.
        self.chain: dict[int, Final] = {}
        #: Node → the height that it has on its disk.
        self.durable: dict[str, int] = {}
        #: Nodes that do not keep to the rules, and of whose words nothing is expected.
        self.liars: set[str] = set()
        #: How often an honest node has asked for a higher view.
        self.view_changes = 0
        self._written: dict[tuple[str, int, int, str], bytes] = {}
        self._spoken: dict[tuple[str, int, int, str], bytes] = {}
        self._heard: dict[bytes, Message] = {}
        self._stores: dict[str, Store] = {}
        #: How often each invariant was looked at.
        self.looks: dict[str, int] = {}
        #: Told of each block that a node has stored: the node and the height.
        self.watchers: list[Callable[[str, int], None]] = []

    def _look(self, what: str) -> None:
        self.looks[what] = self.looks.get(what, 0) + 1

    @property
    def height(self) -> int:
        """The highest block that any node has stored."""
        return max(self.chain, default=0)

    # --- what becomes durable ------------------------------------------------------------------

    def started(self, node: str, store: Store, *, damaged: bool) -> None:
        """A node starts with what is on its disk.

        ``damaged``: something was done to the disk that a crash does not do, so that blocks may be
        missing; even then it must hold no other ones.
        """
        self._stores[node] = store
        height = store.height()
        before = self.durable.get(node, 0)
        self._look("durable")
        if height < before and not damaged:
            self._complain(f"{node} starts at block {height} after having stored block {before}")
        for known in range(max(store.base(), 1, height - 1), height + 1):
            block, certificate = store.block(known), store.certificate(known)
            if block is not None and certificate is not None:
                self._agree(node, block, certificate)
        self.durable[node] = height

    def committed(self, node: str, block: Block, certificate: Certificate) -> None:
        """A node has stored a block."""
        header = block.header
        self._agree(node, block, certificate)
        self.durable[node] = header.height
        for watch in self.watchers:
            watch(node, header.height)
        self._note(
            node,
            f"stores block {header.height} of {header.proposer}, view {certificate.view}, "
            f"{len(block.transactions)} transactions, {header.hash().hex()[:8]}",
        )

    def voted(self, node: str, votes: Sequence[Vote]) -> None:
        """A node has written promises down."""
        self._look("votes on disk")
        for vote in votes:
            key = node, vote.height, vote.view, vote.phase
            if self._written.setdefault(key, vote.digest) != vote.digest:
                self._complain(
                    f"{node} has written down two promises to {vote.phase} at height "
                    f"{vote.height}, view {vote.view}"
                )

    def _agree(self, node: str, block: Block, certificate: Certificate) -> None:
        header = block.header
        height, digest = header.height, header.hash()
        self._look("agreement")
        known = self.chain.get(height)
        if known is None:
            known = self.chain[height] = self._first(block, digest)
        elif known.digest != digest:
            if node in self.liars:
                return
            self._complain(
                f"{node} has another block {height} than others: {digest.hex()[:16]}, not "
                f"{known.digest.hex()[:16]}"
            )
            return
        self._certified(node, block, certificate, known)

    def _first(self, block: Block, digest: bytes) -> Final:
        header = block.header
        parent = self.chain.get(header.height - 1)
        if parent is not None and parent.digest != header.parent:
            self._complain(f"block {header.height} does not follow block {header.height - 1}")
        ids = [decode_transaction(raw).id for raw in block.transactions]
        if len(ids) > MAX_BLOCK_TRANSACTIONS or len(set(ids)) != len(ids):
            self._complain(f"block {header.height} has a transaction twice, or too many")
        if self._reference is not None:
            self._look("state root")
            root = self._reference.apply(block)
            if root != header.state_root:
                self._complain(
                    f"block {header.height} has the state root {header.state_root.hex()[:16]}, "
                    f"the reference {root.hex()[:16]}"
                )
        self._forget(header.height - _REMEMBERED)
        return Final(digest, header.state_root, frozenset(ids))

    def _forget(self, height: int) -> None:
        """Let go of what was promised up to a height: nobody can promise there any more."""
        if height > 0 and height % _REMEMBERED == 0:
            for promises in (self._written, self._spoken):
                for key in [key for key in promises if key[1] <= height]:
                    del promises[key]

    def _certified(self, node: str, block: Block, certificate: Certificate, known: Final) -> None:
        raw = encode(certificate)
        if raw in known.certificates:
            return
        self._look("certificates")
        height = block.header.height
        try:
            verify_certificate(block.header, certificate, self._in_force(node, height))
        except InvalidCertificate as fault:
            self._complain(f"{node} stored block {height} uncertified: {fault}")
        known.certificates.add(raw)

    def _in_force(self, node: str, height: int) -> ValidatorSet:
        """Who certifies a height, by the state of a node that has it or the block before."""
        known = self._validators.get(height)
        if known is None:
            known = self._validators[height] = validators_at(self._stores[node].value, height)
        return known

    # --- what is said --------------------------------------------------------------------------

    def sent(self, sender: str, _receiver: str, frame: bytes) -> None:
        """A node has sent a frame."""
        content = payload(frame)
        if sender in self.liars or content[:1] != _CONSENSUS:
            return
        message = self._heard.get(content)
        if message is not None:
            return
        try:
            decoded = decode_frame(content)
            assert isinstance(decoded, Consensus)
            message = decode_message(decoded.message)
        except (FrameError, Malformed) as fault:
            self._complain(f"{sender} has sent what cannot be read: {fault}")
            return
        if len(self._heard) > 4096:
            self._heard.clear()
        self._heard[content] = message
        self._look("votes on the wire")
        if message.node != sender:
            self._complain(f"{sender} speaks for {message.node}")
            return
        for phase, height, view, what in _statements(message):
            key = sender, height, view, phase
            if key not in self._spoken and phase in ("view-change", "new-view"):
                self._note(sender, f"says {phase} at height {height}, view {view}")
                self.view_changes += phase == "view-change"
            if self._spoken.setdefault(key, what) != what:
                self._complain(
                    f"{sender} has said two things: {phase} at height {height}, view {view}"
                )

    def accused(self, node: str, peer: str, rule: str) -> None:
        """A node accuses another of having broken the protocol."""
        self._look("accusations")
        if not {node, peer} & self.liars:
            self._complain(f"{node} accuses {peer}, which is honest, of {rule}")

    # --- what clients were told ----------------------------------------------------------------

    def acknowledged(self, tickets: Iterable[Ticket]) -> None:
        """What clients were told to be final is in the chain, where it was said to be."""
        for ticket in tickets:
            if ticket.height is None or ticket.node in self.liars:
                continue
            self._look("acknowledged")
            final = self.chain.get(ticket.height)
            if final is None or ticket.transaction.id not in final.ids:
                self._complain(
                    f"{ticket.node} acknowledged {ticket.transaction.id.hex()[:16]} at height "
                    f"{ticket.height}, and it is not there"
                )


def _statements(message: Message) -> Iterable[tuple[str, int, int, bytes]]:
    """The promises that a message makes in its sender's name: phase, height, view, what."""
    match message:
        case Prepare(height=height, view=view, digest=digest):
            yield "prepare", height, view, digest
        case Commit(height=height, view=view, digest=digest):
            yield "commit", height, view, digest
        case PrePrepare(height=height, view=view, digest=digest):
            yield "pre-prepare", height, view, digest
        case ViewChange(height=height, view=view, prepared=prepared):
            yield "view-change", height, view, encode(prepared)
        case NewView(pre_prepare=proposal):
            yield "new-view", proposal.height, proposal.view, proposal.digest
            yield "pre-prepare", proposal.height, proposal.view, proposal.digest
