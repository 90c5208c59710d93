"""Keeping a node's store small while it runs: archive files first, then the rows they hold.

All of it is done in the background, in pieces: a block that is to be voted on never waits for more
than one of them. Whatever goes wrong here is said and tried again later; the node goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import structlog

from ledger.chain.handover import Trust
from ledger.chain.retention import Keeper, Retention
from ledger.chain.store import Store, StoreError
from ledger.node.surroundings import Surroundings

_log = structlog.get_logger(__name__)

#: How often it is looked whether something is to be done, in seconds.
INTERVAL_SECONDS = 10.0
#: How long the store is left to others between two steps, in seconds.
PAUSE_SECONDS = 0.02


class Housekeeping:
    """The background job of one node.

    Args:
        store: of the node.
        retention: what its operator wants to be kept.
        trust: the genesis.
        surroundings: the clock, and how long work lets others have their turn.

    Raises:
        KeepsTooLittle: the chain does not allow to keep so little.
        StoreError: the store is of an earlier version and could not be made ready.
    """

    def __init__(
        self, store: Store, retention: Retention, trust: Trust, surroundings: Surroundings
    ) -> None:
        self._keeper = Keeper(store, retention, trust)
        #: Held while a step is under way; whoever replaces what is in the store holds it too.
        self.step = asyncio.Lock()
        self._store = store
        self._surroundings = surroundings
        if store.prepare_reclaiming():
            _log.info("store_made_to_shrink", bytes=store.size_bytes())

    async def run(self) -> None:
        """Work again and again until cancelled."""
        while True:
            try:
                await self.tidy()
            except StoreError as error:
                _log.error("archiving_failed", error=str(error))
            await asyncio.sleep(INTERVAL_SECONDS)

    async def tidy(self) -> None:
        """Do everything that is due; raises `StoreError`."""
        while True:
            async with self.step:
                around = self._surroundings
                entry = await asyncio.to_thread(
                    self._keeper.archive, around.clock(), around.breath()
                )
            await self._prune()
            if entry is None:
                return
            _log.info(
                "blocks_archived",
                first=entry.first,
                last=entry.last,
                file=entry.file,
                bytes=entry.size,
                store_bytes=self._store.size_bytes(),
            )

    async def _prune(self) -> None:
        steps = self._keeper.prune()
        while await self._next(steps) is not _END:
            await asyncio.sleep(PAUSE_SECONDS)

    async def _next(self, steps: Iterator[None]) -> object:
        async with self.step:
            return await asyncio.to_thread(next, steps, _END)


_END = object()
