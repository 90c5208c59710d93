"""Catching up: certified blocks from peers, checked and executed like any others.

A block that comes with a certificate needs no trust in whoever sent it. A peer whose blocks do not
check out is named in the log and not asked again for a while; so is one that does not answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from ledger.chain import limits, merkle
from ledger.chain.block import (
    Block,
    Certificate,
    InvalidCertificate,
    decode_block,
    encode_block,
)
from ledger.chain.codec import Malformed, decode, encode
from ledger.chain.store import Store
from ledger.node.net.frames import MAX_BLOCKS, Blocks, CertifiedBlock, GetBlocks

_log = structlog.get_logger(__name__)

#: An answer stops growing here, so that a thin line is never blocked for long.
ANSWER_BYTES = limits.MIB
#: How long a peer may take to answer, in seconds: one answer at 1 Mbit/s takes about nine.
ANSWER_SECONDS = 30.0
#: How long a peer that failed is left alone, in seconds.
PENALTY_SECONDS = 20.0


def answer(store: Store, head: int, request: GetBlocks) -> Blocks:
    """The certified blocks that a peer asked for, as far as one answer may hold them."""
    found: list[CertifiedBlock] = []
    size = 0
    for height in range(max(request.start, 1), head + 1):
        if len(found) >= min(request.count, MAX_BLOCKS) or size >= ANSWER_BYTES:
            break
        block, certificate = store.block(height), store.certificate(height)
        if block is None or certificate is None:
            break
        item = CertifiedBlock(encode_block(block), encode(certificate))
        size += len(item.block) + len(item.certificate)
        found.append(item)
    return Blocks(request.start, tuple(found))


def read_certified(item: CertifiedBlock, height: int) -> tuple[Block, Certificate]:
    """Decode the block of an answer that should have this height; raises `Malformed`.

    Its transactions are compared with its header here, because the certificate is only about the
    header: what is wrong in a block beyond that is not the fault of the peer that sent it.
    """
    block = decode_block(item.block)
    if block.header.height != height:
        raise Malformed(f"block {block.header.height} where block {height} was asked for")
    if merkle.root(block.transactions) != block.header.transactions_root:
        raise Malformed("the transactions are not those of the header")
    return block, decode(item.certificate, Certificate, limit=limits.MIB)


class Sync:
    """Fetches blocks whenever some peer claims a higher chain than ours.

    Args:
        head: the height of this node's newest block.
        send: puts a frame on the way to a peer; False when the peer is not connected.
        extend: verifies, executes and stores one certified block. Of what it raises, only
            `InvalidCertificate` is taken for the peer's fault; all else ends `run`.
        patience: seconds to wait before fetching a single missing block, because a validator
            usually decides it itself in that time.
    """

    def __init__(
        self,
        head: Callable[[], int],
        send: Callable[[str, GetBlocks], bool],
        extend: Callable[[Block, Certificate], Awaitable[None]],
        *,
        patience: float,
    ) -> None:
        self._head = head
        self._send = send
        self._extend = extend
        self._patience = patience
        self._claims: dict[str, int] = {}
        self._shunned: dict[str, float] = {}
        self._wake = asyncio.Event()
        self._waiting: tuple[str, int, asyncio.Future[Blocks]] | None = None
        #: Peers that sent something false, with what it was, newest last.
        self.liars: dict[str, str] = {}

    @property
    def target(self) -> int:
        """The highest chain that any peer claims to have, of those that may be believed."""
        return max((height for height, _node in self._believed()), default=0)

    def _believed(self) -> list[tuple[int, str]]:
        """Claims with who makes them, without those of peers that are left alone for now."""
        now = asyncio.get_running_loop().time()
        return [
            (height, node)
            for node, height in self._claims.items()
            if self._shunned.get(node, 0.0) <= now
        ]

    def heard(self, node: str, height: int) -> None:
        """A peer says that its newest block has this height."""
        self._claims[node] = height
        if height > self._head():
            self._wake.set()

    def lost(self, node: str) -> None:
        """A peer is no longer connected."""
        self._claims.pop(node, None)
        waiting = self._waiting
        if waiting is not None and waiting[0] == node and not waiting[2].done():
            waiting[2].set_exception(ConnectionError("the peer is gone"))

    def arrived(self, node: str, blocks: Blocks) -> None:
        """An answer came in; one that was not asked for is dropped."""
        if self._waiting is None:
            return
        asked, start, future = self._waiting
        if asked == node and start == blocks.start and not future.done():
            future.set_result(blocks)

    async def run(self) -> None:
        """Catch up again and again until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self.target > self._head():
                if self.target == self._head() + 1 and self._patience:
                    await asyncio.sleep(self._patience)
                    if self.target <= self._head():
                        break
                _height, peer = max(self._believed(), default=(0, ""))
                if peer:
                    await self._fetch(peer)

    def _shun(self, node: str, reason: str) -> None:
        self._shunned[node] = asyncio.get_running_loop().time() + PENALTY_SECONDS
        _log.warning("sync_peer_shunned", peer=node, reason=reason)

    async def _fetch(self, peer: str) -> None:
        start = self._head() + 1
        future: asyncio.Future[Blocks] = asyncio.get_running_loop().create_future()
        self._waiting = (peer, start, future)
        try:
            if not self._send(peer, GetBlocks(start, MAX_BLOCKS)):
                self._claims.pop(peer, None)
                return
            blocks = await asyncio.wait_for(future, ANSWER_SECONDS)
        except TimeoutError:
            self._shun(peer, "no answer")
            return
        except ConnectionError:
            return
        finally:
            self._waiting = None
        if not blocks.blocks:
            self._shun(peer, f"claims a chain that it does not have at height {start}")
            return
        try:
            for height, item in enumerate(blocks.blocks, start):
                block, certificate = read_certified(item, height)
                await self._extend(block, certificate)
        except (Malformed, InvalidCertificate) as fault:
            self.liars[peer] = str(fault)
            self._shun(peer, str(fault))
