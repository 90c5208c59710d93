"""The block on the table: what stands in a view to be voted on."""

from __future__ import annotations

from dataclasses import dataclass

from ledger.chain.block import Block
from ledger.consensus.messages import NewView, PrePrepare


@dataclass(frozen=True, slots=True)
class Proposal:
    """A proposed block, its header hash, and the message that proposed it.

    There is no ``message`` after a restart: only the block and its prepared certificate are stored.
    """

    digest: bytes
    block: Block
    message: PrePrepare | NewView | None

    @property
    def pre_prepare(self) -> PrePrepare | None:
        """The proposer's signed statement, which a NEW-VIEW carries inside."""
        return self.message.pre_prepare if isinstance(self.message, NewView) else self.message
