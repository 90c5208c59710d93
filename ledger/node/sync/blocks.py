"""Certified blocks from peers, checked and executed like any others.

A block that comes with a certificate needs no trust in whoever sent it. A peer whose blocks do not
check out is named and left alone; so is, for a shorter while, one that does not answer.
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
from ledger.chain.store import Store, StoreUnusable
from ledger.chain.verified import VerifiedReads
from ledger.node.net.frames import MAX_BLOCKS, Blocks, CertifiedBlock, GetBlocks
from ledger.node.sync.peers import Peers

_log = structlog.get_logger(__name__)

#: An answer stops growing here: it takes nine seconds at 1 Mbit/s.
ANSWER_BYTES = limits.MIB


def _log_damage(damage: StoreUnusable) -> None:
    _log.error("store_damaged", error=str(damage))


def answer(
    store: Store,
    head: int,
    request: GetBlocks,
    damaged: Callable[[StoreUnusable], None] = _log_damage,
) -> Blocks:
    """The certified blocks that a peer asked for, as far as one answer may hold them.

    ``damaged``: told of a block that is not what it should be, and not given out.
    """
    verified = VerifiedReads(store)
    found: list[CertifiedBlock] = []
    size = 0
    for height in range(max(request.start, 1), head + 1):
        if len(found) >= min(request.count, MAX_BLOCKS) or size >= ANSWER_BYTES:
            break
        try:
            block, certificate = verified.block(height), store.certificate(height)
        except StoreUnusable as damage:
            # Not to be taken for a liar: a block that a disk has changed is one that is not here.
            damaged(damage)
            break
        if block is None or certificate is None:
            break
        item = CertifiedBlock(encode_block(block), encode(certificate))
        size += len(item.block) + len(item.certificate)
        found.append(item)
    return Blocks(request.start, tuple(found), store.base())


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


class BlockSync:
    """Fetches blocks from one peer at a time.

    Args:
        head: the height of this node's newest block.
        peers: who is there, and who may be believed.
        send: puts a frame on the way to a peer; False when the peer is not connected.
        extend: verifies, executes and stores one certified block. Of what it raises, only
            `InvalidCertificate` is taken for the peer's fault; all else ends the work.
    """

    def __init__(
        self,
        head: Callable[[], int],
        peers: Peers,
        send: Callable[[str, GetBlocks], bool],
        extend: Callable[[Block, Certificate], Awaitable[None]],
    ) -> None:
        self._head = head
        self._peers = peers
        self._send = send
        self._extend = extend
        self._waiting: tuple[str, int, asyncio.Future[Blocks]] | None = None

    def lost(self, node: str) -> None:
        """A peer is no longer connected."""
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

    async def fetch(self, peer: str) -> bool:
        """Take the next blocks from a peer. False where it has forgotten them: somebody else may
        have them, or a snapshot is needed."""
        start = self._head() + 1
        blocks = await self._answer(peer, start)
        if blocks is None:
            return True
        if not blocks.blocks:
            if blocks.base > start:
                return False
            self._peers.shun(peer, f"claims a chain that it does not have at height {start}")
            return True
        try:
            for height, item in enumerate(blocks.blocks, start):
                block, certificate = read_certified(item, height)
                await self._extend(block, certificate)
        except Malformed as fault:
            self._peers.lied(peer, "malformed", str(fault))
        except InvalidCertificate as fault:
            self._peers.lied(peer, "not_final", str(fault))
        return True

    async def _answer(self, peer: str, start: int) -> Blocks | None:
        """What a peer answers; None where it is gone or silent."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Blocks] = loop.create_future()
        begun = loop.time()
        self._waiting = (peer, start, future)
        try:
            if not self._send(peer, GetBlocks(start, MAX_BLOCKS)):
                self._peers.gone(peer)
                return None
            async with asyncio.timeout(self._peers.patience(peer)):
                blocks = await future
        except TimeoutError:
            self._peers.silent(peer)
            return None
        except ConnectionError:
            self._peers.left(peer)
            return None
        finally:
            self._waiting = None
        self._peers.answered(peer, loop.time() - begun)
        return blocks
