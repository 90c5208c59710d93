"""The chain of a node grows: what is decided is stored here, then every part hears of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial

import structlog

from ledger.chain.block import Block, Certificate, Header, InvalidCertificate
from ledger.chain.snapshot import Anchor
from ledger.contracts.blocks import BlockFault, Executed
from ledger.node.driver import Diverged
from ledger.node.events import EventFeed
from ledger.node.executor import Executor
from ledger.node.room import Room

_log = structlog.get_logger(__name__)


class Finality:
    """Puts final blocks, or a snapshot, behind the chain of a node.

    Args:
        chain: its id.
        room: waits for the store where it has no room or is gone.
        pruning: held while a snapshot takes the place of what is stored.
        at_block: what happens at each final block, in this order. A step may be repeated.
        at_snapshot: what happens when the chain goes on from a snapshot's header.
        feed: hears of both in the end.
    """

    def __init__(
        self,
        chain: bytes,
        executor: Executor,
        room: Room,
        pruning: AbstractAsyncContextManager[None],
        *,
        at_block: Sequence[Callable[[Executed, Certificate], None]],
        at_snapshot: Sequence[Callable[[Header], None]],
        feed: EventFeed,
    ) -> None:
        self._chain = chain
        self._executor = executor
        self._room = room
        self._pruning = pruning
        self._at_block = at_block
        self._at_snapshot = at_snapshot
        self._feed = feed

    async def extend(self, block: Block, certificate: Certificate) -> None:
        """Execute and store a block that others decided.

        Raises:
            InvalidCertificate: nobody decided it, or not for this chain.
            Diverged: it does not execute here as it did there.
        """
        if block.header.chain != self._chain:
            raise InvalidCertificate("a block of another chain")
        try:
            executed = await self._room.write(lambda: self._executor.extend(block, certificate))
        except BlockFault as fault:
            raise Diverged(block, certificate, fault) from fault
        if executed is not None:
            await self.stored(executed, certificate)

    async def adopt(self, anchor: Anchor) -> None:
        """Go on from a snapshot: everything that follows the chain has to look again."""
        async with self._pruning:
            adopted = await self._room.write(lambda: self._executor.begin_at(anchor))
        if not adopted:
            return
        header = anchor.header
        _log.info("snapshot_adopted", height=header.height, block=header.hash().hex())
        for step in self._at_snapshot:
            await self._room.read(partial(step, header))
        await self._feed.grew(header.height)

    async def stored(self, executed: Executed, certificate: Certificate) -> None:
        """A block is stored: let everybody who waits for it know."""
        for step in self._at_block:
            await self._room.read(partial(step, executed, certificate))
        await self._feed.grew(executed.block.header.height)
