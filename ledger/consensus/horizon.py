"""What this node knows about the heights at which the others are."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from ledger.chain import limits
from ledger.chain.block import Block
from ledger.consensus.messages import (
    Message,
    NewView,
    PrePrepare,
    Statement,
    ViewChange,
    without_block,
)

_Kind = type[Message]

#: How many bytes of transactions may wait for the next height, from all senders together. What
#: finds no room is sent again by its sender.
_ROOM: Final = 8 * limits.MAX_BLOCK_BYTES


class Horizon:
    """Messages for other heights than the own one: a little is kept, the rest is a hint.

    Kept are, for the next height alone, the newest message of each kind from each validator: that
    is what arrives when others finish a height a moment earlier. Nothing here is verified, so it
    only ever leads to asking a peer, or to looking at the message again when its height has come.
    """

    def __init__(self) -> None:
        self._heights: dict[str, int] = {}
        self._early: dict[tuple[str, _Kind], tuple[Message, int]] = {}
        self._late: set[tuple[str, _Kind]] = set()

    def begin(self, height: int, nodes: Collection[str]) -> list[tuple[str, Message]]:
        """Move on to a height whose validators are ``nodes``.

        Returns the messages that waited for it, with their senders.
        """
        waiting = [
            (sender, message)
            for (sender, _), (message, _) in self._early.items()
            if message.height == height
        ]
        self._early.clear()
        self._late.clear()
        self._heights = {node: seen for node, seen in self._heights.items() if node in nodes}
        return waiting

    def see_ahead(self, sender: str, message: Message, height: int) -> None:
        """A validator's message for a height above ``height``, where this node is."""
        self._heights[sender] = max(message.height, self._heights.get(sender, 0))
        if message.height == height + 1:
            self._keep(sender, message)

    def _keep(self, sender: str, message: Message) -> None:
        if isinstance(message, ViewChange):
            message = without_block(message)
        slot = sender, type(message)
        weight = _weight(message)
        taken = sum(size for at, (_, size) in self._early.items() if at != slot)
        if taken + weight <= _ROOM:
            self._early[slot] = message, weight

    def heard(self, sender: str) -> tuple[Statement, ...]:
        """What a validator has signed of what waits for the next height."""
        found: list[Statement] = []
        for (node, _), (message, _) in self._early.items():
            if node == sender:
                signed = message.pre_prepare if isinstance(message, NewView) else message
                found.append(without_block(signed))
        return tuple(found)

    def lags(self, sender: str, message: Message, height: int) -> bool:
        """Whether a message for a height below ``height`` shows that its sender is stuck there.

        The last votes of a height usually arrive after it was decided; only a vote that is sent
        again, one to change the view, or one from further back is a sign.
        """
        if message.height < height - 1 or isinstance(message, ViewChange):
            return True
        seen = (sender, type(message))
        if seen in self._late:
            return True
        self._late.add(seen)
        return False

    def ahead(self, height: int, support: int) -> tuple[int, tuple[str, ...]] | None:
        """The highest height above ``height`` that ``support`` validators have reached, and who.

        With ``support`` = f+1 at least one of them is honest.
        """
        reached = sorted((seen for seen in self._heights.values() if seen > height), reverse=True)
        if len(reached) < support:
            return None
        target = reached[support - 1]
        nodes = sorted(node for node, seen in self._heights.items() if seen >= target)
        return target, tuple(nodes)


def _weight(message: Message) -> int:
    """The bytes of the transactions that a message carries."""
    proposal = message.pre_prepare if isinstance(message, NewView) else message
    block: Block | None = proposal.block if isinstance(proposal, PrePrepare) else None
    return sum(map(len, block.transactions)) if block is not None else 0
