"""Decides how a node that is behind catches up, and does it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from ledger.chain.block import Block, Certificate
from ledger.node.net.frames import Blocks, GetBlocks
from ledger.node.sync.blocks import BlockSync
from ledger.node.sync.peers import Peers
from ledger.node.sync.snapshots import Answer

#: Two heartbeats: in that time every peer that is there has told where its chain stands.
NEWS_SECONDS: Final = 6.0


class Snapshots(Protocol):
    """What takes snapshots; `SnapshotSync` does."""

    @property
    def progress(self) -> str: ...

    def arrived(self, node: str, answer: Answer) -> None: ...

    def lost(self, node: str) -> None: ...

    async def run(self, beyond: int) -> bool: ...


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

    A snapshot costs the node its history, so no single peer may talk it into one. What a peer
    claims makes it look for one; whether so much is missing, the certificate of the snapshot shows.
    Where the blocks that are next are said to be forgotten, all who are ahead have to say so.
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
        # Who has forgotten the blocks that are next, and at which height this node was then.
        self._forgetful: dict[str, int] = {}
        self._waited = -1
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
        self._forgetful.pop(node, None)
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
                if missing > self._gap and await self._snapshot(self._head() + self._gap):
                    continue
                await self._next_blocks()

    async def _snapshot(self, beyond: int) -> bool:
        """Take a snapshot of a block above a height; False where there is none to be had."""
        return self._snapshots is not None and await self._snapshots.run(beyond)

    async def _next_blocks(self) -> None:
        """Take blocks from the peer that is furthest ahead, of those that may have them."""
        height = self._head()
        ahead = [(claim, node) for claim, node in self._peers.believed() if claim > height]
        keepers = [(claim, node) for claim, node in ahead if self._remembers(node, height)]
        if keepers:
            _claim, peer = max(keepers)
            if not await self._blocks.fetch(peer):
                self._forgetful[peer] = height
        elif ahead:
            await self._without_blocks(height, [node for _claim, node in ahead])

    def _remembers(self, node: str, height: int) -> bool:
        """Whether a peer has not said that it has forgotten the blocks after a height."""
        return self._forgetful.get(node) != height

    async def _without_blocks(self, height: int, ahead: list[str]) -> None:
        """All who are ahead have forgotten the blocks that are next: take a snapshot, unless others
        come up that have them."""
        others = any(self._remembers(node, height) for _claim, node in self._peers.believed())
        if others and self._waited != height:
            self._waited = height
            await asyncio.sleep(NEWS_SECONDS)
        elif not await self._snapshot(height):
            for node in ahead:
                self._peers.shun(node, "has forgotten the blocks that are next")
            self._forgetful.clear()
