"""Decides how a node that is behind catches up, and does it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from ledger.chain.block import Block, Certificate
from ledger.node.net.frames import Blocks, GetBlocks
from ledger.node.sync.blocks import BlockSync
from ledger.node.sync.peers import Peers
from ledger.node.sync.snapshots import Answer


class Snapshots(Protocol):
    """What takes snapshots; `SnapshotSync` does."""

    @property
    def progress(self) -> str: ...

    def arrived(self, node: str, answer: Answer) -> None: ...

    def lost(self, node: str) -> None: ...

    async def run(self) -> bool: ...


class Sync:
    """Catches up whenever some peer claims a higher chain than ours.

    Args:
        head: the height of this node's newest block.
        send: puts a frame on the way to a peer; False when the peer is not connected.
        extend: verifies, executes and stores one certified block; see `BlockSync`.
        patience: seconds to wait before fetching a single missing block, because a validator
            usually decides it itself in that time.
        peers: who is there, and who may be believed.
        snapshots: takes a snapshot; without it there are only blocks.
        gap: with more blocks missing than this, a snapshot is taken.
    """

    def __init__(
        self,
        head: Callable[[], int],
        send: Callable[[str, GetBlocks], bool],
        extend: Callable[[Block, Certificate], Awaitable[None]],
        *,
        patience: float,
        peers: Peers | None = None,
        snapshots: Snapshots | None = None,
        gap: int = 0,
    ) -> None:
        self._head = head
        self._patience = patience
        self._peers = peers or Peers()
        self._blocks = BlockSync(head, self._peers, send, extend)
        self._snapshots = snapshots
        self._gap = gap
        self._wake = asyncio.Event()

    @property
    def target(self) -> int:
        """The highest chain that any peer claims to have, of those that may be believed."""
        return self._peers.target

    @property
    def liars(self) -> dict[str, str]:
        """Peers that sent something false, with the rule that it breaks, newest last."""
        return self._peers.liars

    @property
    def progress(self) -> str:
        """What is being fetched, where that takes long; empty otherwise."""
        return "" if self._snapshots is None else self._snapshots.progress

    def heard(self, node: str, height: int) -> None:
        """A peer says that its newest block has this height."""
        self._peers.heard(node, height)
        if height > self._head():
            self._wake.set()

    def lost(self, node: str) -> None:
        """A peer is no longer connected."""
        self._peers.gone(node)
        self._blocks.lost(node)
        if self._snapshots is not None:
            self._snapshots.lost(node)

    def arrived(self, node: str, answer: Blocks | Answer) -> None:
        """An answer came in; one that was not asked for is dropped."""
        if isinstance(answer, Blocks):
            self._blocks.arrived(node, answer)
        elif self._snapshots is not None:
            self._snapshots.arrived(node, answer)

    async def run(self) -> None:
        """Catch up again and again until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self.target > self._head():
                missing = self.target - self._head()
                if missing == 1 and self._patience:
                    await asyncio.sleep(self._patience)
                    if self.target <= self._head():
                        break
                if missing > self._gap and await self._snapshot():
                    continue
                _height, peer = max(self._peers.believed(), default=(0, ""))
                if peer and not await self._blocks.fetch(peer):
                    await self._without_blocks(peer)

    async def _snapshot(self) -> bool:
        """Take a snapshot; False where there is none to be had."""
        return self._snapshots is not None and await self._snapshots.run()

    async def _without_blocks(self, peer: str) -> None:
        """A peer has forgotten the blocks that are next: take a snapshot, or ask others."""
        if not await self._snapshot():
            self._peers.shun(peer, "has forgotten the blocks that are next")
