"""What liars of one consortium agree on: whom they tell which of two stories."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from random import Random

from msgspec.structs import replace

from ledger.chain.block import Block
from ledger.chain.codec import Malformed
from ledger.chain.transaction import decode_transaction
from ledger.consensus.messages import Message, decode_message
from ledger.contracts.blocks import candidate
from ledger.node.net.frames import Consensus, decode_frame
from ledger.sim.network import payload
from ledger.sim.world import World

#: The first byte of a frame with a message of the consensus.
_CONSENSUS = b"\x02"
#: How many messages of others are remembered.
_HEARD = 200


class Coalition:
    """Liars that work together. They hear everything that anybody says.

    Args:
        random: which of the honest ones hears which story.
    """

    def __init__(self, world: World, random: Random) -> None:
        self.world = world
        self.random = random
        self.names: set[str] = set()
        self._other_side: set[str] = set()
        self._twins: dict[bytes, bytes] = {}
        self._blocks: dict[bytes, Block] = {}
        self._heard: deque[bytes] = deque(maxlen=_HEARD)
        self._last = b""
        self.deal()
        world.network.watchers.append(self._overhear)

    def deal(self) -> None:
        """Draw anew who hears which story."""
        nodes = list(self.world.validators)
        self.random.shuffle(nodes)
        self._other_side = set(nodes[: len(nodes) // 2])

    def split(self, other: Iterable[str]) -> None:
        """Let exactly these hear the other story."""
        self._other_side = set(other)

    def is_deceived(self, peer: str) -> bool:
        """Whether a peer hears the other story; allies hear the first one."""
        return peer in self._other_side and peer not in self.names

    def _overhear(self, _sender: str, _receiver: str, frame: bytes) -> None:
        content = payload(frame)
        if content[:1] == _CONSENSUS and content != self._last:
            self._last = content
            self._heard.append(content)

    def heard(self, random: Random) -> Message | None:
        """One message that somebody said lately."""
        if not self._heard:
            return None
        try:
            frame = decode_frame(random.choice(self._heard))
            return decode_message(frame.message) if isinstance(frame, Consensus) else None
        except Malformed:
            return None

    def twin(self, block: Block) -> Block | None:
        """Another block that is just as valid; None when the liars cannot make one any more."""
        digest = block.header.hash()
        known = self._twins.get(digest)
        if known is not None:
            return self._blocks[known]
        for name in sorted(self.names):
            node = self.world.nodes[name].node
            if node is None:
                continue
            tip = node.replica.tip()
            if tip.header.hash() != block.header.parent:
                continue
            try:
                transactions = [decode_transaction(raw) for raw in block.transactions]
            except Malformed:
                return None
            header = block.header
            made = candidate(
                tip,
                node.replica.machine,
                proposer=header.proposer,
                view=header.view,
                time=header.time + 1,
                transactions=transactions[: len(transactions) // 2],
            ).block
            return self.pair(block, made)
        return None

    def pair(self, block: Block, other: Block) -> Block:
        """From now on those on the other side hear of ``other`` instead of ``block``."""
        digest, twin = block.header.hash(), other.header.hash()
        self._twins[digest] = twin
        self._blocks[twin] = other
        return other

    def twin_of(self, digest: bytes) -> bytes | None:
        """The header hash of the other block, if there is one."""
        return self._twins.get(digest)


def with_header(block: Block, **changes: object) -> Block:
    """The block with some fields of its header changed."""
    return replace(block, header=replace(block.header, **changes))
