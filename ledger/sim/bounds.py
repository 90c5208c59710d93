"""What a node may hold in memory, however much is sent to it."""

from __future__ import annotations

from collections.abc import Iterator

from ledger.node.driver import MAX_WAITING_INPUTS
from ledger.node.mempool import PoolLimits
from ledger.node.node import Node

#: Inputs that are not from peers (timers, finished jobs) come on top, a handful at a time.
_OWN_INPUTS = 100


def excess(node: Node) -> Iterator[str]:
    """What there is too much of, in words."""
    bounds = PoolLimits()
    if len(node.mempool) > bounds.transactions:
        yield f"{len(node.mempool)} transactions in the pool"
    if node.mempool.size_bytes > bounds.bytes:
        yield f"{node.mempool.size_bytes} bytes in the pool"
    if node.seat.waiting > MAX_WAITING_INPUTS + _OWN_INPUTS:
        yield f"{node.seat.waiting} inputs before the consensus"
    for peer in node.links.peers():
        if peer.queued > 64 * 2**20:
            yield f"{peer.queued} bytes for {peer.node}"
